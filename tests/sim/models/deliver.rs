//! DATA and fragments of an old peer: sending through queue, window and limiter,
//! batching, receiving through jitter buffer and duplicate filter, flooding.

use super::crypt::xor_hash;
use super::model::{Delivered, Model, Timer};
use super::peer::{Assembly, DATA_QUEUE};
use super::quirks::{Fragments, Jitter, Limiter, LowOrder};
use crate::io::Io;
use setowire::crypto::identity::WireId;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const MAX_PAYLOAD: usize = 1_200;
const FRAGMENT: usize = 1_188;
const BATCH_BYTES: usize = 1_400;
const BATCH_DELAY: Duration = Duration::from_millis(2);
const FRAGMENTS_LIFE: Duration = Duration::from_secs(10);
const FILTER_LIFE: Duration = Duration::from_secs(600);
const FILTER_ENTRIES: usize = 4_096;
const IHAVE_MAX: usize = 200;
const IHAVE_PEERS: usize = 6;

impl Model {
    /// The application writes to every peer; returns how many there are.
    pub fn broadcast(&mut self, io: &mut Io, data: &[u8]) -> usize {
        let ids = self.peer_ids();
        ids.iter().for_each(|id| self.write(io, id, data));
        ids.len()
    }

    /// The application writes to one peer.
    pub fn write(&mut self, io: &mut Io, id: &WireId, data: &[u8]) {
        let Some(peer) = self.peers.get_mut(id) else { return };
        if self.quirks.limiter == Limiter::None {
            let frame = peer.session.seal(peer.sequence, data);
            peer.sequence = peer.sequence.wrapping_add(1);
            io.send(peer.best, frame);
            return;
        }
        if peer.queue.len() >= DATA_QUEUE {
            peer.queue.pop_front();
        }
        peer.queue.push_back(data.to_vec());
        self.drain(io, id);
    }

    /// Sends what window and limiter let out.
    pub(super) fn drain(&mut self, io: &mut Io, id: &WireId) {
        let now = self.ms(io);
        loop {
            let Some(peer) = self.peers.get_mut(id) else { return };
            if peer.draining || peer.in_flight >= peer.window {
                return;
            }
            let Some(data) = peer.queue.pop_front() else { return };
            if !peer.take_token(now) {
                if self.quirks.limiter == Limiter::Drop {
                    self.limited += 1;
                    continue;
                }
                peer.queue.push_back(data);
                peer.draining = true;
                let generation = peer.generation;
                self.at(io.now + Duration::from_millis(8), Timer::Drain(*id, generation));
                return;
            }
            let best = peer.best;
            if data.len() > MAX_PAYLOAD {
                self.send_fragments(io, best, &data);
                continue;
            }
            let frame = peer.session.seal(peer.sequence, &data);
            peer.sequence = peer.sequence.wrapping_add(1);
            peer.in_flight += 1.0;
            peer.count_bytes(now, frame.len());
            self.send_batched(io, best, frame);
        }
    }

    fn send_fragments(&mut self, io: &mut Io, to: SocketAddr, data: &[u8]) {
        let set: [u8; 8] = self.rng.bytes();
        let total = data.len().div_ceil(FRAGMENT) as u16;
        for (index, piece) in data.chunks(FRAGMENT).enumerate() {
            let head = [&[0x0b][..], &set, &(index as u16).to_be_bytes(), &total.to_be_bytes()].concat();
            self.send_batched(io, to, [&head, piece].concat());
        }
    }

    /// Frames to one address within 2 ms leave together.
    pub(super) fn send_batched(&mut self, io: &mut Io, to: SocketAddr, frame: Vec<u8>) {
        if self.batch.is_empty() {
            self.at(io.now + BATCH_DELAY, Timer::Flush);
        }
        match self.batch.iter_mut().find(|(addr, _)| *addr == to) {
            Some((_, frames)) => frames.push(frame),
            None => self.batch.push((to, vec![frame])),
        }
    }

    pub(super) fn flush_batch(&mut self, io: &mut Io) {
        for (to, frames) in std::mem::take(&mut self.batch) {
            let mut group: Vec<Vec<u8>> = Vec::new();
            let mut size = 0;
            for frame in frames {
                if size + frame.len() + 2 > BATCH_BYTES && !group.is_empty() {
                    send_group(io, to, &group);
                    group.clear();
                    size = 0;
                }
                size += frame.len() + 2;
                group.push(frame);
            }
            send_group(io, to, &group);
        }
    }

    pub(super) fn on_data(&mut self, io: &mut Io, from: SocketAddr, body: &[u8]) {
        let Some(id) = self.by_address.get(&from).copied() else { return };
        let Some(text) = self.peers.get(&id).and_then(|peer| peer.session.open(body)) else { return };
        self.touch(io, &id, from, None);
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.acknowledge();
            peer.score = (peer.score + 1).min(1_000);
        }
        self.take_plaintext(io, id, text);
        self.drain(io, &id);
    }

    fn take_plaintext(&mut self, io: &mut Io, id: WireId, text: Vec<u8>) {
        if !self.quirks.rust {
            self.heard.push(xor_hash(&text).to_be_bytes());
        }
        let Some((sequence, payload)) = text.split_first_chunk::<4>() else {
            match (self.quirks.rust, self.quirks.cpp) {
                (_, true) => {}
                (true, _) => self.give(io, id, text),
                (false, false) => self.filter_and_give(io, id, text),
            }
            return;
        };
        let sequence = u32::from_be_bytes(*sequence);
        let kind = self.quirks.jitter;
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let generation = peer.generation;
        let (ready, timer) = peer.jitter.push(kind, sequence, payload.to_vec());
        if timer {
            self.at(io.now + Duration::from_millis(50), Timer::Jitter(id, generation, sequence));
        }
        match kind {
            Jitter::None => ready.into_iter().for_each(|data| self.give(io, id, data)),
            _ => self.deliver_all(io, id, ready),
        }
    }

    pub(super) fn deliver_all(&mut self, io: &mut Io, id: WireId, ready: Vec<Vec<u8>>) {
        ready.into_iter().for_each(|data| self.filter_and_give(io, id, data));
    }

    fn filter_and_give(&mut self, io: &mut Io, id: WireId, data: Vec<u8>) {
        let hash = xor_hash(&data);
        if self.seen.get(&hash).is_some_and(|at| io.now < *at + FILTER_LIFE) {
            return;
        }
        if self.seen.len() >= FILTER_ENTRIES {
            self.seen.retain(|_, at| io.now < *at + FILTER_LIFE);
        }
        self.seen.insert(hash, io.now);
        self.give(io, id, data.clone());
        let mesh: Vec<WireId> =
            self.peers.iter().filter(|(other, p)| p.in_mesh && **other != id).map(|(other, _)| *other).collect();
        mesh.iter().for_each(|other| self.write(io, other, &data));
    }

    fn give(&mut self, io: &Io, from: WireId, data: Vec<u8>) {
        self.delivered.push(Delivered { at: io.now, from, data });
    }

    pub(super) fn on_fragment(&mut self, io: &mut Io, from: SocketAddr, frame: &[u8]) {
        let Some(id) = self.by_address.get(&from).copied() else { return };
        if frame.len() < 13 {
            return;
        }
        let set: [u8; 8] = frame[1..9].try_into().expect("8 bytes");
        let index = u16::from_be_bytes([frame[9], frame[10]]);
        let total = u16::from_be_bytes([frame[11], frame[12]]);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let fresh = !peer.sets.contains_key(&set);
        let entry = peer.sets.entry(set).or_insert_with(|| Assembly { total, pieces: BTreeMap::new() });
        entry.pieces.insert(index, frame[13..].to_vec());
        let generation = peer.generation;
        let complete = entry.pieces.len() == usize::from(entry.total);
        if !complete {
            if fresh && !self.quirks.cpp {
                self.at(io.now + FRAGMENTS_LIFE, Timer::FragmentsExpire(id, generation, set));
            }
            return;
        }
        let Some(done) = peer.sets.remove(&set) else { return };
        let in_range = done.pieces.keys().all(|index| *index < done.total);
        if !in_range && self.quirks.low_order == LowOrder::Crash {
            // The JavaScript peer joins an undefined piece.
            return self.crash(io, "a fragment with index >= total");
        }
        if !in_range {
            return;
        }
        let data = done.pieces.into_values().collect::<Vec<_>>().concat();
        match self.quirks.fragments {
            Fragments::Clear => self.filter_and_give(io, id, data),
            Fragments::Sealed => {
                if let Some(text) = self.peers.get(&id).and_then(|peer| peer.session.open(&data)) {
                    self.take_plaintext(io, id, text);
                }
            }
            Fragments::Ignored => {}
        }
    }

    pub(super) fn on_want(&mut self, io: &mut Io, from: SocketAddr, frame: &[u8]) {
        let known = self.by_address.contains_key(&from);
        let Some(key) = frame.get(1).and_then(|len| frame.get(2..2 + usize::from(*len))) else { return };
        let Some(value) = std::str::from_utf8(key).ok().and_then(|key| self.values.get(key)) else { return };
        if known && value.len() <= 900 {
            let head = [&[0x12, key.len() as u8][..], key, &(value.len() as u16).to_be_bytes()].concat();
            let chunk = [&head, &value[..]].concat();
            self.send_batched(io, from, chunk);
        }
    }

    pub(super) fn send_ihave(&mut self, io: &mut Io) {
        if self.heard.is_empty() {
            return;
        }
        let from = self.heard.len().saturating_sub(IHAVE_MAX);
        let newest: Vec<u8> = self.heard.split_off(from).concat();
        let frame = [&[0x07][..], &newest].concat();
        let to: Vec<SocketAddr> =
            self.peers.values().filter(|p| !p.in_mesh).take(IHAVE_PEERS).map(|p| p.best).collect();
        to.into_iter().for_each(|to| self.send_batched(io, to, frame.clone()));
    }
}

fn send_group(io: &mut Io, to: SocketAddr, frames: &[Vec<u8>]) {
    match frames {
        [] => {}
        [one] => io.send(to, one.clone()),
        many => {
            let mut out = vec![0x13, many.len() as u8];
            for frame in many {
                out.extend_from_slice(&(frame.len() as u16).to_be_bytes());
                out.extend_from_slice(frame);
            }
            io.send(to, out);
        }
    }
}
