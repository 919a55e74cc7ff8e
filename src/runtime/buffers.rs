//! Copies of long runs of received datagrams and of long writes, in memory that is used again.
//!
//! In: what was received, or written. Out: copies the node may split, keep and drop on any thread.
//! One thread makes them and another one drops them, upon which many systems take the memory back
//! at once: each copy would begin with page faults that cost more than the copy.
//! Invariants: a buffer is used again only when nobody has a part of it any more; at most
//! `COPY_BUFFERS` are kept. What would fill less than half of one gets memory of its own
//! size, so that what a peer makes us hold stays within twice what it sent; so does what is larger than one.

use crate::config::limits::COPY_BUFFERS;
use bytes::BytesMut;
use std::collections::VecDeque;

/// Room for the largest datagram, for the longest run that the kernel joins, and for one piece of a write.
pub const COPY_BYTES: usize = 1 << 16;

#[derive(Default)]
pub struct Buffers {
    /// An empty part of each buffer, the one given out longest ago first.
    kept: VecDeque<BytesMut>,
}

impl Buffers {
    /// A copy, in a buffer of which it is the only part.
    pub fn copy(&mut self, bytes: &[u8]) -> BytesMut {
        if !(COPY_BYTES / 2..=COPY_BYTES).contains(&bytes.len()) {
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
            if oldest.try_reclaim(COPY_BYTES) {
                return Some(oldest);
            }
            self.kept.push_back(oldest);
        }
        (self.kept.len() < COPY_BUFFERS).then(|| BytesMut::with_capacity(COPY_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static LONG: [u8; COPY_BYTES] = [7; COPY_BYTES];

    #[test]
    fn memory_that_came_back_is_used_again() {
        let mut buffers = Buffers::default();
        let mut run = buffers.copy(&LONG);
        let (part, memory) = (run.split_to(1_200).freeze(), run.as_ptr());
        drop(run);
        assert_eq!(buffers.copy(&LONG), LONG[..], "somebody has a part of the first buffer: this is another one");
        assert_eq!(buffers.kept.len(), 2);
        assert_eq!(part, LONG[..1_200]);
        drop(part);
        let again = [buffers.copy(&LONG[1..]), buffers.copy(&LONG[1..])];
        assert!(again.iter().any(|run| run.as_ptr_range().contains(&memory)));
        assert!(again.iter().all(|run| *run == LONG[1..]));
        assert_eq!(buffers.kept.len(), 2);
    }

    #[test]
    fn no_more_is_kept_than_the_limit_and_short_runs_keep_nothing() {
        let mut buffers = Buffers::default();
        assert_eq!(buffers.copy(&LONG[..COPY_BYTES / 2 - 1]).len(), COPY_BYTES / 2 - 1);
        assert_eq!(buffers.kept.len(), 0);
        let held: Vec<BytesMut> = std::iter::repeat_with(|| buffers.copy(&LONG)).take(2 * COPY_BUFFERS).collect();
        assert_eq!(buffers.kept.len(), COPY_BUFFERS);
        assert!(held.iter().all(|run| *run == LONG[..]));
        drop(held);
        assert_eq!(buffers.copy(&LONG), LONG[..]);
        assert_eq!(buffers.kept.len(), COPY_BUFFERS);
    }
}
