//! Peers that said HELLO and proved nothing yet.
//!
//! A HELLO is answered without a key agreement and, at a bounded rate, without state. What
//! an address sent us is its credit: to an unproven address never more bytes leave than
//! came from it. With credit left it gets a PING; its PONG makes it a connection, and so
//! does a frame that decrypts. The table is small, the oldest entry goes first, and no
//! connection is ever touched by it.

use crate::bucket::{Bucket, PerSource};
use crate::config::limits::{
    HELLO_ACKS_PER_IP, HELLO_ACKS_PER_SECOND, HELLO_SOURCES, STRANGER_OPENS_PER_SECOND, UNCONFIRMED_CREDIT_BYTES,
    UNCONFIRMED_LIFE, UNCONFIRMED_MAX, UNCONFIRMED_PER_IP, V12_PING_PERIOD,
};
use crate::crypto::v12::PeerKey;
use crate::wire::handshake::HELLO_BYTES;
use crate::wire::ping::{PING_BYTES, Ping};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// Attempts at a key agreement for one stranger: each costs a multiplication on the curve.
const OPEN_TRIES: u8 = 3;

/// How a HELLO or PING is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Nothing,
    HelloAck,
    Ping,
}

struct Entry {
    key: PeerKey,
    since: Instant,
    credit: usize,
    acked: bool,
    pinged: Option<Instant>,
    /// His last PING: answered by one of ours, and still owed its PONG.
    ping: Option<Ping>,
    open_tries: u8,
}

/// What is known of a stranger who became a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    pub since: Instant,
    /// A PING that is owed an answer.
    pub ping: Option<Ping>,
}

/// The table.
pub struct Strangers {
    entries: BTreeMap<SocketAddr, Entry>,
    order: VecDeque<(Instant, SocketAddr)>,
    /// Addresses that sent the PEX that only Rust peers send, before they were a connection.
    rust: VecDeque<(Instant, SocketAddr)>,
    acks: PerSource,
    opens: Bucket,
}

impl Strangers {
    pub fn new(now: Instant) -> Strangers {
        Strangers {
            entries: BTreeMap::new(),
            order: VecDeque::new(),
            rust: VecDeque::new(),
            acks: PerSource::new(HELLO_ACKS_PER_SECOND, HELLO_ACKS_PER_IP, HELLO_SOURCES, now),
            opens: Bucket::new(STRANGER_OPENS_PER_SECOND / 10, STRANGER_OPENS_PER_SECOND, now),
        }
    }

    /// Whether a HELLO from this address may cost us anything now.
    pub fn may_answer(&mut self, ip: IpAddr, now: Instant) -> bool {
        self.acks.take(ip, now)
    }

    /// A HELLO of `bytes` with a checked key, from an address that is no connection.
    pub fn hello(&mut self, now: Instant, from: SocketAddr, key: PeerKey, bytes: usize) -> Answer {
        self.expire(now);
        match self.entries.get_mut(&from) {
            Some(entry) if entry.key == key => entry.earn(bytes),
            known => {
                // The newest word about an address counts: an older one would keep its owner out.
                if known.is_some() {
                    self.remove(&from);
                }
                self.make_room(from.ip());
                let entry =
                    Entry { key, since: now, credit: bytes, acked: false, pinged: None, ping: None, open_tries: 0 };
                self.entries.insert(from, entry);
                self.order.push_back((now, from));
            }
        }
        // The first HELLO is answered; a repeated one proves little and is worth a PING.
        match self.entries.get_mut(&from) {
            Some(entry) if entry.acked && entry.wants_ping(now) => entry.spend(now, PING_BYTES, Answer::Ping),
            Some(entry) => {
                entry.acked = true;
                entry.spend(now, HELLO_BYTES, Answer::HelloAck)
            }
            None => Answer::Nothing,
        }
    }

    /// Drops the oldest entry where one more would be too many: of this IP address, or of all.
    fn make_room(&mut self, ip: IpAddr) {
        let of_ip = self.entries.range(SocketAddr::new(ip, 0)..).take_while(|(addr, _)| addr.ip() == ip).count();
        if of_ip >= UNCONFIRMED_PER_IP {
            let oldest = self.order.iter().find(|(_, addr)| addr.ip() == ip).copied();
            oldest.and_then(|(_, addr)| self.remove(&addr));
        } else if self.entries.len() >= UNCONFIRMED_MAX
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }

    /// A PING of `bytes`: answered by one of ours, which proves more than a PONG would.
    pub fn ping(&mut self, now: Instant, from: &SocketAddr, ping: &Ping, bytes: usize) -> Answer {
        match self.entries.get_mut(from) {
            Some(entry) => {
                entry.earn(bytes);
                entry.ping = Some(*ping);
                entry.spend(now, PING_BYTES, Answer::Ping)
            }
            None => Answer::Nothing,
        }
    }

    /// The PEX of a Rust peer, which follows its HELLO_ACK or ours and may overtake it. Only from an
    /// address that we `dialled` or that said HELLO.
    pub fn rust_pex(&mut self, now: Instant, from: SocketAddr, dialled: bool) {
        self.expire(now);
        if (dialled || self.entries.contains_key(&from)) && !self.rust.iter().any(|(_, addr)| *addr == from) {
            if self.rust.len() >= UNCONFIRMED_MAX {
                self.rust.pop_front();
            }
            self.rust.push_back((now, from));
        }
    }

    /// Whether a Rust peer's PEX came from there.
    pub fn take_rust_pex(&mut self, from: &SocketAddr) -> bool {
        let before = self.rust.len();
        self.rust.retain(|(_, addr)| addr != from);
        self.rust.len() < before
    }

    /// Whom a PONG from this address proves: it answers a PING of ours.
    pub fn pong(&self, from: &SocketAddr) -> Option<PeerKey> {
        self.entries.get(from).filter(|entry| entry.pinged.is_some()).map(|entry| entry.key)
    }

    /// The key to try a DATA frame from this address with; few tries are given.
    pub fn try_open(&mut self, now: Instant, from: &SocketAddr) -> Option<PeerKey> {
        let entry = self.entries.get_mut(from).filter(|entry| entry.open_tries < OPEN_TRIES)?;
        if !self.opens.take(1, now) {
            return None;
        }
        entry.open_tries += 1;
        Some(entry.key)
    }

    /// Takes an address out, because it became a connection.
    pub fn remove(&mut self, from: &SocketAddr) -> Option<Left> {
        let entry = self.entries.remove(from)?;
        self.order.retain(|(_, addr)| addr != from);
        Some(Left { since: entry.since, ping: entry.ping })
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        let oldest = self.order.front().into_iter().chain(self.rust.front()).map(|(since, _)| *since).min();
        oldest.map(|since| since + UNCONFIRMED_LIFE)
    }

    pub fn expire(&mut self, now: Instant) {
        while let Some((since, addr)) = self.order.front().copied() {
            if now < since + UNCONFIRMED_LIFE {
                break;
            }
            self.order.pop_front();
            self.entries.remove(&addr);
        }
        while self.rust.front().is_some_and(|(since, _)| now >= *since + UNCONFIRMED_LIFE) {
            self.rust.pop_front();
        }
    }
}

impl Entry {
    fn earn(&mut self, bytes: usize) {
        self.credit = self.credit.saturating_add(bytes).min(UNCONFIRMED_CREDIT_BYTES);
    }

    fn wants_ping(&self, now: Instant) -> bool {
        self.pinged.is_none_or(|at| now.saturating_duration_since(at) >= V12_PING_PERIOD)
    }

    fn spend(&mut self, now: Instant, bytes: usize, answer: Answer) -> Answer {
        if self.credit < bytes {
            return Answer::Nothing;
        }
        self.credit -= bytes;
        if answer == Answer::Ping {
            self.pinged = Some(now);
        }
        answer
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;
    use crate::crypto::identity::V12Keys;

    const PING: Ping = Ping { timestamp: Some(7), id: None };

    fn key(seed: u32) -> PeerKey {
        let keys = V12Keys::from_seed(&seed.to_be_bytes());
        PeerKey::checked(keys.wire_id(), keys.public()).expect("own key")
    }

    fn addr(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, host], port))
    }

    #[test]
    fn a_rust_pex_is_kept_for_a_while_from_those_we_deal_with() {
        let (mut strangers, now) = (Strangers::new(Instant::now()), Instant::now());
        strangers.rust_pex(now, addr(1, 5), false);
        assert!(!strangers.take_rust_pex(&addr(1, 5)), "nobody asked him");
        strangers.hello(now, addr(1, 5), key(1), 41);
        strangers.rust_pex(now, addr(1, 5), false);
        strangers.rust_pex(now, addr(2, 5), true);
        assert!(strangers.take_rust_pex(&addr(1, 5)) && !strangers.take_rust_pex(&addr(1, 5)));
        strangers.expire(now + UNCONFIRMED_LIFE);
        assert!(!strangers.take_rust_pex(&addr(2, 5)));
        (0..3_000).for_each(|n| strangers.rust_pex(now, addr(1, n), true));
        assert_eq!(strangers.rust.len(), UNCONFIRMED_MAX);
    }

    #[test]
    fn never_more_bytes_out_than_in() {
        let (mut strangers, now) = (Strangers::new(Instant::now()), Instant::now());
        let (mut bytes_in, mut bytes_out) = (0, 0);
        for n in 0..40 {
            let (size, answer) = if n % 3 == 0 {
                (29, strangers.ping(now, &addr(1, 5), &PING, 29))
            } else {
                (41, strangers.hello(now, addr(1, 5), key(1), 41))
            };
            bytes_in += size;
            bytes_out += match answer {
                Answer::Nothing => 0,
                Answer::HelloAck => 41,
                Answer::Ping => 29,
            };
            assert!(bytes_out <= bytes_in);
        }
        assert!(bytes_out > 41);
    }

    #[test]
    fn a_pong_counts_only_after_a_ping_of_ours() {
        let (mut strangers, now) = (Strangers::new(Instant::now()), Instant::now());
        assert_eq!(strangers.hello(now, addr(1, 5), key(1), 41), Answer::HelloAck);
        assert_eq!(strangers.pong(&addr(1, 5)), None);
        assert_eq!(strangers.ping(now, &addr(1, 5), &PING, 29), Answer::Ping);
        assert_eq!(strangers.pong(&addr(1, 5)), Some(key(1)));
        assert_eq!(strangers.remove(&addr(1, 5)), Some(Left { since: now, ping: Some(PING) }));
        assert!(strangers.len() == 0 && strangers.poll_deadline().is_none());
    }

    #[test]
    fn a_repeated_hello_is_worth_a_ping() {
        let (mut strangers, now) = (Strangers::new(Instant::now()), Instant::now());
        let mut hello = |at| strangers.hello(at, addr(1, 5), key(1), 41);
        assert_eq!([hello(now), hello(now), hello(now)], [Answer::HelloAck, Answer::Ping, Answer::HelloAck]);
        assert_eq!(hello(now + V12_PING_PERIOD), Answer::Ping, "the first may be lost");
    }

    #[test]
    fn the_table_is_small_and_forgets() {
        let start = Instant::now();
        let mut strangers = Strangers::new(start);
        for n in 0..5_000u16 {
            strangers.hello(start, addr((n % 200) as u8, n + 1), key(1), 41);
            assert!(strangers.len() <= UNCONFIRMED_MAX && strangers.order.len() == strangers.len());
        }
        strangers.expire(start + UNCONFIRMED_LIFE);
        assert_eq!(strangers.len(), 0);
    }

    #[test]
    fn nobody_is_kept_out_by_who_spoke_in_his_name_before() {
        let (mut strangers, now) = (Strangers::new(Instant::now()), Instant::now());
        strangers.hello(now, addr(1, 5), key(2), 41);
        assert_eq!(strangers.hello(now, addr(1, 5), key(1), 41), Answer::HelloAck);
        assert_eq!(strangers.try_open(now, &addr(1, 5)), Some(key(1)));
        for port in 100..200 {
            strangers.hello(now, addr(1, port), key(3), 41);
        }
        assert_eq!(strangers.len(), UNCONFIRMED_PER_IP);
        strangers.hello(now, addr(1, 5), key(1), 41);
        assert_eq!(strangers.try_open(now, &addr(1, 5)), Some(key(1)));
        assert!(strangers.len() == UNCONFIRMED_PER_IP && strangers.order.len() == strangers.len());
    }

    #[test]
    fn answers_have_a_rate_per_source_and_in_total() {
        let (mut strangers, now) = (Strangers::new(Instant::now()), Instant::now());
        let one = (0..1_000).filter(|_| strangers.may_answer(addr(1, 5).ip(), now)).count();
        assert_eq!(one as u32, HELLO_ACKS_PER_IP);
        let all = (0..100_000u32).filter(|n| strangers.may_answer(IpAddr::from(n.to_be_bytes()), now)).count();
        assert_eq!(all as u32, HELLO_ACKS_PER_SECOND - HELLO_ACKS_PER_IP);
    }
}
