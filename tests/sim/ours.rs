//! Drives a real `Node`: feeds it, drains it, keeps what its application was told.
//!
//! Asserts what every application may rely on: one connection per peer id, the
//! disconnection is the last event of a peer but for the ends of streams that were
//! not read to their end, nothing follows `Closed`, messages come from connected peers
//! only, and a gossip frame is never delivered.

use crate::clock::Time;
use crate::io::{Io, Out};
use crate::network::Place;
use setowire::Config;
use setowire::crypto::identity::{Identity, WireId};
use setowire::node::{Datagrams, Event, Level, Node, Now, OpId, Output, PeerId, PeerInfo, StreamChange, Via};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;

/// A message as the application got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub at: Time,
    pub peer: PeerId,
    pub from: WireId,
    pub data: Vec<u8>,
    pub clear: bool,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    pub op: OpId,
    pub tag: u64,
    pub peer: Option<PeerId>,
    pub code: Option<setowire::Code>,
}

/// One of our nodes and its application.
pub struct Ours {
    pub node: Node,
    pub wire_id: WireId,
    pub clear_fragments: bool,
    directory: Directory,
    /// Connected peers as of their last event.
    pub peers: BTreeMap<PeerId, PeerInfo>,
    gone: BTreeSet<PeerId>,
    pub received: Vec<Received>,
    pub events: Vec<(Time, Event)>,
    pub done: Vec<Done>,
    pub closed: bool,
    /// How often its timer was called.
    pub wakes: u64,
    /// Keep whole events too; off in long runs.
    pub keep_events: bool,
    pub print_log: bool,
}

/// The ids of the old wire of all nodes of ours by their keys: a modern peer may keep it to itself.
pub type Directory = Rc<RefCell<BTreeMap<[u8; 32], WireId>>>;

pub fn now(io: &Io) -> Now {
    Now { mono: io.mono, unix_us: io.unix_us }
}

impl Ours {
    pub fn new(
        io: &mut Io,
        place: &Place,
        config: &Config,
        identity: [u8; 32],
        chance: [u8; 32],
        directory: Directory,
    ) -> Ours {
        // The seed is given, so the node knows that peers may remember it.
        let config = Config { seed: Some(identity.into()), ..config.clone() };
        let config = &config;
        let identity = Identity::from_seed(&identity);
        let wire_id = identity.v12().wire_id();
        directory.borrow_mut().insert(identity.key(), wire_id);
        let mut node = Node::new(config, identity, place.ports, chance, now(io)).unwrap();
        node.handle_interfaces(now(io), &place.lan_interfaces());
        let mut ours = Ours {
            node,
            wire_id,
            clear_fragments: config.clear_fragments,
            directory,
            peers: BTreeMap::new(),
            gone: BTreeSet::new(),
            received: Vec::new(),
            events: Vec::new(),
            done: Vec::new(),
            closed: false,
            wakes: 0,
            keep_events: true,
            print_log: false,
        };
        ours.drain(io);
        ours
    }

    pub fn datagram(&mut self, io: &mut Io, via: Via, from: SocketAddr, bytes: &[u8]) {
        self.node.handle_datagrams(now(io), Datagrams::one(via, from, bytes));
        self.drain(io);
    }

    pub fn timeout(&mut self, io: &mut Io) {
        self.node.handle_timeout(now(io));
        self.drain(io);
    }

    /// Lets the application call the node.
    pub fn call<R>(&mut self, io: &mut Io, f: impl FnOnce(&mut Node, Now) -> R) -> R {
        let result = f(&mut self.node, now(io));
        self.drain(io);
        result
    }

    fn drain(&mut self, io: &mut Io) {
        while let Some(output) = self.node.poll_output(now(io)) {
            match output {
                Output::Resolve { query, host, port } => io.out.push(Out::Resolve { query, host, port }),
                Output::Event(event) => self.event(io, event),
                Output::Round { .. } | Output::CancelRound { .. } | Output::Unannounce { .. } => {
                    panic!("no outside source was switched on: {output:?}")
                }
                Output::Log { level, text } => {
                    if self.print_log && level <= Level::Debug {
                        println!("{:>10.4} {} {level:?} {text}", io.now.as_secs_f64(), short(&self.wire_id));
                    }
                }
            }
        }
        while let Some(transmit) = self.node.poll_transmit(now(io), true) {
            let datagrams = transmit.datagrams();
            io.out.extend(datagrams.map(|bytes| Out::Send {
                via: transmit.via,
                to: transmit.to,
                bytes: bytes.to_vec(),
                whole: transmit.whole,
            }));
            self.node.recycle(transmit.bytes);
        }
        if self.node.is_closed() && self.closed {
            io.out.push(Out::Exit);
        }
    }

    fn event(&mut self, io: &Io, event: Event) {
        assert!(!self.closed, "an event after Closed: {event:?}");
        if self.print_log {
            println!("{:>10.4} {} {}", io.now.as_secs_f64(), short(&self.wire_id), brief(&event));
        }
        match &event {
            Event::Connection(info) => {
                assert!(!self.gone.contains(&info.id), "connection of a peer that left: {info:?}");
                let known = self.peers.insert(info.id, (**info).clone());
                assert!(known.is_none(), "second connection of {info:?}");
            }
            Event::Disconnection { peer, .. } => {
                assert!(self.peers.remove(peer).is_some(), "disconnection of an unknown peer {peer:?}");
                self.gone.insert(*peer);
            }
            Event::Update(info) => {
                let known = self.peers.insert(info.id, (**info).clone());
                assert!(known.is_some(), "update of an unknown peer {info:?}");
            }
            Event::Message { peer, data, clear, .. } => {
                let info = self.peers.get(peer).expect("a message from a connected peer");
                let gossip = data.first() == Some(&b'{') && data.windows(7).any(|w| w == b"_gossip");
                assert!(!gossip, "gossip was delivered: {}", String::from_utf8_lossy(data));
                let (peer, data, from) = (*peer, data.to_vec(), self.wire_id_of(info));
                self.received.push(Received { at: io.now, peer, from, data, clear: *clear });
            }
            Event::Writable { peer } => assert!(self.peers.contains_key(peer), "writable of an unknown peer {peer:?}"),
            Event::OpDone { op, tag, peer, code, .. } => {
                self.done.push(Done { op: *op, tag: *tag, peer: *peer, code: *code });
            }
            Event::Stream { peer, change: StreamChange::Closed { .. }, .. } => {
                assert!(self.peers.contains_key(peer) || self.gone.contains(peer), "{event:?} of an unknown peer");
            }
            Event::Datagram { peer, .. } | Event::Stream { peer, .. } => {
                assert!(self.peers.contains_key(peer), "{event:?} of an unknown peer");
            }
            Event::Peers { .. }
            | Event::Changed { .. }
            | Event::Candidate { .. }
            | Event::TopicUpdated { .. }
            | Event::PeerTopic { .. }
            | Event::Banned { .. }
            | Event::Ask(_)
            | Event::Found { .. }
            | Event::Round(_)
            | Event::RoundCancelled { .. }
            | Event::Unannounce(_) => {}
            Event::Closed { .. } => self.closed = true,
        }
        if self.keep_events {
            self.events.push((io.now, event));
        }
    }

    /// The wire id of a peer, by its proven key or by what it says; zeros if unknown.
    pub fn wire_id_of(&self, info: &PeerInfo) -> WireId {
        let by_key = info.key.and_then(|key| self.directory.borrow().get(&key).copied());
        let said = info.legacy_id.as_ref().map(setowire::crypto::identity::wire_id);
        by_key.or(said).unwrap_or_default()
    }

    /// The peer with this wire id, if connected.
    pub fn peer(&self, id: &WireId) -> Option<&PeerInfo> {
        self.peers.values().find(|info| self.wire_id_of(info) == *id)
    }

    pub fn is_connected(&self, id: &WireId) -> bool {
        self.peer(id).is_some()
    }

    /// Payloads that came from this peer, in order.
    pub fn received_from(&self, id: &WireId) -> Vec<&[u8]> {
        self.received.iter().filter(|r| r.from == *id).map(|r| &r.data[..]).collect()
    }
}

pub fn short(id: &WireId) -> String {
    id[..3].iter().map(|b| format!("{b:02x}")).collect()
}

fn brief(event: &Event) -> String {
    match event {
        Event::Connection(info) => {
            format!("connection {:?} {} {:?} {}", info.id, info.address, info.source, info.session.name())
        }
        Event::Disconnection { peer, code, reason, .. } => format!("disconnection {peer:?} {code:?} {reason}"),
        Event::Update(info) => {
            let session = info.session.name();
            format!("update {:?} {} {session} {:?} confirmed {}", info.id, info.address, info.family, info.confirmed)
        }
        Event::Message { peer, data, clear, broadcast } => {
            let by = match broadcast {
                None => "to us",
                Some(broadcast) if broadcast.author.is_some() => "broadcast, signed",
                Some(_) => "broadcast, bridged",
            };
            format!("message {peer:?} {} bytes clear {clear} {by}", data.len())
        }
        other => format!("{other:?}"),
    }
}
