//! The entries for the decoders of setowire/13, with what must hold after each.
//!
//! Beside what all entries promise: a datagram has one form, padding apart; a stream decoder takes
//! a frame when it is whole and not a byte before, always goes forward, and never asks
//! for more bytes than the largest frame of its stream has.

use super::check_error;
use crate::config::limits::{ADDRS_TOLD, CONTROL_FRAME_BYTES, MESH_FRAME_BYTES, MESH_IDS_PER_FRAME};
use crate::wire::DecodeError;
use crate::wire::v13::{Control, Datagram, Mesh, control, kind, mesh, varint};

/// Type and length of a frame at their longest.
const HEADER_BYTES: usize = 16;
const WRITABLE: &str = "what was read can be written";

pub fn fuzz_probe(data: &[u8]) {
    fuzz_datagram(data, &[kind::PROBE, kind::PROBE_ACK, kind::SESSION_PROBE]);
}

pub fn fuzz_beacon(data: &[u8]) {
    fuzz_datagram(data, &[kind::BEACON]);
}

/// As it is if it is of one of `kinds`; otherwise as one of them, so that no input is wasted on other decoders.
fn fuzz_datagram(data: &[u8], kinds: &[u8]) {
    let Some((first, body)) = data.split_first() else { return assert!(Datagram::decode(data).is_err()) };
    let kind = match kinds.contains(first) {
        true => *first,
        false => kinds[usize::from(*first) % kinds.len()],
    };
    let bytes = [&[kind], body].concat();
    match Datagram::decode(&bytes) {
        Ok(Datagram::Probe(probe)) => {
            let again = probe.encode();
            assert_eq!((again[..34].to_vec(), again.len()), (bytes[..34].to_vec(), bytes.len()));
        }
        Ok(Datagram::ProbeAck(ack)) => assert_eq!(ack.encode()[..], bytes),
        Ok(Datagram::SessionProbe(probe)) => {
            assert_eq!(probe.encode()[..], bytes);
            assert!(bytes.starts_with(&probe.covered()));
        }
        Ok(Datagram::Beacon(beacon)) => assert_eq!(beacon.encode()[..], bytes),
        Err(error) => check_error(&error),
    }
}

pub fn fuzz_varint(data: &[u8]) {
    let mut out = Vec::new();
    if let Some((value, taken)) = varint::decode(data) {
        assert_eq!(varint::decode(&data[..taken - 1]), None);
        varint::encode(value, &mut out).expect(WRITABLE);
        assert!(out.len() <= taken);
        assert_eq!(varint::decode(&out), Some((value, out.len())));
    }
    let Some(value) = data.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)) else { return };
    assert_eq!(varint::encode(value, &mut out).is_ok(), value <= varint::MAX);
}

pub fn fuzz_control(data: &[u8]) {
    fuzz_stream(data, CONTROL_FRAME_BYTES, |bytes| {
        let Some((read, taken)) = control::next(bytes)? else { return Ok(None) };
        let mut out = Vec::new();
        match read {
            Control::Hello(hello) => hello.encode(&mut out).expect(WRITABLE),
            Control::Topics(tags) => control::encode_topics(tags, &mut out).expect(WRITABLE),
            Control::Shared(tags) => control::encode_shared(tags, &mut out).expect(WRITABLE),
            Control::Ask => control::encode_ask(&mut out),
            Control::Left(tags) => control::encode_left(tags, &mut out).expect(WRITABLE),
            Control::Addrs(addrs) => {
                let list: Vec<_> = addrs.iter().collect();
                assert!(list.len() <= ADDRS_TOLD);
                control::encode_addrs(&list, &mut out).expect(WRITABLE);
            }
            Control::Legacy(key) => control::encode_legacy(&key, &mut out),
            Control::LegacyProof(mac) => control::encode_legacy_proof(&mac, &mut out),
            Control::Unknown { kind } => encode_empty(kind, &mut out),
        }
        assert_eq!(control::next(&out), Ok(Some((read, out.len()))));
        Ok(Some(taken))
    });
}

pub fn fuzz_mesh(data: &[u8]) {
    fuzz_stream(data, MESH_FRAME_BYTES, |bytes| {
        let Some((read, taken)) = mesh::next(bytes)? else { return Ok(None) };
        let mut out = Vec::new();
        match read {
            Mesh::Message(message) => message.encode(&mut out).expect(WRITABLE),
            Mesh::Have(have) => {
                let list: Vec<_> = have.iter().collect();
                assert!(list.len() <= MESH_IDS_PER_FRAME);
                mesh::encode_have(&list, &mut out).expect(WRITABLE);
            }
            Mesh::Want(ids) => mesh::encode_want(ids, &mut out).expect(WRITABLE),
            Mesh::Prune(topic) => mesh::encode_prune(&topic, &mut out),
            Mesh::Unknown { kind } => encode_empty(kind, &mut out),
        }
        assert_eq!(mesh::next(&out), Ok(Some((read, out.len()))));
        Ok(Some(taken))
    });
}

/// A frame of a type that is not known, with nothing in it.
fn encode_empty(kind: u64, out: &mut Vec<u8>) {
    varint::encode(kind, out).expect(WRITABLE);
    out.push(0);
}

/// Takes all frames of a stream; `take` checks the first one and says how many bytes it has.
fn fuzz_stream(data: &[u8], most: usize, take: impl Fn(&[u8]) -> Result<Option<usize>, DecodeError>) {
    let mut rest = data;
    loop {
        match take(rest) {
            Ok(Some(taken)) => {
                assert!((2..=rest.len()).contains(&taken));
                assert_eq!(take(&rest[..taken - 1]), Ok(None), "a frame of {taken} bytes");
                rest = &rest[taken..];
            }
            Ok(None) => return assert!(rest.len() < HEADER_BYTES + most),
            Err(error) => return check_error(&error),
        }
    }
}
