//! What the event queue keeps while the application does not read: bounded, and
//! nothing disappears without being counted.
//!
//! In: `node::Event`s in order. Out: records in the same order, numbered.
//! - Messages and datagrams are bounded in items and bytes. Modern peers are held back by `room`; what comes over
//!   p2p-v12 and finds no room is dropped and counted, and a `LOST` record stands where the first of them would have been.
//! - Connections, disconnections, completed operations and `CLOSED` are never dropped.
//!   They have room of their own, kept bounded by refusing new connections
//!   (`connections_allowed`) and new operations (`operations_allowed`).
//! - What is told of peers that are not connected, questions among it, is bounded in number: beyond it is dropped and
//!   counted as `LOST`, because anybody can announce any number of peers.
//! - What an application is asked that is a source is bounded in number likewise, with room of its own: strangers cannot
//!   fill it.
//! - `UPDATE`, `WRITABLE`, `PEERS`, `LOST`, `CHANGED` and `TOPIC_UPDATED` are states: the newest replaces one still waiting.
//!   A `CHANGED` stands behind the connections and disconnections that it counts, so it replaces none before them.
//! - `CLOSED` is taken in once; what comes after it is ignored.

use super::mailbox::Buffer;
use super::signal::Signal;
use crate::config::{EventMask, limits};
use crate::error::Code;
use crate::event::{self, RECORD_HEADER, Record, kind};
use crate::node::{Event, OpId};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

pub struct EventBuffer {
    records: VecDeque<Record>,
    /// The position of the first record, counted from the beginning of the swarm.
    first: u64,
    /// Where the waiting record of a kind and subject is, for kinds that are states.
    states: HashMap<(u16, u64), u64>,
    /// The position behind the last `CONNECTION` or `DISCONNECTION`.
    life_cycle: u64,
    /// Shown to event loops; made when the application asks for it.
    signal: Option<Arc<Signal>>,
    /// The queue was empty and is not: the signal is to be raised.
    filled: bool,
    /// Raises that `clear` did not take back yet; of an empty queue, those that are still on their way.
    raised: u64,
    max_items: usize,
    max_bytes: usize,
    mask: EventMask,
    /// Messages waiting, and their bytes.
    messages: usize,
    message_bytes: usize,
    /// What waits about peers that are not connected.
    notices: usize,
    /// What waits for a source.
    rounds: usize,
    /// `CONNECTION`s and `DISCONNECTION`s waiting.
    connections: usize,
    /// `OP_DONE`s waiting.
    completions: usize,
    /// Operations whose completion is still to come, by id and tag; the id of a message is 0.
    begun: HashMap<(u64, u64), u32>,
    /// Peers whose disconnection is still to come.
    live: usize,
    /// Messages dropped since `LOST` was read last, and since the beginning.
    lost: u64,
    lost_total: u64,
    seq: u64,
    /// `CLOSED` was taken in, and was read.
    closed: bool,
    finished: bool,
    /// Rung when there is room again after there was none.
    bell: Option<Bell>,
    hungry: bool,
}

/// Called under the lock of the queue: it must neither wait nor look at the queue.
pub type Bell = Box<dyn Fn() + Send>;

impl EventBuffer {
    pub fn new(max_items: usize, max_bytes: usize, mask: EventMask) -> EventBuffer {
        EventBuffer {
            records: VecDeque::new(),
            first: 0,
            states: HashMap::new(),
            life_cycle: 0,
            signal: None,
            filled: false,
            raised: 0,
            max_items,
            max_bytes,
            mask: mask | 1 << kind::CLOSED,
            messages: 0,
            message_bytes: 0,
            notices: 0,
            rounds: 0,
            connections: 0,
            completions: 0,
            begun: HashMap::new(),
            live: 0,
            lost: 0,
            lost_total: 0,
            seq: 0,
            closed: false,
            finished: false,
            bell: None,
            hungry: false,
        }
    }

    /// Has this rung when there is room again after `room` found none.
    pub fn set_bell(&mut self, bell: Bell) {
        self.bell = Some(bell);
    }

    /// Bytes of messages and datagrams that may come in now, each with `EVENT_COST_BYTES` beside its data.
    pub fn room(&mut self) -> usize {
        let items = self.max_items.saturating_sub(self.messages).saturating_mul(limits::EVENT_COST_BYTES);
        let room = items.min(self.max_bytes.saturating_sub(self.message_bytes));
        self.hungry = room == 0;
        room
    }

    /// Half of the room is free again.
    fn is_half_free(&self) -> bool {
        self.messages <= self.max_items / 2 && self.message_bytes <= self.max_bytes / 2
    }

    pub fn push(&mut self, event: Event) {
        if self.closed {
            return;
        }
        match &event {
            Event::Connection(_) => self.live = self.live.saturating_add(1),
            Event::Disconnection { .. } => self.live = self.live.saturating_sub(1),
            Event::OpDone { op, tag, .. } => self.operation_ended(*op, *tag),
            Event::Closed { code, .. } => {
                self.end_operations(code.unwrap_or(Code::Closed));
                self.closed = true;
            }
            Event::Message { .. } | Event::Datagram { .. } if self.loses(&event) => return self.lose(),
            _ => {}
        }
        let record = Record::from(event);
        if is_notice(record.kind) && self.wants(record.kind) && self.notices >= limits::QUEUE_NOTICES {
            return self.lose();
        }
        if is_round(record.kind) && self.wants(record.kind) && self.rounds >= limits::QUEUE_ROUNDS {
            return self.lose();
        }
        self.append(record);
    }

    /// Something found no room.
    fn lose(&mut self) {
        self.lost = self.lost.saturating_add(1);
        self.lost_total = self.lost_total.saturating_add(1);
        self.append(Record { kind: kind::LOST, ..Record::default() });
    }

    /// The record that `pop` would give.
    pub fn peek(&mut self) -> Option<&Record> {
        self.lower_signal();
        let record = self.records.front_mut()?;
        if record.kind == kind::LOST {
            record.data = event::lost(self.lost, self.lost_total);
        }
        Some(record)
    }

    /// Takes the record that `peek` just gave.
    pub fn pop_front(&mut self) -> Option<Record> {
        let record = self.records.pop_front()?;
        let position = self.first;
        self.first = self.first.saturating_add(1);
        match record.kind {
            kind::CONNECTION | kind::DISCONNECTION => self.connections = self.connections.saturating_sub(1),
            kind::OP_DONE => self.completions = self.completions.saturating_sub(1),
            kind::MESSAGE | kind::DATAGRAM => {
                self.messages = self.messages.saturating_sub(1);
                let bytes = record.data.len().saturating_add(RECORD_HEADER);
                self.message_bytes = self.message_bytes.saturating_sub(bytes);
                if self.hungry && self.is_half_free() {
                    self.hungry = false;
                    self.bell.iter().for_each(|bell| bell());
                }
            }
            other if is_notice(other) => self.notices = self.notices.saturating_sub(1),
            other if is_round(other) => self.rounds = self.rounds.saturating_sub(1),
            kind::LOST => self.lost = 0,
            kind::CLOSED => self.finished = true,
            _ => {}
        }
        let key = (record.kind, record.subject);
        if is_state(record.kind) && self.states.get(&key) == Some(&position) {
            self.states.remove(&key);
        }
        self.lower_signal();
        Some(record)
    }

    /// Records that wait.
    pub fn waiting(&self) -> usize {
        self.records.len()
    }

    /// Drops what can no longer be answered: all but life-cycle, completions, the peers to keep and announcements to take
    /// back.
    pub fn discard_messages(&mut self) {
        let keep = [kind::CONNECTION, kind::DISCONNECTION, kind::OP_DONE, kind::PEERS, kind::UNANNOUNCE, kind::CLOSED];
        let records = std::mem::take(&mut self.records);
        self.first = self.first.saturating_add(records.len() as u64);
        self.states.clear();
        self.records = records.into_iter().filter(|record| keep.contains(&record.kind)).collect();
        self.messages = 0;
        self.message_bytes = 0;
        self.notices = 0;
        self.rounds = self.records.iter().filter(|record| is_round(record.kind)).count();
        self.lower_signal();
    }

    /// Each live peer holds a place for its disconnection; a new one needs two.
    pub fn connections_allowed(&self) -> bool {
        let taken = self.connections.saturating_add(self.live);
        !self.closed && taken.saturating_add(2) <= limits::QUEUE_LIFE_CYCLE
    }

    /// Completions that nobody reads must not pile up.
    pub fn operations_allowed(&self) -> bool {
        self.completions.saturating_add(self.begun.len()) < limits::OPS_MAX
    }

    /// Remembers an operation, or a message with a tag, until its completion comes. False: too late.
    pub fn operation_begun(&mut self, op: Option<OpId>, tag: u64) -> bool {
        if !self.closed {
            let count = self.begun.entry((op.map_or(0, |op| op.0), tag)).or_insert(0);
            *count = count.saturating_add(1);
        }
        !self.closed
    }

    fn operation_ended(&mut self, op: OpId, tag: u64) {
        // The application knows no id of a message, so only its tag was counted in.
        for key in [(op.0, tag), (0, tag)] {
            if let Some(count) = self.begun.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.begun.remove(&key);
                }
                return;
            }
        }
    }

    /// Completes what the node left open, which it does only after a failure.
    fn end_operations(&mut self, code: Code) {
        for ((op, tag), count) in std::mem::take(&mut self.begun) {
            for _ in 0..count {
                let detail = "the swarm ended".to_owned();
                let done = Event::OpDone { op: OpId(op), tag, peer: None, code: Some(code), detail };
                self.append(Record::from(done));
            }
        }
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    pub fn lost_total(&self) -> u64 {
        self.lost_total
    }

    /// The descriptor that is readable while there is something to take.
    pub fn signal(&mut self) -> std::io::Result<&Signal> {
        if self.signal.is_none() {
            let signal = Arc::new(Signal::new()?);
            if !self.records.is_empty() {
                signal.raise();
                self.raised = 1;
            }
            self.signal = Some(signal);
        }
        self.signal.as_deref().ok_or_else(|| std::io::ErrorKind::Other.into())
    }

    /// The signal, if it is to be raised; once the lock is released.
    pub fn take_signal(&mut self) -> Option<Arc<Signal>> {
        let filled = std::mem::take(&mut self.filled);
        let signal = self.signal.as_ref().filter(|_| filled)?;
        self.raised = self.raised.saturating_add(1);
        Some(signal.clone())
    }

    /// Takes back what was raised when nothing waits.
    fn lower_signal(&mut self) {
        if self.raised > 0 && self.records.is_empty() {
            let taken = self.signal.as_ref().map_or(self.raised, |signal| signal.clear());
            self.raised = self.raised.saturating_sub(taken);
        }
    }

    /// Closes the descriptor, which a forked child shares with its parent.
    pub fn abandon(&mut self) {
        self.signal = None;
    }

    fn wants(&self, kind: u16) -> bool {
        self.mask >> (kind & 63) & 1 == 1
    }

    /// Whether something of a peer finds no room. Modern peers are held back before that.
    fn loses(&self, event: &Event) -> bool {
        let kind = if matches!(event, Event::Datagram { .. }) { kind::DATAGRAM } else { kind::MESSAGE };
        self.wants(kind) && !self.has_room()
    }

    /// The last one may go beyond the bytes by its own size: whatever was taken from a peer while there was `room` fits.
    fn has_room(&self) -> bool {
        self.messages < self.max_items && self.message_bytes < self.max_bytes
    }

    fn append(&mut self, mut record: Record) {
        if !self.wants(record.kind) {
            return;
        }
        let position = self.first.saturating_add(self.records.len() as u64);
        if is_state(record.kind) {
            let known = self.states.insert((record.kind, record.subject), position);
            let known = known.filter(|at| record.kind != kind::CHANGED || *at >= self.life_cycle);
            let waiting = known.and_then(|at| self.records.get_mut(usize::try_from(at.checked_sub(self.first)?).ok()?));
            if let (Some(at), Some(waiting)) = (known, waiting) {
                (waiting.data, waiting.code) = (record.data, record.code);
                self.states.insert((record.kind, record.subject), at);
                return;
            }
        }
        match record.kind {
            kind::CONNECTION | kind::DISCONNECTION => {
                self.connections = self.connections.saturating_add(1);
                self.life_cycle = position.saturating_add(1);
            }
            kind::OP_DONE => self.completions = self.completions.saturating_add(1),
            kind::MESSAGE | kind::DATAGRAM => {
                self.messages = self.messages.saturating_add(1);
                let bytes = record.data.len().saturating_add(RECORD_HEADER);
                self.message_bytes = self.message_bytes.saturating_add(bytes);
            }
            other if is_notice(other) => self.notices = self.notices.saturating_add(1),
            other if is_round(other) => self.rounds = self.rounds.saturating_add(1),
            _ => {}
        }
        self.seq = self.seq.saturating_add(1);
        record.seq = self.seq;
        self.records.push_back(record);
        self.filled |= self.records.len() == 1;
    }
}

/// Whether the newest record of this kind and subject replaces one that waits.
fn is_state(kind: u16) -> bool {
    matches!(kind, kind::UPDATE | kind::WRITABLE | kind::PEERS | kind::LOST | kind::CHANGED | kind::TOPIC_UPDATED)
}

/// Whether it is about a peer that need not be connected.
fn is_notice(kind: u16) -> bool {
    matches!(kind, kind::PEER | kind::PEER_REJECTED | kind::PEER_TOPIC | kind::BANNED | kind::ASK | kind::FOUND)
}

/// Whether it is for a source of the application.
fn is_round(kind: u16) -> bool {
    matches!(kind, kind::ROUND | kind::ROUND_CANCELLED | kind::UNANNOUNCE)
}

impl Buffer for EventBuffer {
    type Item = Record;

    fn pop(&mut self) -> Option<Record> {
        self.peek()?;
        self.pop_front()
    }

    fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn is_finished(&self) -> bool {
        self.finished
    }
}
