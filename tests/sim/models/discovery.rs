//! How an old peer finds others: beacons, dials, PEX, gossip.

use super::crypt::hex;
use super::model::{MAX_PEERS, Model, Timer};
use crate::io::Io;
use setowire::crypto::identity::WireId;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const PUNCHES: u32 = 8;
const PUNCH_PERIOD: Duration = Duration::from_millis(300);
const DIAL_LIFE: Duration = Duration::from_millis(5_400);
const PEX_MAX: usize = 20;
const GOSSIP_LIFE: Duration = Duration::from_secs(30);
const HAVE_MAX: usize = 64;

impl Model {
    pub(super) fn send_beacon(&mut self, io: &mut Io) {
        self.at(io.now + Duration::from_secs(5), Timer::Beacon);
        let text = format!("{}:{}:{}:{}", hex(self.keys.id()), self.local_ip, self.port, self.topic_hash);
        if let Some(interface) = self.interface {
            io.multicast(interface, [&[0x09], text.as_bytes()].concat());
        }
    }

    pub(super) fn on_beacon(&mut self, io: &mut Io, from: SocketAddr, text: &[u8]) {
        let text = String::from_utf8_lossy(text).into_owned();
        let fields: Vec<&str> = text.splitn(if self.quirks.cpp { 4 } else { usize::MAX }, ':').collect();
        let &[id, ip, port, ref rest @ ..] = &fields[..] else { return };
        let topic = rest.first().copied().unwrap_or("");
        if id == hex(self.keys.id()) || (!topic.is_empty() && topic != self.topic_hash) {
            return;
        }
        // A port above 65535 closes the socket of a real Python peer; `check` sees to it that none is sent.
        let Ok(port) = port.parse::<u16>() else { return };
        let ip = if self.quirks.cpp { Some(from.ip()) } else { ip.parse().ok() };
        if let Some(ip) = ip {
            self.dial(io, SocketAddr::new(ip, port), Some(id.to_owned()));
        }
    }

    /// Eight HELLOs (the Rust peer: one). The id is the text the announcement had, so 40 digits never match a peer.
    pub fn dial(&mut self, io: &mut Io, to: SocketAddr, id: Option<String>) {
        let connected = |text: &str| self.peers.keys().any(|known| hex(known) == text);
        if id.as_deref().is_some_and(connected) {
            return;
        }
        let key = id.unwrap_or_else(|| to.to_string());
        if !self.dialing.insert(key.clone()) {
            return;
        }
        let tries = if self.quirks.rust { 1 } else { PUNCHES };
        (0..tries).for_each(|i| self.at(io.now + PUNCH_PERIOD * i, Timer::Hello(to)));
        if !self.quirks.rust {
            self.at(io.now + DIAL_LIFE, Timer::DialEnd(key));
        }
    }

    /// What follows a new entry: gossip and a summary of values, or (Rust) a PEX frame.
    pub(super) fn introduce(&mut self, io: &mut Io, id: WireId, from: SocketAddr) {
        if self.quirks.rust {
            let entries: Vec<u8> =
                self.peers.iter().take(PEX_MAX).flat_map(|(id, p)| fixed_entry(id, p.best)).collect();
            io.send(from, [&[0x30, (entries.len() / 14) as u8][..], &entries].concat());
            return;
        }
        self.gossip(io, id, from);
        if !self.values.is_empty() {
            let keys: Vec<&String> = self.values.keys().take(HAVE_MAX).collect();
            let mut frame = vec![0x10, keys.len() as u8];
            for key in keys {
                frame.push(key.len() as u8);
                frame.extend_from_slice(key.as_bytes());
            }
            self.send_batched(io, from, frame);
        }
    }

    fn gossip(&mut self, io: &mut Io, new: WireId, from: SocketAddr) {
        if self.gossiped.get(&new).is_some_and(|at| io.now < *at + GOSSIP_LIFE) {
            return;
        }
        self.gossiped.insert(new, io.now);
        let (id, ip, port) = (hex(&new), from.ip(), from.port());
        let text = if self.quirks.json_spaces {
            format!(r#"{{"_gossip": true, "id": "{id}", "ip": "{ip}", "port": {port}}}"#)
        } else {
            format!(r#"{{"_gossip":true,"id":"{id}","ip":"{ip}","port":{port}}}"#)
        };
        let others: Vec<WireId> = self.peers.keys().filter(|other| **other != new).copied().collect();
        others.iter().for_each(|other| self.write(io, other, text.as_bytes()));
    }

    pub(super) fn send_pex_to_all(&mut self, io: &mut Io) {
        self.at(io.now + Duration::from_secs(60), Timer::Pex);
        for (id, to) in self.peers.iter().map(|(id, p)| (*id, p.best)).collect::<Vec<_>>() {
            let others = self.peers.iter().filter(|(other, _)| **other != id).take(PEX_MAX);
            let mut frame = vec![0x30, 0];
            for (other, peer) in others {
                let ip = peer.best.ip().to_string();
                frame[1] += 1;
                frame.push(8);
                frame.extend_from_slice(other);
                frame.push(ip.len() as u8);
                frame.extend_from_slice(ip.as_bytes());
                frame.extend_from_slice(&peer.best.port().to_be_bytes());
            }
            if frame[1] > 0 {
                self.send_batched(io, to, frame);
            }
        }
    }

    pub(super) fn on_pex(&mut self, io: &mut Io, frame: &[u8]) {
        let Some((count, mut rest)) = frame.get(1..).and_then(|f| f.split_first()) else { return };
        for _ in 0..*count {
            let entry = if self.quirks.rust { take_fixed(&mut rest) } else { take_prefixed(&mut rest) };
            let Some((id, ip, port)) = entry else { return };
            if id == hex(&self.wire_id()) && self.quirks.knows_itself || self.peers.len() >= MAX_PEERS {
                continue;
            }
            if let Ok(ip) = ip.parse::<IpAddr>() {
                self.dial(io, SocketAddr::new(ip, port), Some(id));
            }
        }
    }
}

fn fixed_entry(id: &WireId, address: SocketAddr) -> Vec<u8> {
    let IpAddr::V4(ip) = address.ip() else { return Vec::new() };
    [&id[..], &ip.octets(), &address.port().to_be_bytes()].concat()
}

fn take_fixed(rest: &mut &[u8]) -> Option<(String, String, u16)> {
    let (entry, tail) = rest.split_at_checked(14)?;
    *rest = tail;
    let ip = Ipv4Addr::new(entry[8], entry[9], entry[10], entry[11]);
    Some((hex(&entry[..8]), ip.to_string(), u16::from_be_bytes([entry[12], entry[13]])))
}

fn take_prefixed(rest: &mut &[u8]) -> Option<(String, String, u16)> {
    let mut take = |len: usize| -> Option<Vec<u8>> {
        let (head, tail) = rest.split_at_checked(len)?;
        *rest = tail;
        Some(head.to_vec())
    };
    let len = usize::from(take(1)?[0]);
    let id = take(len)?;
    let len = usize::from(take(1)?[0]);
    let ip = take(len)?;
    let port = take(2)?;
    Some((hex(&id), String::from_utf8(ip).ok()?, u16::from_be_bytes([port[0], port[1]])))
}
