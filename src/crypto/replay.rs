//! Tells a new frame of a v12 peer from one that was seen before.
//!
//! A sliding window over the counter serves while a sender's session lasts. A
//! sender of our kind shows a new session by a new random prefix and a higher
//! counter. An old peer starts its counter over, with the same keys and prefix,
//! whenever it forgot us: only after a handshake that we checked (`reset_allowed`)
//! is a low counter believed, and never for a frame whose tag we remember.
//!
//! The caller decrypts first: only authentic frames get here.

use crate::config::limits::{REPLAY_PREFIXES, REPLAY_TAGS, REPLAY_WINDOW};
use std::collections::VecDeque;

const WORDS: usize = (REPLAY_WINDOW / 64) as usize;

/// What an authentic frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// New, of the session we know.
    Fresh,
    /// New, and the first of a session that the sender began.
    NewSession,
    /// Seen before, or too old to tell.
    Replay,
}

/// Frames of one peer, over all its sessions.
#[derive(Clone, Default)]
pub struct Replay {
    prefix: Option<u32>,
    highest: u64,
    /// Bit `n` of the window: counter `highest - n` was seen.
    seen: [u64; WORDS],
    highest_ever: u64,
    old_prefixes: VecDeque<u32>,
    tags: VecDeque<u64>,
}

impl Replay {
    /// Judges a frame and, unless it is a replay, remembers it. `session_id` is the prefix
    /// that an old peer uses, `tag` the first bytes of the authentication tag.
    pub fn judge(&mut self, prefix: u32, counter: u64, tag: u64, session_id: u32, reset_allowed: bool) -> Verdict {
        let old_kind = prefix == session_id;
        let verdict = match self.prefix {
            None => Verdict::NewSession,
            Some(known) if known == prefix => {
                if !self.was_seen(counter) {
                    Verdict::Fresh
                } else if reset_allowed && old_kind && !self.tags.contains(&tag) {
                    Verdict::NewSession
                } else {
                    Verdict::Replay
                }
            }
            // Also when a recorded frame of a forgotten session seemed to have ended the one that goes on.
            Some(_) if counter > self.highest_ever => Verdict::NewSession,
            Some(_) if reset_allowed && !self.old_prefixes.contains(&prefix) => Verdict::NewSession,
            Some(_) => Verdict::Replay,
        };
        match verdict {
            Verdict::Replay => return verdict,
            Verdict::Fresh => self.mark(counter),
            Verdict::NewSession => {
                // What came before in a session that goes on counts as seen.
                let goes_on = self.old_prefixes.contains(&prefix);
                if let Some(ended) = self.prefix.replace(prefix)
                    && ended != prefix
                {
                    self.old_prefixes.retain(|known| *known != prefix);
                    push_bounded(&mut self.old_prefixes, ended, REPLAY_PREFIXES);
                }
                self.highest = counter;
                self.seen = if goes_on { [u64::MAX; WORDS] } else { [0; WORDS] };
                self.seen[0] |= 1;
            }
        }
        self.highest_ever = self.highest_ever.max(counter);
        if old_kind {
            push_bounded(&mut self.tags, tag, REPLAY_TAGS);
        }
        verdict
    }

    /// No frame was judged yet.
    pub fn is_empty(&self) -> bool {
        self.prefix.is_none()
    }

    /// The sender uses a prefix of its own making, as our kind does.
    pub fn sender_is_ours(&self, session_id: u32) -> bool {
        self.prefix.is_some_and(|prefix| prefix != session_id)
    }

    fn was_seen(&self, counter: u64) -> bool {
        let Some(age) = self.highest.checked_sub(counter) else { return false };
        match self.seen.get((age / 64) as usize) {
            Some(word) => word >> (age % 64) & 1 == 1,
            None => true,
        }
    }

    fn mark(&mut self, counter: u64) {
        match self.highest.checked_sub(counter) {
            Some(age) => {
                if let Some(word) = self.seen.get_mut((age / 64) as usize) {
                    *word |= 1 << (age % 64);
                }
            }
            None => {
                self.shift(counter - self.highest);
                self.highest = counter;
                self.seen[0] |= 1;
            }
        }
    }

    fn shift(&mut self, by: u64) {
        if by >= REPLAY_WINDOW {
            self.seen = [0; WORDS];
            return;
        }
        let (words, bits) = ((by / 64) as usize, by % 64);
        for i in (0..WORDS).rev() {
            let high = if i >= words { self.seen[i - words] } else { 0 };
            let low = if bits > 0 && i > words { self.seen[i - words - 1] >> (64 - bits) } else { 0 };
            self.seen[i] = high << bits | low;
        }
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, limit: usize) {
    if queue.len() >= limit {
        queue.pop_front();
    }
    queue.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const OLD: u32 = 1;

    #[test]
    fn a_frame_counts_once_in_any_order() {
        let mut replay = Replay::default();
        assert_eq!(replay.judge(9, 100, 0, OLD, false), Verdict::NewSession);
        for counter in [101, 103, 102, 99, 98 + REPLAY_WINDOW] {
            assert_eq!(replay.judge(9, counter, counter, OLD, false), Verdict::Fresh, "{counter}");
            assert_eq!(replay.judge(9, counter, counter, OLD, false), Verdict::Replay, "{counter}");
        }
        assert_eq!(replay.judge(9, 50, 0, OLD, true), Verdict::Replay, "older than the window");
    }

    #[test]
    fn our_kind_begins_a_session_with_a_new_prefix_and_a_higher_counter() {
        let mut replay = Replay::default();
        replay.judge(5, 1_000, 0, OLD, false);
        assert_eq!(replay.judge(6, 900, 1, OLD, false), Verdict::Replay);
        assert_eq!(replay.judge(6, 2_000, 1, OLD, false), Verdict::NewSession);
        assert_eq!(replay.judge(5, 1_999, 2, OLD, true), Verdict::Replay, "an ended session stays ended");
        assert_eq!(
            replay.judge(7, 10, 3, OLD, true),
            Verdict::NewSession,
            "the clock stepped back, the handshake is proven"
        );
    }

    #[test]
    fn a_recorded_frame_of_a_forgotten_session_does_not_make_the_present_one_deaf() {
        let mut replay = Replay::default();
        for counter in 2_000..2_010 {
            replay.judge(7, counter, counter, OLD, false);
        }
        // A forged HELLO, answered by the peer's own PONG, makes lower counters believed.
        assert_eq!(replay.judge(3, 500, 1, OLD, true), Verdict::NewSession);
        assert_eq!(replay.judge(7, 2_010, 2, OLD, false), Verdict::NewSession, "it goes on");
        assert_eq!(replay.judge(7, 2_011, 3, OLD, false), Verdict::Fresh);
        for counter in 2_000..2_012 {
            assert_eq!(replay.judge(7, counter, counter, OLD, true), Verdict::Replay, "{counter}");
        }
        assert_eq!(replay.judge(3, 500, 1, OLD, true), Verdict::Replay);
    }

    #[test]
    fn an_old_peer_starts_over_only_after_a_checked_handshake() {
        let mut replay = Replay::default();
        for counter in 0..10 {
            replay.judge(OLD, counter, 100 + counter, OLD, false);
        }
        assert_eq!(replay.judge(OLD, 0, 555, OLD, false), Verdict::Replay);
        assert_eq!(replay.judge(OLD, 0, 100, OLD, true), Verdict::Replay, "its tag is remembered");
        assert_eq!(replay.judge(OLD, 0, 555, OLD, true), Verdict::NewSession);
        assert_eq!(replay.judge(OLD, 1, 556, OLD, false), Verdict::Fresh);
    }

    proptest! {
        #[test]
        fn nothing_is_taken_twice_whatever_the_order_of_sessions(
            frames in prop::collection::vec((2u32..6, 0u64..100, any::<bool>()), 1..400)
        ) {
            let mut replay = Replay::default();
            let mut accepted = HashSet::new();
            for (prefix, counter, reset) in frames {
                if replay.judge(prefix, counter, counter, OLD, reset) != Verdict::Replay {
                    prop_assert!(accepted.insert((prefix, counter)));
                }
            }
        }

        #[test]
        fn never_fresh_twice(counters in prop::collection::vec(0u64..6_000, 1..400)) {
            let mut replay = Replay::default();
            let mut accepted = HashSet::new();
            for counter in counters {
                if replay.judge(3, counter, counter, OLD, false) != Verdict::Replay {
                    prop_assert!(accepted.insert(counter));
                }
            }
        }
    }
}
