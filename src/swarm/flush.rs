//! Flushes: calls that wait until everything that was found before them has been tried.
//!
//! First all discoveries end the round that runs. Then each peer that is queued, asked about or being dialled at
//! that time is waited for, once, whatever becomes of it. Peers that are queued later do not delay it. When no more
//! dials will begin, because a limit is reached or nothing is left, all flushes are done.

use crate::node::api::{OpId, Whom};
use crate::session::quic::TopicNo;
use std::collections::BTreeSet;

struct Flush {
    op: OpId,
    topics: BTreeSet<TopicNo>,
    /// None: the topics come first.
    peers: Option<BTreeSet<Whom>>,
}

#[derive(Default)]
pub struct Flushes {
    waiting: Vec<Flush>,
}

impl Flushes {
    pub fn begin(&mut self, op: OpId, topics: BTreeSet<TopicNo>) {
        self.waiting.push(Flush { op, topics, peers: None });
    }

    /// A topic ended its round, or was left.
    pub fn topic_done(&mut self, no: TopicNo) {
        for flush in &mut self.waiting {
            flush.topics.remove(&no);
        }
    }

    /// A peer was tried, or will not be.
    pub fn peer_done(&mut self, whom: &Whom) {
        for flush in &mut self.waiting {
            if let Some(peers) = &mut flush.peers {
                peers.remove(whom);
            }
        }
    }

    /// A peer goes on under another name.
    pub fn renamed(&mut self, from: &Whom, to: Whom) {
        for peers in self.waiting.iter_mut().filter_map(|flush| flush.peers.as_mut()) {
            if peers.remove(from) {
                peers.insert(to);
            }
        }
    }

    pub fn forget(&mut self, op: OpId) {
        self.waiting.retain(|flush| flush.op != op);
    }

    /// Which are done. `open`: who is queued, asked about or being dialled; `stuck`: no more dials will begin.
    pub fn take_done(&mut self, open: impl Fn() -> BTreeSet<Whom>, stuck: bool) -> Vec<OpId> {
        for flush in self.waiting.iter_mut().filter(|flush| flush.peers.is_none() && flush.topics.is_empty()) {
            flush.peers = Some(open());
        }
        let done = |flush: &Flush| flush.peers.as_ref().is_some_and(|peers| stuck || peers.is_empty());
        let ops = self.waiting.iter().filter(|flush| done(flush)).map(|flush| flush.op).collect();
        self.waiting.retain(|flush| !done(flush));
        ops
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn take_all(&mut self) -> Vec<OpId> {
        std::mem::take(&mut self.waiting).into_iter().map(|flush| flush.op).collect()
    }
}
