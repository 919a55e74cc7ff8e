//! Received DATA in order: a small buffer that waits for what is missing, but not long.
//!
//! A gap is waited for, then skipped; what arrives after all is delivered late rather
//! than lost, and nothing is delivered twice. Senders repeat frames with the same
//! sequence number on purpose, so a number that was delivered is no event.

use crate::config::limits::{JITTER_MAX_BYTES, JITTER_MAX_FRAMES, JITTER_WAIT};
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// Skipped numbers that are remembered, so that a late frame can still be told from a repeat.
const LATE_WINDOW: u32 = 1_024;

/// The receiving order of one session of one peer.
#[derive(Default)]
pub struct Rx {
    /// The number expected next: all below were delivered or skipped.
    next: u32,
    waiting: BTreeMap<u32, Vec<u8>>,
    waiting_bytes: usize,
    /// Skipped numbers that may still come, oldest first.
    skipped: VecDeque<u32>,
    /// The number that is missing, and until when it is waited for.
    gap: Option<(u32, Instant)>,
}

/// What a frame was.
#[derive(Debug, PartialEq, Eq)]
pub enum Pushed {
    /// These messages are next, in order. May be none: the frame waits for an earlier one.
    Deliver(Vec<Vec<u8>>),
    /// Its number was delivered before.
    Duplicate,
    /// The buffer is full: the frame is lost.
    Overflow,
}

impl Rx {
    /// Takes a frame.
    pub fn push(&mut self, now: Instant, sequence: u32, payload: Vec<u8>) -> Pushed {
        if self.is_past(sequence) {
            return match self.skipped.iter().position(|skipped| *skipped == sequence) {
                Some(at) => {
                    self.skipped.remove(at);
                    Pushed::Deliver(vec![payload])
                }
                None => Pushed::Duplicate,
            };
        }
        if self.waiting.contains_key(&sequence) {
            return Pushed::Duplicate;
        }
        let mut delivered = Vec::new();
        if !self.has_room(payload.len()) {
            delivered = self.skip();
        }
        if !self.has_room(payload.len()) {
            return Pushed::Overflow;
        }
        self.waiting_bytes += payload.len();
        self.waiting.insert(sequence, payload);
        self.drain(&mut delivered);
        self.watch_gap(now);
        Pushed::Deliver(delivered)
    }

    /// Whether a number was used before: an empty payload with one only acknowledges.
    pub fn is_past(&self, sequence: u32) -> bool {
        sequence < self.next
    }

    /// The deadline of the gap that is waited for.
    pub fn poll_deadline(&self) -> Option<Instant> {
        self.gap.map(|(_, until)| until)
    }

    /// Messages behind a gap that was waited for long enough.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Vec<u8>> {
        if self.poll_deadline().is_none_or(|until| until > now) {
            return Vec::new();
        }
        let delivered = self.skip();
        self.watch_gap(now);
        delivered
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.waiting_bytes
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.waiting.len() < JITTER_MAX_FRAMES && self.waiting_bytes.saturating_add(bytes) <= JITTER_MAX_BYTES
    }

    /// Goes on behind the gap.
    fn skip(&mut self) -> Vec<Vec<u8>> {
        let mut delivered = Vec::new();
        if let Some(first) = self.waiting.keys().next().copied() {
            for missing in first.saturating_sub(LATE_WINDOW).max(self.next)..first {
                if self.skipped.len() >= LATE_WINDOW as usize {
                    self.skipped.pop_front();
                }
                self.skipped.push_back(missing);
            }
            self.next = first;
            self.drain(&mut delivered);
        }
        delivered
    }

    fn drain(&mut self, delivered: &mut Vec<Vec<u8>>) {
        while let Some(payload) = self.waiting.remove(&self.next) {
            self.waiting_bytes -= payload.len();
            delivered.push(payload);
            self.next = self.next.saturating_add(1);
        }
    }

    fn watch_gap(&mut self, now: Instant) {
        if self.waiting.is_empty() {
            self.gap = None;
        } else if self.gap.is_none_or(|(missing, _)| missing != self.next) {
            self.gap = Some((self.next, now + JITTER_WAIT));
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(pushed: Pushed) -> Vec<u8> {
        match pushed {
            Pushed::Deliver(list) => list.concat(),
            Pushed::Duplicate => b"=".to_vec(),
            Pushed::Overflow => b"!".to_vec(),
        }
    }

    #[test]
    fn order_is_restored_and_repeats_vanish() {
        let (mut rx, now) = (Rx::default(), Instant::now());
        assert_eq!(text(rx.push(now, 0, b"a".to_vec())), b"a");
        assert_eq!(text(rx.push(now, 2, b"c".to_vec())), b"");
        assert_eq!(text(rx.push(now, 2, b"c".to_vec())), b"=");
        assert_eq!(text(rx.push(now, 1, b"b".to_vec())), b"bc");
        assert_eq!(text(rx.push(now, 1, b"b".to_vec())), b"=");
        assert_eq!(rx.poll_deadline(), None);
    }

    #[test]
    fn a_gap_is_skipped_once_and_the_late_one_still_comes() {
        let (mut rx, now) = (Rx::default(), Instant::now());
        rx.push(now, 1, b"b".to_vec());
        rx.push(now, 3, b"d".to_vec());
        assert_eq!(rx.handle_timeout(now), Vec::<Vec<u8>>::new());
        let at = rx.poll_deadline().expect("a gap");
        assert_eq!(rx.handle_timeout(at).concat(), b"b");
        let at = rx.poll_deadline().expect("the second gap");
        assert_eq!(rx.handle_timeout(at).concat(), b"d");
        assert_eq!(text(rx.push(at, 4, b"e".to_vec())), b"e", "no lasting delay");
        assert_eq!(text(rx.push(at, 0, b"a".to_vec())), b"a");
        assert_eq!(text(rx.push(at, 0, b"a".to_vec())), b"=");
    }

    #[test]
    fn a_hostile_sender_fills_a_bounded_buffer() {
        let (mut rx, now) = (Rx::default(), Instant::now());
        for n in 0..100_000u32 {
            rx.push(now, n.wrapping_mul(2_654_435_761) | 1, vec![0; 1_000]);
            assert!(rx.waiting.len() <= JITTER_MAX_FRAMES && rx.bytes() <= JITTER_MAX_BYTES);
            assert!(rx.skipped.len() <= LATE_WINDOW as usize);
        }
    }

    proptest! {
        #[test]
        fn each_number_is_delivered_at_most_once(numbers in prop::collection::vec(0u32..300, 1..400)) {
            let (mut rx, now) = (Rx::default(), Instant::now());
            let mut seen = std::collections::HashSet::new();
            for (i, number) in numbers.into_iter().enumerate() {
                let at = now + JITTER_WAIT / 7 * i as u32;
                let mut out = rx.handle_timeout(at);
                if let Pushed::Deliver(list) = rx.push(at, number, number.to_be_bytes().to_vec()) {
                    out.extend(list);
                }
                for message in out {
                    prop_assert!(seen.insert(message));
                }
            }
        }
    }
}
