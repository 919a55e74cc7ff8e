//! RELAY_ANN, RELAY_REQ, RELAY_FWD: a third peer introduces two others.
//!
//! A relay of v12 carries no traffic: it passes the address of one peer to another. As with
//! PEX there are two layouts with the same type bytes: JavaScript, Python and C++ use 8-byte ids,
//! Rust peers 20-byte ids and another order. The bytes of one are never an address in
//! the other, so a frame is tried as the first, then as the second. The id of a value says which
//! layout it has. Addresses are claims of whoever wrote the frame. A Rust
//! peer dies of an RELAY_FWD it cannot parse: none is ever sent to one.

use super::{
    error::{DecodeError, EncodeError, Problem},
    kind,
    reader::{Reader, dial_address, leads_somewhere},
};
use crate::crypto::identity::{LegacyId, WireId};
use std::net::SocketAddr;

/// Whom a relay frame is about, in the form of its layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayId {
    /// JavaScript, Python, C++.
    Short(WireId),
    /// Rust.
    Long(LegacyId),
}

/// RELAY_ANN: `id` relays, and can be reached at `address`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayAnn {
    pub id: RelayId,
    pub address: SocketAddr,
}

impl RelayAnn {
    pub(super) fn decode(body: &[u8]) -> Result<RelayAnn, DecodeError> {
        let short = Reader::new("RELAY_ANN", body);
        if let Some((id, address)) = short_layout(short) {
            return Ok(RelayAnn { id: RelayId::Short(id), address });
        }
        let mut reader = short;
        let id = RelayId::Long(reader.array("id")?);
        let text = reader.short_bytes("address")?;
        let port = reader.u16("port")?;
        reader.end()?;
        // Rust peers write the address with or without its port here.
        let with_port: Option<SocketAddr> = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        let address = match with_port {
            Some(address) => Some(SocketAddr::new(address.ip(), port)).filter(leads_somewhere),
            None => dial_address(text, port),
        };
        Ok(RelayAnn { id, address: address.ok_or(reader.error("address", Problem::Text))? })
    }

    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode_about(kind::RELAY_ANN, "RELAY_ANN", &self.id, &self.address, out)
    }
}

/// RELAY_REQ: asks a relay for an introduction to `target`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayReq {
    /// JavaScript, Python, C++: tell `target` that `requester` is at `address`.
    Introduce { requester: WireId, target: WireId, address: SocketAddr },
    /// Rust: tell me where the target is.
    Locate { target: LegacyId },
}

impl RelayReq {
    pub(super) fn decode(body: &[u8]) -> Result<RelayReq, DecodeError> {
        let mut reader = Reader::new("RELAY_REQ", body);
        if let Ok(target) = body.try_into() {
            return Ok(RelayReq::Locate { target });
        }
        let requester = reader.array("requester")?;
        match short_layout(reader) {
            Some((target, address)) => Ok(RelayReq::Introduce { requester, target, address }),
            None => Err(reader.error("target and address", Problem::Layout)),
        }
    }

    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            RelayReq::Introduce { requester, target, address } => {
                check("RELAY_REQ", address)?;
                out.push(kind::RELAY_REQ);
                out.extend(requester);
                put_short(target, address, out);
            }
            RelayReq::Locate { target } => {
                out.push(kind::RELAY_REQ);
                out.extend(target);
            }
        }
        Ok(())
    }
}

/// RELAY_FWD: `id` asked for you, and can be reached at `address`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayFwd {
    pub id: RelayId,
    pub address: SocketAddr,
}

impl RelayFwd {
    pub(super) fn decode(body: &[u8]) -> Result<RelayFwd, DecodeError> {
        let short = Reader::new("RELAY_FWD", body);
        if let Some((id, address)) = short_layout(short) {
            return Ok(RelayFwd { id: RelayId::Short(id), address });
        }
        let mut reader = short;
        let id = RelayId::Long(reader.array("id")?);
        let address = match reader.rest().split_last_chunk() {
            Some(([text @ .., 0], port)) => dial_address(text, u16::from_be_bytes(*port)),
            _ => None,
        };
        Ok(RelayFwd { id, address: address.ok_or(reader.error("address", Problem::Text))? })
    }

    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode_about(kind::RELAY_FWD, "RELAY_FWD", &self.id, &self.address, out)
    }
}

/// An 8-byte id, a length, the address as text, the port, and nothing after it.
fn short_layout(mut reader: Reader<'_>) -> Option<(WireId, SocketAddr)> {
    let id = reader.array("id").ok()?;
    let text = reader.short_bytes("address").ok()?;
    let address = dial_address(text, reader.u16("port").ok()?)?;
    reader.end().ok()?;
    Some((id, address))
}

fn check(frame: &'static str, address: &SocketAddr) -> Result<(), EncodeError> {
    if !leads_somewhere(address) {
        return Err(EncodeError::new(frame, "an unspecified address or port", usize::from(address.port())));
    }
    Ok(())
}

fn put_short(id: &WireId, address: &SocketAddr, out: &mut Vec<u8>) {
    let text = address.ip().to_string();
    out.extend(id);
    // The text of an address is at most 45 bytes.
    out.push(u8::try_from(text.len()).unwrap_or_default());
    out.extend(text.as_bytes());
    out.extend(address.port().to_be_bytes());
}

fn encode_about(
    kind: u8,
    frame: &'static str,
    id: &RelayId,
    address: &SocketAddr,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    check(frame, address)?;
    out.push(kind);
    match id {
        RelayId::Short(id) => put_short(id, address, out),
        RelayId::Long(id) => {
            let text = address.ip().to_string();
            out.extend(id);
            if kind == self::kind::RELAY_ANN {
                out.push(u8::try_from(text.len()).unwrap_or_default());
                out.extend(text.as_bytes());
            } else {
                out.extend(text.as_bytes());
                out.push(0);
            }
            out.extend(address.port().to_be_bytes());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Frame;
    use super::*;
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn frame(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
        let mut frame = vec![kind];
        frame.extend(parts.concat());
        frame
    }

    #[test]
    fn a_rust_announcement_may_repeat_its_port() {
        let address = "10.0.0.9:258".parse().unwrap();
        for text in ["10.0.0.9", "10.0.0.9:7"] {
            let length = u8::try_from(text.len()).unwrap();
            let bytes = frame(0x20, &[&[7; 20], &[length], text.as_bytes(), &[1, 2]]);
            assert_eq!(Frame::decode(&bytes), Ok(Frame::RelayAnn(RelayAnn { id: RelayId::Long([7; 20]), address })));
        }
    }

    #[test]
    fn what_is_neither_layout_is_no_frame() {
        let ip = b"10.0.0.9";
        for bytes in [
            frame(0x20, &[&[7; 8], &[8], ip, &[0, 0]]),
            frame(0x20, &[&[7; 8], &[8], ip, &[0, 1, 0]]),
            frame(0x20, &[&[7; 8], &[9], ip, &[0, 1]]),
            frame(0x20, &[&[7; 20], &[8], ip, &[0, 0]]),
            frame(0x20, &[&[7; 20], &[8], ip, &[0, 1, 0]]),
            frame(0x20, &[&[7; 20], &[8], &[0xff; 8], &[0, 1]]),
            frame(0x21, &[&[7; 19]]),
            frame(0x21, &[&[7; 21]]),
            frame(0x21, &[&[7; 16], &[8], ip, &[0, 0]]),
            frame(0x21, &[&[7; 16], &[8], b"10.0.0.x", &[0, 1]]),
            frame(0x22, &[&[7; 20], ip, &[1, 0, 1]]),
            frame(0x22, &[&[7; 20], ip, &[0, 0, 0]]),
            frame(0x22, &[&[7; 20], b"host", &[0, 0, 1]]),
            frame(0x22, &[&[7; 20], &[1]]),
            frame(0x22, &[&[7; 8]]),
        ] {
            assert!(Frame::decode(&bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn an_address_that_leads_nowhere_is_not_written() {
        let mut out = Vec::new();
        for address in ["10.0.0.9:0", "0.0.0.0:1", "[::]:1"] {
            let address = address.parse().unwrap();
            assert!(RelayAnn { id: RelayId::Short([7; 8]), address }.encode(&mut out).is_err());
            assert!(RelayFwd { id: RelayId::Long([7; 20]), address }.encode(&mut out).is_err());
            assert!(RelayReq::Introduce { requester: [7; 8], target: [7; 8], address }.encode(&mut out).is_err());
        }
        assert!(out.is_empty());
    }

    proptest! {
        #[test]
        fn round_trip(long: [u8; 20], short: [u8; 8], ip: IpAddr, port in 1u16..) {
            prop_assume!(!ip.is_unspecified());
            let address = SocketAddr::new(ip, port);
            let mut frame = Vec::new();
            for id in [RelayId::Short(short), RelayId::Long(long)] {
                let ann = RelayAnn { id, address };
                frame.clear();
                ann.encode(&mut frame).unwrap();
                prop_assert_eq!(Frame::decode(&frame), Ok(Frame::RelayAnn(ann)));
                let fwd = RelayFwd { id, address };
                frame.clear();
                fwd.encode(&mut frame).unwrap();
                prop_assert_eq!(Frame::decode(&frame), Ok(Frame::RelayFwd(fwd)));
            }
            for req in [
                RelayReq::Introduce { requester: short, target: [9; 8], address },
                RelayReq::Locate { target: long },
            ] {
                frame.clear();
                req.encode(&mut frame).unwrap();
                prop_assert_eq!(Frame::decode(&frame), Ok(Frame::RelayReq(req)));
            }
        }
    }
}
