//! What must hold in every run, whatever the scenario does.
//!
//! Sees every datagram of our nodes when it is sent and everything that arrives at
//! them, knows all identities, and can so open every frame. It asserts: no (key,
//! nonce) pair twice, over restarts and clock steps; nothing that section 17.3 or
//! the rules of section 18 forbid for the family of the receiver; no answer to an
//! answer; and the dial budget, measured where the datagrams go.

use crate::clock::Time;
use crate::models::crypt::{Session, is_lower, xor_hash};
use crate::models::{CPP, Quirks, RUST};
use crate::network::{NodeId, Packet};
use setowire::config::limits;
use setowire::crypto::identity::{V12Keys, WireId};
use setowire::node::Via;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// A program that holds or held a place.
struct Member {
    keys: V12Keys,
    life: u32,
    quirks: Option<&'static Quirks>,
}

/// What one life of a node of ours sent to one identity.
#[derive(Default)]
struct Flow {
    highest: Option<u32>,
    /// Content hashes by sequence, for peers that deliver repeats.
    contents: HashMap<u32, u64>,
    /// What was sent again since the last new sequence.
    repeated: HashSet<u32>,
    acks: u64,
    data_in: u64,
}

/// What a node of ours and an IP address exchanged.
#[derive(Default)]
struct Account {
    /// The address answered something.
    proven: bool,
    sent: VecDeque<(Time, usize)>,
    got: VecDeque<(Time, usize)>,
    hellos: VecDeque<Time>,
    /// Cookies and connection ids that we sent there: who shows one received it.
    ids: HashSet<Vec<u8>>,
}

/// The invariants and what they remember.
#[derive(Default)]
pub struct Check {
    /// All programs of a place, the present one last.
    members: BTreeMap<NodeId, Vec<Member>>,
    /// Receiving sessions by (sender, receiver).
    sessions: HashMap<(WireId, WireId), Option<Session>>,
    nonces: HashSet<(WireId, WireId, [u8; 12])>,
    ack_nonces: HashSet<(WireId, [u8; 12])>,
    beacon_nonces: HashSet<[u8; 12]>,
    flows: HashMap<(NodeId, u32, WireId), Flow>,
    accounts: HashMap<(NodeId, u32, IpAddr), Account>,
    /// When a Rust peer's PEX told a life of a node of ours its family.
    told: HashMap<(WireId, NodeId, u32), Time>,
    /// DATA frames of our nodes looked at.
    pub sealed: u64,
    /// Of these, frames that nobody at their destination can open.
    pub unopened: u64,
    pub breaches: Vec<String>,
}

impl Check {
    /// A program begins at a place.
    pub fn enter(&mut self, node: NodeId, life: u32, seed: &[u8; 32], quirks: Option<&'static Quirks>) {
        self.members.entry(node).or_default().push(Member { keys: V12Keys::from_seed(seed), life, quirks });
    }

    fn present(&self, node: NodeId) -> Option<&Member> {
        self.members.get(&node)?.last()
    }

    fn breach(&mut self, what: String) {
        self.breaches.push(what);
    }

    /// A datagram of a node of ours leaves; `dest` holds the address it goes to.
    #[allow(clippy::too_many_arguments)]
    pub fn sent_by_ours(
        &mut self,
        now: Time,
        node: NodeId,
        fragments: bool,
        via: Via,
        to: SocketAddr,
        dest: Option<NodeId>,
        bytes: &[u8],
    ) {
        let Some(me) = self.present(node) else { return };
        let (my_id, life) = (me.keys.wire_id(), me.life);
        let receiver = dest.and_then(|dest| self.present(dest));
        let quirks = receiver.and_then(|receiver| receiver.quirks);
        let told_at = receiver.and_then(|r| self.told.get(&(r.keys.wire_id(), node, life)));
        let told_rust = quirks.is_some_and(|q| q.name == RUST.name) && told_at.is_some_and(|at| *at < now);
        let cpp = quirks.is_some_and(|q| q.name == CPP.name);
        if let Err(what) = frame_rules(bytes, via, to, fragments, cpp, told_rust) {
            let head = bytes.get(..16).unwrap_or(bytes);
            self.breach(format!("place {node} to {to} ({:?}): {what}: {head:02x?}", quirks.map(|q| q.name)));
        }
        if let (Via::Lan { .. }, Some([0xa6, _])) = (via, bytes.first_chunk()) {
            let nonce = bytes[18..30].try_into().expect("12 bytes");
            if !self.beacon_nonces.insert(nonce) {
                self.breach(format!("place {node}: the nonce of a sealed beacon twice: {nonce:02x?}"));
            }
        }
        if bytes.first() == Some(&0x01) {
            self.data_rules(node, my_id, life, to, dest, bytes, told_rust);
        }
        if via == Via::Main && !to.ip().is_multicast() {
            self.budget(now, node, life, to, bytes);
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn data_rules(
        &mut self,
        node: NodeId,
        my_id: WireId,
        life: u32,
        to: SocketAddr,
        dest: Option<NodeId>,
        bytes: &[u8],
        told_rust: bool,
    ) {
        self.sealed += 1;
        let Some(nonce) = bytes.get(1..13).map(|n| <[u8; 12]>::try_from(n).expect("12 bytes")) else {
            return self.breach(format!("place {node} sent a DATA frame of {} bytes", bytes.len()));
        };
        let Some((their_id, text)) = self.open(node, dest, bytes) else {
            self.unopened += 1;
            return;
        };
        if !self.nonces.insert((my_id, their_id, nonce)) {
            self.breach(format!("place {node} to {to}: the nonce {nonce:02x?} was used before"));
        }
        let Some((sequence, payload)) = text.split_first_chunk::<4>() else {
            return self.breach(format!("place {node} to {to}: a plaintext of {} bytes", text.len()));
        };
        let sequence = u32::from_be_bytes(*sequence);
        let flow = self.flows.entry((node, life, their_id)).or_default();
        // An empty frame with an old number is an answer, unless it repeats an empty message.
        let content = xor_hash(payload);
        let again = flow.contents.get(&sequence) == Some(&content);
        let old = flow.highest.is_some_and(|highest| sequence <= highest);
        let ack_only = payload.is_empty() && !again && old;
        let mut wrong = Vec::new();
        if old && !again && !ack_only {
            // Another content under an old number: a session that began anew, at 0. What went before may have been
            // the same as in the last session: then it looked like a repeat.
            let same = (0..sequence).all(|number| flow.repeated.contains(&number));
            flow.highest = sequence.checked_sub(1).filter(|_| same);
            flow.contents.retain(|number, _| same && *number < sequence);
        }
        if again {
            flow.repeated.insert(sequence);
        } else if !ack_only {
            flow.repeated.clear();
        }
        if flow.highest.map_or(0, |highest| highest.saturating_add(1)) < sequence {
            wrong.push(format!("sequence {sequence} after {:?}", flow.highest));
        }
        if !ack_only {
            flow.contents.insert(sequence, content);
        }
        if told_rust && (again || ack_only) {
            let what = if ack_only { "an ACK-only frame" } else { "a repeat" };
            wrong.push(format!("{what} of sequence {sequence} to a Rust peer"));
        }
        if told_rust && payload.len() > limits::V12_RUST_MAX_PAYLOAD {
            wrong.push(format!("a payload of {} bytes to a Rust peer", payload.len()));
        }
        if payload.first() == Some(&b'{') && payload.windows(9).any(|w| w == b"\"_gossip\"") {
            wrong.push("gossip".to_owned());
        }
        if ack_only {
            flow.acks += 1;
            if flow.acks > flow.data_in {
                wrong.push(format!("{} ACK-only frames for {} frames of data", flow.acks, flow.data_in));
            }
            self.ack_nonces.insert((my_id, nonce));
        }
        let flow = self.flows.entry((node, life, their_id)).or_default();
        flow.highest = flow.highest.max(Some(sequence));
        wrong.into_iter().for_each(|what| self.breach(format!("place {node} to {to}: {what}")));
    }

    /// Opens a frame of `node`: as a program that is or was at `dest` would, or else as any other
    /// (the address may be one that nobody holds any more).
    fn open(&mut self, node: NodeId, dest: Option<NodeId>, bytes: &[u8]) -> Option<(WireId, Vec<u8>)> {
        let me = self.members.get(&node)?.last()?;
        let there = dest.and_then(|dest| self.members.get(&dest)).into_iter().flatten().rev();
        let elsewhere = self.members.values().flatten();
        for receiver in there.chain(elsewhere) {
            let (mine, theirs) = (me.keys.wire_id(), receiver.keys.wire_id());
            let session = self.sessions.entry((mine, theirs)).or_insert_with(|| {
                let lower = is_lower(true, &receiver.keys, &mine, me.keys.public());
                Session::new(&receiver.keys, me.keys.public(), lower)
            });
            if let Some(text) = session.as_ref().and_then(|session| session.open(&bytes[1..])) {
                return Some((theirs, text));
            }
        }
        None
    }

    /// Section 5 of the architecture: what an address that proved nothing may get.
    fn budget(&mut self, now: Time, node: NodeId, life: u32, to: SocketAddr, bytes: &[u8]) {
        let account = self.accounts.entry((node, life, to.ip())).or_default();
        let window = limits::DIAL_BUDGET_WINDOW;
        let mut wrong = None;
        if bytes.first() == Some(&0xa1) {
            account.hellos.push_back(now);
            account.hellos.retain(|at| *at + window > now);
            if account.hellos.len() > limits::DIAL_BUDGET_KNOWN_DATAGRAMS as usize {
                wrong = Some(format!("{} HELLOs", account.hellos.len()));
            }
        }
        if !account.proven {
            account.sent.push_back((now, bytes.len()));
            account.sent.retain(|(at, _)| *at + window > now);
            account.got.retain(|(at, _)| *at + window * 2 > now);
            account.ids.extend(id_given(bytes).map(<[u8]>::to_vec));
            let sum = |list: &VecDeque<(Time, usize)>| list.iter().map(|(_, len)| len).sum::<usize>();
            let (sent, got) = (sum(&account.sent), sum(&account.got));
            let datagrams = limits::DIAL_BUDGET_DATAGRAMS as usize + account.got.len();
            if account.sent.len() > datagrams || sent > limits::DIAL_BUDGET_BYTES as usize + got {
                let count = account.sent.len();
                let what = "to an unproven address that sent";
                wrong = Some(format!("{count} datagrams, {sent} bytes in 10 s {what} {got} bytes"));
            }
        }
        if let Some(wrong) = wrong {
            self.breach(format!("place {node} to {to} at {now:?}: {wrong}"));
        }
    }

    /// A datagram arrives at a place.
    pub fn arrived(&mut self, packet: &Packet) {
        let Some(me) = self.present(packet.to) else { return };
        if me.quirks.is_some() {
            return;
        }
        let life = me.life;
        if packet.via == Via::Main {
            let program = packet.origin != usize::MAX;
            let account = self.accounts.entry((packet.to, life, packet.from.ip())).or_default();
            if !account.proven {
                account.got.push_back((packet.at, packet.bytes.len()));
                // A frame that decrypts proves its sender even unasked; nobody here forges one.
                let sealed = !data_frames(&packet.bytes).is_empty();
                let kind = packet.bytes.first();
                // The answers of modern peers hold what strangers cannot know.
                let answer = matches!(kind, Some(0x04 | 0xa2)) || matches!(kind, Some(0xa4 | 0xa5)) && program;
                let shown = account.ids.iter().any(|id| shows(&packet.bytes, id));
                account.proven = sealed || answer && !account.sent.is_empty() || shown;
            }
        }
        let Some(origin) = self.members.get(&packet.origin) else { return };
        let Some(last) = origin.last() else { return };
        let rust = last.quirks.is_some_and(|q| q.name == RUST.name);
        if rust && packet.bytes.first() == Some(&0x30) {
            self.told.entry((last.keys.wire_id(), packet.to, life)).or_insert(packet.at);
        }
        // What arrives may have been sent by an earlier program at that place.
        let ids: HashSet<WireId> = origin.iter().map(|member| member.keys.wire_id()).collect();
        for frame in data_frames(&packet.bytes) {
            let Some(nonce) = frame.get(1..13).and_then(|n| <[u8; 12]>::try_from(n).ok()) else { continue };
            for id in ids.iter().filter(|id| !self.ack_nonces.contains(&(**id, nonce))) {
                self.flows.entry((packet.to, life, *id)).or_default().data_in += 1;
            }
        }
    }
}

/// The DATA frames of a datagram, alone or in a BATCH.
fn data_frames(bytes: &[u8]) -> Vec<&[u8]> {
    match bytes.first() {
        Some(0x01) => vec![bytes],
        Some(0x13) => {
            let mut frames = Vec::new();
            let mut rest = bytes.get(2..).unwrap_or_default();
            while let Some((len, tail)) = rest.split_first_chunk::<2>() {
                let Some((frame, tail)) = tail.split_at_checked(usize::from(u16::from_be_bytes(*len))) else { break };
                if frame.first() == Some(&0x01) {
                    frames.push(frame);
                }
                rest = tail;
            }
            frames
        }
        _ => Vec::new(),
    }
}

/// The cookie of a PROBE_ACK, or the id that a long header of QUIC names for its sender.
fn id_given(bytes: &[u8]) -> Option<&[u8]> {
    match bytes.first()? {
        0xa4 => bytes.get(18..34),
        0xc0..=0xff => {
            let (len, rest) = bytes.get(6 + usize::from(*bytes.get(5)?)..)?.split_first()?;
            rest.get(..usize::from(*len)).filter(|id| !id.is_empty())
        }
        _ => None,
    }
}

/// Whether a QUIC datagram is addressed to this id.
fn shows(bytes: &[u8], id: &[u8]) -> bool {
    match bytes.first() {
        Some(0x40..=0x7f) => bytes[1..].starts_with(id),
        Some(0xc0..=0xff) => {
            bytes.get(5).is_some_and(|len| usize::from(*len) == id.len()) && bytes[6..].starts_with(id)
        }
        _ => false,
    }
}

/// What no frame of ours may be, by its receiver's family.
fn frame_rules(
    bytes: &[u8],
    via: Via,
    to: SocketAddr,
    fragments: bool,
    cpp: bool,
    told_rust: bool,
) -> Result<(), &'static str> {
    let Some(kind) = bytes.first() else { return Err("an empty datagram") };
    let number = |at: usize| bytes.get(at..at + 2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
    if via != Via::Main {
        return beacon_rules(bytes, to);
    }
    match kind {
        // A Version Negotiation has the ids of what it answers, which may be short.
        0xc0..=0xff if bytes.get(1..5) == Some(&[0; 4]) && bytes.len() < 200 => Ok(()),
        0x40..=0x7f | 0xc0..=0xff if bytes.len() < 21 => Err("a QUIC packet too short"),
        0x40..=0x7f | 0xc0..=0xff if bytes.len() > usize::from(limits::QUIC_PACKET_BYTES) => {
            Err("a QUIC datagram too long")
        }
        0x40..=0x7f | 0xc0..=0xff => Ok(()),
        0xa3 if bytes.len() != 64 || bytes[1] != 1 => Err("a PROBE of another length or version"),
        0xa4 if bytes.len() != 53 || bytes[1] != 1 => Err("a PROBE_ACK of another length or version"),
        0xa5 if bytes.len() != 44 || !matches!(bytes[9], 1 | 2) => Err("a SESSION_PROBE of another length or kind"),
        0xa3..=0xa5 => Ok(()),
        0xa1 | 0xa2 if bytes.len() != 41 => Err("a HELLO that has not 41 bytes"),
        0xa1 | 0xa2 if bytes[9..].iter().all(|b| *b == 0) => Err("a key of zeros"),
        0x01 if bytes.len() < 33 => Err("a DATA frame too short"),
        0x03 if bytes.len() != 29 => Err("a PING that has not 29 bytes"),
        0x04 if bytes.len() != 21 => Err("a PONG that has not 21 bytes"),
        0x07 => Err("IHAVE"),
        0x13 => Err("BATCH"),
        0x0a if cpp => Err("GOAWAY to a C++ peer"),
        0x0a if bytes != [0x0a, 0x00] => Err("a GOAWAY that has not two bytes"),
        0x0b if !fragments => Err("a clear fragment without leave"),
        0x0b if bytes.len() < 14 || number(9) >= number(11) => Err("a fragment with index >= total"),
        0x12 if bytes.len() < 4 => Err("a CHUNK too short"),
        0x30 if told_rust => Err("PEX to a Rust peer"),
        0x22 if told_rust => Err("RELAY_FWD to a Rust peer"),
        0x01 | 0x03 | 0x04 | 0x0a | 0x0b | 0x30 | 0xa1 | 0xa2 => Ok(()),
        _ => Err("a frame this version does not send"),
    }
}

fn beacon_rules(bytes: &[u8], to: SocketAddr) -> Result<(), &'static str> {
    match bytes {
        [0xa6, 1, ..] if bytes.len() == 90 => return Ok(()),
        [0xa6, ..] => return Err("a sealed beacon of another version or length"),
        _ => {}
    }
    let text = bytes.strip_prefix(&[0x09]).and_then(|text| std::str::from_utf8(text).ok());
    let Some(text) = text else { return Err("not a beacon on the multicast socket") };
    let fields: Vec<&str> = text.split(':').collect();
    let is_hex = |text: &str, digits: usize| text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
    match &fields[..] {
        [id, ..] if !is_hex(id, 40) => Err("a beacon without an id"),
        [_, ip, ..] if to.is_ipv4() && ip.parse::<std::net::Ipv4Addr>().is_err() => {
            Err("a beacon without an IPv4 address")
        }
        [_, _, port, ..] if port.parse::<u16>().map_or(true, |port| port == 0) => Err("a beacon with a bad port"),
        [_, _, _, hash] if is_hex(hash, 12) || is_hex(hash, 24) => Ok(()),
        [_, _, _, hash, ..] if is_hex(hash, 12) => Ok(()),
        _ => Err("a beacon whose fields are wrong"),
    }
}
