//! The binary frames, decoded and encoded, and the old peers' content hashes.

use crate::{Vector, old_hash, unhex, unhex_array};
use serde_json::{Value, json};
use setowire::config::limits::{V12_CHUNK_DATA, V12_FRAG_DATA};
use setowire::crypto::identity::V12Keys;
use setowire::wire::hex::encode as hex;
use setowire::wire::pex::{self, Entry, Layout};
use setowire::wire::relay::{RelayAnn, RelayFwd, RelayId, RelayReq};
use setowire::wire::values::{Chunk, ChunkAck, Content, Want, encode_have};
use setowire::wire::{Beacon, Frag, Frame, Hello, Ping, Pong, batch, kind, ping};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;

/// Payloads too long to write down are given by a rule.
fn by_rule(vector: &Vector, rule: &str, factor: usize, offset: usize) -> Vec<u8> {
    let (field, text) = rule.split_once('=').expect("rule");
    assert_eq!(vector.text(field), text);
    let length = usize::try_from(vector.number("length")).expect("length");
    (0..length).map(|i| ((factor * i + offset) % 256) as u8).collect()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().expect("list").iter().map(|text| text.as_str().expect("text")).collect()
}

fn port(value: &Value) -> u16 {
    u16::try_from(value.as_u64().expect("port")).expect("port")
}

pub fn handshake(vector: &Vector) {
    let keys = V12Keys::from_seed(&vector.bytes("seed"));
    let hello = Hello { id: keys.wire_id(), key: *keys.public() };
    let (first, answer) = (vector.want_bytes("hello"), vector.want_bytes("hello_ack"));
    assert_eq!(first, hello.hello());
    assert_eq!(answer, hello.hello_ack());
    assert_eq!(Frame::decode(&first), Ok(Frame::Hello(hello)));
    assert_eq!(Frame::decode(&answer), Ok(Frame::HelloAck(hello)));
}

pub fn ping(vector: &Vector) {
    let frame = vector.want_bytes("frame");
    match vector.name.as_str() {
        "ping-js" => {
            let keys = V12Keys::from_seed(&vector.bytes("seed"));
            let timestamp = vector.number("unix_ms");
            assert_eq!(frame, ping::encode_ping(timestamp, keys.id()));
            let ping = Ping { timestamp: Some(timestamp), id: Some(keys.wire_id()) };
            assert_eq!(Frame::decode(&frame), Ok(Frame::Ping(ping)));
        }
        "pong-js-python-rust" => {
            let keys = V12Keys::from_seed(&vector.bytes("responder_seed"));
            assert_eq!(frame, ping::encode_pong(keys.id()));
            assert_eq!(Frame::decode(&frame), Ok(Frame::Pong(Pong::Id(*keys.id()))));
        }
        "pong-cpp-echo" => {
            let asked = vector.bytes("ping");
            let Ok(Frame::Ping(ping)) = Frame::decode(&asked) else { panic!("not PING") };
            let id: [u8; 20] = asked[9..].try_into().expect("20 bytes");
            let timestamp = ping.timestamp.expect("timestamp");
            assert_eq!(Frame::decode(&frame), Ok(Frame::Pong(Pong::Echo { timestamp, id })));
        }
        other => panic!("unknown vector {other}"),
    }
}

pub fn frag(vector: &Vector) {
    let payload = by_rule(vector, "payload_rule=byte i = (7*i+3) mod 256", 7, 3);
    assert_eq!(vector.bytes("payload_sha256"), Sha256::digest(&payload).as_slice());
    let count = vector.want("count").as_u64().expect("count");
    if *vector.want("fragmented") == json!(false) {
        vector.remark();
        assert_eq!((vector.name.as_str(), count), ("frag-1200", 1));
        return;
    }
    let set = unhex_array(vector.text("frag_id"));
    let mut frames = Vec::new();
    let mut joined: Vec<u8> = Vec::new();
    for frag in Frag::split(set, &payload).expect("pieces") {
        let mut frame = Vec::new();
        frag.encode(&mut frame).expect("a piece");
        assert_eq!(Frame::decode(&frame), Ok(Frame::Frag(frag)));
        assert!(frag.data.len() <= V12_FRAG_DATA);
        joined.extend(frag.data);
        frames.push(hex(&frame));
    }
    assert_eq!(json!(frames), *vector.want("frames"));
    assert_eq!(frames.len() as u64, count);
    assert_eq!(joined, payload);
}

pub fn batch(vector: &Vector) {
    let frames: Vec<Vec<u8>> = texts(vector.input("frames")).into_iter().map(unhex).collect();
    let mut unpacked: Vec<Vec<u8>> = Vec::new();
    for datagram in texts(vector.want("datagrams")).into_iter().map(unhex) {
        // The frames in these vectors are filler that may be no frame, so only the batch itself is decoded.
        if datagram[0] != kind::BATCH {
            unpacked.push(datagram);
            continue;
        }
        let Ok(Frame::Batch(inside)) = Frame::decode(&datagram) else { panic!("not BATCH") };
        let inside: Vec<&[u8]> = inside.frames().collect();
        let mut again = Vec::new();
        batch::encode(&inside, &mut again).expect("fits");
        assert_eq!(again, datagram);
        unpacked.extend(inside.into_iter().map(<[u8]>::to_vec));
    }
    assert_eq!(unpacked, frames);
}

pub fn sync(vector: &Vector) {
    let mut frame = Vec::new();
    match vector.name.as_str() {
        "have-3" => {
            let keys: Vec<&[u8]> = texts(vector.input("keys")).into_iter().map(str::as_bytes).collect();
            encode_have(&keys, &mut frame).expect("keys");
            assert_eq!(vector.want_bytes("frame"), frame);
            let Ok(Frame::Have(have)) = Frame::decode(&frame) else { panic!("not HAVE") };
            assert_eq!(have.keys().collect::<Vec<_>>(), keys);
        }
        "want" => {
            let want = Want { key: vector.text("key").as_bytes() };
            want.encode(&mut frame).expect("key");
            assert_eq!(vector.want_bytes("frame"), frame);
            assert_eq!(Frame::decode(&frame), Ok(Frame::Want(want)));
        }
        "chunk-ack" => {
            let chunk = vector.bytes("chunk");
            let Ok(Frame::Chunk(Chunk { key, content: Content::Piece { index, .. } })) = Frame::decode(&chunk) else {
                panic!("not a piece")
            };
            let ack = ChunkAck { key, index };
            ack.encode(&mut frame).expect("key");
            assert_eq!(vector.want_bytes("frame"), frame);
            assert_eq!(Frame::decode(&frame), Ok(Frame::ChunkAck(ack)));
        }
        "chunk-ack-advances-window" => {
            let bytes = vector.bytes("ack");
            let Ok(Frame::ChunkAck(ack)) = Frame::decode(&bytes) else { panic!("not CHUNK_ACK") };
            assert_eq!(ack, ChunkAck { key: vector.text("key").as_bytes(), index: 0 });
            let next = &chunks(ack.key, &[0; 9_000])[1];
            assert!(next.starts_with(vector.want("next_frame_prefix").as_str().expect("text")));
        }
        "chunk-window-9000" => {
            vector.remark();
            let value = by_rule(vector, "value_rule=byte i = (5*i+1) mod 256", 5, 1);
            let frames = chunks(vector.text("key").as_bytes(), &value);
            assert_eq!(frames.len(), 10);
            let prefixes = texts(vector.want("frame_prefixes"));
            assert_eq!(*vector.want("count"), json!(prefixes.len()));
            for (frame, prefix) in frames.iter().zip(prefixes) {
                assert!(frame.starts_with(prefix), "{frame}");
            }
        }
        name if ["chunk-0", "chunk-1", "chunk-900", "chunk-901", "chunk-1800", "chunk-1801"].contains(&name) => {
            let value = by_rule(vector, "value_rule=byte i = (5*i+1) mod 256", 5, 1);
            assert_eq!(*vector.want("frames"), json!(chunks(vector.text("key").as_bytes(), &value)));
        }
        other => panic!("unknown vector {other}"),
    }
}

/// The CHUNK frames of a value, read back on the way.
fn chunks(key: &[u8], value: &[u8]) -> Vec<String> {
    let mut frames = Vec::new();
    let mut joined: Vec<u8> = Vec::new();
    for chunk in Chunk::split(key, value).expect("chunks") {
        let mut frame = Vec::new();
        chunk.encode(&mut frame).expect("a chunk");
        assert_eq!(Frame::decode(&frame), Ok(Frame::Chunk(chunk)));
        let (Content::Whole(data) | Content::Piece { data, .. }) = chunk.content;
        assert!(data.len() <= V12_CHUNK_DATA);
        joined.extend(data);
        frames.push(hex(&frame));
    }
    assert_eq!(joined, value);
    frames
}

pub fn pex(vector: &Vector) {
    let entries: Vec<Entry> = vector
        .input("peers")
        .as_array()
        .expect("peers")
        .iter()
        .map(|peer| Entry {
            id: unhex_array(peer["wire_id"].as_str().expect("id")),
            address: SocketAddr::new(peer["ip"].as_str().expect("ip").parse().expect("ip"), port(&peer["port"])),
        })
        .collect();
    let mut frame = Vec::new();
    let expected_layout = match vector.name.as_str() {
        "pex-js-python-cpp" => {
            pex::encode(&entries, &mut frame).expect("entries");
            Layout::Prefixed
        }
        "pex-rust" => {
            pex::encode_fixed(&entries, &mut frame).expect("entries");
            Layout::Fixed
        }
        other => panic!("unknown vector {other}"),
    };
    assert_eq!(vector.want_bytes("frame"), frame);
    let Ok(Frame::Pex(pex)) = Frame::decode(&frame) else { panic!("not PEX") };
    assert_eq!(pex.layout, expected_layout);
    assert_eq!(pex.entries().collect::<Vec<_>>(), entries);
}

pub fn relay(vector: &Vector) {
    let address =
        |port_field: &str| SocketAddr::new(vector.text("ip").parse().expect("ip"), port(vector.input(port_field)));
    let mut frame = Vec::new();
    match vector.name.as_str() {
        "relay-ann" => {
            let relay = V12Keys::from_seed(&vector.bytes("seed"));
            let ann = RelayAnn { id: RelayId::Short(relay.wire_id()), address: address("port") };
            ann.encode(&mut frame).expect("address");
            assert_eq!(Frame::decode(&frame), Ok(Frame::RelayAnn(ann)));
        }
        "relay-req" => {
            vector.remark();
            let requester = V12Keys::from_seed(&vector.bytes("from_seed")).wire_id();
            let target = unhex_array(vector.text("target_wire_id"));
            let req = RelayReq::Introduce { requester, target, address: address("local_port") };
            req.encode(&mut frame).expect("address");
            assert_eq!(Frame::decode(&frame), Ok(Frame::RelayReq(req)));
        }
        "relay-fwd" => {
            let asked = vector.bytes("relay_req");
            let Ok(Frame::RelayReq(RelayReq::Introduce { requester, target, address })) = Frame::decode(&asked) else {
                panic!("not RELAY_REQ")
            };
            assert_eq!(vector.want_bytes("sent_to"), target);
            let fwd = RelayFwd { id: RelayId::Short(requester), address };
            fwd.encode(&mut frame).expect("address");
            assert_eq!(Frame::decode(&frame), Ok(Frame::RelayFwd(fwd)));
        }
        other => panic!("unknown vector {other}"),
    }
    assert_eq!(vector.want_bytes("frame"), frame);
}

pub fn lan(vector: &Vector) {
    let keys = V12Keys::from_seed(&vector.bytes("seed"));
    let beacon = Beacon {
        id: *keys.id(),
        ip: Some(vector.text("ip").parse().expect("IPv4")),
        port: port(vector.input("port")),
        topic_hash: vector.text("topic_hash"),
    };
    let mut frame = Vec::new();
    beacon.encode(&mut frame);
    assert_eq!(vector.want_bytes("frame"), frame);
    assert_eq!(*vector.want("text"), json!(String::from_utf8_lossy(&frame[1..])));
    assert_eq!(Frame::decode(&frame), Ok(Frame::Beacon(beacon)));
}

pub fn hash(vector: &Vector) {
    if vector.name.starts_with("xorhash-") {
        assert_eq!(vector.want_bytes("hash"), old_hash::xor_hash(&vector.bytes("data")));
    } else if vector.name.starts_with("bloom-") {
        let [bits, hashes] = ["bits", "hashes"].map(|field| u32::try_from(vector.number(field)).expect("u32"));
        let positions = old_hash::bloom_positions(vector.text("key_ascii").as_bytes(), bits, hashes);
        assert_eq!(*vector.want("positions"), json!(positions));
    } else {
        panic!("unknown vector {}", vector.name);
    }
}
