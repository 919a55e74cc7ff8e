//! DATA: one encrypted message, and the numbered text inside it.
//!
//! On the wire: type, the 12-byte nonce, then ciphertext and tag. Receivers take the
//! nonce as it is; what its two parts mean is in `crypto::v12`, which also seals and opens.
//! Inside: a 4-byte sequence number and the application's bytes. A frame with
//! less than a tag's worth of sealed bytes cannot be authentic and is no frame.

use super::{
    error::{DecodeError, Problem},
    kind,
    reader::Reader,
};
use crate::crypto::v12::{NONCE_LEN, SEQUENCE_LEN, TAG_LEN};

/// Bytes that a DATA frame adds to the application's: type, nonce, sequence number, tag.
pub const DATA_OVERHEAD: usize = 1 + NONCE_LEN + SEQUENCE_LEN + TAG_LEN;

/// A DATA frame, sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    pub nonce: [u8; NONCE_LEN],
    /// Ciphertext and tag, at least the tag.
    pub sealed: &'a [u8],
}

impl<'a> Data<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Data<'a>, DecodeError> {
        let mut reader = Reader::new("DATA", body);
        let nonce = reader.array("nonce")?;
        match reader.len() {
            have if have < TAG_LEN => Err(reader.error("tag", Problem::Short { need: TAG_LEN, have })),
            _ => Ok(Data { nonce, sealed: reader.rest() }),
        }
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(kind::DATA);
        out.extend(self.nonce);
        out.extend(self.sealed);
    }
}

/// Splits what was opened into sequence number and payload; none if it is too short for a number.
pub fn split_plaintext(plaintext: &[u8]) -> Option<(u32, &[u8])> {
    let (sequence, payload) = plaintext.split_first_chunk::<SEQUENCE_LEN>()?;
    Some((u32::from_be_bytes(*sequence), payload))
}

#[cfg(test)]
mod tests {
    use super::super::Frame;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shorter_than_a_tag_is_no_frame() {
        let mut frame = vec![kind::DATA; 1 + NONCE_LEN + TAG_LEN - 1];
        let short = DecodeError::new("DATA", "tag", Problem::Short { need: 16, have: 15 });
        assert_eq!(Frame::decode(&frame), Err(short));
        frame.push(kind::DATA);
        assert_eq!(Frame::decode(&frame), Ok(Frame::Data(Data { nonce: [1; NONCE_LEN], sealed: &[1; TAG_LEN] })));
        assert!(Frame::decode(&frame[..12]).is_err());
    }

    #[test]
    fn the_sequence_number_stands_before_the_payload() {
        assert_eq!(split_plaintext(&[0, 0, 1]), None);
        assert_eq!(split_plaintext(&[0, 0, 1, 0]), Some((256, &[][..])));
        assert_eq!(split_plaintext(b"\0\0\0\x07hi"), Some((7, &b"hi"[..])));
    }

    proptest! {
        #[test]
        fn round_trip(nonce: [u8; NONCE_LEN], sealed in prop::collection::vec(any::<u8>(), TAG_LEN..200)) {
            let data = Data { nonce, sealed: &sealed };
            let mut frame = Vec::new();
            data.encode(&mut frame);
            prop_assert_eq!(Frame::decode(&frame), Ok(Frame::Data(data)));
        }
    }
}
