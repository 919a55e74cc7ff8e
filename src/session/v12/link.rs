//! One connected v12 peer: its keys, order, addresses, pace, and what is due when.
//!
//! A link exists from the moment its address answered us. It is confirmed by the first
//! frame that decrypts; the key agreement is made for that frame or for the first one of
//! ours, not before. `service` does whatever is due and names the next deadline.

use crate::bucket::Bucket;
use crate::config::limits::{
    V12_GOAWAY_DOUBT, V12_GOAWAY_PROBE_PERIOD, V12_GOAWAY_PROBES, V12_MAX_PAYLOAD, V12_PEER_TIMEOUT, V12_PONG_BURST,
    V12_PONGS_PER_SECOND, V12_RUST_MAX_PAYLOAD,
};
use crate::crypto::replay::Replay;
use crate::crypto::v12::{NonceCounter, PeerKey, SessionKeys};
use crate::error::Code;
use crate::node::api::{Family, PeerId, PeerInfo, Session, Source};
use crate::path::addrs::Addrs;
use crate::session::v12::acks::Acks;
use crate::session::v12::family::Guess;
use crate::session::v12::frag::Frags;
use crate::session::v12::rx::Rx;
use crate::session::v12::tx::{self, Next, Tx};
use crate::session::{Env, SessionEvent};
use crate::timers::earlier;
use crate::wire::data::Data;
use crate::wire::frag::Frag;
use crate::wire::ping::{GOAWAY, PONG_BYTES, encode_ping, encode_pong};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How soon to look again whether a peer that remembers us is of a family that bears a goodbye.
const HEAL_RETRY: Duration = Duration::from_millis(500);

/// Why a link ended.
pub struct End {
    pub code: Code,
    pub reason: String,
    pub redial: bool,
}

/// A GOAWAY came, from the peer or from anyone who can name its address: PINGs decide.
struct Leaving {
    since: Instant,
    /// Nothing is sent meanwhile. Not for those who cried wolf: else a forger could stop the link.
    hold: bool,
    next: Instant,
    unanswered: u32,
    asked: bool,
}

/// One connected peer.
pub struct Link {
    pub id: PeerId,
    pub key: PeerKey,
    pub source: Source,
    pub client: bool,
    pub connected: Instant,
    pub connect_time: Duration,
    pub confirmed: bool,
    pub addrs: Addrs,
    pub guess: Guess,
    /// Address and family as the application knows them.
    pub told: (SocketAddr, Family),
    pub replay: Replay,
    /// An authentic frame came on this link before.
    pub heard_data: bool,
    /// A handshake and a PING after it were answered: a counter that starts over is believed.
    pub reset_allowed: bool,
    pub handshake: Option<(SocketAddr, Instant)>,
    pub rx: Rx,
    pub frags: Frags,
    pub tx: Tx,
    pub acks: Acks,
    pub last_seen: Instant,
    /// It pinged us: it knows the address we use.
    pub heard_ping: bool,
    /// A peer that may remember an earlier run of ours is made to forget it, by then.
    pub heal_at: Option<Instant>,
    /// Its first frame had not the first number.
    pub remembers_us: bool,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub messages_sent: u64,
    pub messages_received: u64,
    /// A modern session goes on with the peer; what is on its way here is taken in until then.
    pub retired: Option<Instant>,
    keys: Option<SessionKeys>,
    nonces: NonceCounter,
    leaving: Option<Leaving>,
    /// When a GOAWAY turned out to be somebody else's words.
    doubted: Option<Instant>,
    pongs: u32,
    /// PINGs that may be answered now.
    answers: Bucket,
}

/// What a link needs to begin.
pub struct Start {
    pub id: PeerId,
    pub key: PeerKey,
    pub source: Source,
    pub client: bool,
    pub connect_time: Duration,
    pub addrs: Addrs,
    pub replay: Replay,
    pub next_sequence: u32,
    pub prefix: u32,
    pub heal_at: Option<Instant>,
}

impl Link {
    pub fn new(start: Start, now: crate::node::api::Now) -> Link {
        Link {
            id: start.id,
            key: start.key,
            source: start.source,
            client: start.client,
            connected: now.mono,
            connect_time: start.connect_time,
            confirmed: false,
            told: (start.addrs.current(), Family::Unknown),
            addrs: start.addrs,
            guess: Guess::new(now.mono),
            replay: start.replay,
            heard_data: false,
            reset_allowed: false,
            handshake: None,
            rx: Rx::default(),
            frags: Frags::default(),
            tx: Tx::new(now.mono, start.next_sequence),
            acks: Acks::default(),
            last_seen: now.mono,
            heard_ping: false,
            heal_at: start.heal_at,
            remembers_us: false,
            bytes_sent: 0,
            bytes_received: 0,
            messages_sent: 0,
            messages_received: 0,
            retired: None,
            keys: None,
            nonces: NonceCounter::new(start.prefix, now.unix_us),
            leaving: None,
            doubted: None,
            pongs: 0,
            answers: Bucket::new(V12_PONG_BURST, V12_PONGS_PER_SECOND, now.mono),
        }
    }

    /// The session keys, agreed on now if they were not needed before; none for a low-order key.
    pub fn keys(&mut self, env: &Env<'_>) -> Option<&SessionKeys> {
        if self.keys.is_none() {
            self.keys = SessionKeys::derive(env.keys, &self.key.public);
        }
        self.keys.as_ref()
    }

    pub fn family(&self) -> Family {
        self.guess.family()
    }

    /// It proved nothing and nobody chose it: in a full table it makes room for one that did.
    pub fn may_yield(&self) -> bool {
        !self.confirmed && !self.source.is_chosen()
    }

    /// Largest message this peer takes, as far as we know it.
    pub fn max_message(&self) -> usize {
        match self.family() {
            Family::Rust => V12_RUST_MAX_PAYLOAD,
            _ => V12_MAX_PAYLOAD,
        }
    }

    pub fn info(&self) -> PeerInfo {
        PeerInfo {
            id: self.id,
            key: None,
            legacy_id: Some(self.key.id),
            session: Session::V12,
            suite: None,
            topics: Vec::new(),
            explicit: false,
            address: self.addrs.current(),
            addresses: self.addrs.all(),
            source: self.source,
            family: self.family(),
            confirmed: self.confirmed,
            client: self.client,
            rtt: self.addrs.rtt(),
            loss_permille: self.addrs.loss_permille(),
            bytes_sent: self.bytes_sent,
            bytes_received: self.bytes_received,
            messages_sent: self.messages_sent,
            messages_received: self.messages_received,
            datagrams_dropped: 0,
            buffered: self.tx.buffered(),
            connect_time: self.connect_time,
            max_message: self.max_message(),
        }
    }

    /// A datagram to one of the peer's addresses.
    pub fn send_to(&mut self, env: &mut Env<'_>, to: SocketAddr, bytes: Vec<u8>) {
        self.bytes_sent = self.bytes_sent.saturating_add(bytes.len() as u64);
        env.out.send(to, bytes);
    }

    /// Answers a PING, if there were not too many.
    pub fn answer_ping(&mut self, env: &mut Env<'_>, to: SocketAddr) {
        if self.answers.take(1, env.now.mono) && self.addrs.may_answer(&to, PONG_BYTES) {
            self.send_pong(env, to);
        }
    }

    /// The answer to a PING, or one more to open an old sender's window.
    pub fn send_pong(&mut self, env: &mut Env<'_>, to: SocketAddr) {
        let pong = encode_pong(env.keys.id()).to_vec();
        self.send_to(env, to, pong);
    }

    /// A goodbye, where the peer is known to survive it.
    pub fn send_goaway(&mut self, env: &mut Env<'_>) {
        if self.guess.may_goaway() {
            let to = self.addrs.current();
            self.send_to(env, to, GOAWAY.to_vec());
        }
    }

    /// Seals and sends one DATA frame; false if it cannot be.
    pub fn send_data(&mut self, env: &mut Env<'_>, sequence: u32, payload: &[u8]) -> bool {
        let Some(nonce) = self.nonces.advance() else { return false };
        let Some(sealed) = self.keys(env).and_then(|keys| keys.seal(nonce, sequence, payload)) else { return false };
        let mut frame = Vec::with_capacity(sealed.len() + 16);
        Data { nonce, sealed: &sealed }.encode(&mut frame);
        let to = self.addrs.current();
        self.send_to(env, to, frame);
        true
    }

    /// The peer said goodbye, or somebody did in its name.
    pub fn goaway(&mut self, now: Instant) {
        let doubted = self.doubted.is_some_and(|at| now.saturating_duration_since(at) < V12_PEER_TIMEOUT);
        self.leaving.get_or_insert(Leaving { since: now, hold: !doubted, next: now, unanswered: 0, asked: false });
    }

    /// A new authentic frame came: it is there, whoever said goodbye.
    pub fn heard_from(&mut self, now: Instant) {
        self.last_seen = now;
        if let Some(leaving) = &mut self.leaving {
            (leaving.unanswered, leaving.asked) = (0, false);
        }
    }

    /// The peer says HELLO, as if it meant to stay: data flows again. PINGs still decide, because
    /// an old peer that dialled just before its goodbye goes on saying HELLO after it.
    pub fn stays(&mut self) {
        if let Some(leaving) = &mut self.leaving {
            leaving.hold = false;
        }
    }

    /// A PONG from one of the addresses.
    pub fn pong(&mut self, env: &mut Env<'_>, from: &SocketAddr) {
        let now = env.now.mono;
        let was_current = *from == self.addrs.current();
        if let Some(leaving) = &mut self.leaving {
            (leaving.unanswered, leaving.asked) = (0, false);
        }
        let Some(rtt) = self.addrs.pong(from, now) else { return };
        self.tx.ping_answered(now - rtt);
        self.pongs = self.pongs.saturating_add(1);
        if was_current {
            self.tx.ping_result(true, now);
        }
        if let Some((address, since)) = self.handshake
            && address == *from
            && now - rtt >= since
        {
            self.handshake = None;
            self.reset_allowed = true;
        }
    }

    /// Does what is due; the next deadline, or why the link ended.
    pub fn service(&mut self, env: &mut Env<'_>) -> Result<Option<Instant>, End> {
        let now = env.now.mono;
        if self.retired.is_some_and(|until| until <= now) {
            let reason = "a modern session goes on with the peer".to_owned();
            return Err(End { code: Code::Closed, reason, redial: false });
        }
        if now.saturating_duration_since(self.last_seen) >= V12_PEER_TIMEOUT {
            let reason = format!("no sign of life for {} s", V12_PEER_TIMEOUT.as_secs());
            return Err(End { code: Code::TimedOut, reason, redial: true });
        }
        if self.tx.next_sequence() == u32::MAX {
            let reason = "the sequence numbers of the session are used up".to_owned();
            return Err(End { code: Code::Closed, reason, redial: true });
        }
        self.guess.settle(now);
        self.frags.expire(now);
        for message in self.rx.handle_timeout(now) {
            self.deliver(env, message);
        }
        self.service_leaving(env)?;
        self.service_pings(env);
        self.service_heal(env);
        self.service_acks(env);
        if !self.holds() {
            self.service_tx(env)?;
        }
        Ok(self.poll_deadline(now))
    }

    /// Hands a message on, unless it is the old peers' gossip, which is only a hint.
    pub fn deliver(&mut self, env: &mut Env<'_>, data: Vec<u8>) {
        if let Some(gossip) = crate::wire::json::gossip(&data) {
            return self.gossip(env, gossip);
        }
        self.messages_received = self.messages_received.saturating_add(1);
        env.out.stats.messages_received += 1;
        // An empty message is an old peer's reading of somebody's ACK-only frame: it goes no further.
        let forward = !self.is_ours() && !data.is_empty();
        env.out.events.push_back(SessionEvent::Message { peer: self.id, data: data.into(), clear: false, forward });
    }

    /// An old peer met another.
    pub fn gossip(&mut self, env: &mut Env<'_>, gossip: crate::wire::json::Gossip) {
        if let Some(addr) = gossip.address {
            let hint = crate::discovery::Hint { addr, id: gossip.id, key: None, source: Source::Pex, topic: None };
            env.out.events.push_back(SessionEvent::Hinted { peer: self.id, hint: Box::new(hint) });
        }
    }

    /// The peer is of our kind: its nonces carry a prefix of its own.
    pub fn is_ours(&self) -> bool {
        self.keys.as_ref().is_some_and(|keys| self.replay.sender_is_ours(keys.session_id()))
    }

    fn poll_deadline(&mut self, now: Instant) -> Option<Instant> {
        let mut at = Some(self.last_seen + V12_PEER_TIMEOUT);
        at = earlier(at, self.addrs.next_ping());
        at = earlier(at, self.rx.poll_deadline());
        at = earlier(at, self.frags.poll_deadline());
        at = earlier(at, self.guess.poll_deadline());
        at = earlier(at, self.heal_at);
        at = earlier(at, self.retired);
        at = earlier(at, self.leaving.as_ref().map(|leaving| leaving.next));
        let tx = if self.holds() { None } else { self.tx.poll_deadline(now, self.tx_link()) };
        earlier(at, tx)
    }

    fn holds(&self) -> bool {
        self.leaving.as_ref().is_some_and(|leaving| leaving.hold)
    }

    fn tx_link(&self) -> tx::Link {
        tx::Link { family: self.family(), loss_permille: self.addrs.loss_permille() }
    }

    fn service_leaving(&mut self, env: &mut Env<'_>) -> Result<(), End> {
        let now = env.now.mono;
        let Some(leaving) = &mut self.leaving else { return Ok(()) };
        if leaving.next > now {
            return Ok(());
        }
        leaving.unanswered += u32::from(leaving.asked);
        if leaving.unanswered >= V12_GOAWAY_PROBES {
            return Err(End { code: Code::Closed, reason: "the peer said goodbye".to_owned(), redial: false });
        }
        if leaving.unanswered == 0 && now.saturating_duration_since(leaving.since) >= V12_GOAWAY_DOUBT {
            self.leaving = None;
            self.doubted = Some(now);
            return Ok(());
        }
        leaving.asked = true;
        leaving.next = now + V12_GOAWAY_PROBE_PERIOD + self.addrs.rtt().unwrap_or_default() * 2;
        let to = self.addrs.current();
        self.send_ping(env, to);
        Ok(())
    }

    fn service_pings(&mut self, env: &mut Env<'_>) {
        let missed = self.addrs.missed();
        for due in self.addrs.due_pings(env.now.mono) {
            if due.proven || self.addrs.may_answer(&due.to, crate::wire::ping::PING_BYTES) {
                self.send_ping(env, due.to);
            }
        }
        if self.addrs.missed() > missed {
            self.tx.ping_result(false, env.now.mono);
        }
    }

    fn send_ping(&mut self, env: &mut Env<'_>, to: SocketAddr) {
        // Milliseconds of our own clock: opaque to all, and no Unix time, which only two families send.
        let since = env.now.mono.saturating_duration_since(self.connected).as_millis();
        let ping = encode_ping(u64::try_from(since).unwrap_or(0), env.keys.id()).to_vec();
        self.addrs.pinged(&to, env.now.mono);
        self.send_to(env, to, ping);
    }

    /// An old peer that still holds a session of an earlier run of ours drops what we say: a goodbye
    /// and a HELLO make it begin anew. It shows in its numbers, or pings us where we are not any more.
    fn service_heal(&mut self, env: &mut Env<'_>) {
        let now = env.now.mono;
        if self.heal_at.is_none_or(|at| at > now) {
            return;
        }
        if self.remembers_us && self.family() == Family::Unknown {
            self.heal_at = Some(now + HEAL_RETRY);
            return;
        }
        self.heal_at = None;
        let remembers = self.remembers_us || (!self.heard_ping && self.pongs >= 2);
        if remembers && self.family() == Family::JsOrPython && !self.is_ours() {
            self.send_goaway(env);
            let to = self.addrs.current();
            let hello = super::our_hello(env.keys).hello().to_vec();
            self.send_to(env, to, hello);
            self.tx.restart();
        }
    }

    fn service_acks(&mut self, env: &mut Env<'_>) {
        let by_data = self.tx.zero_arrived(env.now.mono);
        for _ in 0..self.acks.take(self.family(), self.is_ours()) {
            // An empty payload with a used number is dropped as old by all who count it.
            if !(by_data && self.send_data(env, 0, &[])) {
                let to = self.addrs.current();
                self.send_pong(env, to);
            }
        }
    }

    fn service_tx(&mut self, env: &mut Env<'_>) -> Result<(), End> {
        while let Some(next) = self.tx.poll(env.now.mono, self.tx_link()) {
            let tag = match next {
                Next::Data { sequence, payload, tag, copy } => {
                    if !self.send_data(env, sequence, &payload) {
                        let reason = "the peer's key is of low order: everyone could read the session".to_owned();
                        return Err(End { code: Code::BadKey, reason, redial: false });
                    }
                    if copy > 0 {
                        continue;
                    }
                    self.tx.sent(sequence, payload, env.now.mono);
                    self.count_sent(env);
                    tag
                }
                Next::Fragment { set, index, total, data, tag } => {
                    let mut frame = Vec::with_capacity(data.len() + 16);
                    if (Frag { set, index, total, data: &data }).encode(&mut frame).is_ok() {
                        let to = self.addrs.current();
                        self.send_to(env, to, frame);
                    }
                    if index + 1 == total {
                        self.count_sent(env);
                    }
                    tag
                }
                Next::TooLarge { len, tag } => {
                    env.out.stats.messages_lost += 1;
                    let most = self.max_message();
                    let why = format!("data: {len} bytes; this peer turned out to take at most {most}, split it");
                    env.out.events.push_back(SessionEvent::Sent { tag, failure: Some((Code::TooLarge, why)) });
                    continue;
                }
            };
            self.acks.sent_data();
            if tag != 0 {
                env.out.events.push_back(SessionEvent::Sent { tag, failure: None });
            }
        }
        Ok(())
    }

    fn count_sent(&mut self, env: &mut Env<'_>) {
        self.messages_sent = self.messages_sent.saturating_add(1);
        env.out.stats.messages_sent += 1;
    }
}
