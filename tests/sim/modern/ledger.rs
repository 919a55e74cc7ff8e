//! Account of what applications send over modern sessions, and of what the others get.
//!
//! A message names the side of the session it was given to and its number there. Asserted with every event: messages
//! of a session arrive whole, in order, without gaps and once, at the peer it is with, all at one session
//! of his; a datagram arrives at most once; a broadcast once in one run of a program, but for a late signed one; a tag is
//! answered once, with success only after the message arrived, and at the latest when the session ends.

use super::{Life, Side, pattern};
use crate::clock::Time;
use crate::network::NodeId;
use setowire::Code;
use setowire::config::limits::BRIDGE_OVERLAP;
use setowire::node::PeerId;
use std::collections::{BTreeMap, BTreeSet};

/// Kind, side and number.
const HEADER: usize = 1 + Side::BYTES + 4;
/// Over a modern session, reliable; over the old wire; a datagram.
const MESSAGE: u8 = b'M';
const OLD: u8 = b'O';
const DATAGRAM: u8 = b'D';
const BROADCAST: u8 = b'B';

/// What one side of a session sent.
#[derive(Debug, Default)]
struct Sent {
    to: NodeId,
    accepted: u32,
    delivered: u32,
    /// The other side, once something arrived there.
    at: Option<Side>,
    /// Tags that were not answered, and the last message that is said to have arrived.
    tags: BTreeSet<u64>,
    confirmed: u32,
    over: bool,
}

#[derive(Default)]
pub struct Ledger {
    sessions: BTreeMap<Side, Sent>,
    /// Programs that were killed: what they had got is not known.
    killed: BTreeSet<Life>,
    tags: BTreeMap<(Life, u64), (Side, u32)>,
    next_tag: u64,
    datagrams_sent: BTreeMap<Side, u32>,
    datagrams_got: BTreeSet<(Side, u32)>,
    broadcasts: u32,
    /// Whether it came with its author's signature, and when.
    heard: BTreeMap<(Life, u32), (bool, Time)>,
    pub delivered: u64,
    pub bytes: u64,
    pub unsent: u64,
    pub datagrams: u64,
}

fn text(kind: u8, side: Side, number: u32, len: usize) -> Vec<u8> {
    let mut text = [&[kind][..], &side.encode(), &number.to_be_bytes()].concat();
    text.extend((0..len).map(|at| pattern(u64::from(number), at)));
    text
}

fn read(data: &[u8]) -> (u8, Side, u32) {
    assert!(data.len() >= HEADER, "a message of {} bytes, which nobody sent", data.len());
    let side = Side::decode(data[1..=Side::BYTES].try_into().expect("a side"));
    let number = u32::from_be_bytes(data[1 + Side::BYTES..HEADER].try_into().expect("a number"));
    let whole = data[HEADER..].iter().enumerate().all(|(at, byte)| *byte == pattern(u64::from(number), at));
    assert!(whole, "message {number} of {side:?} was changed");
    (data[0], side, number)
}

impl Ledger {
    /// A session begins.
    pub fn open(&mut self, side: Side, to: NodeId) {
        let known = self.sessions.insert(side, Sent { to, ..Sent::default() });
        assert!(known.is_none(), "a second session under {side:?}");
    }

    /// A session ends: every tag was answered before.
    pub fn close(&mut self, side: Side) {
        let sent = self.sessions.get_mut(&side).expect("a session that began");
        sent.over = true;
        assert!(sent.tags.is_empty(), "{side:?} ended without a word on {:?}", sent.tags);
    }

    /// A program is killed.
    pub fn kill(&mut self, life: Life) {
        self.killed.insert(life);
        for (side, sent) in self.sessions.range_mut(Side { of: life, peer: PeerId(0) }..) {
            if side.of != life {
                break;
            }
            sent.over = true;
        }
        self.tags.retain(|(of, _), _| *of != life);
    }

    /// The next message for a session, and the tag to send it with; `reliable`: it is a modern one.
    pub fn message(&mut self, side: Side, reliable: bool, len: usize, tagged: bool) -> (Vec<u8>, u64) {
        let sent = self.sessions.get(&side).expect("an open session");
        if tagged {
            self.next_tag += 1;
        }
        let tag = if tagged { self.next_tag } else { 0 };
        (text(if reliable { MESSAGE } else { OLD }, side, sent.accepted + 1, len), tag)
    }

    /// That message was taken.
    pub fn accepted(&mut self, side: Side, reliable: bool, tag: u64) {
        let sent = self.sessions.get_mut(&side).expect("an open session");
        sent.accepted += u32::from(reliable);
        if tag != 0 && reliable {
            sent.tags.insert(tag);
            self.tags.insert((side.of, tag), (side, sent.accepted));
        }
    }

    pub fn datagram(&mut self, side: Side, len: usize) -> Vec<u8> {
        let number = self.datagrams_sent.entry(side).or_default();
        *number += 1;
        text(DATAGRAM, side, *number, len)
    }

    /// A broadcast, and its number.
    pub fn broadcast(&mut self, of: Life, len: usize) -> (Vec<u8>, u32) {
        self.broadcasts += 1;
        (text(BROADCAST, Side { of, peer: PeerId(0) }, self.broadcasts, len), self.broadcasts)
    }

    pub fn heard(&self, life: Life, broadcast: u32) -> bool {
        self.heard.contains_key(&(life, broadcast))
    }

    /// A message, datagram or broadcast arrived.
    pub fn got(&mut self, side: Side, data: &[u8], signed: bool, at: Time) {
        let (kind, from, number) = read(data);
        match kind {
            MESSAGE => {
                let sent = self.sessions.get_mut(&from).unwrap_or_else(|| panic!("a message of {from:?}: no session"));
                assert_eq!(sent.to, side.of.node, "message {number} of {from:?} arrived at another");
                assert_eq!(sent.delivered + 1, number, "of {from:?} at {side:?}: out of order, lost or doubled");
                assert!(number <= sent.accepted, "message {number} of {from:?} was never taken");
                assert_eq!(*sent.at.get_or_insert(side), side, "messages of {from:?} arrive at two sessions");
                sent.delivered = number;
                self.delivered += 1;
                self.bytes += data.len() as u64;
            }
            DATAGRAM => {
                assert!(self.datagrams_sent.get(&from).is_some_and(|sent| number <= *sent), "nobody sent it");
                assert!(self.datagrams_got.insert((from, number)), "datagram {number} of {from:?} came twice");
                self.datagrams += 1;
            }
            BROADCAST => {
                assert!(number <= self.broadcasts && from.of != side.of, "broadcast {number} of {from:?}");
                // A signed one is new again when its unsigned copy came over the old wire long ago (docs/protocol.md).
                let before = self.heard.insert((side.of, number), (signed, at));
                let copy = |(was_signed, then): (bool, Time)| !was_signed && signed && at >= then + BRIDGE_OVERLAP;
                let what = format!("broadcast {number} of {from:?} came to {:?} by {:?}", side.of, side.peer);
                assert!(before.is_none_or(copy), "{what}, signed: {signed}, at {at:?}, and before: {before:?}");
            }
            OLD => {}
            _ => panic!("a message of an unknown kind {kind}"),
        }
    }

    /// A tag was answered.
    pub fn done(&mut self, of: Life, tag: u64, code: Option<Code>) {
        let Some((side, number)) = self.tags.remove(&(of, tag)) else { return };
        let sent = self.sessions.get_mut(&side).expect("a session that began");
        assert!(sent.tags.remove(&tag), "tag {tag} of {side:?} twice");
        match code {
            None => sent.confirmed = sent.confirmed.max(number),
            Some(_) => self.unsent += 1,
        }
    }

    /// All that was taken by sessions that are open has arrived and is answered for, and of those that are over what is
    /// said to have arrived; else what has not.
    pub fn settled(&self) -> Result<(), String> {
        for (side, sent) in &self.sessions {
            let open = !sent.over && (sent.delivered < sent.accepted || !sent.tags.is_empty());
            // Who was killed may have had it and told nobody.
            let killed = match sent.at {
                Some(at) => self.killed.contains(&at.of),
                None => self.killed.iter().any(|life| life.node == sent.to),
            };
            if open || sent.delivered < sent.confirmed && !killed {
                return Err(format!("{side:?}: {sent:?}"));
            }
        }
        Ok(())
    }
}
