//! PEX: a peer tells which other peers it knows.
//!
//! Two layouts with one type byte. JavaScript, Python and C++ write each id and address
//! with a length before it, the address as text; Rust peers write 14 fixed bytes.
//! They are told apart by their shape: the second is exactly 2 + 14 x count bytes long, the
//! first has ids of 8 bytes and ends exactly with the datagram; to be both, all its addresses
//! would have two characters. Entries whose address is none, or unspecified, or has port 0
//! are passed over; whether one may be dialled is decided elsewhere.

use super::{
    error::{DecodeError, EncodeError, Problem},
    kind,
    reader::{Reader, dial_address, leads_somewhere},
};
use crate::crypto::identity::WireId;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Bytes of an id in the layout with lengths; always written, the only one read.
const ID_BYTES: usize = 8;
/// Bytes of an entry in the fixed layout.
const FIXED_ENTRY: usize = 14;

/// Which of the two layouts a frame has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// JavaScript, Python, C++: lengths and text.
    Prefixed,
    /// Rust: fixed entries. Its sender is a Rust peer.
    Fixed,
}

/// A peer that another one told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: WireId,
    pub address: SocketAddr,
}

/// A PEX frame in one of its layouts; iterate with [`Pex::entries`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pex<'a> {
    pub layout: Layout,
    /// Whole entries of `layout`, nothing else.
    reader: Reader<'a>,
}

impl<'a> Pex<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Pex<'a>, DecodeError> {
        let mut reader = Reader::new("PEX", body);
        let count = reader.u8("count")?;
        let fixed = usize::from(count).checked_mul(FIXED_ENTRY) == Some(reader.len());
        let layout = if fixed && count > 0 {
            Layout::Fixed
        } else if is_prefixed(reader, count) {
            Layout::Prefixed
        } else {
            return Err(reader.error("entries", Problem::Layout));
        };
        Ok(Pex { layout, reader })
    }

    /// The peers told of; at most 255.
    pub fn entries(self) -> Entries<'a> {
        Entries { pex: self }
    }
}

fn is_prefixed(mut reader: Reader<'_>, count: u8) -> bool {
    (0..count).all(|_| prefixed_fields(&mut reader).is_ok()) && reader.end().is_ok()
}

/// Id, text of the address, port.
fn prefixed_fields<'a>(reader: &mut Reader<'a>) -> Result<(WireId, &'a [u8], u16), DecodeError> {
    let length = reader.u8("id length")?;
    if usize::from(length) != ID_BYTES {
        return Err(reader.error("id length", Problem::Range(u64::from(length))));
    }
    Ok((reader.array("id")?, reader.short_bytes("address")?, reader.u16("port")?))
}

/// Goes through a [`Pex`]; every step consumes an entry.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    pex: Pex<'a>,
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        let reader = &mut self.pex.reader;
        loop {
            let (id, address) = match self.pex.layout {
                Layout::Prefixed => {
                    let (id, text, port) = prefixed_fields(reader).ok()?;
                    (id, dial_address(text, port))
                }
                Layout::Fixed => {
                    let id = reader.array("id").ok()?;
                    let ip = Ipv4Addr::from(reader.array::<4>("address").ok()?);
                    let address = SocketAddr::from((ip, reader.u16("port").ok()?));
                    (id, Some(address).filter(leads_somewhere))
                }
            };
            if let Some(address) = address {
                return Some(Entry { id, address });
            }
        }
    }
}

/// Writes the layout with lengths. Never to a Rust peer, which would dial addresses made of its text.
pub fn encode(entries: &[Entry], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    begin(entries, out)?;
    for entry in entries {
        let text = entry.address.ip().to_string();
        out.push(8);
        out.extend(entry.id);
        // The text of an address is at most 45 bytes.
        out.push(u8::try_from(text.len()).unwrap_or_default());
        out.extend(text.as_bytes());
        out.extend(entry.address.port().to_be_bytes());
    }
    Ok(())
}

/// Writes the fixed layout, as Rust peers do; IPv4 only.
pub fn encode_fixed(entries: &[Entry], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if let Some(entry) = entries.iter().find(|entry| entry.address.is_ipv6()) {
        return Err(EncodeError::new("PEX", "an IPv6 address with port", usize::from(entry.address.port())));
    }
    begin(entries, out)?;
    for entry in entries {
        if let IpAddr::V4(ip) = entry.address.ip() {
            out.extend(entry.id);
            out.extend(ip.octets());
            out.extend(entry.address.port().to_be_bytes());
        }
    }
    Ok(())
}

fn begin(entries: &[Entry], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if let Some(entry) = entries.iter().find(|entry| !leads_somewhere(&entry.address)) {
        return Err(EncodeError::new("PEX", "an unspecified address or port", usize::from(entry.address.port())));
    }
    let count = u8::try_from(entries.len()).map_err(|_| EncodeError::new("PEX", "entries", entries.len()))?;
    out.extend([kind::PEX, count]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Frame;
    use super::*;
    use proptest::prelude::*;

    fn read(frame: &[u8]) -> Result<(Layout, Vec<Entry>), DecodeError> {
        match Frame::decode(frame)? {
            Frame::Pex(pex) => Ok((pex.layout, pex.entries().collect())),
            other => panic!("{other:?}"),
        }
    }

    fn entry(address: &str) -> Entry {
        Entry { id: [0xab; 8], address: address.parse().unwrap() }
    }

    #[test]
    fn neither_layout_is_no_frame() {
        let mut frame = Vec::new();
        encode(&[entry("10.1.2.3:4"), entry("[::1]:5")], &mut frame).unwrap();
        assert_eq!(read(&frame), Ok((Layout::Prefixed, vec![entry("10.1.2.3:4"), entry("[::1]:5")])));
        // Cut to the length of the other layout it would be one of those.
        for length in (1..frame.len()).filter(|length| *length != 2 + 2 * FIXED_ENTRY) {
            assert!(read(&frame[..length]).is_err(), "{length}");
        }
        frame.push(0);
        assert!(read(&frame).is_err());
        assert_eq!(read(&[0x30, 0]), Ok((Layout::Prefixed, vec![])));
    }

    #[test]
    fn entries_that_lead_nowhere_are_passed_over() {
        let mut frame = vec![0x30, 4];
        for (text, port) in [("10.0.0.999", 1u16), ("10.0.0.9", 0), ("::", 7), ("10.0.0.9", 7)] {
            frame.push(8);
            frame.extend([0xab; 8]);
            frame.push(u8::try_from(text.len()).unwrap());
            frame.extend(text.as_bytes());
            frame.extend(port.to_be_bytes());
        }
        assert_eq!(read(&frame), Ok((Layout::Prefixed, vec![entry("10.0.0.9:7")])));
        let mut fixed = vec![0x30, 2];
        fixed.extend([0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 10, 0, 0, 9, 0, 0]);
        fixed.extend([0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 0xab, 10, 0, 0, 9, 0, 7]);
        assert_eq!(read(&fixed), Ok((Layout::Fixed, vec![entry("10.0.0.9:7")])));
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        let mut out = Vec::new();
        assert!(encode(&[entry("10.0.0.1:0")], &mut out).is_err());
        assert!(encode(&[entry("[::]:1")], &mut out).is_err());
        assert!(encode(&[entry("10.0.0.1:1"); 256], &mut out).is_err());
        assert!(encode_fixed(&[entry("[::1]:1")], &mut out).is_err());
        assert!(out.is_empty());
    }

    fn entries() -> impl Strategy<Value = Vec<(WireId, bool, [u8; 16], u16)>> {
        prop::collection::vec((any::<WireId>(), any::<bool>(), any::<[u8; 16]>(), 1u16..), 0..30)
    }

    proptest! {
        #[test]
        fn round_trip(raw in entries()) {
            let mut all: Vec<Entry> = raw
                .iter()
                .map(|(id, six, ip, port)| {
                    let four = IpAddr::from([ip[0], ip[1], ip[2], ip[3]]);
                    let ip = if *six { IpAddr::from(*ip) } else { four };
                    Entry { id: *id, address: SocketAddr::new(ip, *port) }
                })
                .collect();
            all.retain(|entry| leads_somewhere(&entry.address));
            let mut frame = Vec::new();
            encode(&all, &mut frame).unwrap();
            prop_assert_eq!(read(&frame), Ok((Layout::Prefixed, all.clone())));

            let four: Vec<Entry> = all.into_iter().filter(|entry| entry.address.is_ipv4()).collect();
            frame.clear();
            encode_fixed(&four, &mut frame).unwrap();
            let (layout, again) = read(&frame).unwrap();
            prop_assert_eq!(again, four.clone());
            prop_assert_eq!(layout == Layout::Fixed, !four.is_empty());
        }
    }
}
