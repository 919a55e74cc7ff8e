//! The variable-length integer of QUIC (RFC 9000, section 16).
//!
//! The two highest bits of the first byte say how long it is: 1, 2, 4 or 8 bytes; the rest is the
//! value, big endian, up to 2^62 - 1. It is written as short as it goes and read in
//! any length, as in QUIC.

use super::super::{
    error::{DecodeError, EncodeError, Problem},
    reader::Reader,
};

/// The largest value.
pub const MAX: u64 = (1 << 62) - 1;

/// The value at the beginning of `bytes` and how many bytes it took; none if it is not whole yet.
pub fn decode(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let value = match first >> 6 {
        0 => u64::from(first),
        1 => u64::from(u16::from_be_bytes(*bytes.first_chunk()?)) & 0x3FFF,
        2 => u64::from(u32::from_be_bytes(*bytes.first_chunk()?)) & 0x3FFF_FFFF,
        _ => u64::from_be_bytes(*bytes.first_chunk()?) & MAX,
    };
    Some((value, 1 << (first >> 6)))
}

/// Writes a value; one above [`MAX`] has no form.
pub fn encode(value: u64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match value {
        0..0x40 => out.push(value as u8),
        0x40..0x4000 => out.extend((0x4000 | value as u16).to_be_bytes()),
        0x4000..0x4000_0000 => out.extend((0x8000_0000 | value as u32).to_be_bytes()),
        0x4000_0000..=MAX => out.extend((0xC000_0000_0000_0000 | value).to_be_bytes()),
        _ => return Err(EncodeError::new("varint", "value", usize::try_from(value).unwrap_or(usize::MAX))),
    }
    Ok(())
}

/// Reads a field of a frame.
pub(super) fn read(reader: &mut Reader<'_>, field: &'static str) -> Result<u64, DecodeError> {
    let need = reader.rest().first().map_or(1, |first| 1 << (first >> 6));
    let short = reader.error(field, Problem::Short { need, have: reader.len() });
    let (value, taken) = decode(reader.rest()).ok_or(short)?;
    reader.bytes(field, taken)?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        encode(value, &mut out).expect("in range");
        out
    }

    #[test]
    fn the_examples_of_the_rfc() {
        for (value, bytes) in [
            (151_288_809_941_952_652, &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c][..]),
            (494_878_333, &[0x9d, 0x7f, 0x3e, 0x7d]),
            (15_293, &[0x7b, 0xbd]),
            (37, &[0x25]),
        ] {
            assert_eq!(encoded(value), bytes);
            assert_eq!(decode(bytes), Some((value, bytes.len())));
        }
        assert_eq!(decode(&[0x40, 0x25]), Some((37, 2)), "longer than needed is read too");
    }

    #[test]
    fn every_length_at_its_ends() {
        for (value, length) in [
            (0, 1),
            (1, 1),
            (63, 1),
            (64, 2),
            (16_383, 2),
            (16_384, 4),
            ((1 << 30) - 1, 4),
            (1 << 30, 8),
            (MAX - 1, 8),
            (MAX, 8),
        ] {
            let bytes = encoded(value);
            assert_eq!(bytes.len(), length, "{value}");
            assert_eq!(decode(&bytes), Some((value, length)));
            for cut in 0..length {
                assert_eq!(decode(&bytes[..cut]), None, "{value} in {cut} bytes");
            }
        }
        let mut out = Vec::new();
        assert!(encode(MAX + 1, &mut out).is_err() && encode(u64::MAX, &mut out).is_err());
        assert!(out.is_empty());
    }

    #[test]
    fn a_field_that_is_cut_off_is_named() {
        let mut reader = Reader::new("TEST", &[0x25, 0x80, 1]);
        assert_eq!(read(&mut reader, "a"), Ok(37));
        assert_eq!(read(&mut reader, "b"), Err(DecodeError::new("TEST", "b", Problem::Short { need: 4, have: 2 })));
        assert_eq!(reader.rest(), &[0x80, 1]);
    }

    proptest! {
        #[test]
        fn round_trip(value in 0..=MAX, tail: Vec<u8>) {
            let mut bytes = encoded(value);
            let length = bytes.len();
            bytes.extend(tail);
            prop_assert_eq!(decode(&bytes), Some((value, length)));
        }
    }
}
