//! The handle of a swarm: what the application decides about topics, peers and the whole swarm.
//!
//! Calls as those of `swarm`: none blocks, and operations are counted into the queue under the node's lock, so that
//! their completion cannot have been taken out before.

use crate::error::{Code, Error, Result};
use crate::node::{
    KnownPeer, Modes, Node, Now, OpId, PeerId, SwarmStats, SwarmStatus, Topic, TopicId, TopicInfo, Whom,
};
use crate::runtime::Swarm;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Swarm {
    // ---- Topics ----

    /// Changes what a session of a topic does and makes a round of discovery; the operation ends with it.
    pub fn refresh(&self, topic: TopicId, modes: Modes, tag: u64) -> Result<OpId> {
        self.begin(tag, |node, now| node.refresh(now, topic, modes, tag))
    }

    /// The operation ends with the round of discovery that runs.
    pub fn flushed(&self, topic: TopicId, tag: u64) -> Result<OpId> {
        self.begin(tag, |node, now| node.flushed(now, topic, tag))
    }

    /// The operation ends when everyone who was found so far was tried.
    pub fn flush(&self, tag: u64) -> Result<OpId> {
        self.begin(tag, |node, now| node.flush(now, tag))
    }

    /// What a session of a topic does.
    pub fn topic_info(&self, topic: TopicId) -> Result<TopicInfo> {
        self.shared().with_node(|node, _| node.topic_info(topic))?
    }

    /// The sessions of a topic, the oldest first.
    pub fn topic_sessions(&self, topic: &Topic) -> Vec<TopicId> {
        self.shared().with_node(|node, _| node.topic_sessions(topic)).unwrap_or_default()
    }

    /// Looks a topic up once, or announces it once, without joining it.
    pub fn look_up(&self, topic: Topic, secret: Option<[u8; 32]>, announce: bool, tag: u64) -> Result<OpId> {
        self.begin(tag, |node, now| node.look_up(now, topic, secret, announce, tag))
    }

    /// Takes back what `look_up` announced.
    pub fn unannounce(&self, topic: Topic, secret: Option<[u8; 32]>) -> Result<()> {
        self.change(|node, now| node.unannounce(now, topic, secret))?
    }

    // ---- The application as a source ----

    /// The application found a peer of a round. A round that has ended is no error.
    pub fn found(&self, query: u64, key: [u8; 32], addr: SocketAddr) -> Result<()> {
        self.change(|node, now| node.handle_found(now, query, key, addr))
    }

    /// The application ends its part of a round. `ok`: it worked.
    pub fn round_done(&self, query: u64, ok: bool) -> Result<()> {
        self.change(|node, now| node.handle_round_done(now, query, ok))
    }

    /// The application took an announcement back.
    pub fn unannounced(&self, name: [u8; 32]) -> Result<()> {
        self.change(|node, now| node.handle_unannounced(now, name))
    }

    // ---- Peers ----

    /// Dials a peer by its key alone. `timeout` as for `connect`.
    pub fn connect_peer(&self, key: [u8; 32], timeout: Option<Duration>, tag: u64) -> Result<OpId> {
        self.begin(tag, |node, now| node.connect_peer(now, key, timeout, tag))
    }

    /// Keeps a peer connected, whatever topics are joined.
    pub fn join_peer(&self, whom: Whom, addr: Option<SocketAddr>) -> Result<()> {
        self.change(|node, now| node.join_peer(now, node.resolve_whom(now, whom), addr))?
    }

    /// Ends what `join_peer` began.
    pub fn leave_peer(&self, whom: Whom) -> Result<()> {
        self.change(|node, now| node.leave_peer(now, &node.resolve_whom(now, whom)))?
    }

    /// Bans a peer, for a time or for the life of the swarm.
    pub fn ban(&self, whom: Whom, life: Option<Duration>, close: bool) -> Result<()> {
        self.change(|node, now| node.ban(now, node.resolve_whom(now, whom), life, close))?
    }

    /// Lifts a ban, under whichever of its names the peer was banned.
    pub fn unban(&self, whom: Whom) -> Result<()> {
        self.change(|node, now| {
            node.unban(now, &whom)?;
            node.unban(now, &node.resolve_whom(now, whom))
        })?
    }

    /// Whether a known peer is dialled again by itself when it goes.
    pub fn set_reconnect(&self, whom: Whom, on: bool) -> Result<()> {
        self.change(|node, now| node.set_reconnect(&node.resolve_whom(now, whom), on))?
    }

    /// Counts one more failed attempt at a peer that we dial. False: it is one that dials us, or is given up.
    pub fn backoff(&self, whom: Whom) -> Result<bool> {
        self.change(|node, now| node.backoff(&node.resolve_whom(now, whom)))?
    }

    /// Of two connections with one program ends one. True: this one.
    pub fn deduplicate(&self, peer: PeerId, local: &[u8], remote: &[u8]) -> Result<bool> {
        self.change(|node, now| node.deduplicate(now, peer, local, remote))?
    }

    /// Everyone who is known or banned.
    pub fn known_peers(&self) -> Result<Vec<KnownPeer>> {
        self.shared()
            .with_node(|node, now| node.known_peers().iter().filter_map(|whom| node.known_peer(now, whom)).collect())
    }

    pub fn known_peer(&self, whom: Whom) -> Result<KnownPeer> {
        self.shared()
            .with_node(|node, now| node.known_peer(now, &node.resolve_whom(now, whom)))?
            .ok_or_else(|| Error::new(Code::NotFound, "key: this peer is not known to the swarm"))
    }

    // ---- The firewall ----

    /// From now on the application is asked about every peer, or about none.
    pub fn set_firewall(&self, on: bool) -> Result<()> {
        self.change(|node, _| node.set_firewall(on))
    }

    /// Answers a question.
    pub fn answer(&self, question: u64, allowed: bool) -> Result<()> {
        self.change(|node, now| node.answer(now, question, allowed))?
    }

    // ---- The swarm ----

    /// Can be found by our key from now on.
    pub fn listen(&self) -> Result<()> {
        self.change(|node, now| node.listen(now))?
    }

    /// Ends all connections; nothing is dialled, announced or let in until `resume`.
    pub fn suspend(&self) -> Result<()> {
        self.change(|node, now| node.suspend(now))?
    }

    pub fn resume(&self) -> Result<()> {
        self.change(|node, now| node.resume(now))?
    }

    /// Reads the list of interfaces now instead of at the next poll, has connections show that they live, and looks
    /// topics up and announces them anew.
    pub fn network_changed(&self) {
        self.shared().network_changed.store(true, Ordering::Release);
        // A failed swarm has nothing to look at.
        let _ = self.change(|node, now| node.network_changed(now));
        self.shared().wake.notify_one();
    }

    /// Ends at once: nothing that is queued is waited for, announcements are not taken back. Also while it closes.
    pub fn close_now(&self) {
        self.shared().closing.store(true, Ordering::Release);
        let _ = self.change(|node, now| node.close(now, true));
        self.shared().wake.notify_one();
    }

    pub fn status(&self) -> (SwarmStatus, SwarmStats) {
        let node = self.shared().node.lock();
        (node.swarm_status(), node.swarm_stats())
    }

    /// Begins an operation.
    pub(super) fn begin(&self, tag: u64, call: impl FnOnce(&mut Node, Now) -> Result<OpId>) -> Result<OpId> {
        let queue = self.events();
        self.change(|node, now| {
            queue.check_operations()?;
            let op = call(node, now)?;
            // Under the node's lock: its completion cannot have been taken out yet.
            queue.operation_begun(Some(op), tag)?;
            Ok(op)
        })?
    }
}
