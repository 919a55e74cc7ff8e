//! What is kept of peers that were connected: enough to tell a replay, and to go on counting.

use crate::config::limits::{V12_PEER_TIMEOUT, V12_REMEMBERED_SESSIONS};
use crate::crypto::identity::WireId;
use crate::crypto::replay::Replay;
use crate::node::api::Family;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// A session that ended.
pub struct Known {
    pub replay: Replay,
    ended: Instant,
    next_sequence: u32,
    pub family: Family,
}

impl Known {
    /// The sequence number to go on with. A peer that missed our goodbye keeps its entry for a while, and
    /// drops numbers it had; JavaScript and Python take any number after them, C++ only the next.
    pub fn next_sequence(&self, now: Instant) -> u32 {
        let remembers = now.saturating_duration_since(self.ended) < V12_PEER_TIMEOUT;
        if self.family != Family::Rust && remembers { self.next_sequence } else { 0 }
    }
}

/// The newest ended sessions.
#[derive(Default)]
pub struct Memory {
    sessions: BTreeMap<WireId, Known>,
    order: VecDeque<WireId>,
}

impl Memory {
    pub fn keep(&mut self, now: Instant, id: WireId, replay: Replay, next_sequence: u32, family: Family) {
        self.take(&id);
        if self.order.len() >= V12_REMEMBERED_SESSIONS {
            // Those of whom no frame ever decrypted first: anyone can make many of them.
            let empty = |id: &WireId| self.sessions.get(id).is_none_or(|known| known.replay.is_empty());
            let oldest = self.order.iter().position(empty).unwrap_or(0);
            if let Some(oldest) = self.order.remove(oldest) {
                self.sessions.remove(&oldest);
            }
        }
        self.order.push_back(id);
        self.sessions.insert(id, Known { replay, ended: now, next_sequence, family });
    }

    pub fn take(&mut self, id: &WireId) -> Option<Known> {
        let known = self.sessions.remove(id)?;
        self.order.retain(|other| other != id);
        Some(known)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_number_the_oldest_goes_first() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        for n in 0..=V12_REMEMBERED_SESSIONS as u64 {
            memory.keep(now, n.to_be_bytes(), Replay::default(), 7, Family::Cpp);
        }
        assert!(memory.take(&0u64.to_be_bytes()).is_none());
        let known = memory.take(&1u64.to_be_bytes()).expect("kept");
        assert_eq!(known.next_sequence(now), 7);
        assert_eq!(known.next_sequence(now + V12_PEER_TIMEOUT), 0);
        assert_eq!(memory.order.len(), memory.sessions.len());
    }

    #[test]
    fn those_who_proved_nothing_push_out_nobody_who_did() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let mut replay = Replay::default();
        replay.judge(1, 1, 1, 2, false);
        memory.keep(now, [9; 8], replay, 0, Family::JsOrPython);
        for n in 0..=2 * V12_REMEMBERED_SESSIONS as u64 {
            memory.keep(now, n.to_be_bytes(), Replay::default(), 0, Family::Unknown);
        }
        assert!(memory.order.len() <= V12_REMEMBERED_SESSIONS);
        assert!(memory.take(&[9; 8]).is_some());
    }
}
