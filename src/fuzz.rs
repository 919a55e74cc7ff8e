//! What the fuzzers call: one function for each decoder, with what must hold after it.
//!
//! In: any bytes. Out: nothing; a broken promise is a panic. What is promised: no decoder panics,
//! what was decoded can be encoded and is then decoded to the same, what has only one form is
//! the very bytes that came in, encoders refuse what decoders refuse, and every iterator ends
//! within the bytes it was given.
//! How much memory a call may take is said here and checked by the caller
//! (`tests/common/peak_alloc.rs`), because only a program can watch its allocator.
//!
//! A new entry is a function here, its line in [`TARGETS`], a target in `fuzz/` and a
//! corpus; `tests/fuzz_corpus.rs` replays every corpus and fails when one of the four is missing.

mod manage;
pub mod node;
pub mod v13;

use crate::config::limits::CACHE_MAX;
use crate::discovery::cache;
use crate::path::is_dialable;
use crate::wire::{
    Chunk, DecodeError, Frag, Frame, Pong, Want, batch, data, dht, hex, ihave, json, kind, pex, ping,
    stun::{self, TransactionId},
    values::{self, Content},
};
use std::net::SocketAddr;

/// An entry for any bytes.
pub struct Target {
    /// Of the fuzz target and of the corpus.
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// The bytes that a call with so many bytes of input may hold, checks included.
    pub memory: fn(usize) -> usize,
}

/// Every entry.
pub const TARGETS: &[Target] = &[
    Target { name: "batch", run: fuzz_batch, memory: flat },
    Target { name: "beacon", run: fuzz_beacon, memory: flat },
    Target { name: "beacon13", run: v13::fuzz_beacon, memory: flat },
    Target { name: "cache", run: fuzz_cache, memory: tree },
    Target { name: "control", run: v13::fuzz_control, memory: flat },
    Target { name: "data", run: fuzz_data, memory: flat },
    Target { name: "dht", run: fuzz_dht, memory: flat },
    Target { name: "frag", run: fuzz_frag, memory: flat },
    Target { name: "frame", run: fuzz_frame, memory: flat },
    Target { name: "handshake", run: fuzz_handshake, memory: flat },
    Target { name: "ihave", run: fuzz_ihave, memory: flat },
    Target { name: "json", run: fuzz_json, memory: flat },
    Target { name: "mesh", run: v13::fuzz_mesh, memory: flat },
    Target { name: "node", run: node::fuzz_node, memory: node::memory },
    Target { name: "pex", run: fuzz_pex, memory: flat },
    Target { name: "ping", run: fuzz_ping, memory: flat },
    Target { name: "probe", run: v13::fuzz_probe, memory: flat },
    Target { name: "relay", run: fuzz_relay, memory: flat },
    Target { name: "stun", run: fuzz_stun, memory: flat },
    Target { name: "values", run: fuzz_values, memory: flat },
    Target { name: "varint", run: v13::fuzz_varint, memory: flat },
];

/// What comes from the network: copies made by the checks, and JSON trees of bounded size.
fn flat(input: usize) -> usize {
    (64 << 10) + 4 * input
}

/// What the application gives once, and has bounded: a JSON tree as large as its text makes it.
fn tree(input: usize) -> usize {
    (64 << 10) + 80 * input
}

/// Whatever the main socket may receive.
pub fn fuzz_frame(data: &[u8]) {
    match Frame::decode(data) {
        Ok(Frame::Batch(batch)) => {
            check_frame(&Frame::Batch(batch), data);
            for inner in batch.frames() {
                match Frame::decode(inner) {
                    Ok(frame) => check_frame(&frame, inner),
                    Err(error) => check_error(&error),
                }
            }
        }
        Ok(frame) => check_frame(&frame, data),
        Err(error) => check_error(&error),
    }
}

pub fn fuzz_handshake(data: &[u8]) {
    fuzz_kinds(data, &[kind::HELLO, kind::HELLO_ACK]);
}

pub fn fuzz_data(data: &[u8]) {
    fuzz_kinds(data, &[kind::DATA]);
}

pub fn fuzz_ping(data: &[u8]) {
    fuzz_kinds(data, &[kind::PING, kind::PONG, kind::GOAWAY]);
}

pub fn fuzz_ihave(data: &[u8]) {
    fuzz_kinds(data, &[kind::IHAVE]);
}

pub fn fuzz_beacon(data: &[u8]) {
    fuzz_kinds(data, &[kind::LAN]);
}

pub fn fuzz_frag(data: &[u8]) {
    fuzz_kinds(data, &[kind::FRAG]);
    let Some((header, data)) = data.split_first_chunk::<13>() else { return };
    let [_, set @ .., i0, i1, t0, t1] = *header;
    let piece = Frag { set, index: u16::from_be_bytes([i0, i1]), total: u16::from_be_bytes([t0, t1]), data };
    let mut out = Vec::new();
    let written = piece.encode(&mut out).is_ok();
    let bytes = [&[kind::FRAG], &header[1..], data].concat();
    assert_eq!(Frame::decode(&bytes).is_ok(), written);

    let mut joined: Vec<u8> = Vec::new();
    for piece in Frag::split(set, data).into_iter().flatten() {
        joined.extend(piece.data);
        out.clear();
        piece.encode(&mut out).expect("a piece of a message");
        check_frame(&Frame::Frag(piece), &out);
    }
    assert_eq!(joined, data);
}

pub fn fuzz_values(data: &[u8]) {
    fuzz_kinds(data, &[kind::HAVE, kind::WANT, kind::CHUNK, kind::CHUNK_ACK]);
    let Some(([i0, i1, t0, t1], data)) = data.split_first_chunk() else { return };
    let (index, total) = (u16::from_be_bytes([*i0, *i1]), u16::from_be_bytes([*t0, *t1]));
    let mut out = Vec::new();
    let written = Chunk { key: b"k", content: Content::Piece { index, total, data } }.encode(&mut out).is_ok();
    let bytes = [&[kind::CHUNK, 1, b'k', 0xff, 0xff, *i0, *i1, *t0, *t1], data].concat();
    assert_eq!(Frame::decode(&bytes).is_ok(), written);
    out.clear();
    assert_eq!(Want { key: data }.encode(&mut out).is_ok(), (1..256).contains(&data.len()));

    let mut joined: Vec<u8> = Vec::new();
    for chunk in Chunk::split(b"k", data).into_iter().flatten() {
        let (Content::Whole(part) | Content::Piece { data: part, .. }) = chunk.content;
        joined.extend(part);
        out.clear();
        chunk.encode(&mut out).expect("a piece of a value");
        check_frame(&Frame::Chunk(chunk), &out);
    }
    assert_eq!(joined, data);
}

pub fn fuzz_batch(data: &[u8]) {
    fuzz_kinds(data, &[kind::BATCH]);
    let mut out = Vec::new();
    let fits = !data.is_empty() && data[0] != kind::BATCH && data.len() <= usize::from(u16::MAX);
    assert_eq!(batch::encode(&[data], &mut out).is_ok(), fits);
}

pub fn fuzz_relay(data: &[u8]) {
    fuzz_kinds(data, &[kind::RELAY_ANN, kind::RELAY_REQ, kind::RELAY_FWD]);
}

pub fn fuzz_pex(data: &[u8]) {
    fuzz_kinds(data, &[kind::PEX]);
}

/// Gossip and announcements: what was understood says the same again when written plainly.
pub fn fuzz_json(data: &[u8]) {
    if let Some(read) = json::gossip(data) {
        let id = read.id.map(|id| format!(r#","id":"{}""#, hex::encode(&id))).unwrap_or_default();
        let text = format!(r#"{{"_gossip":true{id}{}}}"#, plain_address("ip", "port", read.address));
        assert_eq!(json::gossip(text.as_bytes()), Some(read));
    }
    if let Some(read) = json::announcement(data) {
        let (public, local) = (plain_address("ip", "port", read.public), plain_address("lip", "lport", read.local));
        let text = format!(r#"{{"id":"{}"{public}{local}}}"#, hex::encode(&read.id));
        assert_eq!(json::announcement(text.as_bytes()), Some(read));
    }
}

fn plain_address(ip: &str, port: &str, address: Option<SocketAddr>) -> String {
    address.map(|found| format!(r#","{ip}":"{}","{port}":{}"#, found.ip(), found.port())).unwrap_or_default()
}

/// The transaction id of the request is taken from the answer, so that the fuzzer gets past it.
pub fn fuzz_stun(data: &[u8]) {
    let transaction: TransactionId = data.get(8..20).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; 12]);
    assert!(stun::decode_response(&stun::encode_request(&transaction), &transaction).is_err());
    match stun::decode_response(data, &transaction) {
        Ok(address) => {
            assert_ne!(address.port(), 0);
            let mut other = transaction;
            other[0] ^= 1;
            assert!(stun::decode_response(data, &other).is_err());
        }
        Err(error) => check_error(&error),
    }
}

pub fn fuzz_dht(data: &[u8]) {
    match dht::Message::decode(data) {
        Ok(message) => check_dht(message),
        Err(error) => check_error(&error),
    }
}

fn check_dht(message: dht::Message) {
    let other = match &message.body {
        dht::Body::Store { key, .. } | dht::Body::FindValue { key } => *key,
        dht::Body::FoundValue { value } => dht::key(value),
        dht::Body::FindNode { target } => *target,
        _ => message.from,
    };
    let distance = dht::distance(&message.from, &other);
    assert_eq!(dht::distance(&other, &distance), message.from);
    let bit = dht::bucket(&message.from, &other);
    assert!(message.from == other || distance[bit / 8].ilog2() as usize == bit % 8);
    match message.encode() {
        Ok(text) => assert_eq!(dht::Message::decode(&text), Ok(message)),
        // A text may need more bytes as we write it than as it came, or show commas that were hidden.
        Err(error) => {
            assert!(matches!(message.body, dht::Body::Store { .. } | dht::Body::FoundValue { .. }), "{error}")
        }
    }
}

/// The peers of an earlier run, from a file of the application.
pub fn fuzz_cache(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match cache::parse(text) {
        Ok(entries) => {
            assert!(entries.len() <= CACHE_MAX);
            assert!(entries.is_sorted_by_key(|entry| std::cmp::Reverse(entry.last_seen)));
            for entry in entries {
                assert!(is_dialable(&entry.addr));
                assert!(entry.wire_id().is_none() || entry.id.is_some_and(|id| id.len() >= 16));
            }
        }
        Err(error) => assert!(error.detail.starts_with("peer_cache: "), "{error}"),
    }
}

/// Makes the first byte one of `kinds`, so that no input is wasted on other decoders.
fn fuzz_kinds(data: &[u8], kinds: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let kind = match kinds.contains(first) {
        true => *first,
        false => kinds[usize::from(*first) % kinds.len()],
    };
    let mut frame = vec![kind];
    frame.extend(body);
    fuzz_frame(&frame);
}

fn check_error(error: &DecodeError) {
    assert!(error.to_string().starts_with(error.frame));
}

/// `bytes` was decoded to `frame`: the way back must lead to the same.
fn check_frame(frame: &Frame<'_>, bytes: &[u8]) {
    let mut out = Vec::new();
    match frame {
        Frame::Hello(hello) => return check_prefix(&hello.hello(), bytes),
        Frame::HelloAck(hello) => return check_prefix(&hello.hello_ack(), bytes),
        Frame::Goaway => return,
        Frame::Ping(ping) => return check_ping(ping),
        Frame::Pong(Pong::Id(id)) => return assert_eq!(ping::encode_pong(id), bytes),
        Frame::Pong(Pong::Echo { timestamp, id }) => {
            return assert_eq!(ping::encode_ping(*timestamp, id)[1..], bytes[1..]);
        }
        Frame::Pong(Pong::Other) => return,
        Frame::IHave(read) => {
            let hashes: Vec<[u8; 8]> = read.hashes().collect();
            ihave::encode(&hashes, &mut out);
            return check_prefix(&out, bytes);
        }
        Frame::Have(have) => return check_have(&have.keys().collect::<Vec<_>>(), bytes),
        Frame::Batch(batch) => return check_batch(&batch.frames().collect::<Vec<_>>(), bytes),
        Frame::Pex(pex) => return check_pex(pex, bytes),
        Frame::Beacon(beacon) => {
            assert_ne!(beacon.port, 0);
            beacon.encode(&mut out);
        }
        Frame::Data(data) => {
            let (sequence, payload) = data::split_plaintext(data.sealed).expect("a tag is longer than a number");
            assert_eq!([&sequence.to_be_bytes(), payload].concat(), data.sealed);
            data.encode(&mut out);
            assert_eq!(out, bytes);
        }
        Frame::Frag(frag) => {
            frag.encode(&mut out).expect("what was read can be written");
            assert_eq!(out, bytes);
        }
        Frame::Want(want) => {
            want.encode(&mut out).expect("what was read can be written");
            check_prefix(&out, bytes);
        }
        Frame::Chunk(chunk) => {
            check_piece(chunk);
            chunk.encode(&mut out).expect("what was read can be written");
            check_prefix(&out, bytes);
        }
        Frame::ChunkAck(ack) => {
            ack.encode(&mut out).expect("what was read can be written");
            check_prefix(&out, bytes);
        }
        Frame::RelayAnn(ann) => ann.encode(&mut out).expect("what was read can be written"),
        Frame::RelayReq(req) => req.encode(&mut out).expect("what was read can be written"),
        Frame::RelayFwd(fwd) => fwd.encode(&mut out).expect("what was read can be written"),
    }
    assert_eq!(Frame::decode(&out), Ok(*frame));
}

/// The frame has one form, but bytes may follow it.
fn check_prefix(written: &[u8], bytes: &[u8]) {
    assert!(bytes.starts_with(written), "{written:02x?} is not the beginning of {bytes:02x?}");
}

fn check_ping(read: &ping::Ping) {
    if let (Some(timestamp), Some(id)) = (read.timestamp, read.id) {
        let mut long = [0; 20];
        long[..8].copy_from_slice(&id);
        assert_eq!(Frame::decode(&ping::encode_ping(timestamp, &long)), Ok(Frame::Ping(*read)));
    }
}

fn check_piece(chunk: &Chunk<'_>) {
    if let Content::Piece { index, total, data } = chunk.content {
        assert!(index < total && !data.is_empty());
    }
}

fn check_have(keys: &[&[u8]], bytes: &[u8]) {
    assert!(keys.iter().map(|key| key.len()).sum::<usize>() <= bytes.len());
    let mut out = Vec::new();
    values::encode_have(keys, &mut out).expect("what was read can be written");
    let Ok(Frame::Have(again)) = Frame::decode(&out) else { panic!("not HAVE") };
    assert!(again.keys().eq(keys.iter().copied()));
}

fn check_batch(frames: &[&[u8]], bytes: &[u8]) {
    assert!(frames.iter().map(|frame| frame.len()).sum::<usize>() <= bytes.len());
    let mut out = Vec::new();
    batch::encode(frames, &mut out).expect("what was read can be written");
    let Ok(Frame::Batch(again)) = Frame::decode(&out) else { panic!("not BATCH") };
    assert!(again.frames().eq(frames.iter().copied()));
}

fn check_pex(read: &pex::Pex<'_>, bytes: &[u8]) {
    let entries: Vec<pex::Entry> = read.entries().collect();
    assert!(entries.len() <= usize::from(bytes[1]));
    let mut out = Vec::new();
    match read.layout {
        pex::Layout::Prefixed => pex::encode(&entries, &mut out),
        pex::Layout::Fixed => pex::encode_fixed(&entries, &mut out),
    }
    .expect("what was read can be written");
    let Ok(Frame::Pex(again)) = Frame::decode(&out) else { panic!("not PEX") };
    assert!(again.entries().eq(entries.iter().copied()));
    let all_v4 = entries.iter().all(|entry| entry.address.is_ipv4());
    assert_eq!(pex::encode_fixed(&entries, &mut Vec::new()).is_ok(), all_v4);
    // Without entries both layouts are the same.
    assert!(again.layout == read.layout || entries.is_empty());
}
