//! The frames of setowire/13, decoded and encoded.

use crate::{Vector, unhex, unhex_array};
use serde_json::Value;
use setowire::wire::v13::control::{self, Control, Hello};
use setowire::wire::v13::mesh::{self, Mesh, Message};
use setowire::wire::v13::{Beacon, Datagram, Probe, ProbeAck, SessionProbe, Step, varint};
use setowire::wire::{DecodeError, Problem};
use std::net::SocketAddr;

fn array<const N: usize>(vector: &Vector, field: &str) -> [u8; N] {
    unhex_array(vector.text(field))
}

fn arrays<const N: usize>(vector: &Vector, field: &str) -> Vec<[u8; N]> {
    list(vector, field).iter().map(|text| unhex_array(text.as_str().expect("hex"))).collect()
}

fn list<'a>(vector: &'a Vector, field: &str) -> &'a Vec<Value> {
    vector.input(field).as_array().expect("list")
}

/// A number that is text because it may be above 2^53.
fn large(vector: &Vector, field: &str) -> u64 {
    vector.text(field).parse().expect("number")
}

fn small<T: TryFrom<u64>>(vector: &Vector, field: &str) -> T {
    T::try_from(vector.number(field)).unwrap_or_else(|_| panic!("{}: {field}", vector.name))
}

fn addr(value: &Value) -> SocketAddr {
    let port = value["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("port");
    SocketAddr::new(value["ip"].as_str().expect("ip").parse().expect("ip"), port)
}

/// Checks a vector whose bytes are no frame, or not yet one; false: they should be one.
fn refused_or_waiting(vector: &Vector, read: impl FnOnce(&[u8]) -> Result<Option<()>, DecodeError>) -> bool {
    if vector.expected.get("refused").is_some() {
        assert_eq!(read(&vector.bytes("frame")).expect_err(&vector.name).field, vector.want("refused"));
    } else if vector.expected.get("more").is_some() {
        assert_eq!(*vector.want("more"), true);
        assert_eq!(read(&vector.bytes("frame")), Ok(None));
    } else {
        return false;
    }
    true
}

pub fn v13_varint(vector: &Vector) {
    if vector.expected.get("value").is_some() {
        let bytes = vector.bytes("frame");
        let value = vector.want("value").as_str().expect("text").parse().expect("number");
        assert_eq!(varint::decode(&bytes), Some((value, bytes.len())));
        return;
    }
    let (value, bytes) = (large(vector, "value"), vector.want_bytes("frame"));
    let mut out = Vec::new();
    varint::encode(value, &mut out).expect("in range");
    assert_eq!(out, bytes);
    assert_eq!(varint::decode(&bytes), Some((value, bytes.len())));
}

pub fn v13_datagrams(vector: &Vector) {
    if vector.name == "unknown" {
        assert_eq!(Datagram::decode(&vector.bytes("frame")).expect_err("unknown").problem, Problem::Unknown(0xA7));
    }
    if refused_or_waiting(vector, |bytes| Datagram::decode(bytes).map(|_| Some(()))) {
        return;
    }
    let frame = vector.want_bytes("frame");
    let nonce = vector.text("nonce");
    let sealed;
    let (written, expected) = match frame[0] {
        0xA3 => {
            let probe = Probe { nonce: unhex_array(nonce), target: array(vector, "target") };
            (probe.encode().to_vec(), Datagram::Probe(probe))
        }
        0xA4 => {
            let observed = SocketAddr::new(vector.text("ip").parse().expect("ip"), small(vector, "port"));
            let ack = ProbeAck { nonce: unhex_array(nonce), cookie: array(vector, "cookie"), observed };
            (ack.encode().to_vec(), Datagram::ProbeAck(ack))
        }
        0xA5 => {
            let probe = SessionProbe {
                tag: array(vector, "tag"),
                step: if vector.number("kind") == 1 { Step::Challenge } else { Step::Answer },
                number: small(vector, "number"),
                nonce: unhex_array(nonce),
                mac: array(vector, "mac"),
            };
            assert_eq!(probe.covered()[..], vector.bytes("covered"));
            (probe.encode().to_vec(), Datagram::SessionProbe(probe))
        }
        0xA6 => {
            sealed = array(vector, "sealed");
            let beacon = Beacon { tag: array(vector, "tag"), nonce: unhex_array(nonce), sealed: &sealed };
            (beacon.encode().to_vec(), Datagram::Beacon(beacon))
        }
        other => panic!("{}: {other:#x}", vector.name),
    };
    assert_eq!(written, frame, "{}", vector.name);
    assert_eq!(Datagram::decode(&frame), Ok(expected));
}

pub fn v13_control(vector: &Vector) {
    if refused_or_waiting(vector, |bytes| Ok(control::next(bytes)?.map(drop))) {
        return;
    }
    if vector.name == "unknown" {
        let (frame, kind) = (vector.bytes("frame"), vector.want("skipped").as_u64().expect("type"));
        return assert_eq!(control::next(&frame), Ok(Some((Control::Unknown { kind }, frame.len()))));
    }
    let frame = vector.want_bytes("frame");
    let (read, taken) = control::next(&frame).expect("decodes").expect("whole");
    assert_eq!(taken, frame.len());
    let mut out = Vec::new();
    match vector.number("type") {
        1 => {
            let hello = Hello {
                version: vector.number("version"),
                instance: large(vector, "instance"),
                max_message: vector.number("max_message"),
                explicit: vector.input("explicit").as_bool().expect("bool"),
                continues: vector.input("continues").as_bool().expect("bool"),
            };
            hello.encode(&mut out).expect("in range");
            assert_eq!(read, Control::Hello(hello));
        }
        kind @ (2 | 3 | 5) => {
            let tags: Vec<control::Tag> = arrays(vector, "tags");
            let (encode, expected): (fn(&[_], &mut _) -> _, _) = match kind {
                2 => (control::encode_topics, Control::Topics(&tags)),
                3 => (control::encode_shared, Control::Shared(&tags)),
                _ => (control::encode_left, Control::Left(&tags)),
            };
            encode(&tags, &mut out).expect("few");
            assert_eq!(read, expected);
        }
        4 => {
            control::encode_ask(&mut out);
            assert_eq!(read, Control::Ask);
        }
        6 => {
            let addrs: Vec<SocketAddr> = list(vector, "addrs").iter().map(addr).collect();
            control::encode_addrs(&addrs, &mut out).expect("few");
            let Control::Addrs(read) = read else { panic!("not ADDRS") };
            assert_eq!(read.iter().collect::<Vec<_>>(), addrs);
        }
        7 => {
            control::encode_legacy(&array(vector, "key"), &mut out);
            assert_eq!(read, Control::Legacy(array(vector, "key")));
        }
        8 => {
            control::encode_legacy_proof(&array(vector, "mac"), &mut out);
            assert_eq!(read, Control::LegacyProof(array(vector, "mac")));
        }
        other => panic!("{}: type {other}", vector.name),
    }
    assert_eq!(out, frame, "{}", vector.name);
}

pub fn v13_mesh(vector: &Vector) {
    if refused_or_waiting(vector, |bytes| Ok(mesh::next(bytes)?.map(drop))) {
        return;
    }
    if vector.name == "unknown" {
        let (frame, kind) = (vector.bytes("frame"), vector.want("skipped").as_u64().expect("type"));
        return assert_eq!(mesh::next(&frame), Ok(Some((Mesh::Unknown { kind }, frame.len()))));
    }
    let frame = vector.want_bytes("frame");
    let (read, taken) = mesh::next(&frame).expect("decodes").expect("whole");
    assert_eq!(taken, frame.len());
    let mut out = Vec::new();
    match vector.number("type") {
        1 => {
            let payload = vector.bytes("payload");
            let message = Message {
                topic: array(vector, "topic"),
                author: array(vector, "author"),
                id: array(vector, "id"),
                hops: small(vector, "hops"),
                flags: small(vector, "flags"),
                time: large(vector, "time"),
                signature: array(vector, "signature"),
                payload: &payload,
            };
            message.encode(&mut out).expect("small");
            assert_eq!(read, Mesh::Message(message));
        }
        2 => {
            let hex = |value: &Value| value.as_str().map(unhex).expect("hex");
            let bytes = |value: &Value, field| -> Vec<u8> { hex(&value[field]) };
            let messages: Vec<(mesh::TopicTag, mesh::MessageId)> = list(vector, "messages")
                .iter()
                .map(|m| (bytes(m, "topic").try_into().expect("8"), bytes(m, "id").try_into().expect("16")))
                .collect();
            mesh::encode_have(&messages, &mut out).expect("few");
            let Mesh::Have(read) = read else { panic!("not HAVE") };
            assert_eq!(read.iter().collect::<Vec<_>>(), messages);
        }
        3 => {
            let ids: Vec<mesh::MessageId> = arrays(vector, "ids");
            mesh::encode_want(&ids, &mut out).expect("few");
            assert_eq!(read, Mesh::Want(&ids));
        }
        4 => {
            mesh::encode_prune(&array(vector, "topic"), &mut out);
            assert_eq!(read, Mesh::Prune(array(vector, "topic")));
        }
        other => panic!("{}: type {other}", vector.name),
    }
    assert_eq!(out, frame, "{}", vector.name);
}
