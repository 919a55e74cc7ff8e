//! The control stream: what two peers agree on, and what changes while they are connected.
//!
//! `type varint | length varint | body`, HELLO first on each side; [`next`] takes frames from the
//! beginning of what was received. Here only the form of one frame is judged: order, roles, and whether a
//! tag or code is right are for the session. Types that a later version adds are skipped. A
//! HELLO may go on after what is known; every other frame is exactly what it says.

use super::{
    super::{
        error::{DecodeError, EncodeError, Problem},
        reader::Reader,
    },
    fill,
    frame::{self, Raw, Rule},
    varint,
};
use crate::config::limits::{ADDRS_TOLD, CONTROL_FRAME_BYTES};
use std::net::{IpAddr, SocketAddr};

/// The version that is spoken here.
pub const VERSION: u64 = 13;

const HELLO: u64 = 1;
const TOPICS: u64 = 2;
const SHARED: u64 = 3;
const ASK: u64 = 4;
const LEFT: u64 = 5;
const ADDRS: u64 = 6;
const LEGACY: u64 = 7;
const LEGACY_PROOF: u64 = 8;

/// Family, IPv6 address, port.
const LONGEST_ADDR: usize = 19;
/// Of a HELLO: may be, or asks to be, without a topic.
const EXPLICIT: u64 = 1;
/// Of a HELLO: goes on with what a v12 session began.
const CONTINUES: u64 = 2;

/// The proof, by its sender's role, that it joined a topic.
pub type Tag = [u8; 32];

/// One frame of the control stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control<'a> {
    Hello(Hello),
    /// Proofs of the dialler, real ones and random ones.
    Topics(&'a [Tag]),
    /// Proofs of the acceptor for those of them that it joined too.
    Shared(&'a [Tag]),
    /// The acceptor joined a topic and would like to see all proofs again.
    Ask,
    /// Proofs of the sender for topics it left.
    Left(&'a [Tag]),
    /// Where the sender may be reached, instead of what it said before.
    Addrs(Addrs<'a>),
    /// The sender's key of v12.
    Legacy([u8; 32]),
    /// That the sender has this key.
    LegacyProof([u8; 32]),
    /// A type that is not known here; to be passed over.
    Unknown {
        kind: u64,
    },
}

/// The first frame of each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// [`VERSION`] or later.
    pub version: u64,
    /// When the sender's swarm was made: microseconds since 1970.
    pub instance: u64,
    /// Bytes of the largest message that the sender takes.
    pub max_message: u64,
    /// Dialler: asks to be accepted without a topic. Acceptor: would accept.
    pub explicit: bool,
    /// The dialler has a v12 session with the acceptor that this one is to replace.
    pub continues: bool,
}

/// Addresses of a peer, checked when they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addrs<'a> {
    reader: Reader<'a>,
}

impl Addrs<'_> {
    /// At most [`ADDRS_TOLD`]. What the peer says: an address may lead anywhere, and its port may be 0.
    pub fn iter(mut self) -> impl Iterator<Item = SocketAddr> {
        std::iter::from_fn(move || (self.reader.len() > 0).then(|| read_addr(&mut self.reader).ok())?)
    }
}

/// The first frame in what was received so far, and how many bytes it takes; none: it is not whole.
pub fn next(buffered: &[u8]) -> Result<Option<(Control<'_>, usize)>, DecodeError> {
    let Some(raw) = frame::next(buffered, rule)? else { return Ok(None) };
    Ok(Some((decode(&raw)?, raw.taken)))
}

fn rule(kind: u64) -> Rule {
    let (name, most) = match kind {
        HELLO => ("HELLO", CONTROL_FRAME_BYTES),
        TOPICS => ("TOPICS", CONTROL_FRAME_BYTES),
        SHARED => ("SHARED", CONTROL_FRAME_BYTES),
        ASK => ("ASK", 0),
        LEFT => ("LEFT", CONTROL_FRAME_BYTES),
        ADDRS => ("ADDRS", ADDRS_TOLD * LONGEST_ADDR),
        LEGACY => ("LEGACY", 32),
        LEGACY_PROOF => ("LEGACY_PROOF", 32),
        _ => ("control", CONTROL_FRAME_BYTES),
    };
    Rule { name, most }
}

fn decode<'a>(raw: &Raw<'a>) -> Result<Control<'a>, DecodeError> {
    Ok(match raw.kind {
        HELLO => Control::Hello(Hello::decode(Reader::new(raw.name, raw.body))?),
        TOPICS => Control::Topics(frame::items(raw, "tags")?),
        SHARED => Control::Shared(frame::items(raw, "tags")?),
        ASK => Control::Ask,
        LEFT => Control::Left(frame::items(raw, "tags")?),
        ADDRS => Control::Addrs(Addrs { reader: check_addrs(Reader::new(raw.name, raw.body))? }),
        LEGACY => Control::Legacy(frame::whole(raw, "key")?),
        LEGACY_PROOF => Control::LegacyProof(frame::whole(raw, "mac")?),
        kind => Control::Unknown { kind },
    })
}

impl Hello {
    fn decode(mut reader: Reader<'_>) -> Result<Hello, DecodeError> {
        let version = varint::read(&mut reader, "version")?;
        if version < VERSION {
            return Err(reader.error("version", Problem::Range(version)));
        }
        let instance = reader.u64("instance")?;
        let max_message = varint::read(&mut reader, "max_message")?;
        let flags = varint::read(&mut reader, "flags")?;
        let (explicit, continues) = (flags & EXPLICIT != 0, flags & CONTINUES != 0);
        Ok(Hello { version, instance, max_message, explicit, continues })
    }

    /// Writes a HELLO; none if a number is above [`varint::MAX`].
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let [mut version, mut rest] = [Vec::new(), Vec::new()];
        varint::encode(self.version, &mut version)?;
        varint::encode(self.max_message, &mut rest)?;
        let explicit = if self.explicit { EXPLICIT } else { 0 };
        let continues = if self.continues { CONTINUES } else { 0 };
        varint::encode(explicit | continues, &mut rest)?;
        write(HELLO, &[&version, &self.instance.to_be_bytes(), &rest], out)
    }
}

/// The addresses, if all of them are of a known family and whole.
fn check_addrs(reader: Reader<'_>) -> Result<Reader<'_>, DecodeError> {
    let mut left = reader;
    let mut count = 0;
    while left.len() > 0 {
        if count == ADDRS_TOLD {
            return Err(left.error("count", Problem::Long { have: left.len(), most: 0 }));
        }
        read_addr(&mut left)?;
        count = count.saturating_add(1);
    }
    Ok(reader)
}

fn read_addr(reader: &mut Reader<'_>) -> Result<SocketAddr, DecodeError> {
    let ip = match reader.u8("family")? {
        4 => IpAddr::from(reader.array::<4>("ip")?),
        6 => IpAddr::from(reader.array::<16>("ip")?),
        other => return Err(reader.error("family", Problem::Range(u64::from(other)))),
    };
    Ok(SocketAddr::new(ip, reader.u16("port")?))
}

/// The dialler's proofs, at most [`CONTROL_FRAME_BYTES`] of them.
pub fn encode_topics(tags: &[Tag], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    write(TOPICS, &[tags.as_flattened()], out)
}

/// The acceptor's proofs.
pub fn encode_shared(tags: &[Tag], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    write(SHARED, &[tags.as_flattened()], out)
}

pub fn encode_left(tags: &[Tag], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    write(LEFT, &[tags.as_flattened()], out)
}

pub fn encode_ask(out: &mut Vec<u8>) {
    out.extend([ASK as u8, 0]);
}

/// Own addresses, at most [`ADDRS_TOLD`]; flow label and scope have no meaning elsewhere.
pub fn encode_addrs(addrs: &[SocketAddr], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    if addrs.len() > ADDRS_TOLD {
        return Err(EncodeError::new("ADDRS", "count", addrs.len()));
    }
    let mut body = Vec::new();
    for addr in addrs {
        match addr.ip() {
            IpAddr::V4(ip) => body.extend(fill::<5>(&[&[4], &ip.octets()])),
            IpAddr::V6(ip) => body.extend(fill::<17>(&[&[6], &ip.octets()])),
        }
        body.extend(addr.port().to_be_bytes());
    }
    write(ADDRS, &[&body], out)
}

pub fn encode_legacy(key: &[u8; 32], out: &mut Vec<u8>) {
    out.extend([LEGACY as u8, 32]);
    out.extend(key);
}

pub fn encode_legacy_proof(mac: &[u8; 32], out: &mut Vec<u8>) {
    out.extend([LEGACY_PROOF as u8, 32]);
    out.extend(mac);
}

fn write(kind: u64, parts: &[&[u8]], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    frame::encode(kind, &rule(kind), parts, out)
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
