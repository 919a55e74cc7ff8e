//! FRAG: one piece of a message that an old peer sends unencrypted.
//!
//! Type, 8 random bytes that name the set, index and total, then at most 1,188 bytes
//! in clear. A piece beyond its total, an empty piece and one that is too large are
//! no frames: old peers crash on some of these and never send them. Writing is for an
//! application that asked for clear fragments, and cuts as the old peers do.

use super::{
    error::{DecodeError, EncodeError, Problem},
    kind,
    reader::Reader,
};
use crate::config::limits::V12_FRAG_DATA;

/// One piece of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frag<'a> {
    /// Names the set among those of its sender.
    pub set: [u8; 8],
    /// Below `total`.
    pub index: u16,
    pub total: u16,
    /// 1 to [`V12_FRAG_DATA`] bytes.
    pub data: &'a [u8],
}

impl<'a> Frag<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Frag<'a>, DecodeError> {
        let mut reader = Reader::new("FRAG", body);
        let set = reader.array("set")?;
        let index = reader.u16("index")?;
        let total = reader.u16("total")?;
        let wrong = reader.error("index", Problem::Range(u64::from(index)));
        let length = match reader.len() {
            0 => Some(Problem::Short { need: 1, have: 0 }),
            have if have > V12_FRAG_DATA => Some(Problem::Long { have, most: V12_FRAG_DATA }),
            _ => None,
        };
        if index >= total {
            return Err(wrong);
        }
        match length {
            Some(problem) => Err(reader.error("data", problem)),
            None => Ok(Frag { set, index, total, data: reader.rest() }),
        }
    }

    /// Writes one piece; refuses what `decode` refuses.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.index >= self.total {
            return Err(EncodeError::new("FRAG", "index", usize::from(self.index)));
        }
        if self.data.is_empty() || self.data.len() > V12_FRAG_DATA {
            return Err(EncodeError::new("FRAG", "bytes of data", self.data.len()));
        }
        out.push(kind::FRAG);
        out.extend(self.set);
        out.extend(self.index.to_be_bytes());
        out.extend(self.total.to_be_bytes());
        out.extend(self.data);
        Ok(())
    }

    /// Cuts a message into pieces; none if it is empty or needs more pieces than can be numbered.
    pub fn split(set: [u8; 8], message: &'a [u8]) -> Option<impl Iterator<Item = Frag<'a>>> {
        let total = u16::try_from(message.len().div_ceil(V12_FRAG_DATA)).ok().filter(|total| *total > 0)?;
        Some((0..total).zip(message.chunks(V12_FRAG_DATA)).map(move |(index, data)| Frag { set, index, total, data }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Frame;
    use super::*;
    use proptest::prelude::*;

    fn bytes(frag: Frag<'_>) -> Vec<u8> {
        let mut frame = vec![kind::FRAG];
        frame.extend(frag.set);
        frame.extend(frag.index.to_be_bytes());
        frame.extend(frag.total.to_be_bytes());
        frame.extend(frag.data);
        frame
    }

    #[test]
    fn pieces_that_cannot_be_are_refused_both_ways() {
        let large = [0; V12_FRAG_DATA + 1];
        for (index, total, data, field) in [
            (0, 0, &b"x"[..], "index"),
            (5, 1, b"x", "index"),
            (5, 5, b"x", "index"),
            (0, 1, b"", "data"),
            (0, 1, &large, "data"),
        ] {
            let frag = Frag { set: [1; 8], index, total, data };
            assert_eq!(Frame::decode(&bytes(frag)).unwrap_err().field, field);
            let mut out = Vec::new();
            assert!(frag.encode(&mut out).is_err());
            assert!(out.is_empty());
        }
        assert!(Frame::decode(&[kind::FRAG; 12]).is_err());
    }

    #[test]
    fn a_message_has_a_first_and_a_largest_number_of_pieces() {
        assert!(Frag::split([0; 8], b"").is_none());
        let most = vec![0; V12_FRAG_DATA * usize::from(u16::MAX) + 1];
        assert!(Frag::split([0; 8], &most).is_none());
        assert_eq!(Frag::split([0; 8], &most[1..]).unwrap().count(), usize::from(u16::MAX));
    }

    proptest! {
        #[test]
        fn round_trip(set: [u8; 8], message in prop::collection::vec(any::<u8>(), 1..6_000)) {
            let mut joined: Vec<u8> = Vec::new();
            for frag in Frag::split(set, &message).unwrap() {
                let mut frame = Vec::new();
                frag.encode(&mut frame).unwrap();
                prop_assert_eq!(Frame::decode(&frame), Ok(Frame::Frag(frag)));
                joined.extend(frag.data);
            }
            prop_assert_eq!(joined, message);
        }
    }
}
