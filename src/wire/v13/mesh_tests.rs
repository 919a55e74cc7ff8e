//! Forms, limits and round trips of the mesh stream.

use super::super::varint;
use super::*;
use crate::wire::Problem;
use proptest::prelude::*;

fn header(kind: u64, length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint::encode(kind, &mut bytes).expect("type");
    varint::encode(length, &mut bytes).expect("length");
    bytes
}

fn stream(kind: u64, body: &[u8]) -> Vec<u8> {
    [header(kind, body.len() as u64), body.to_vec()].concat()
}

fn error(kind: u64, body: &[u8]) -> (&'static str, Problem) {
    let error = next(&stream(kind, body)).expect_err("not a frame");
    (error.field, error.problem)
}

fn message(payload: &[u8]) -> Message<'_> {
    Message {
        topic: [1; 8],
        author: [2; 32],
        id: [3; 16],
        hops: 4,
        flags: BRIDGED,
        time: 5,
        signature: [6; 64],
        payload,
    }
}

/// The frame is there when all of its bytes are, and not before; nothing after it is touched.
fn assert_incremental(bytes: &[u8], expected: Mesh<'_>) {
    for cut in 0..bytes.len() {
        assert_eq!(next(&bytes[..cut]), Ok(None), "{cut} of {}", bytes.len());
    }
    assert_eq!(next(bytes), Ok(Some((expected, bytes.len()))));
    let followed = [bytes, &[0xFF; 40]].concat();
    assert_eq!(next(&followed), Ok(Some((expected, bytes.len()))));
}

#[test]
fn layouts() {
    let mut bytes = Vec::new();
    message(b"payload").encode(&mut bytes).expect("small");
    let expected: Vec<u8> =
        [&[1, 0x40, 137][..], &[1; 8], &[2; 32], &[3; 16], &[4, 1], &[0, 0, 0, 0, 0, 0, 0, 5], &[6; 64], b"payload"]
            .concat();
    assert_eq!(bytes, expected);
    assert_eq!(bytes.len(), 3 + MESSAGE_HEADER_BYTES + 7);
    assert_incremental(&bytes, Mesh::Message(message(b"payload")));

    let messages = [([1; 8], [2; 16]), ([3; 8], [4; 16])];
    let mut bytes = Vec::new();
    encode_have(&messages, &mut bytes).expect("few");
    assert_eq!((&bytes[..3], &bytes[9..12]), (&[2, 48, 1][..], &[1, 2, 2][..]));
    let Ok(Some((Mesh::Have(read), 50))) = next(&bytes) else { panic!("not HAVE") };
    assert_eq!(read.iter().collect::<Vec<_>>(), messages);
    assert_incremental(&bytes, Mesh::Have(read));

    let mut bytes = Vec::new();
    encode_want(&[[7; 16]], &mut bytes).expect("few");
    assert_eq!(bytes[..3], [3, 16, 7]);
    assert_incremental(&bytes, Mesh::Want(&[[7; 16]]));
    let mut bytes = Vec::new();
    encode_prune(&[8; 8], &mut bytes);
    assert_eq!(bytes, [4, 8, 8, 8, 8, 8, 8, 8, 8, 8]);
    assert_incremental(&bytes, Mesh::Prune([8; 8]));
}

#[test]
fn a_length_beyond_its_type_is_refused_before_the_body_comes() {
    for (kind, most) in [
        (MESSAGE, 130 + (1 << 20)),
        (HAVE, 256 * 24),
        (WANT, 256 * 16),
        (PRUNE, 8),
        (0, (1 << 20) + 512),
        (5, (1 << 20) + 512),
        (varint::MAX, (1 << 20) + 512),
    ] {
        for fits in [1, most - 1, most] {
            assert_eq!(next(&header(kind, fits)), Ok(None), "type {kind}, {fits} bytes");
        }
        for long in [most + 1, 1 << 30, varint::MAX - 1, varint::MAX] {
            let error = next(&header(kind, long)).expect_err("too long");
            assert_eq!(error.field, "length");
            assert_eq!(error.problem, Problem::Long { have: long as usize, most: most as usize }, "type {kind}");
        }
    }
}

#[test]
fn bodies_are_exactly_what_they_say() {
    for (cut, field) in [(0, "topic"), (8, "author"), (40, "id"), (56, "hops"), (57, "flags"), (58, "time")] {
        assert_eq!(error(MESSAGE, &vec![0; cut]).0, field);
    }
    assert_eq!(error(MESSAGE, &[0; 129]), ("signature", Problem::Short { need: 64, have: 63 }));
    let empty = stream(MESSAGE, &[0; 130]);
    assert!(matches!(next(&empty), Ok(Some((Mesh::Message(Message { payload: b"", .. }), 133)))));
    for length in [1, 23, 25, 6_143] {
        assert_eq!(error(HAVE, &vec![0; length]), ("ids", Problem::Short { need: 24, have: length % 24 }));
    }
    for length in [1, 15, 17, 4_095] {
        assert_eq!(error(WANT, &vec![0; length]), ("ids", Problem::Short { need: 16, have: length % 16 }));
    }
    assert!(next(&stream(HAVE, &[])).is_ok() && next(&stream(WANT, &[])).is_ok());
    for length in [0, 1, 7] {
        assert_eq!(error(PRUNE, &vec![0; length]), ("topic", Problem::Short { need: 8, have: length }));
    }
}

#[test]
fn nothing_is_written_that_would_be_refused() {
    let large = vec![7; (1 << 20) + 1];
    let mut out = Vec::new();
    assert!(message(&large).encode(&mut out).is_err());
    assert!(encode_have(&[([0; 8], [0; 16]); 257], &mut out).is_err());
    assert!(encode_want(&[[0; 16]; 257], &mut out).is_err());
    assert!(out.is_empty());
    for payload in [&large[..1 << 20], &large[..(1 << 20) - 1]] {
        out.clear();
        message(payload).encode(&mut out).expect("fits");
        assert_eq!(next(&out), Ok(Some((Mesh::Message(message(payload)), out.len()))));
    }
    out.clear();
    encode_have(&[([0; 8], [0; 16]); 256], &mut out).expect("fits");
    encode_want(&[[0; 16]; 256], &mut out).expect("fits");
    let Ok(Some((Mesh::Have(have), taken))) = next(&out) else { panic!("not HAVE") };
    assert_eq!(have.iter().count(), 256);
    assert!(matches!(next(&out[taken..]), Ok(Some((Mesh::Want(ids), _))) if ids.len() == 256));
}

#[test]
fn numbers_at_their_ends() {
    for (number, time) in [(0, 0), (1, 1), (u8::MAX - 1, u64::MAX - 1), (u8::MAX, u64::MAX)] {
        let sent = Message { hops: number, flags: number, time, ..message(b"x") };
        let mut out = Vec::new();
        sent.encode(&mut out).expect("small");
        assert_eq!(next(&out), Ok(Some((Mesh::Message(sent), out.len()))));
    }
}

#[test]
fn what_is_not_known_is_passed_over() {
    for kind in [0, 5, 63, 64, varint::MAX - 1, varint::MAX] {
        assert_incremental(&stream(kind, b"to come"), Mesh::Unknown { kind });
    }
}

proptest! {
    #[test]
    fn round_trip(
        topic: [u8; 8], author: [u8; 32], id: [u8; 16], hops: u8, flags: u8, time: u64, half: [u8; 32],
        payload: Vec<u8>, messages in prop::collection::vec(any::<([u8; 8], [u8; 16])>(), 0..=256),
    ) {
        let signature = [half; 2].concat().try_into().expect("64 bytes");
        let sent = Message { topic, author, id, hops, flags, time, signature, payload: &payload };
        let ids: Vec<MessageId> = messages.iter().map(|(_, id)| *id).collect();
        let mut out = Vec::new();
        sent.encode(&mut out).expect("small");
        encode_have(&messages, &mut out).expect("few");
        encode_want(&ids, &mut out).expect("few");
        encode_prune(&topic, &mut out);
        let mut rest = &out[..];
        let mut take = || {
            let (mesh, taken) = next(rest).expect("decodes").expect("whole");
            rest = &rest[taken..];
            mesh
        };
        prop_assert_eq!(take(), Mesh::Message(sent));
        let Mesh::Have(read) = take() else { panic!("not HAVE") };
        prop_assert_eq!(read.iter().collect::<Vec<_>>(), messages);
        prop_assert_eq!(take(), Mesh::Want(&ids));
        prop_assert_eq!(take(), Mesh::Prune(topic));
        prop_assert!(rest.is_empty());
    }
}
