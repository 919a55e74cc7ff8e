//! The handle of a swarm: every call an application can make, from any thread.
//!
//! In: a `Config`, then calls. Out: results at once, everything later as events in
//! the queue.
//! Invariants: no call blocks but `shutdown`. A call that the node refused changed
//! nothing. After `close` the thread ends within `CLOSE_DEADLINE` and `CLOSE_GRACE`,
//! and the last event is `Closed`, whatever happened. In a forked child only
//! `abandon` may be called.

use crate::config::{Config, limits};
use crate::crypto::identity::Identity;
use crate::error::{Code, Error, Result};
use crate::node::{Modes, Node, NodeInfo, Now, OpId, PeerId, PeerInfo, Stats, StreamId, StreamRead, Topic, TopicId};
use crate::queue::EventQueue;
use crate::runtime::buffers::Buffers;
use crate::runtime::driver::Driver;
use crate::runtime::shared::{IoStats, Shared};
use crate::runtime::{clock, thread, udp};
use bytes::Bytes;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;
use zeroize::Zeroizing;

/// A running swarm. Dropping it closes it; `shutdown` also waits for the end.
pub struct Swarm {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Of long writes to streams.
    copies: Mutex<Buffers>,
}

impl Swarm {
    /// Binds the sockets and starts the network thread.
    pub fn new(config: Config) -> Result<Swarm> {
        let queue = EventQueue::new(config.event_queue_items, config.event_queue_bytes, config.event_mask)?;
        let identity = match &config.seed {
            Some(seed) => Identity::from_seed(seed),
            None => Identity::from_seed(&*random()?),
        };
        let sockets = udp::bind(&config.bind)?;
        let node = Node::new(&config, identity, sockets.ports(), *random()?, clock::now())?;
        let shared = Arc::new(Shared::new(node, queue));
        let wake = shared.wake.clone();
        // Sessions that were held back because events were not read go on.
        shared.queue.set_bell(Box::new(move || wake.notify_one()));
        let runtime = thread::runtime()?;
        let driver = {
            let _inside = runtime.enter();
            Driver::new(shared.clone(), sockets, &config)?
        };
        let thread = thread::spawn(runtime, shared.clone(), driver.run())?;
        Ok(Swarm { shared, thread: Mutex::new(Some(thread)), copies: Mutex::default() })
    }

    /// The queue that this swarm's events go to.
    pub fn events(&self) -> &Arc<EventQueue> {
        &self.shared.queue
    }

    /// Joins a topic; each call makes a session of its own. With a secret it is private.
    pub fn join(&self, topic: Topic, secret: Option<[u8; 32]>, modes: Modes) -> Result<TopicId> {
        self.change(|node, now| node.join(now, topic, secret, modes))?
    }

    /// Ends all sessions of a topic.
    pub fn leave(&self, topic: &Topic) -> Result<()> {
        self.change(|node, now| node.leave(now, topic))?
    }

    /// Ends one session of a topic.
    pub fn close_topic(&self, topic: TopicId) -> Result<()> {
        self.change(|node, now| node.close_topic(now, topic))?
    }

    /// The sessions that are open.
    pub fn topics(&self) -> Vec<TopicId> {
        self.shared.with_node(|node, _| node.topics()).unwrap_or_default()
    }

    /// Dials `host:port`. `key`: only this peer may answer. `timeout`: none means the default, `Duration::MAX` no limit.
    pub fn connect(&self, target: &str, key: Option<[u8; 32]>, timeout: Option<Duration>, tag: u64) -> Result<OpId> {
        self.begin(tag, |node, now| node.connect(now, target, key, timeout, tag))
    }

    /// Asks for the end of an operation; its event still comes.
    pub fn cancel(&self, op: OpId) -> Result<()> {
        self.change(|node, now| node.cancel(now, op))?
    }

    /// Queues a message to one peer. `tag` other than 0: its completion comes as an event with this tag. What is lent is
    /// copied under the node's lock.
    pub fn send<'a>(&self, peer: PeerId, data: impl Into<Cow<'a, [u8]>>, tag: u64) -> Result<()> {
        let data = data.into();
        if tag == 0 {
            if let Cow::Borrowed(data) = &data
                && let Some(result) = self.shared.change_only(|node| node.send_modern(peer, data, tag))?
            {
                return result;
            }
            return self.change(|node, now| node.send(now, peer, data, tag))?;
        }
        let queue = &self.shared.queue;
        self.change(|node, now| {
            queue.check_operations()?;
            node.send(now, peer, data, tag)?;
            queue.operation_begun(None, tag)
        })?
    }

    /// Queues messages to one peer, in order, copied under the node's lock. How many were queued, and whether there is room for
    /// more or why the next one was not.
    pub fn send_many<'a>(&self, peer: PeerId, messages: impl Iterator<Item = &'a [u8]>) -> (usize, Result<bool>) {
        self.change(|node, now| node.send_many(now, peer, messages)).unwrap_or_else(|error| (0, Err(error)))
    }

    /// Queues a message to all connected peers and returns their number.
    pub fn broadcast(&self, data: &[u8]) -> Result<usize> {
        self.change(|node, now| node.broadcast(now, data))?
    }

    /// Sends a message to the members of a topic and returns the number of peers it went to.
    pub fn broadcast_topic(&self, topic: TopicId, data: &[u8]) -> Result<usize> {
        self.change(|node, now| node.broadcast_topic(now, topic, data))?
    }

    /// Sends a datagram to one peer over a modern session: it leaves soon, once, and may be lost.
    pub fn send_datagram(&self, peer: PeerId, data: &[u8]) -> Result<()> {
        self.change(|node, _| node.send_datagram(peer, data))?
    }

    /// Opens a stream to a peer over a modern session.
    pub fn open_stream(&self, peer: PeerId) -> Result<StreamId> {
        self.change(|node, _| node.open_stream(peer))?
    }

    /// Writes to a stream; how many bytes were taken. None of some: `WouldBlock`.
    pub fn write_stream(&self, stream: StreamId, data: &[u8]) -> Result<usize> {
        if data.len() <= limits::QUIC_COPY_BYTES {
            return self.change(|node, _| node.write_stream(stream, data))?;
        }
        // Not under the lock: the network thread need not wait until all is copied.
        let room = self.shared.with_node(|node, _| node.stream_room(stream))??;
        let copy = self.copies.lock().copy(data.get(..room).unwrap_or(data)).freeze();
        self.change(|node, _| node.write_stream_bytes(stream, copy, data.len()))?
    }

    /// Hands up to `most` bytes of a stream to `take`. Nothing there: `WouldBlock`.
    pub fn read_stream(&self, stream: StreamId, most: usize, take: impl FnMut(Bytes)) -> Result<StreamRead> {
        let mut pieces = Vec::new();
        let read = self.shared.touch(|node, _| node.read_stream(stream, most, |piece| pieces.push(piece)))??;
        // Not under the lock: the network thread need not wait until all is copied.
        pieces.into_iter().for_each(take);
        Ok(read)
    }

    /// Ends our direction of a stream behind what was written.
    pub fn finish_stream(&self, stream: StreamId) -> Result<()> {
        self.change(|node, _| node.finish_stream(stream))?
    }

    /// Gives up our direction of a stream.
    pub fn reset_stream(&self, stream: StreamId, code: u32) -> Result<()> {
        self.change(|node, _| node.reset_stream(stream, code))?
    }

    /// Wants nothing more of the peer's direction of a stream.
    pub fn stop_stream(&self, stream: StreamId, code: u32) -> Result<()> {
        self.change(|node, _| node.stop_stream(stream, code))?
    }

    /// Which of several streams goes first.
    pub fn set_stream_priority(&self, stream: StreamId, priority: i32) -> Result<()> {
        self.change(|node, _| node.set_stream_priority(stream, priority))?
    }

    /// The peer at the other end of a stream.
    pub fn stream_peer(&self, stream: StreamId) -> Result<PeerId> {
        self.shared.with_node(|node, _| node.stream_peer(stream))?
    }

    /// Ends the connection to a peer.
    pub fn close_peer(&self, peer: PeerId) -> Result<()> {
        self.change(|node, now| node.close_peer(now, peer))?
    }

    /// Bytes that wait for one peer.
    pub fn buffered(&self, peer: PeerId) -> Result<usize> {
        self.shared.with_node(|node, _| node.buffered(peer))?
    }

    /// The connected peers.
    pub fn peers(&self) -> Vec<PeerId> {
        self.shared.with_node(|node, _| node.peers()).unwrap_or_default()
    }

    /// What is known of a connected peer.
    pub fn peer_info(&self, peer: PeerId) -> Result<PeerInfo> {
        self.shared
            .with_node(|node, _| node.peer_info(peer))?
            .ok_or_else(|| Error::new(Code::NotFound, format!("peer: no peer {} is connected", peer.0)))
    }

    /// Who and where this swarm is.
    pub fn info(&self) -> NodeInfo {
        self.shared.node.lock().info()
    }

    /// Counters and gauges.
    pub fn stats(&self) -> Stats {
        self.shared.node.lock().stats()
    }

    /// What became of datagrams between the node and the network.
    pub fn io_stats(&self) -> IoStats {
        self.shared.io.stats()
    }

    /// Begins the end: goodbyes leave, operations complete, `Closed` is the last event.
    pub fn close(&self) {
        if !self.shared.closing.swap(true, Ordering::AcqRel) {
            let _ = self.shared.with_node(|node, now| node.close(now, false));
        }
        self.shared.wake.notify_one();
    }

    /// Closes, then waits until the network thread has ended.
    pub fn shutdown(&self) {
        self.close();
        // The lock is held while waiting, so that a second caller waits as well.
        if let Some(thread) = self.thread.lock().take() {
            // The thread catches its panics: there is no other error.
            let _ = thread.join();
        }
    }

    /// Ends the swarm because a bug was caught: `Closed` with `Panic` is the last event.
    pub fn fail(&self) {
        self.shared.fail();
    }

    /// For a forked child, where the network thread does not exist: closes the inherited sockets and leaks
    /// the rest, the descriptors of the event loop among it. Takes no lock, since one may have been held by a
    /// thread that is gone.
    pub fn abandon(&self) {
        thread::abandon(&self.shared);
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn change<T>(&self, call: impl FnOnce(&mut Node, Now) -> T) -> Result<T> {
        self.shared.change(call)
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        if self.shared.abandoned.load(Ordering::Acquire) {
            // The thread does not exist in this process: its handle must not be touched.
            std::mem::forget(self.thread.get_mut().take());
        } else {
            self.close();
        }
    }
}

fn random() -> Result<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes)
        .map_err(|e| Error::new(Code::Internal, format!("the system gave no random numbers: {e}")))?;
    Ok(bytes)
}
