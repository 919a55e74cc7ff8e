//! Answers that keep an old sender's window open.
//!
//! Old peers free one slot of their window for every DATA or PONG they get from the
//! receiver, and a receiver that only listens stalls them after 16 messages. So a few
//! received messages are owed an answer: an empty DATA frame with a used sequence number,
//! or, before one of ours is surely used, a PONG. Never to Rust, which would deliver
//! it, never to our own kind, which has no such window, never for an answer.

use crate::node::api::Family;

/// Owed answers that are let be: PONGs and the application's own messages pay them as well.
const SLACK: u32 = 4;
/// Answers owed at most: the largest window of an old sender.
const OWED_MAX: u32 = 512;

/// What one old sender is owed.
#[derive(Default)]
pub struct Acks {
    owed: u32,
}

impl Acks {
    /// A message arrived.
    pub fn received(&mut self) {
        self.owed = (self.owed + 1).min(OWED_MAX);
    }

    /// A DATA frame of ours paid one.
    pub fn sent_data(&mut self) {
        self.owed = self.owed.saturating_sub(1);
    }

    /// Answers to send now.
    pub fn take(&mut self, family: Family, ours: bool) -> u32 {
        match family {
            Family::Rust => self.owed = 0,
            _ if ours => self.owed = 0,
            Family::JsOrPython | Family::Cpp if self.owed >= SLACK => return std::mem::take(&mut self.owed),
            _ => {}
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_receiver_pays_its_debts_to_those_who_count_them() {
        let mut acks = Acks::default();
        (0..SLACK - 1).for_each(|_| acks.received());
        assert_eq!(acks.take(Family::JsOrPython, false), 0);
        acks.received();
        assert_eq!(acks.take(Family::Unknown, false), 0);
        assert_eq!(acks.take(Family::JsOrPython, false), SLACK);
        assert_eq!(acks.take(Family::JsOrPython, false), 0);
        (0..10_000).for_each(|_| acks.received());
        acks.sent_data();
        assert_eq!(acks.take(Family::Cpp, false), OWED_MAX - 1);
        (0..9).for_each(|_| acks.received());
        assert_eq!(acks.take(Family::Rust, false), 0);
        (0..9).for_each(|_| acks.received());
        assert_eq!(acks.take(Family::Cpp, true), 0, "our own kind");
        assert_eq!(acks.take(Family::Cpp, false), 0);
    }
}
