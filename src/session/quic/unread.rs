//! Streams whose connection ended with something in them that the application has not read.
//!
//! The peer was told that it arrived, and QUIC, which kept it until now, is gone. In: what was left of a stream, reads.
//! Out: the same bytes in order, the end if it had arrived, and then, behind the `Disconnected` of the peer, that the
//! stream is closed. It goes when it was read or is not wanted, and with the swarm. Memory: drawn from
//! the budget of the windows of streams, so that peers that went hold no more than peers that stay; without
//! room the oldest stream goes first, and the application is told.

use super::budget::Budget;
use super::streams::{End, Remains};
use crate::config::limits::QUIC_UNREAD_COST_BYTES;
use crate::node::api::{PeerId, StreamChange, StreamId};
use crate::session::SessionEvent;
use bytes::Bytes;
use std::collections::BTreeMap;

/// All such streams of a swarm.
#[derive(Default)]
pub struct Unread {
    streams: BTreeMap<StreamId, (PeerId, Remains)>,
    /// What the application is to be told.
    told: Vec<SessionEvent>,
}

impl Unread {
    /// Takes over what is left of a stream. False: there is nothing to be read, or no room for it.
    pub fn keep(&mut self, stream: StreamId, peer: PeerId, remains: Remains, windows: &mut Budget) -> bool {
        if remains.bytes == 0 && remains.end.is_none() {
            return false;
        }
        while !windows.take(cost(&remains)) {
            let Some(oldest) = self.streams.keys().next().copied() else { return false };
            self.close(oldest, true, windows);
        }
        self.streams.insert(stream, (peer, remains));
        true
    }

    /// Hands up to `most` bytes to `take`; how many, and the end if nothing else follows. None: it is no such stream.
    pub fn read(
        &mut self,
        stream: StreamId,
        most: usize,
        mut take: impl FnMut(Bytes),
        windows: &mut Budget,
    ) -> Option<(usize, Option<End>)> {
        let (_, remains) = self.streams.get_mut(&stream)?;
        let mut read = 0usize;
        while read < most
            && let Some(first) = remains.pieces.front_mut()
        {
            let piece = first.split_to(first.len().min(most.saturating_sub(read)));
            if first.is_empty() {
                remains.pieces.pop_front();
            }
            read = read.saturating_add(piece.len());
            take(piece);
        }
        remains.bytes = remains.bytes.saturating_sub(read);
        windows.give(read);
        if remains.bytes > 0 {
            return Some((read, None));
        }
        let end = remains.end;
        self.close(stream, end.is_none(), windows);
        Some((read, end))
    }

    /// Nobody wants to read it. False: it is no such stream.
    pub fn stop(&mut self, stream: StreamId, windows: &mut Budget) -> bool {
        self.close(stream, false, windows)
    }

    /// The swarm ends.
    pub fn give_up(&mut self, windows: &mut Budget) {
        while let Some(stream) = self.streams.keys().next().copied() {
            self.close(stream, true, windows);
        }
    }

    pub fn peer_of(&self, stream: StreamId) -> Option<PeerId> {
        self.streams.get(&stream).map(|(peer, _)| *peer)
    }

    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// There is something to tell.
    pub fn has_told(&self) -> bool {
        !self.told.is_empty()
    }

    /// What the application is to be told, in order.
    pub fn take_told(&mut self) -> impl Iterator<Item = SessionEvent> + '_ {
        self.told.drain(..)
    }

    /// `lost`: not all of the peer's direction was read.
    fn close(&mut self, stream: StreamId, lost: bool, windows: &mut Budget) -> bool {
        let Some((peer, remains)) = self.streams.remove(&stream) else { return false };
        windows.give(cost(&remains));
        let reset = match remains.end {
            Some(End::Reset(code)) => Some(code),
            Some(End::Finished) | None => None,
        };
        let change = StreamChange::Closed { reset, lost: lost || !remains.sent };
        self.told.push(SessionEvent::Stream { peer, stream, change });
        true
    }
}

/// What a stream takes of the budget, also when nothing but its end is left.
fn cost(remains: &Remains) -> usize {
    remains.bytes.saturating_add(QUIC_UNREAD_COST_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerId = PeerId(1);

    fn remains(pieces: &[&'static [u8]], end: Option<End>, sent: bool) -> Remains {
        let pieces: std::collections::VecDeque<_> = pieces.iter().map(|piece| Bytes::from_static(piece)).collect();
        let bytes = pieces.iter().map(Bytes::len).sum();
        Remains { pieces, bytes, end, sent, read_short: false, write_short: false }
    }

    fn read(unread: &mut Unread, stream: u64, most: usize, windows: &mut Budget) -> Option<(Vec<u8>, Option<End>)> {
        let mut got = Vec::new();
        let read = unread.read(StreamId(stream), most, |piece| got.extend_from_slice(&piece), windows)?;
        assert_eq!(read.0, got.len());
        Some((got, read.1))
    }

    fn told(unread: &mut Unread) -> Vec<(u64, Option<u64>, bool)> {
        let told = unread.take_told().map(|event| match event {
            SessionEvent::Stream { peer: PEER, stream, change: StreamChange::Closed { reset, lost } } => {
                (stream.0, reset, lost)
            }
            other => panic!("{other:?}"),
        });
        told.collect()
    }

    #[test]
    fn bytes_come_in_order_and_the_end_behind_the_last() {
        let (mut unread, mut windows) = (Unread::default(), Budget::new(10_000));
        let end = Some(End::Finished);
        assert!(unread.keep(StreamId(7), PEER, remains(&[b"hel", b"lo", b" world"], end, true), &mut windows));
        assert_eq!(unread.peer_of(StreamId(7)), Some(PEER));
        assert_eq!(read(&mut unread, 7, 4, &mut windows), Some((b"hell".to_vec(), None)));
        assert!(!unread.has_told());
        assert_eq!(read(&mut unread, 7, 7, &mut windows), Some((b"o world".to_vec(), end)));
        assert_eq!(told(&mut unread), [(7, None, false)]);
        assert_eq!(read(&mut unread, 7, 7, &mut windows), None);
        assert_eq!((unread.len(), windows.free()), (0, 10_000));
    }

    #[test]
    fn what_is_missing_is_said() {
        let (mut unread, mut windows) = (Unread::default(), Budget::new(10_000));
        assert!(!unread.keep(StreamId(1), PEER, remains(&[], None, true), &mut windows), "nothing is left");
        unread.keep(StreamId(2), PEER, remains(&[b"cut off"], None, true), &mut windows);
        unread.keep(StreamId(3), PEER, remains(&[], Some(End::Reset(9)), true), &mut windows);
        unread.keep(StreamId(4), PEER, remains(&[], Some(End::Finished), false), &mut windows);
        unread.keep(StreamId(5), PEER, remains(&[b"not wanted"], None, true), &mut windows);
        unread.keep(StreamId(6), PEER, remains(&[b"too late"], Some(End::Finished), true), &mut windows);
        assert_eq!(read(&mut unread, 2, 100, &mut windows), Some((b"cut off".to_vec(), None)));
        assert_eq!(read(&mut unread, 3, 100, &mut windows), Some((vec![], Some(End::Reset(9)))));
        assert_eq!(read(&mut unread, 4, 100, &mut windows), Some((vec![], Some(End::Finished))));
        assert!(unread.stop(StreamId(5), &mut windows) && !unread.stop(StreamId(5), &mut windows));
        unread.give_up(&mut windows);
        let ends = [(2, None, true), (3, Some(9), false), (4, None, true), (5, None, false), (6, None, true)];
        assert_eq!(told(&mut unread), ends);
        assert_eq!((unread.len(), windows.free()), (0, 10_000));
    }

    #[test]
    fn without_room_the_oldest_goes_and_is_told_of() {
        let (mut unread, mut windows) = (Unread::default(), Budget::new(3 * QUIC_UNREAD_COST_BYTES));
        for stream in 1..=5 {
            assert!(unread.keep(StreamId(stream), PEER, remains(&[], Some(End::Finished), true), &mut windows));
        }
        assert_eq!(told(&mut unread), [(1, None, true), (2, None, true)]);
        assert_eq!((unread.len(), windows.free()), (3, 0));
        // What peers that are there have taken is theirs.
        unread.give_up(&mut windows);
        told(&mut unread);
        assert!(windows.take(2 * QUIC_UNREAD_COST_BYTES));
        unread.keep(StreamId(6), PEER, remains(&[b"all"], None, true), &mut windows);
        assert_eq!((unread.len(), told(&mut unread)), (0, vec![]));
    }
}
