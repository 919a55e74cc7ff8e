//! What an old peer keeps of one other peer: addresses, window, limiter, jitter buffer.

use super::crypt::Session;
use super::quirks::{Jitter, Quirks};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

pub const WINDOW_FIRST: f64 = 16.0;
pub const WINDOW_MAX: f64 = 512.0;
pub const RATE_BURST: f64 = 256.0;
pub const RATE_PER_MS: f64 = 0.128;
pub const RTT_FIRST: f64 = 100.0;
pub const ADDRESSES: usize = 4;
/// One slot of the old ring buffers is unusable.
pub const DATA_QUEUE: usize = 2_047;

/// A fragment set being put together.
pub struct Assembly {
    pub total: u16,
    pub pieces: BTreeMap<u16, Vec<u8>>,
}

/// One peer of an old peer.
pub struct Peer {
    pub key: [u8; 32],
    pub session: Session,
    /// In order of arrival, with the stored round-trip time in milliseconds.
    pub addresses: Vec<(SocketAddr, f64)>,
    pub best: SocketAddr,
    /// Times are milliseconds of the model's clock.
    pub seen: f64,
    pub last_answer: f64,
    pub rtt: f64,
    pub in_mesh: bool,
    pub score: i32,
    pub queue: VecDeque<Vec<u8>>,
    pub sequence: u32,
    pub window: f64,
    pub in_flight: f64,
    pub tokens: f64,
    pub last_refill: f64,
    pub last_loss: f64,
    pub loss_told: bool,
    pub last_ping: f64,
    /// A drain waits for a token.
    pub draining: bool,
    pub jitter: JitterBuffer,
    pub sets: BTreeMap<[u8; 8], Assembly>,
    /// Tells timers of an earlier entry for the same id apart.
    pub generation: u64,
    pub bytes_sent: f64,
    pub bytes_since: f64,
    pub bandwidth: f64,
}

impl Peer {
    pub fn new(key: [u8; 32], session: Session, from: SocketAddr, now_ms: f64, generation: u64) -> Peer {
        Peer {
            key,
            session,
            addresses: vec![(from, RTT_FIRST)],
            best: from,
            seen: now_ms,
            last_answer: now_ms,
            rtt: RTT_FIRST,
            in_mesh: false,
            score: 0,
            queue: VecDeque::new(),
            sequence: 0,
            window: WINDOW_FIRST,
            in_flight: 0.0,
            tokens: RATE_BURST,
            last_refill: now_ms,
            last_loss: 0.0,
            loss_told: false,
            last_ping: 0.0,
            draining: false,
            jitter: JitterBuffer::default(),
            sets: BTreeMap::new(),
            generation,
            bytes_sent: 0.0,
            bytes_since: now_ms,
            bandwidth: 0.0,
        }
    }

    /// A sign of life from an address; returns an address that was given up for it.
    pub fn touch(&mut self, quirks: &Quirks, now_ms: f64, from: SocketAddr, rtt: Option<f64>) -> Option<SocketAddr> {
        self.seen = now_ms;
        self.last_answer = now_ms;
        self.loss_told = false;
        if quirks.rust {
            // Always the address of the first handshake.
            return None;
        }
        let rtt = rtt.unwrap_or(self.rtt);
        match self.addresses.iter_mut().find(|(addr, _)| *addr == from) {
            Some((_, stored)) => *stored = rtt,
            None => self.addresses.push((from, rtt)),
        }
        let mut gone = None;
        if self.addresses.len() > ADDRESSES {
            let worst = self.addresses.iter().copied().reduce(|a, b| if b.1 > a.1 { b } else { a });
            if let Some((worst, _)) = worst.filter(|(addr, _)| *addr != from) {
                self.addresses.retain(|(addr, _)| *addr != worst);
                gone = Some(worst);
            }
        }
        let lowest = self.addresses.iter().copied().reduce(|a, b| if b.1 < a.1 { b } else { a });
        if let Some((addr, low)) = lowest {
            self.best = if quirks.prefers_latest && rtt <= low { from } else { addr };
        }
        gone
    }

    /// What old peers take for an acknowledgement: any DATA, any PONG.
    pub fn acknowledge(&mut self) {
        self.in_flight = (self.in_flight - 1.0).max(0.0);
        self.window = (self.window + 1.0).min(WINDOW_MAX);
    }

    /// Silence of more than 5 s.
    pub fn signal_loss(&mut self, now_ms: f64) {
        if now_ms - self.last_loss < 1_000.0 {
            return;
        }
        self.last_loss = now_ms;
        self.window = (self.window * 0.75).floor().max(1.0);
        self.in_flight = self.in_flight.min(self.window);
    }

    /// Takes a token of the rate limiter.
    pub fn take_token(&mut self, now_ms: f64) -> bool {
        self.tokens = (self.tokens + (now_ms - self.last_refill) * RATE_PER_MS).min(RATE_BURST);
        self.last_refill = now_ms;
        let has = self.tokens >= 1.0;
        if has {
            self.tokens -= 1.0;
        }
        has
    }

    pub fn count_bytes(&mut self, now_ms: f64, len: usize) {
        self.bytes_sent += len as f64;
        let seconds = (now_ms - self.bytes_since) / 1_000.0;
        if seconds >= 1.0 {
            self.bandwidth = self.bytes_sent / seconds;
            self.bytes_sent = 0.0;
            self.bytes_since = now_ms;
        }
    }
}

/// The old peers' buffer for frames after a gap.
#[derive(Default)]
pub struct JitterBuffer {
    pub next: u32,
    pub waiting: BTreeMap<u32, Vec<u8>>,
}

impl JitterBuffer {
    /// Takes a frame in; returns what is delivered, and whether a timer is to be set for it.
    pub fn push(&mut self, kind: Jitter, sequence: u32, payload: Vec<u8>) -> (Vec<Vec<u8>>, bool) {
        if kind == Jitter::None {
            return (vec![payload], false);
        }
        if sequence < self.next {
            return (Vec::new(), false);
        }
        if sequence > self.next {
            self.waiting.insert(sequence, payload);
            return (Vec::new(), kind == Jitter::Timer);
        }
        self.next += 1;
        let mut out = vec![payload];
        out.append(&mut self.flush());
        (out, false)
    }

    /// The 50 ms are over: delivers, and leaves `next` on the delivered number, as the old peers do.
    pub fn force(&mut self, sequence: u32) -> Vec<Vec<u8>> {
        if sequence < self.next {
            return Vec::new();
        }
        let Some(payload) = self.waiting.remove(&sequence) else { return Vec::new() };
        self.next = sequence;
        let mut out = vec![payload];
        out.append(&mut self.flush());
        out
    }

    fn flush(&mut self) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        while let Some(payload) = self.waiting.remove(&self.next) {
            out.push(payload);
            self.next += 1;
        }
        out
    }
}
