//! HAVE, WANT, CHUNK and CHUNK_ACK: values that peers keep for each other.
//!
//! Keys are 1 to 255 bytes, by custom UTF-8. A value of up to 900 bytes travels in one CHUNK,
//! a larger one in numbered pieces of 900 bytes. All of it is in clear and unauthenticated;
//! whether a chunk was asked for is for the store to know. A piece beyond its total, an
//! empty one and one that is too large are no frames: old peers crash on some of these.

use super::{
    error::{DecodeError, EncodeError, Problem},
    kind,
    reader::Reader,
};
use crate::config::limits::V12_CHUNK_DATA;

/// The length field of a CHUNK that holds a piece and not a whole value.
const PIECE: u16 = 0xFFFF;

/// HAVE: the keys of values that its sender keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Have<'a> {
    left: u8,
    reader: Reader<'a>,
}

impl<'a> Have<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Have<'a>, DecodeError> {
        let mut reader = Reader::new("HAVE", body);
        Ok(Have { left: reader.u8("count")?, reader })
    }

    /// The keys, up to the first that is cut off; at most 255, none empty.
    pub fn keys(mut self) -> impl Iterator<Item = &'a [u8]> {
        (0..self.left).map_while(move |_| self.reader.short_bytes("key").ok()).filter(|key| !key.is_empty())
    }
}

/// Writes a HAVE.
pub fn encode_have(keys: &[&[u8]], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let count = u8::try_from(keys.len()).map_err(|_| EncodeError::new("HAVE", "keys", keys.len()))?;
    for key in keys {
        key_length("HAVE", key)?;
    }
    out.extend([kind::HAVE, count]);
    for key in keys {
        out.push(key_length("HAVE", key)?);
        out.extend(*key);
    }
    Ok(())
}

/// WANT: asks for the value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want<'a> {
    pub key: &'a [u8],
}

impl<'a> Want<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Want<'a>, DecodeError> {
        Ok(Want { key: read_key(&mut Reader::new("WANT", body))? })
    }

    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let length = key_length("WANT", self.key)?;
        out.extend([kind::WANT, length]);
        out.extend(self.key);
        Ok(())
    }
}

/// CHUNK: a value, or a piece of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    pub key: &'a [u8],
    pub content: Content<'a>,
}

/// What a CHUNK holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    Whole(&'a [u8]),
    /// `index` is below `total`; `data` has 1 to 900 bytes.
    Piece {
        index: u16,
        total: u16,
        data: &'a [u8],
    },
}

impl<'a> Chunk<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Chunk<'a>, DecodeError> {
        let mut reader = Reader::new("CHUNK", body);
        let key = read_key(&mut reader)?;
        let length = reader.u16("length")?;
        if length != PIECE {
            return Ok(Chunk { key, content: Content::Whole(reader.bytes("value", usize::from(length))?) });
        }
        let index = reader.u16("index")?;
        let total = reader.u16("total")?;
        if index >= total {
            return Err(reader.error("index", Problem::Range(u64::from(index))));
        }
        match reader.len() {
            0 => Err(reader.error("data", Problem::Short { need: 1, have: 0 })),
            have if have > V12_CHUNK_DATA => Err(reader.error("data", Problem::Long { have, most: V12_CHUNK_DATA })),
            _ => Ok(Chunk { key, content: Content::Piece { index, total, data: reader.rest() } }),
        }
    }

    /// Writes one CHUNK; refuses what `decode` refuses.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let key_length = key_length("CHUNK", self.key)?;
        let (length, data) = match self.content {
            Content::Whole(value) => match u16::try_from(value.len()) {
                Ok(PIECE) | Err(_) => return Err(EncodeError::new("CHUNK", "bytes of value", value.len())),
                Ok(length) => (length, value),
            },
            Content::Piece { index, total, .. } if index >= total => {
                return Err(EncodeError::new("CHUNK", "index", usize::from(index)));
            }
            Content::Piece { data, .. } if data.is_empty() || data.len() > V12_CHUNK_DATA => {
                return Err(EncodeError::new("CHUNK", "bytes of data", data.len()));
            }
            Content::Piece { data, .. } => (PIECE, data),
        };
        out.extend([kind::CHUNK, key_length]);
        out.extend(self.key);
        out.extend(length.to_be_bytes());
        if let Content::Piece { index, total, .. } = self.content {
            out.extend(index.to_be_bytes());
            out.extend(total.to_be_bytes());
        }
        out.extend(data);
        Ok(())
    }

    /// Cuts a value into CHUNKs as the old peers do; none if it needs more than can be numbered.
    pub fn split(key: &'a [u8], value: &'a [u8]) -> Option<impl Iterator<Item = Chunk<'a>>> {
        let total = u16::try_from(value.len().div_ceil(V12_CHUNK_DATA)).ok()?;
        let whole = (total <= 1).then_some(Chunk { key, content: Content::Whole(value) });
        let pieces = (0..total).zip(value.chunks(V12_CHUNK_DATA)).filter(move |_| total > 1);
        Some(
            whole
                .into_iter()
                .chain(pieces.map(move |(index, data)| Chunk { key, content: Content::Piece { index, total, data } })),
        )
    }
}

/// CHUNK_ACK: a piece arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkAck<'a> {
    pub key: &'a [u8],
    pub index: u16,
}

impl<'a> ChunkAck<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<ChunkAck<'a>, DecodeError> {
        let mut reader = Reader::new("CHUNK_ACK", body);
        Ok(ChunkAck { key: read_key(&mut reader)?, index: reader.u16("index")? })
    }

    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let length = key_length("CHUNK_ACK", self.key)?;
        out.extend([kind::CHUNK_ACK, length]);
        out.extend(self.key);
        out.extend(self.index.to_be_bytes());
        Ok(())
    }
}

fn read_key<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    match reader.short_bytes("key")? {
        [] => Err(reader.error("key length", Problem::Range(0))),
        key => Ok(key),
    }
}

fn key_length(frame: &'static str, key: &[u8]) -> Result<u8, EncodeError> {
    let length = u8::try_from(key.len()).ok().filter(|length| *length > 0);
    length.ok_or(EncodeError::new(frame, "bytes of key", key.len()))
}

#[cfg(test)]
mod tests {
    use super::super::Frame;
    use super::*;
    use proptest::prelude::*;

    fn keys(frame: &[u8]) -> Vec<&[u8]> {
        match Frame::decode(frame) {
            Ok(Frame::Have(have)) => have.keys().collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn keys_are_read_up_to_the_first_that_is_cut_off() {
        assert_eq!(keys(&[0x10, 2, 1, b'a', 2, b'b', b'c']), [&b"a"[..], b"bc"]);
        assert_eq!(keys(&[0x10, 9, 1, b'a', 0, 1, b'b', 3, b'c']), [&b"a"[..], b"b"]);
        assert_eq!(keys(&[0x10, 1, 1, b'a', 1, b'b']), [&b"a"[..]]);
        assert!(keys(&[0x10, 255]).is_empty());
        assert!(Frame::decode(&[0x10]).is_err());
    }

    #[test]
    fn frames_that_kill_old_peers_are_refused_both_ways() {
        let large = [0; V12_CHUNK_DATA + 1];
        for (index, total, data, field) in
            [(5, 1, &b"x"[..], "index"), (0, 0, b"x", "index"), (0, 1, b"", "data"), (0, 1, &large, "data")]
        {
            let mut frame = vec![0x12, 1, b'k', 0xff, 0xff];
            frame.extend([index, total].map(u16::to_be_bytes).as_flattened());
            frame.extend(data);
            assert_eq!(Frame::decode(&frame).unwrap_err().field, field);
            let mut out = Vec::new();
            assert!(Chunk { key: b"k", content: Content::Piece { index, total, data } }.encode(&mut out).is_err());
            assert!(out.is_empty());
        }
    }

    #[test]
    fn keys_and_values_have_limits() {
        let long = [b'k'; 256];
        let mut out = Vec::new();
        for key in [&b""[..], &long] {
            assert!(encode_have(&[b"k", key], &mut out).is_err());
            assert!(Want { key }.encode(&mut out).is_err());
            assert!(Chunk { key, content: Content::Whole(b"") }.encode(&mut out).is_err());
            assert!(ChunkAck { key, index: 0 }.encode(&mut out).is_err());
        }
        assert!(encode_have(&[&b"k"[..]; 256], &mut out).is_err());
        let value = vec![0; 0xffff];
        assert!(Chunk { key: b"k", content: Content::Whole(&value) }.encode(&mut out).is_err());
        assert!(out.is_empty());
        for frame in
            [&[0x11, 0][..], &[0x11, 2, b'k'], &[0x12, 1, b'k', 0, 2, 1], &[0x14, 1, b'k', 0], &[0x12, 1, b'k']]
        {
            assert!(Frame::decode(frame).is_err(), "{frame:?}");
        }
        let most = vec![0; V12_CHUNK_DATA * 65_535 + 1];
        assert!(Chunk::split(b"k", &most).is_none());
        assert_eq!(Chunk::split(b"k", &most[1..]).unwrap().count(), 65_535);
    }

    proptest! {
        #[test]
        fn keys_round_trip(all in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..256), 0..64), index: u16) {
            let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
            let mut frame = Vec::new();
            encode_have(&all, &mut frame).unwrap();
            prop_assert_eq!(keys(&frame), all.clone());
            for key in all {
                frame.clear();
                Want { key }.encode(&mut frame).unwrap();
                prop_assert_eq!(Frame::decode(&frame), Ok(Frame::Want(Want { key })));
                frame.clear();
                ChunkAck { key, index }.encode(&mut frame).unwrap();
                prop_assert_eq!(Frame::decode(&frame), Ok(Frame::ChunkAck(ChunkAck { key, index })));
            }
        }

        #[test]
        fn values_round_trip(value in prop::collection::vec(any::<u8>(), 0..5_000)) {
            let mut joined: Vec<u8> = Vec::new();
            for chunk in Chunk::split(b"key", &value).unwrap() {
                let mut frame = Vec::new();
                chunk.encode(&mut frame).unwrap();
                prop_assert_eq!(Frame::decode(&frame), Ok(Frame::Chunk(chunk)));
                match chunk.content {
                    Content::Whole(data) | Content::Piece { data, .. } => joined.extend(data),
                }
            }
            prop_assert_eq!(joined, value);
        }
    }
}
