//! Messages from one peer: cut out of its message stream, in order.
//!
//! In: the bytes of the stream as QUIC has them, `varint length | payload` repeated. Out: whole messages.
//! What arrived in one piece of the stream is delivered as slices of one copy of that
//! piece: one allocation for a whole packet of small messages, and none that holds on to
//! the datagram, which a hostile sender may have filled up with padding. A message in several pieces grows in a buffer
//! of its own, never faster than its bytes come. A large one first draws its whole length from
//! the budget, so that messages that were begun can be ended and do not wait for each
//! other; without room, or when the application takes no more, nothing is read, and
//! QUIC's flow control holds this one peer. Nothing that was read is lost by that.
//! Who keeps room and sends next to nothing is cut off.

use super::budget::Budget;
use super::fault::Fault;
use crate::config::limits::{QUIC_GATHER_BYTES, REASSEMBLY_FREE_BYTES, REASSEMBLY_PACE_BYTES, REASSEMBLY_PATIENCE};
use bytes::{Buf, Bytes};
use quinn_proto::coding::Codec;
use quinn_proto::{Connection, ReadError, ReadableError, StreamId, VarInt};
use std::ops::ControlFlow;
use std::time::Instant;

/// The first buffer of a message that came in pieces.
const FIRST_BUFFER: usize = 2_048;

/// Why `read` returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// All that arrived was delivered; the next datagram may bring more.
    Empty,
    /// The receiver of the messages wanted a pause. To be called again when it takes more.
    Paused,
    /// The next message needs so many bytes of the budget. To be called again when there are some.
    NoRoom(usize),
    /// The peer ended the stream.
    Finished,
}

/// Messages from one peer.
pub struct Inbox {
    stream: StreamId,
    max_message: usize,
    /// Read from QUIC and not yet looked at.
    rest: Bytes,
    state: State,
    finished: bool,
}

enum State {
    /// Before a length, or inside it.
    Length {
        bytes: [u8; VarInt::MAX_SIZE],
        have: usize,
    },
    /// The length is known and its room is not granted.
    Room {
        len: usize,
    },
    Payload(Partial),
}

const START: State = State::Length { bytes: [0; VarInt::MAX_SIZE], have: 0 };

struct Partial {
    data: Vec<u8>,
    len: usize,
    /// Bytes of the budget that it holds.
    held: usize,
    /// Since when we wait for the peer, and what was there then.
    since: Option<Instant>,
    marked: usize,
}

impl Inbox {
    /// Of the stream that the peer opened; its type was read already.
    pub fn new(stream: StreamId, max_message: usize) -> Inbox {
        Inbox { stream, max_message, rest: Bytes::new(), state: START, finished: false }
    }

    /// Delivers what has arrived, until `deliver` breaks off: it has then taken that message, and wants no more for now.
    pub fn read(
        &mut self,
        now: Instant,
        connection: &mut Connection,
        budget: &mut Budget,
        mut deliver: impl FnMut(Bytes) -> ControlFlow<()>,
    ) -> Result<Stopped, Fault> {
        if let Some(stopped) = self.parse(budget, &mut deliver)? {
            return Ok(self.stop(now, stopped));
        }
        if self.finished {
            return Ok(Stopped::Finished);
        }
        let mut stream = connection.recv_stream(self.stream);
        let mut chunks = match stream.read(true) {
            Ok(chunks) => chunks,
            Err(ReadableError::ClosedStream | ReadableError::IllegalOrderedRead) => {
                return Err(Fault::Aborted { code: 0 });
            }
        };
        loop {
            match chunks.next(QUIC_GATHER_BYTES) {
                Ok(Some(chunk)) => {
                    if let Some(stopped) = self.take_chunk(chunk.bytes, budget, &mut deliver)? {
                        return Ok(self.stop(now, stopped));
                    }
                }
                Ok(None) => {
                    self.finished = true;
                    let clean = matches!(self.state, State::Length { have: 0, .. });
                    return if clean { Ok(Stopped::Finished) } else { Err(Fault::CutOff) };
                }
                Err(ReadError::Blocked) => return Ok(self.stop(now, Stopped::Empty)),
                Err(ReadError::Reset(code)) => return Err(Fault::Aborted { code: code.into_inner() }),
            }
        }
    }

    /// When a large message that is not whole will have come too slowly.
    pub fn poll_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Payload(partial) => partial.since.and_then(|since| since.checked_add(REASSEMBLY_PATIENCE)),
            _ => None,
        }
    }

    pub fn handle_timeout(&self, now: Instant) -> Result<(), Fault> {
        match &self.state {
            State::Payload(partial) if self.poll_deadline().is_some_and(|at| at <= now) => {
                Err(Fault::Stalled { have: partial.data.len(), len: partial.len })
            }
            _ => Ok(()),
        }
    }

    /// Nothing is read for now: nobody waits for the peer.
    pub fn pause(&mut self) {
        if let State::Payload(partial) = &mut self.state {
            partial.since = None;
        }
    }

    /// Bytes of the budget in use.
    pub fn held(&self) -> usize {
        match &self.state {
            State::Payload(partial) => partial.held,
            _ => 0,
        }
    }

    /// The connection is gone: gives back what is held of the budget.
    pub fn give_up(self, budget: &mut Budget) {
        budget.give(self.held());
    }

    /// Looks at a piece that was read while nothing is left of the one before.
    fn take_chunk(
        &mut self,
        mut chunk: Bytes,
        budget: &mut Budget,
        deliver: &mut impl FnMut(Bytes) -> ControlFlow<()>,
    ) -> Result<Option<Stopped>, Fault> {
        if let State::Payload(partial) = &mut self.state {
            partial.take(&mut chunk);
        }
        // A copy, see above. What goes into a buffer of its own was taken before.
        self.rest = Bytes::copy_from_slice(&chunk);
        self.parse(budget, deliver)
    }

    /// Delivers what `rest` has. None: it is used up.
    fn parse(
        &mut self,
        budget: &mut Budget,
        deliver: &mut impl FnMut(Bytes) -> ControlFlow<()>,
    ) -> Result<Option<Stopped>, Fault> {
        loop {
            let message = match &mut self.state {
                State::Length { bytes, have } => {
                    let Some(len) = take_length(&mut self.rest, bytes, have) else { return Ok(None) };
                    match usize::try_from(len) {
                        Ok(len) if len <= self.max_message => self.state = State::Room { len },
                        _ => return Err(Fault::TooLarge { len, max: self.max_message }),
                    }
                    continue;
                }
                State::Room { len } if self.rest.len() >= *len => self.rest.split_to(*len),
                State::Room { len } => {
                    let held = if *len > REASSEMBLY_FREE_BYTES { *len } else { 0 };
                    if !budget.take(held) {
                        return Ok(Some(Stopped::NoRoom(held)));
                    }
                    self.state = State::Payload(Partial::new(*len, held));
                    continue;
                }
                State::Payload(partial) => {
                    partial.take(&mut self.rest);
                    if partial.data.len() < partial.len {
                        return Ok(None);
                    }
                    budget.give(partial.held);
                    Bytes::from(std::mem::take(&mut partial.data))
                }
            };
            self.state = START;
            if deliver(message).is_break() {
                return Ok(Some(Stopped::Paused));
            }
        }
    }

    /// Before going back: whether it is the peer that we wait for.
    fn stop(&mut self, now: Instant, stopped: Stopped) -> Stopped {
        if let State::Payload(partial) = &mut self.state {
            partial.wait(now, stopped == Stopped::Empty);
        }
        stopped
    }
}

impl Partial {
    fn new(len: usize, held: usize) -> Partial {
        Partial { data: Vec::new(), len, held, since: None, marked: 0 }
    }

    /// Appends what belongs to it.
    fn take(&mut self, from: &mut Bytes) {
        let missing = self.len.saturating_sub(self.data.len());
        let piece = from.split_to(missing.min(from.len()));
        let need = self.data.len().saturating_add(piece.len());
        if need > self.data.capacity() {
            // Twice what is there, and exactly the length in the end.
            let capacity = need.max(self.data.len().saturating_mul(2)).max(FIRST_BUFFER).min(self.len);
            self.data.reserve_exact(capacity.saturating_sub(self.data.len()));
        }
        self.data.extend_from_slice(&piece);
    }

    /// Only while the peer could send and room is held for it, its time runs; enough bytes start it again.
    fn wait(&mut self, now: Instant, for_peer: bool) {
        let have = self.data.len();
        if !for_peer || self.held == 0 {
            self.since = None;
        } else if self.since.is_none() || have.saturating_sub(self.marked) >= REASSEMBLY_PACE_BYTES {
            self.since = Some(now);
            self.marked = have;
        }
    }
}

/// Takes a length, of which `bytes` has the beginning. None: it is not whole yet.
fn take_length(from: &mut Bytes, bytes: &mut [u8; VarInt::MAX_SIZE], have: &mut usize) -> Option<u64> {
    if *have == 0 {
        // Nearly always it is in one piece.
        let mut rest = from.as_ref();
        if let Ok(len) = VarInt::decode(&mut rest) {
            from.advance(from.len().saturating_sub(rest.len()));
            return Some(len.into_inner());
        }
    }
    while let Some(slot) = bytes.get_mut(*have) {
        if !from.has_remaining() {
            return None;
        }
        *slot = from.get_u8();
        *have = have.saturating_add(1);
        if let Ok(len) = VarInt::decode(&mut bytes.get(..*have).unwrap_or_default()) {
            return Some(len.into_inner());
        }
    }
    // Eight bytes are always a whole length.
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quinn_proto::{Dir, Side};

    proptest! {
        /// However the stream is cut, the same messages come out, and the budget is whole again.
        #[test]
        fn pieces_do_not_matter(
            sizes in prop::collection::vec(prop_oneof![0usize..200, 4_000usize..9_000, 60_000usize..90_000], 1..8),
            cuts in prop::collection::vec(1usize..20_000, 1..20),
            pause: bool,
        ) {
            let messages: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(n, len)| vec![n as u8; *len]).collect();
            let mut bytes = Vec::new();
            for message in &messages {
                VarInt::try_from(message.len()).unwrap().encode(&mut bytes);
                bytes.extend(message);
            }
            let mut inbox = Inbox::new(StreamId::new(Side::Client, Dir::Uni, 0), 90_000);
            let (mut budget, mut got) = (Budget::new(90_000), Vec::new());
            let mut deliver = |message| {
                got.push(message);
                if pause { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let (mut rest, mut cuts) = (Bytes::from(bytes), cuts.into_iter().cycle());
            while !rest.is_empty() {
                let piece = rest.split_to(cuts.next().unwrap().min(rest.len()));
                let mut stopped = inbox.take_chunk(piece, &mut budget, &mut deliver);
                while let Ok(Some(why)) = stopped {
                    prop_assert_eq!(why, Stopped::Paused);
                    stopped = inbox.parse(&mut budget, &mut deliver);
                }
                prop_assert_eq!(stopped, Ok(None));
            }
            prop_assert_eq!(got, messages);
            prop_assert_eq!(budget.free(), 90_000);
        }

        #[test]
        fn any_bytes_are_messages_or_a_fault(pieces in prop::collection::vec(any::<Vec<u8>>(), 0..20)) {
            let mut inbox = Inbox::new(StreamId::new(Side::Client, Dir::Uni, 0), 10_000);
            let mut budget = Budget::new(1_000);
            for piece in pieces {
                match inbox.take_chunk(piece.into(), &mut budget, &mut |_| ControlFlow::Continue(())) {
                    Ok(None) => {}
                    Ok(Some(_)) => prop_assert!(false, "no message that is allowed needs the budget"),
                    Err(Fault::TooLarge { len, .. }) => {
                        prop_assert!(len > 10_000);
                        break;
                    }
                    Err(other) => prop_assert!(false, "{other}"),
                }
            }
            prop_assert_eq!(budget.free(), 1_000);
        }
    }
}
