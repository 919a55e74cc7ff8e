//! The whole of a swarm, sans-IO (placeholder signatures; the machine follows).
pub mod api;
use crate::{
    config::Config,
    crypto::identity::Identity,
    error::{Code, Error, Result},
};
pub use api::*;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

pub struct Node {
    out: std::collections::VecDeque<Output>,
}

impl Node {
    /// `seed`: randomness for everything this node draws.
    pub fn new(_config: &Config, _identity: Identity, _ports: LocalPorts, _seed: [u8; 32], _now: Now) -> Node {
        Node { out: Default::default() }
    }
    pub fn handle_datagram(&mut self, _now: Now, _via: Via, _from: SocketAddr, _bytes: &[u8]) {}
    pub fn handle_interfaces(&mut self, _now: Now, _interfaces: &[LanInterface]) {}
    pub fn handle_resolved(&mut self, _now: Now, _query: u64, _result: std::result::Result<Vec<SocketAddr>, String>) {}
    pub fn handle_timeout(&mut self, _now: Now) {}
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }
    pub fn poll_deadline(&self) -> Option<Instant> {
        None
    }
    /// False: the event queue has no reserved room left; no new connection is made until it is true again.
    pub fn set_accepting(&mut self, _now: Now, _accepting: bool) {}
    pub fn join(&mut self, _now: Now, _topic: Topic) -> Result<TopicId> {
        Err(nf())
    }
    pub fn leave(&mut self, _now: Now, _topic: &Topic) -> Result<()> {
        Err(nf())
    }
    pub fn close_topic(&mut self, _now: Now, _topic: TopicId) -> Result<()> {
        Err(nf())
    }
    pub fn topics(&self) -> Vec<TopicId> {
        vec![]
    }
    pub fn connect(&mut self, _now: Now, _target: &str, _timeout: Option<Duration>, _tag: u64) -> Result<OpId> {
        Err(nf())
    }
    pub fn cancel(&mut self, _now: Now, _op: OpId) -> Result<()> {
        Err(nf())
    }
    /// `tag` other than 0: an `OpDone` with it tells when the message was sent or why not.
    pub fn send(&mut self, _now: Now, _peer: PeerId, _data: Vec<u8>, _tag: u64) -> Result<()> {
        Err(nf())
    }
    pub fn broadcast(&mut self, _now: Now, _data: &[u8]) -> Result<usize> {
        Ok(0)
    }
    pub fn close_peer(&mut self, _now: Now, _peer: PeerId) -> Result<()> {
        Err(nf())
    }
    pub fn buffered(&self, _peer: PeerId) -> Result<usize> {
        Err(nf())
    }
    pub fn peers(&self) -> Vec<PeerId> {
        vec![]
    }
    pub fn peer_info(&self, _peer: PeerId) -> Option<PeerInfo> {
        None
    }
    pub fn info(&self) -> NodeInfo {
        NodeInfo { key: [0; 32], legacy_id: [0; 20], ports: Default::default(), local: vec![] }
    }
    pub fn stats(&self) -> Stats {
        Stats::default()
    }
    /// Begins the graceful end: goodbyes leave, then `Event::Closed` is the last event.
    pub fn close(&mut self, _now: Now) {
        self.out.push_back(Output::Event(Event::Closed { code: None, detail: String::new() }));
    }
    /// The last event has been put out.
    pub fn is_closed(&self) -> bool {
        true
    }
}
fn nf() -> Error {
    Error::new(Code::NotFound, "placeholder")
}
