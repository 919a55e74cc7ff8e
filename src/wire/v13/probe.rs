//! PROBE, PROBE_ACK and SESSION_PROBE: is somebody there, and does this path carry us.
//!
//! A PROBE asks an address without a connection; its answer tells the address it came from and gives
//! the cookie for the first QUIC packet, and is smaller than what asks for it. A SESSION_PROBE belongs to a
//! connection: a challenge and its answer, each with the tag and code of its sender. Whom a PROBE
//! is meant for and whether a tag or code is right is for `crypto` and `path`; here only
//! the form is judged. Each has one length; the padding of a PROBE may hold anything.

use super::{
    super::{
        error::{DecodeError, Problem},
        reader::Reader,
    },
    VERSION, fill, kind, version,
};
use std::net::{IpAddr, SocketAddr};

pub const PROBE_BYTES: usize = 64;
pub const PROBE_ACK_BYTES: usize = 53;
pub const SESSION_PROBE_BYTES: usize = 44;
/// The bytes of a SESSION_PROBE that its code covers: all that stand before it.
pub const SESSION_PROBE_COVERED: usize = 28;

const PADDING: usize = 30;

/// Asks whoever is at an address, or one peer only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    pub nonce: [u8; 16],
    /// Says to the peer that is meant that it is meant; zero: whoever is there.
    pub target: [u8; 16],
}

impl Probe {
    pub(super) fn decode(body: &[u8]) -> Result<Probe, DecodeError> {
        let mut reader = Reader::new("PROBE", body);
        version(&mut reader)?;
        let probe = Probe { nonce: reader.array("nonce")?, target: reader.array("target")? };
        reader.bytes("padding", PADDING)?;
        reader.end()?;
        Ok(probe)
    }

    pub fn encode(&self) -> [u8; PROBE_BYTES] {
        fill(&[&[kind::PROBE, VERSION], &self.nonce, &self.target])
    }
}

/// The answer to a PROBE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeAck {
    /// Of the PROBE.
    pub nonce: [u8; 16],
    /// The destination connection id of the first QUIC packet to this address.
    pub cookie: [u8; 16],
    /// Where the PROBE came from, without flow label and scope. What the sender says; may be anything.
    pub observed: SocketAddr,
}

impl ProbeAck {
    pub(super) fn decode(body: &[u8]) -> Result<ProbeAck, DecodeError> {
        let mut reader = Reader::new("PROBE_ACK", body);
        version(&mut reader)?;
        let (nonce, cookie) = (reader.array("nonce")?, reader.array("cookie")?);
        let family = reader.u8("family")?;
        let octets: [u8; 16] = reader.array("ip")?;
        let port = reader.u16("port")?;
        reader.end()?;
        let ip = match (family, octets) {
            (4, [a, b, c, d, rest @ ..]) if rest == [0; 12] => IpAddr::from([a, b, c, d]),
            (4, _) => return Err(reader.error("ip", Problem::Layout)),
            (6, octets) => IpAddr::from(octets),
            (other, _) => return Err(reader.error("family", Problem::Range(u64::from(other)))),
        };
        Ok(ProbeAck { nonce, cookie, observed: SocketAddr::new(ip, port) })
    }

    pub fn encode(&self) -> [u8; PROBE_ACK_BYTES] {
        let (family, ip): (u8, [u8; 16]) = match self.observed.ip() {
            IpAddr::V4(ip) => (4, fill(&[&ip.octets()])),
            IpAddr::V6(ip) => (6, ip.octets()),
        };
        let port = self.observed.port().to_be_bytes();
        fill(&[&[kind::PROBE_ACK, VERSION], &self.nonce, &self.cookie, &[family], &ip, &port])
    }
}

/// Which half of the exchange a SESSION_PROBE is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Challenge = 1,
    Answer = 2,
}

/// Checks a path of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionProbe {
    /// Names connection and sender to who has the key, and nobody else.
    pub tag: [u8; 8],
    pub step: Step,
    /// Counts the challenges of their sender; an answer repeats it.
    pub number: u16,
    /// Of the challenge; an answer repeats it.
    pub nonce: [u8; 16],
    /// Over everything before it, [`SessionProbe::covered`].
    pub mac: [u8; 16],
}

impl SessionProbe {
    pub(super) fn decode(body: &[u8]) -> Result<SessionProbe, DecodeError> {
        let mut reader = Reader::new("SESSION_PROBE", body);
        let tag = reader.array("tag")?;
        let step = match reader.u8("kind")? {
            1 => Step::Challenge,
            2 => Step::Answer,
            other => return Err(reader.error("kind", Problem::Range(u64::from(other)))),
        };
        let number = reader.u16("number")?;
        let probe = SessionProbe { tag, step, number, nonce: reader.array("nonce")?, mac: reader.array("mac")? };
        reader.end()?;
        Ok(probe)
    }

    /// What the code is computed over: the frame up to it, type byte included.
    pub fn covered(&self) -> [u8; SESSION_PROBE_COVERED] {
        let number = self.number.to_be_bytes();
        fill(&[&[kind::SESSION_PROBE], &self.tag, &[self.step as u8], &number, &self.nonce])
    }

    pub fn encode(&self) -> [u8; SESSION_PROBE_BYTES] {
        fill(&[&self.covered(), &self.mac])
    }
}

#[cfg(test)]
mod tests {
    use super::super::Datagram;
    use super::*;
    use proptest::prelude::*;

    const PROBE: Probe = Probe { nonce: [1; 16], target: [2; 16] };
    const CHALLENGE: SessionProbe =
        SessionProbe { tag: [3; 8], step: Step::Challenge, number: 0x0405, nonce: [6; 16], mac: [7; 16] };

    fn ack(observed: &str) -> ProbeAck {
        ProbeAck { nonce: [1; 16], cookie: [2; 16], observed: observed.parse().expect("address") }
    }

    fn error(bytes: &[u8]) -> (&'static str, Problem) {
        let error = Datagram::decode(bytes).unwrap_err();
        (error.field, error.problem)
    }

    #[test]
    fn layouts() {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (one, two) = ("01".repeat(16), "02".repeat(16));
        assert_eq!(hex(&PROBE.encode()), format!("a301{one}{two}{}", "00".repeat(30)));
        let tail = format!("04c0000201{}1f90", "00".repeat(12));
        assert_eq!(hex(&ack("192.0.2.1:8080").encode()), format!("a401{one}{two}{tail}"));
        let tail = "0620010db800000000000000000000000100ff";
        assert_eq!(hex(&ack("[2001:db8::1]:255").encode()), format!("a401{one}{two}{tail}"));
        let covered = format!("a5{}010405{}", "03".repeat(8), "06".repeat(16));
        assert_eq!(hex(&CHALLENGE.covered()), covered);
        assert_eq!(hex(&CHALLENGE.encode()), format!("{covered}{}", "07".repeat(16)));
        const { assert!(PROBE_ACK_BYTES < PROBE_BYTES, "an answer is never larger than what asks for it") };
    }

    #[test]
    fn there_is_one_length() {
        for (frame, last) in [
            (PROBE.encode().to_vec(), "padding"),
            (ack("192.0.2.1:1").encode().to_vec(), "port"),
            (CHALLENGE.encode().to_vec(), "mac"),
        ] {
            assert!(Datagram::decode(&frame).is_ok());
            for cut in 1..frame.len() {
                let (field, problem) = error(&frame[..cut]);
                assert!(matches!(problem, Problem::Short { .. }), "{cut}");
                assert!(field == last || cut + 1 < frame.len(), "{field}");
            }
            let long = [&frame[..], &[0]].concat();
            assert_eq!(error(&long), ("end", Problem::Long { have: 1, most: 0 }));
        }
    }

    #[test]
    fn other_versions_are_not_for_us() {
        for version in [0, 2, 254, 255] {
            for mut frame in [PROBE.encode().to_vec(), ack("192.0.2.1:1").encode().to_vec()] {
                frame[1] = version;
                assert_eq!(error(&frame), ("version", Problem::Range(u64::from(version))));
            }
        }
    }

    #[test]
    fn the_padding_of_a_probe_is_not_looked_at() {
        let mut frame = PROBE.encode();
        frame[34..].fill(0xFF);
        assert_eq!(Datagram::decode(&frame), Ok(Datagram::Probe(PROBE)));
    }

    #[test]
    fn an_address_has_one_form() {
        let frame = ack("192.0.2.1:1").encode();
        for family in [0, 1, 3, 5, 7, 254, 255] {
            let mut bad = frame;
            bad[34] = family;
            assert_eq!(error(&bad), ("family", Problem::Range(u64::from(family))));
        }
        for filler in 39..51 {
            let mut bad = frame;
            bad[filler] = 1;
            assert_eq!(error(&bad), ("ip", Problem::Layout));
        }
        let mut six = frame;
        six[34] = 6;
        let Ok(Datagram::ProbeAck(read)) = Datagram::decode(&six) else { panic!("not PROBE_ACK") };
        assert_eq!(read.observed, "[c000:201::]:1".parse().expect("address"));
        for port in [0, 1, u16::MAX - 1, u16::MAX] {
            let sent = ProbeAck { observed: SocketAddr::from(([0; 4], port)), ..ack("0.0.0.0:0") };
            assert_eq!(Datagram::decode(&sent.encode()), Ok(Datagram::ProbeAck(sent)));
        }
    }

    #[test]
    fn a_session_probe_asks_or_answers() {
        for kind in [0, 3, 254, 255] {
            let mut bad = CHALLENGE.encode();
            bad[9] = kind;
            assert_eq!(error(&bad), ("kind", Problem::Range(u64::from(kind))));
        }
        for number in [0, 1, u16::MAX - 1, u16::MAX] {
            let answer = SessionProbe { step: Step::Answer, number, ..CHALLENGE };
            assert_eq!(Datagram::decode(&answer.encode()), Ok(Datagram::SessionProbe(answer)));
        }
    }

    proptest! {
        #[test]
        fn round_trip(nonce: [u8; 16], second: [u8; 16], ip: IpAddr, port: u16, tag: [u8; 8], number: u16, asks: bool) {
            let probe = Probe { nonce, target: second };
            let ack = ProbeAck { nonce, cookie: second, observed: SocketAddr::new(ip, port) };
            let step = if asks { Step::Challenge } else { Step::Answer };
            let session = SessionProbe { tag, step, number, nonce, mac: second };
            let (asked, acked, walked) = (probe.encode(), ack.encode(), session.encode());
            prop_assert_eq!(Datagram::decode(&asked), Ok(Datagram::Probe(probe)));
            prop_assert_eq!(Datagram::decode(&acked), Ok(Datagram::ProbeAck(ack)));
            prop_assert_eq!(Datagram::decode(&walked), Ok(Datagram::SessionProbe(session)));
        }
    }
}
