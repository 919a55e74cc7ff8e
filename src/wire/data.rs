//! DATA: one encrypted message, and the numbered text inside it.
//!
//! On the wire: type, 4 bytes that the old peers call session id, an 8-byte counter,
//! then ciphertext and tag. The first twelve of these are the nonce, which receivers take
//! as it is. Inside: a 4-byte sequence number and the application's bytes. A frame with
//! less than a tag's worth of sealed bytes cannot be authentic and is no frame.

use super::{
    error::{DecodeError, Problem},
    kind,
    reader::Reader,
};

/// Bytes before the sealed part: type and nonce.
pub const DATA_HEADER: usize = 13;
/// Bytes of the Poly1305 tag.
pub const TAG: usize = 16;
/// Bytes that a DATA frame adds to the application's: header, sequence number, tag.
pub const DATA_OVERHEAD: usize = 33;

/// A DATA frame before it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// First four bytes of the nonce; old peers put the session id here and do not read it.
    pub prefix: [u8; 4],
    /// The rest of the nonce.
    pub counter: u64,
    /// Ciphertext and tag, at least the tag.
    pub sealed: &'a [u8],
}

impl<'a> Data<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Data<'a>, DecodeError> {
        let mut reader = Reader::new("DATA", body);
        let prefix = reader.array("session id")?;
        let counter = reader.u64("counter")?;
        let have = reader.len();
        if have < TAG {
            return Err(reader.error("tag", Problem::Short { need: TAG, have }));
        }
        Ok(Data { prefix, counter, sealed: reader.rest() })
    }

    pub fn nonce(&self) -> [u8; 12] {
        nonce(self.prefix, self.counter)
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend(header(self.prefix, self.counter));
        out.extend(self.sealed);
    }
}

/// The nonce of a frame.
pub fn nonce(prefix: [u8; 4], counter: u64) -> [u8; 12] {
    let [a, b, c, d] = prefix;
    let [e, f, g, h, i, j, k, l] = counter.to_be_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l]
}

/// What stands before the sealed part.
pub fn header(prefix: [u8; 4], counter: u64) -> [u8; DATA_HEADER] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = nonce(prefix, counter);
    [kind::DATA, a, b, c, d, e, f, g, h, i, j, k, l]
}

/// Writes what is sealed.
pub fn encode_plaintext(sequence: u32, payload: &[u8], out: &mut Vec<u8>) {
    out.extend(sequence.to_be_bytes());
    out.extend(payload);
}

/// Splits what was opened into sequence number and payload; none if it is too short for a number.
pub fn split_plaintext(plaintext: &[u8]) -> Option<(u32, &[u8])> {
    let (sequence, payload) = plaintext.split_first_chunk()?;
    Some((u32::from_be_bytes(*sequence), payload))
}

#[cfg(test)]
mod tests {
    use super::super::Frame;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shorter_than_a_tag_is_no_frame() {
        let mut frame = header(*b"sess", 7).to_vec();
        frame.extend([0; TAG - 1]);
        assert_eq!(Frame::decode(&frame), Err(DecodeError::new("DATA", "tag", Problem::Short { need: 16, have: 15 })));
        frame.push(0);
        assert_eq!(Frame::decode(&frame), Ok(Frame::Data(Data { prefix: *b"sess", counter: 7, sealed: &[0; 16] })));
        assert_eq!(split_plaintext(&[0, 0, 1]), None);
        assert_eq!(split_plaintext(&[0, 0, 1, 0]), Some((256, &[][..])));
    }

    proptest! {
        #[test]
        fn round_trip(prefix: [u8; 4], counter: u64, sealed in prop::collection::vec(any::<u8>(), TAG..200)) {
            let data = Data { prefix, counter, sealed: &sealed };
            let mut frame = Vec::new();
            data.encode(&mut frame);
            prop_assert_eq!(Frame::decode(&frame), Ok(Frame::Data(data)));
            prop_assert_eq!(&frame[1..13], &data.nonce());
        }

        #[test]
        fn plaintext_round_trip(sequence: u32, payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut plaintext = Vec::new();
            encode_plaintext(sequence, &payload, &mut plaintext);
            prop_assert_eq!(split_plaintext(&plaintext), Some((sequence, &payload[..])));
        }
    }
}
