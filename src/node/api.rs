//! What goes into a node and what comes out of it: plain values, no behaviour.
//!
//! Inputs are method calls on `Node` (datagrams, interfaces and addresses, a resolved
//! name, the time, a call of the application). After calls that changed something the
//! caller takes `Node::poll_output` until it returns nothing, and `Node::poll_transmit`
//! while the network takes datagrams. Time comes in as `Now`; nothing here reads a clock.

use crate::crypto::tls::Suite;
use crate::error::Code;
use bytes::{Bytes, BytesMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// The time of an input: a clock that never steps back, and the wall clock, which may.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub mono: Instant,
    /// Microseconds since 1970, UTC. Only used to begin counters and to stamp what leaves the process.
    pub unix_us: u64,
}

/// The socket a datagram came from or is to leave by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// The swarm's socket of the destination's address family.
    Main,
    /// The multicast socket, on the interface with this system index.
    Lan { interface: u32 },
}

/// An interface the LAN source may use, as the runtime found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanInterface {
    pub index: u32,
    pub name: String,
    /// Its IPv4 addresses; empty: no IPv4 beacon on it.
    pub v4: Vec<Ipv4Addr>,
    /// Whether it can carry an IPv6 beacon.
    pub v6: bool,
}

/// Where the swarm's sockets ended up. A family that is missing could not be bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalPorts {
    pub v4: Option<u16>,
    pub v6: Option<u16>,
}

/// Names a peer of this swarm; never reused, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(pub u64);

/// Names a session of a joined topic; never reused, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub u64);

/// Names an operation in progress; never reused, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpId(pub u64);

/// Names a stream to or from a peer; never reused, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// What happened to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamChange {
    /// The peer opened it.
    Opened,
    /// A read that found too little may find more, or the end.
    Readable,
    /// A write that was not taken in full may be taken now, or fails because the peer stopped reading.
    Writable,
    /// Both directions are done, or (`lost`) the peer is gone before they were: the last of this stream. If something of
    /// it was left to be read when the connection ended, this comes when that was done, behind the `Disconnection`. The
    /// code of the peer's reset, if it sent one.
    Closed { reset: Option<u64>, lost: bool },
}

/// What a read of a stream found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamRead {
    /// Bytes that were handed over.
    pub bytes: usize,
    /// The peer finished: nothing follows.
    pub finished: bool,
    /// The peer reset its direction, with this code: nothing follows, and something may be missing.
    pub reset: Option<u64>,
}

/// A topic: 32 bytes, by custom the SHA-256 of a name.
pub type Topic = [u8; 32];

/// How we came to know a peer's address. The first that led to a connection is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// The peer dialled us and we had not heard of it.
    Incoming,
    /// A multicast beacon.
    Lan,
    /// A configured seed.
    Seed,
    /// An address given to `connect`.
    Connect,
    /// A peer of an earlier run.
    Cache,
    /// Told by a connected peer.
    Pex,
    /// An address the peer was lost from.
    Reconnect,
    /// A node of the option `bootstrap`.
    Bootstrap,
    /// A source outside of the node.
    Outside,
}

impl Source {
    /// The application named the address; all else was heard from others, or remembered.
    pub const fn is_chosen(self) -> bool {
        matches!(self, Source::Seed | Source::Connect | Source::Bootstrap)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Source::Incoming => "incoming",
            Source::Lan => "lan",
            Source::Seed => "seed",
            Source::Connect => "connect",
            Source::Cache => "cache",
            Source::Pex => "pex",
            Source::Reconnect => "reconnect",
            Source::Bootstrap => "bootstrap",
            Source::Outside => "outside",
        }
    }
}

/// Which of the existing v12 implementations a peer is, as far as its frames tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    Unknown,
    /// JavaScript or Python (or ours over v12): 21-byte PONG, jitter buffer with a timer.
    JsOrPython,
    /// 29-byte PONG; dies on GOAWAY, never delivers past a gap.
    Cpp,
    /// 14-byte PEX entries; no duplicate filter, 4,096-byte reads.
    Rust,
}

impl Family {
    pub const fn name(self) -> &'static str {
        match self {
            Family::Unknown => "unknown",
            Family::JsOrPython => "js-or-python",
            Family::Cpp => "cpp",
            Family::Rust => "rust",
        }
    }
}

/// The kind of session with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Session {
    /// The wire of the old peers: no forward secrecy, and what it can be made to do by others is in the threat model.
    V12,
    /// `setowire/13`: QUIC, both keys proven.
    Quic,
}

impl Session {
    pub const fn name(self) -> &'static str {
        match self {
            Session::V12 => "p2p-v12",
            Session::Quic => "setowire/13",
        }
    }

    /// How safe it is, in one word.
    pub const fn security(self) -> &'static str {
        match self {
            Session::V12 => "legacy",
            Session::Quic => "tls1.3",
        }
    }
}

/// By what a peer is known: nobody else may answer in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whom {
    /// The first eight bytes of the id of a peer of the old wire.
    Legacy(crate::crypto::identity::WireId),
    /// The Ed25519 key of a modern peer.
    Key([u8; 32]),
}

/// What the sources are asked for in a round of discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundKind {
    /// Say that we are there, and who else is.
    Announce,
    /// Say who is there.
    Lookup,
    /// Say who is there, and take back that we are.
    LookupAndUnannounce,
}

impl RoundKind {
    pub const fn name(self) -> &'static str {
        match self {
            RoundKind::Announce => "announce",
            RoundKind::Lookup => "lookup",
            RoundKind::LookupAndUnannounce => "lookup-and-unannounce",
        }
    }
}

/// What a source outside of the node is asked, with what it is to announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub query: u64,
    /// What the topic is called outside.
    pub name: [u8; 32],
    pub kind: RoundKind,
    /// Take back what an earlier run with our key may have left.
    pub clear: bool,
    /// Ours.
    pub key: [u8; 32],
    /// Where others are to dial us.
    pub ports: LocalPorts,
}

/// What a session of a topic is to do; what is not said keeps its value, or has the preset's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// Look for others and dial them.
    pub client: Option<bool>,
    /// Be found by others.
    pub server: Option<bool>,
    /// Of the peers that look-ups find, so many are dialled. `usize::MAX`: all.
    pub limit: Option<usize>,
}

/// What a session of a topic does, and the topic for all its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    pub topic: Topic,
    pub private: bool,
    /// Of this session.
    pub client: bool,
    pub server: bool,
    pub limit: usize,
    /// Of all sessions of the topic together.
    pub client_in_all: bool,
    pub server_in_all: bool,
    /// It is announced.
    pub announced: bool,
}

/// A peer that a source found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub whom: Whom,
    pub address: Option<SocketAddr>,
    pub source: Source,
    /// It is on this network.
    pub local: bool,
    /// A session of the topic that led to it.
    pub topic: Option<TopicId>,
}

/// What the application is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub id: u64,
    pub purpose: crate::swarm::door::Purpose,
    pub whom: Whom,
    pub address: Option<SocketAddr>,
    pub topic: Option<TopicId>,
}

/// What is known of a peer, connected or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPeer {
    pub whom: Whom,
    /// Where it may be, the newest first.
    pub addresses: Vec<SocketAddr>,
    pub source: Source,
    /// Topics that it was found by.
    pub topics: Vec<TopicId>,
    pub connected: Option<PeerId>,
    /// Dials that ended since the last good connection.
    pub attempts: u32,
    /// How urgent the next dial is: 4 very high to 0 very low; under the preset `v2` 5 to 0. None: it is not dialled again.
    pub priority: Option<u8>,
    pub proven: bool,
    pub banned: bool,
    /// It leads to a program that is connected under another name, and is not dialled as long as that is so.
    pub duplicate: bool,
    /// The last connection with it was dialled by us; under the preset `v2` also: it was found and is to be dialled.
    pub client: bool,
    pub explicit: bool,
    pub reconnecting: bool,
    pub queued: bool,
    pub waiting: bool,
    pub dialling: bool,
}

/// How far the swarm is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwarmStatus {
    /// Dials of the swarm in progress.
    pub connecting: usize,
    pub connections: usize,
    /// Peers that are known, connected or not.
    pub known: usize,
    pub queued: usize,
    /// Peers joined by key.
    pub explicit: usize,
    /// There is a place for one more dial.
    pub open: bool,
    /// It is announced, or was told to listen.
    pub listening: bool,
    pub suspended: bool,
}

/// What is known of whether others can be found and can find us. Each is true for a reason that was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connectivity {
    /// A socket is bound.
    pub bound: bool,
    /// A source answered the last round of a joined topic.
    pub source_works: bool,
    /// Somebody of whom nothing was known dialled us from a public address outside of our networks, since our addresses
    /// last changed. False is no proof that nobody could.
    pub reachable: bool,
}

/// Counters of the swarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwarmStats {
    pub updates: u64,
    pub client_attempted: u64,
    pub client_opened: u64,
    pub client_closed: u64,
    pub server_opened: u64,
    pub server_closed: u64,
    pub banned: u64,
}

/// What is known of a connected peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    pub id: PeerId,
    /// Ed25519 key; absent for peers that speak only v12.
    pub key: Option<[u8; 32]>,
    /// SHA-256 of the v12 key, first 20 bytes.
    pub legacy_id: Option<[u8; 20]>,
    pub session: Session,
    /// The TLS suite of a modern session; old ones always use ChaCha20-Poly1305.
    pub suite: Option<Suite>,
    /// Topics that both sides proved to have joined. Over p2p-v12 nobody can know.
    pub topics: Vec<TopicId>,
    /// The connection was asked for by address or key and needs no topic.
    pub explicit: bool,
    /// The address that data goes to.
    pub address: SocketAddr,
    /// All addresses it is known under, the one in use first.
    pub addresses: Vec<SocketAddr>,
    pub source: Source,
    pub family: Family,
    /// A frame of this peer decrypted: it holds the key it claims.
    pub confirmed: bool,
    /// We dialled it (false: it dialled us).
    pub client: bool,
    /// Smoothed round-trip time of the address in use, if measured.
    pub rtt: Option<Duration>,
    /// Share of our PINGs that were not answered lately, 0 to 1,000 thousandths.
    pub loss_permille: u32,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub messages_sent: u64,
    pub messages_received: u64,
    /// Datagrams of the peer that found no room here, because events were not read.
    pub datagrams_dropped: u64,
    /// Bytes queued by the application and not yet sent.
    pub buffered: usize,
    /// From the dial, the first hint or the first HELLO to the connection.
    pub connect_time: Duration,
    /// Largest message it can take as far as we know.
    pub max_message: usize,
}

/// What is known of a message that was sent to a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broadcast {
    pub topic: TopicId,
    /// The Ed25519 key that signed it; none: it came from the old wire, anyone may have written it.
    pub author: Option<[u8; 32]>,
}

/// What the application is told. Order is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer answered: messages can be exchanged. Exactly one per `PeerId`.
    Connection(Box<PeerInfo>),
    /// The last event about this peer, but for the `Closed` of streams that hold something still to be read.
    Disconnection { peer: PeerId, code: Code, reason: String, info: Box<PeerInfo> },
    /// `confirmed`, the address or the family changed.
    Update(Box<PeerInfo>),
    /// A message. `clear`: it came unencrypted and anyone may have written it. `broadcast`: it was sent to a topic,
    /// and `peer` is the neighbour that passed it on.
    Message { peer: PeerId, data: Bytes, clear: bool, broadcast: Option<Box<Broadcast>> },
    /// A datagram of a peer.
    Datagram { peer: PeerId, data: Bytes },
    /// Something happened to a stream.
    Stream { peer: PeerId, stream: StreamId, change: StreamChange },
    /// A send to this peer was refused with `WouldBlock`; there is room again.
    Writable { peer: PeerId },
    /// An operation ended: `code` is none on success.
    OpDone { op: OpId, tag: u64, peer: Option<PeerId>, code: Option<Code>, detail: String },
    /// The number of dials, connections or known peers changed.
    Changed { connecting: usize, connections: usize, known: usize },
    /// A source found a peer; `accepted` is false if the application did not want it.
    Candidate { candidate: Candidate, accepted: bool },
    /// A round of discovery ended. `ok`: a source worked.
    TopicUpdated { topic: TopicId, ok: bool },
    /// A peer was found by one more topic.
    PeerTopic { whom: Whom, topic: TopicId },
    /// The firewall banned a peer.
    Banned { whom: Whom, reason: String },
    /// The application is asked; `Node::answer` ends it.
    Ask(Question),
    /// A look-up that was asked for found a peer.
    Found { op: OpId, tag: u64, candidate: Candidate },
    /// The application, as a source, is asked; `Node::handle_found` and `handle_round_done` answer.
    Round(Box<Asked>),
    /// Nobody waits for this round any more.
    RoundCancelled { query: u64 },
    /// The application, as a source, is to take back an announcement: what the topic is called outside, and our key.
    Unannounce(Box<([u8; 32], [u8; 32])>),
    /// The peer cache changed: JSON to keep for the next run.
    Peers { json: String },
    /// The swarm ended; nothing follows.
    Closed { code: Option<Code>, detail: String },
}

/// One datagram to send, or several to one address that leave in one system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    pub via: Via,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
    /// `bytes` holds datagrams of this size, of which the last may be shorter; none: it is one datagram. At most
    /// `limits::TRANSMIT_SEGMENTS` of them, and `limits::TRANSMIT_BYTES` in all.
    pub segment: Option<usize>,
    /// The two ECN bits of the IP header; 0: not ECN-capable.
    pub ecn: u8,
    /// Lost rather than cut by the IP layer where a link is too small for it.
    pub whole: bool,
}

impl Transmit {
    /// One datagram; the IP layer may cut it.
    pub fn new(via: Via, to: SocketAddr, bytes: Vec<u8>) -> Transmit {
        Transmit { via, to, bytes, segment: None, ecn: 0, whole: false }
    }

    /// The datagrams one by one.
    pub fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.chunks(self.segment.unwrap_or(self.bytes.len()).max(1))
    }

    /// The number of datagrams.
    pub fn count(&self) -> usize {
        match self.segment {
            Some(size) => self.bytes.len().div_ceil(size.max(1)),
            None => 1,
        }
    }
}

/// Datagrams that came in: one, or several of one sender that the kernel joined. An iterator over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagrams {
    pub via: Via,
    pub from: SocketAddr,
    /// Each has this size but the last, which may be shorter.
    pub segment: usize,
    /// The two ECN bits of the IP header; 0: not ECN-capable.
    pub ecn: u8,
    pub bytes: BytesMut,
}

impl Datagrams {
    /// A single one.
    pub fn one(via: Via, from: SocketAddr, bytes: &[u8]) -> Datagrams {
        Datagrams { via, from, segment: bytes.len(), ecn: 0, bytes: BytesMut::from(bytes) }
    }
}

impl Iterator for Datagrams {
    type Item = BytesMut;

    fn next(&mut self) -> Option<BytesMut> {
        let size = self.segment.max(1).min(self.bytes.len());
        (size > 0).then(|| self.bytes.split_to(size))
    }
}

/// What a node wants done, beside sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    Event(Event),
    /// Resolve a host name; answered by `Node::handle_resolved` with the same number.
    Resolve {
        query: u64,
        host: String,
        port: u16,
    },
    /// Ask a source outside of the node; answered by `Node::handle_found` and, once, `Node::handle_round_done`.
    Round {
        query: u64,
        /// What the topic is called outside: nobody learns the topic from it.
        name: [u8; 32],
        kind: RoundKind,
        /// Take back what an earlier run with our key may have left.
        clear: bool,
    },
    /// Nobody waits for this round any more.
    CancelRound {
        query: u64,
    },
    /// Take back an announcement; answered by `Node::handle_unannounced`.
    Unannounce {
        name: [u8; 32],
    },
    /// For the log callback.
    Log {
        level: Level,
        text: String,
    },
}

/// How grave a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    Error = 1,
    Warn = 2,
    Info = 3,
    Debug = 4,
    Trace = 5,
}

/// Counters since the swarm began, and gauges of what it holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub datagrams_sent: u64,
    pub datagrams_received: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub messages_sent: u64,
    pub messages_received: u64,
    /// Messages that were given up: not repeatable, or their receiver left.
    pub messages_lost: u64,
    /// Datagrams that were not a frame, not for us, replayed or over a limit.
    pub datagrams_rejected: u64,
    pub dials_started: u64,
    pub dials_refused_by_budget: u64,
    pub connections: u64,
    pub disconnections: u64,
    /// Broadcasts taken from the mesh of modern peers, copies of those, and copies sent.
    pub mesh_received: u64,
    pub mesh_duplicates: u64,
    pub mesh_sent: u64,
    /// Broadcasts refused: forged, replayed, not for us, or more than their author or a bridge may say.
    pub mesh_rejected: u64,
    /// Gauges: entries held now. All return to their baseline when peers go.
    pub peers: u64,
    pub unconfirmed: u64,
    pub dials: u64,
    pub ops: u64,
    pub topics: u64,
    pub buffered_bytes: u64,
    pub reassembly_bytes: u64,
    /// Broadcasts kept for who missed them, and on their way to peers.
    pub mesh_bytes: u64,
}

/// Who and where this swarm is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    pub key: [u8; 32],
    pub legacy_id: [u8; 20],
    pub ports: LocalPorts,
    /// The addresses of this host that reach the sockets.
    pub local: Vec<IpAddr>,
}
