//! BATCH: several frames in one datagram.
//!
//! Type, a count, then for each frame its length in two bytes and its bytes. Reading stops
//! at the count, or at the first length that does not fit, as the old peers do. A batch
//! inside a batch is passed over: it has no honest use and old peers can be crashed by it.
//! We never send one, because Rust peers ignore it; `encode` is for models of the peers that do.

use super::{
    error::{DecodeError, EncodeError},
    kind,
    reader::Reader,
};

/// The frames of one datagram, not yet looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    left: u8,
    reader: Reader<'a>,
}

impl<'a> Batch<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Batch<'a>, DecodeError> {
        let mut reader = Reader::new("BATCH", body);
        Ok(Batch { left: reader.u8("count")?, reader })
    }

    /// The inner frames; at most 255, none empty, none a batch.
    pub fn frames(self) -> Frames<'a> {
        Frames { batch: self }
    }
}

/// Goes through a [`Batch`]; every step consumes at least two bytes.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    batch: Batch<'a>,
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            self.batch.left = self.batch.left.checked_sub(1)?;
            let length = self.batch.reader.u16("length").ok();
            let frame = length.and_then(|length| self.batch.reader.bytes("frame", usize::from(length)).ok());
            match frame {
                // Nothing after a broken length can be trusted.
                None => self.batch.left = 0,
                Some([] | [kind::BATCH, ..]) => {}
                Some(frame) => return Some(frame),
            }
        }
    }
}

/// Wraps frames into one datagram.
pub fn encode(frames: &[&[u8]], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let count = u8::try_from(frames.len()).map_err(|_| EncodeError::new("BATCH", "number of frames", frames.len()))?;
    for frame in frames {
        if frame.is_empty() || frame.first() == Some(&kind::BATCH) || u16::try_from(frame.len()).is_err() {
            return Err(EncodeError::new("BATCH", "frame of bytes", frame.len()));
        }
    }
    out.extend([kind::BATCH, count]);
    for frame in frames {
        // The lengths were checked above.
        out.extend(u16::try_from(frame.len()).unwrap_or_default().to_be_bytes());
        out.extend(*frame);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Frame;
    use super::*;
    use proptest::prelude::*;

    fn frames(datagram: &[u8]) -> Vec<&[u8]> {
        match Frame::decode(datagram) {
            Ok(Frame::Batch(batch)) => batch.frames().collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn stops_at_the_count_and_at_the_first_length_that_does_not_fit() {
        assert_eq!(frames(&[0x13, 2, 0, 1, 0x0a, 0, 2, 3, 3]), [&[0x0a][..], &[3, 3]]);
        assert_eq!(frames(&[0x13, 1, 0, 1, 0x0a, 0, 2, 3, 3]), [&[0x0a][..]]);
        assert_eq!(frames(&[0x13, 9, 0, 1, 0x0a, 0, 3, 3, 3]), [&[0x0a][..]]);
        assert_eq!(frames(&[0x13, 9, 0, 1, 0x0a, 0]), [&[0x0a][..]]);
        assert_eq!(frames(&[0x13, 3, 0, 1, 0x0a, 0, 9, 0, 1, 0x0a]), [&[0x0a][..]]);
        assert!(frames(&[0x13, 0]).is_empty());
        assert!(frames(&[0x13, 255]).is_empty());
        assert!(Frame::decode(&[0x13]).is_err());
    }

    #[test]
    fn a_batch_in_a_batch_and_an_empty_frame_are_passed_over() {
        assert_eq!(frames(&[0x13, 3, 0, 4, 0x13, 1, 0, 1, 0, 0, 0, 1, 0x0a]), [&[0x0a][..]]);
        let mut out = Vec::new();
        assert!(encode(&[&[0x13, 0]], &mut out).is_err());
        assert!(encode(&[&[]], &mut out).is_err());
        assert!(encode(&[&[3; 65_536]], &mut out).is_err());
        assert!(encode(&[&[3][..]; 256], &mut out).is_err());
        assert!(out.is_empty());
    }

    #[test]
    fn sixteen_thousand_levels_are_one_level() {
        let mut datagram = vec![0x13, 0];
        for _ in 0..16_000 {
            let length = u16::try_from(datagram.len()).unwrap();
            let mut outer = vec![0x13, 1];
            outer.extend(length.to_be_bytes());
            if outer.len() + datagram.len() > 65_000 {
                break;
            }
            outer.extend(&datagram);
            datagram = outer;
        }
        assert!(frames(&datagram).is_empty());
    }

    proptest! {
        #[test]
        fn round_trip(inner in prop::collection::vec(prop::collection::vec(0x14u8.., 1..50), 0..40)) {
            let inner: Vec<&[u8]> = inner.iter().map(Vec::as_slice).collect();
            let mut datagram = Vec::new();
            encode(&inner, &mut datagram).unwrap();
            prop_assert_eq!(frames(&datagram), inner);
        }
    }
}
