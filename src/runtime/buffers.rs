//! Memory of long runs of received datagrams, used again.
//!
//! In: what was received. Out: buffers the node may split, keep and drop on any thread.
//! What an application reads is dropped on its thread, which on many systems gives the memory back
//! at once: each run would begin with page faults that cost more than all else about it.
//! Invariants: a buffer is used again only when nobody has a part of it any more; at most
//! `RUN_BUFFERS` are kept. Runs that would fill less than half of one get memory of their own
//! size, so that what a peer makes us hold stays within twice what it sent.

use crate::config::limits::RUN_BUFFERS;
use bytes::BytesMut;
use std::collections::VecDeque;

/// Room for the largest datagram, and for the longest run that the kernel joins.
pub const RUN_BYTES: usize = 1 << 16;

#[derive(Default)]
pub struct Runs {
    /// An empty part of each buffer, the one given out longest ago first.
    kept: VecDeque<BytesMut>,
}

impl Runs {
    /// A copy of what was received.
    pub fn copy(&mut self, bytes: &[u8]) -> BytesMut {
        if bytes.len() < RUN_BYTES / 2 {
            return BytesMut::from(bytes);
        }
        let Some(mut buffer) = self.take() else { return BytesMut::from(bytes) };
        buffer.extend_from_slice(bytes);
        let run = buffer.split();
        self.kept.push_back(buffer);
        run
    }

    /// The buffer that was given out longest ago if it came back, a new one if there may be one more.
    fn take(&mut self) -> Option<BytesMut> {
        if let Some(mut oldest) = self.kept.pop_front() {
            if oldest.try_reclaim(RUN_BYTES) {
                return Some(oldest);
            }
            self.kept.push_back(oldest);
        }
        (self.kept.len() < RUN_BUFFERS).then(|| BytesMut::with_capacity(RUN_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static LONG: [u8; RUN_BYTES] = [7; RUN_BYTES];

    #[test]
    fn memory_that_came_back_is_used_again() {
        let mut runs = Runs::default();
        let mut run = runs.copy(&LONG);
        let (part, memory) = (run.split_to(1_200).freeze(), run.as_ptr());
        drop(run);
        assert_eq!(runs.copy(&LONG), LONG[..], "somebody has a part of the first buffer: this is another one");
        assert_eq!(runs.kept.len(), 2);
        assert_eq!(part, LONG[..1_200]);
        drop(part);
        let again = [runs.copy(&LONG[1..]), runs.copy(&LONG[1..])];
        assert!(again.iter().any(|run| run.as_ptr_range().contains(&memory)));
        assert!(again.iter().all(|run| *run == LONG[1..]));
        assert_eq!(runs.kept.len(), 2);
    }

    #[test]
    fn no_more_is_kept_than_the_limit_and_short_runs_keep_nothing() {
        let mut runs = Runs::default();
        assert_eq!(runs.copy(&LONG[..RUN_BYTES / 2 - 1]).len(), RUN_BYTES / 2 - 1);
        assert_eq!(runs.kept.len(), 0);
        let held: Vec<BytesMut> = std::iter::repeat_with(|| runs.copy(&LONG)).take(2 * RUN_BUFFERS).collect();
        assert_eq!(runs.kept.len(), RUN_BUFFERS);
        assert!(held.iter().all(|run| *run == LONG[..]));
        drop(held);
        assert_eq!(runs.copy(&LONG), LONG[..]);
        assert_eq!(runs.kept.len(), RUN_BUFFERS);
    }
}
