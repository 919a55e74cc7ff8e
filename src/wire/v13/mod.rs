//! The setowire/13 wire: what is ours beside QUIC, as bytes and as borrowed values, both ways.
//!
//! Everything of this protocol is below `wire::v13`, everything directly in `wire` is
//! p2p-v12: `v13::Beacon` is the sealed announcement, `wire::Beacon` the text of the old peers.
//! In: a datagram with a first byte from 0xA3 to 0xBF ([`Datagram`]), or what was received so
//! far on the control or mesh stream ([`control::next`], [`mesh::next`]). Out: values that borrow from it,
//! or a [`DecodeError`] that names frame and field. As for v12, nothing keeps state, knows
//! the sender or allocates while decoding. The two stream decoders answer `None` until a frame is
//! whole; how long it may be is decided by its type, before any byte of its body is waited for.
//! Whoever buffers for them holds at most one frame of the largest size and its header.
//! Integers are big endian; a `varint` is the one of QUIC (RFC 9000, section 16).

pub mod beacon;
pub mod control;
mod frame;
pub mod mesh;
pub mod probe;
pub mod varint;

pub use beacon::Beacon;
pub use control::{Control, Hello};
pub use mesh::Mesh;
pub use probe::{Probe, ProbeAck, SessionProbe, Step};

use super::error::{DecodeError, Problem};
use super::reader::Reader;

/// The first byte of every datagram of ours.
pub mod kind {
    pub const PROBE: u8 = 0xA3;
    pub const PROBE_ACK: u8 = 0xA4;
    pub const SESSION_PROBE: u8 = 0xA5;
    /// Only on the multicast group.
    pub const BEACON: u8 = 0xA6;
}

/// The version in PROBE, PROBE_ACK and BEACON.
const VERSION: u8 = 1;

/// One datagram of ours. All are of one length, so nothing may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datagram<'a> {
    Probe(Probe),
    ProbeAck(ProbeAck),
    SessionProbe(SessionProbe),
    Beacon(Beacon<'a>),
}

impl<'a> Datagram<'a> {
    /// Reads one datagram. Unknown first bytes are an error like any other: the caller drops it.
    pub fn decode(bytes: &'a [u8]) -> Result<Datagram<'a>, DecodeError> {
        let Some((&first, body)) = bytes.split_first() else {
            return Err(DecodeError::new("datagram", "type", Problem::Short { need: 1, have: 0 }));
        };
        match first {
            kind::PROBE => Probe::decode(body).map(Datagram::Probe),
            kind::PROBE_ACK => ProbeAck::decode(body).map(Datagram::ProbeAck),
            kind::SESSION_PROBE => SessionProbe::decode(body).map(Datagram::SessionProbe),
            kind::BEACON => Beacon::decode(body).map(Datagram::Beacon),
            other => Err(DecodeError::new("datagram", "type", Problem::Unknown(other))),
        }
    }
}

/// Reads the version; another one is not for us.
fn version(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match reader.u8("version")? {
        VERSION => Ok(()),
        other => Err(reader.error("version", Problem::Range(u64::from(other)))),
    }
}

/// Lays `parts` one after the other; what they do not fill stays zero.
fn fill<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut bytes = [0; N];
    for (byte, value) in bytes.iter_mut().zip(parts.iter().copied().flatten()) {
        *byte = *value;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_four_types_are_known() {
        assert!(Datagram::decode(&[]).is_err());
        for first in 0..=u8::MAX {
            let problem = Datagram::decode(&[first]).unwrap_err().problem;
            let known = (kind::PROBE..=kind::BEACON).contains(&first);
            assert_eq!(problem == Problem::Unknown(first), !known, "{first:#x}");
        }
    }
}
