//! QUIC frames (RFC 9000, section 19, and RFC 9221) as far as they carry something, put together again.

use crate::packets::varint;
use std::collections::BTreeMap;

/// Bytes at their places in a stream.
#[derive(Debug, Default)]
struct Pieces(BTreeMap<usize, Vec<u8>>);

impl Pieces {
    fn add(&mut self, offset: usize, bytes: &[u8]) {
        let known = self.0.entry(offset).or_default();
        if known.len() < bytes.len() {
            *known = bytes.to_vec();
        }
    }

    /// All of it; there must be no gap.
    fn join(&self) -> Vec<u8> {
        let mut whole: Vec<u8> = Vec::new();
        for (offset, bytes) in &self.0 {
            assert!(*offset <= whole.len(), "nothing of the stream came between {} and {offset}", whole.len());
            whole.extend(bytes.iter().skip(whole.len() - offset));
        }
        whole
    }
}

/// What one side sent in one space.
#[derive(Debug, Default)]
pub struct Content {
    crypto: Pieces,
    streams: BTreeMap<u64, Pieces>,
    pub datagrams: Vec<Vec<u8>>,
}

impl Content {
    /// What these packets carried.
    pub fn of<'a>(payloads: impl Iterator<Item = &'a [u8]>) -> Content {
        let mut content = Content::default();
        for mut payload in payloads {
            while !payload.is_empty() {
                let before = payload;
                assert!(
                    content.frame(&mut payload).is_some(),
                    "no frame of QUIC: {:02x?}",
                    &before[..before.len().min(40)]
                );
            }
        }
        content
    }

    /// Messages of TLS.
    pub fn crypto(&self) -> Vec<u8> {
        self.crypto.join()
    }

    /// The streams by their ids.
    pub fn streams(&self) -> BTreeMap<u64, Vec<u8>> {
        self.streams.iter().map(|(id, pieces)| (*id, pieces.join())).collect()
    }

    fn frame(&mut self, rest: &mut &[u8]) -> Option<()> {
        let kind = varint(rest)?;
        // How many numbers there are, for frames that are nothing else.
        let numbers = match kind {
            // The last is IMMEDIATE_ACK of the extension for acknowledgements, which quinn-proto speaks with its own kind.
            0x00 | 0x01 | 0x1e | 0x1f => 0,
            0x10 | 0x12..=0x14 | 0x16 | 0x17 | 0x19 => 1,
            0x05 | 0x11 | 0x15 => 2,
            0x04 => 3,
            0x02 | 0x03 => {
                let [_largest, _delay, ranges, _first] = [(); 4].map(|()| varint(rest));
                2 * ranges? + if kind == 0x03 { 3 } else { 0 }
            }
            0x06 => {
                let (offset, length) = (varint(rest)?, varint(rest)?);
                self.crypto.add(offset as usize, take(rest, length)?);
                0
            }
            0x08..=0x0f => {
                let id = varint(rest)?;
                let offset = if kind & 4 != 0 { varint(rest)? } else { 0 };
                let length = if kind & 2 != 0 { varint(rest)? } else { rest.len() as u64 };
                self.streams.entry(id).or_default().add(offset as usize, take(rest, length)?);
                0
            }
            0x18 => {
                let [_sequence, _retire] = [(); 2].map(|()| varint(rest));
                let length = u64::from(*take(rest, 1)?.first()?);
                take(rest, length + 16)?;
                0
            }
            0x1a | 0x1b => {
                take(rest, 8)?;
                0
            }
            0x1c | 0x1d => {
                varint(rest)?;
                if kind == 0x1c {
                    varint(rest)?;
                }
                let length = varint(rest)?;
                take(rest, length)?;
                0
            }
            0x30 | 0x31 => {
                let length = if kind == 0x31 { varint(rest)? } else { rest.len() as u64 };
                self.datagrams.push(take(rest, length)?.to_vec());
                0
            }
            _ => return None,
        };
        for _ in 0..numbers {
            varint(rest)?;
        }
        Some(())
    }
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length as usize)?;
    *rest = after;
    Some(taken)
}
