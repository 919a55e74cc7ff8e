//! PING, PONG and GOAWAY: is the other side still there.
//!
//! A PING carries its sender's time and 20-byte id. JavaScript, Python and Rust peers
//! answer with their own id, C++ peers send the PING back: the form of the PONG
//! is kept, because it tells the families apart. Old receivers take any PING or PONG
//! of two bytes and more, so shorter ones than ours are read as far as they go.
//! Time and id are claims of the sender; nothing here is authenticated.

use super::{error::DecodeError, kind, reader::Reader};
use crate::crypto::identity::{LegacyId, WireId};

/// Bytes of the PING that is sent, and of a PONG that echoes it.
pub const PING_BYTES: usize = 29;
/// Bytes of the PONG that is sent.
pub const PONG_BYTES: usize = 21;

/// The GOAWAY that is sent: JavaScript and Python peers ignore the one-byte form.
/// Never to a C++ peer, which dies of it.
pub const GOAWAY: [u8; 2] = [kind::GOAWAY, 0];

/// A PING, as far as it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// The sender's clock; opaque.
    pub timestamp: Option<u64>,
    /// Who sends it.
    pub id: Option<WireId>,
}

impl Ping {
    pub(super) fn decode(body: &[u8]) -> Result<Ping, DecodeError> {
        let mut reader = Reader::new("PING", body);
        // One byte at least, as for the old peers.
        reader.clone().u8("timestamp")?;
        let timestamp = reader.u64("timestamp").ok();
        let id = timestamp.and_then(|_| reader.array("id").ok());
        Ok(Ping { timestamp, id })
    }
}

/// The PING that is sent.
pub fn encode_ping(timestamp: u64, id: &LegacyId) -> [u8; PING_BYTES] {
    let mut frame = [kind::PING; PING_BYTES];
    for (byte, value) in frame.iter_mut().skip(1).zip(timestamp.to_be_bytes().iter().chain(id)) {
        *byte = *value;
    }
    frame
}

/// A PONG, by its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pong {
    /// 21 bytes: the answering peer's id (JavaScript, Python, Rust).
    Id(LegacyId),
    /// 29 bytes: time and id of the PING it answers (C++).
    Echo { timestamp: u64, id: LegacyId },
    /// Any other length: an answer that says nothing more.
    Other,
}

impl Pong {
    pub(super) fn decode(body: &[u8]) -> Result<Pong, DecodeError> {
        let mut reader = Reader::new("PONG", body);
        reader.clone().u8("id")?;
        Ok(match body.len() {
            20 => Pong::Id(reader.array("id")?),
            28 => Pong::Echo { timestamp: reader.u64("timestamp")?, id: reader.array("id")? },
            _ => Pong::Other,
        })
    }
}

/// The PONG that is sent.
pub fn encode_pong(id: &LegacyId) -> [u8; PONG_BYTES] {
    let mut frame = [kind::PONG; PONG_BYTES];
    for (byte, value) in frame.iter_mut().skip(1).zip(id) {
        *byte = *value;
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::super::{Frame, Problem};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn short_pings_are_read_as_far_as_they_go() {
        let frame = encode_ping(5, &[7; 20]);
        let read = |length: usize| match Frame::decode(&frame[..length]) {
            Ok(Frame::Ping(ping)) => Ok((ping.timestamp, ping.id)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.problem),
        };
        assert_eq!(read(1), Err(Problem::Short { need: 1, have: 0 }));
        assert_eq!(read(2), Ok((None, None)));
        assert_eq!(read(8), Ok((None, None)));
        assert_eq!(read(9), Ok((Some(5), None)));
        assert_eq!(read(16), Ok((Some(5), None)));
        assert_eq!(read(17), Ok((Some(5), Some([7; 8]))));
        assert_eq!(read(29), Ok((Some(5), Some([7; 8]))));
    }

    #[test]
    fn the_form_of_a_pong_is_its_length() {
        let mut frame = encode_ping(5, &[7; 20]).to_vec();
        frame[0] = kind::PONG;
        assert_eq!(Frame::decode(&frame), Ok(Frame::Pong(Pong::Echo { timestamp: 5, id: [7; 20] })));
        for length in 2..40 {
            frame.resize(length, 7);
            let form = Frame::decode(&frame).unwrap();
            let other = form == Frame::Pong(Pong::Other);
            assert_eq!(other, length != PONG_BYTES && length != PING_BYTES, "{length}");
        }
        assert!(Frame::decode(&frame[..1]).is_err());
    }

    #[test]
    fn goaway_is_read_in_any_length_and_written_in_two_bytes() {
        assert_eq!(GOAWAY, [0x0a, 0]);
        for length in 1..4 {
            assert_eq!(Frame::decode(&[0x0a, 1, 2][..length]), Ok(Frame::Goaway));
        }
    }

    proptest! {
        #[test]
        fn round_trip(timestamp: u64, id: [u8; 20]) {
            let short = crate::crypto::identity::wire_id(&id);
            let ping = Ping { timestamp: Some(timestamp), id: Some(short) };
            let (asks, answers) = (encode_ping(timestamp, &id), encode_pong(&id));
            prop_assert_eq!(Frame::decode(&asks), Ok(Frame::Ping(ping)));
            prop_assert_eq!(Frame::decode(&answers), Ok(Frame::Pong(Pong::Id(id))));
        }
    }
}
