//! Puts the clear fragments of old peers together, within bounds.
//!
//! They are unencrypted and unauthenticated; what comes out is marked so. A set is
//! named by its sender; per peer a few are open at a time, the oldest goes first,
//! and the bytes of all peers draw on one total that the caller keeps.

use crate::config::limits::{V12_FRAG_DATA, V12_FRAG_MAX_TOTAL, V12_FRAG_SETS_PER_PEER, V12_FRAG_TIMEOUT};
use crate::wire::frag::Frag;
use std::collections::BTreeMap;
use std::time::Instant;

/// Open sets of one peer.
#[derive(Default)]
pub struct Frags {
    sets: Vec<Set>,
}

struct Set {
    name: [u8; 8],
    total: u16,
    pieces: BTreeMap<u16, Vec<u8>>,
    bytes: usize,
    ends: Instant,
}

impl Frags {
    /// Takes a piece; the message when it was the last. `room` is what all peers may still hold.
    pub fn push(&mut self, now: Instant, frag: &Frag<'_>, room: usize) -> Option<Vec<u8>> {
        if frag.total > V12_FRAG_MAX_TOTAL || frag.data.len() > room {
            return None;
        }
        // Only the last piece may be short: anything else is not what old peers send.
        if frag.index + 1 < frag.total && frag.data.len() != V12_FRAG_DATA {
            return None;
        }
        self.expire(now);
        let at = match self.sets.iter().position(|set| set.name == frag.set) {
            Some(at) => at,
            None => {
                if self.sets.len() >= V12_FRAG_SETS_PER_PEER {
                    self.sets.remove(0);
                }
                self.sets.push(Set {
                    name: frag.set,
                    total: frag.total,
                    pieces: BTreeMap::new(),
                    bytes: 0,
                    ends: now + V12_FRAG_TIMEOUT,
                });
                self.sets.len() - 1
            }
        };
        let set = self.sets.get_mut(at)?;
        if set.total != frag.total {
            return None;
        }
        if let Some(before) = set.pieces.insert(frag.index, frag.data.to_vec()) {
            set.bytes -= before.len();
        }
        set.bytes += frag.data.len();
        if set.pieces.len() < usize::from(set.total) {
            return None;
        }
        let set = self.sets.remove(at);
        Some(set.pieces.into_values().flatten().collect())
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.sets.iter().map(|set| set.bytes).sum()
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        self.sets.iter().map(|set| set.ends).min()
    }

    /// Drops sets whose time ran out; says how many.
    pub fn expire(&mut self, now: Instant) -> usize {
        let before = self.sets.len();
        self.sets.retain(|set| set.ends > now);
        before - self.sets.len()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;

    fn frag(set: u8, index: u16, total: u16, data: &[u8]) -> Frag<'_> {
        Frag { set: [set; 8], index, total, data }
    }

    #[test]
    fn pieces_in_any_order_make_the_message() {
        let (mut frags, now) = (Frags::default(), Instant::now());
        let whole = vec![7; V12_FRAG_DATA];
        assert_eq!(frags.push(now, &frag(1, 2, 3, b"end"), usize::MAX), None);
        assert_eq!(frags.push(now, &frag(1, 0, 3, &whole), usize::MAX), None);
        assert_eq!(frags.push(now, &frag(1, 0, 3, &whole), usize::MAX), None, "a copy");
        assert_eq!(frags.bytes(), V12_FRAG_DATA + 3);
        let message = frags.push(now, &frag(1, 1, 3, &whole), usize::MAX).expect("complete");
        assert_eq!(message.len(), 2 * V12_FRAG_DATA + 3);
        assert_eq!(frags.bytes(), 0);
    }

    #[test]
    fn sets_are_few_and_end() {
        let (mut frags, now) = (Frags::default(), Instant::now());
        let whole = vec![7; V12_FRAG_DATA];
        for set in 0..100 {
            frags.push(now, &frag(set, 0, 2, &whole), usize::MAX);
        }
        assert_eq!(frags.bytes(), V12_FRAG_SETS_PER_PEER * V12_FRAG_DATA);
        assert_eq!(frags.push(now, &frag(200, 0, 2, &whole), V12_FRAG_DATA - 1), None, "no room in total");
        assert_eq!(frags.push(now, &frag(201, 0, u16::MAX, &whole), usize::MAX), None, "too many pieces");
        assert_eq!(frags.push(now, &frag(202, 0, 2, b"short"), usize::MAX), None);
        assert_eq!(frags.expire(frags.poll_deadline().expect("open sets")), V12_FRAG_SETS_PER_PEER);
        assert_eq!(frags.bytes(), 0);
    }
}
