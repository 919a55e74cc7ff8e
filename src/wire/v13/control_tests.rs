//! Forms, limits and round trips of the control stream.

use super::*;
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

fn encoded(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

/// The frame is there when all of its bytes are, and not before; nothing after it is touched.
fn assert_incremental(bytes: &[u8], expected: Control<'_>) {
    for cut in 0..bytes.len() {
        assert_eq!(next(&bytes[..cut]), Ok(None), "{cut} of {}", bytes.len());
    }
    assert_eq!(next(bytes), Ok(Some((expected, bytes.len()))));
    let followed = [bytes, &[0xFF; 40]].concat();
    assert_eq!(next(&followed), Ok(Some((expected, bytes.len()))));
}

#[test]
fn layouts() {
    let hello = Hello { version: 13, instance: 0x0102, max_message: 16 << 20, explicit: true, continues: false };
    let bytes = encoded(|out| hello.encode(out).expect("hello"));
    assert_eq!(bytes, [1, 14, 13, 0, 0, 0, 0, 0, 0, 1, 2, 0x81, 0, 0, 0, 1]);
    assert_incremental(&bytes, Control::Hello(hello));

    let tags = [[7; 32], [8; 32]];
    let bytes = encoded(|out| encode_topics(&tags, out).expect("tags"));
    assert_eq!((&bytes[..3], bytes.len()), (&[2, 0x40, 64][..], 67));
    assert_incremental(&bytes, Control::Topics(&tags));
    assert_incremental(&encoded(|out| encode_shared(&[], out).expect("tags")), Control::Shared(&[]));
    assert_incremental(&encoded(|out| encode_left(&tags[..1], out).expect("tags")), Control::Left(&tags[..1]));
    assert_eq!(encoded(encode_ask), [4, 0]);
    assert_incremental(&[4, 0], Control::Ask);
    let bytes = encoded(|out| encode_legacy(&[9; 32], out));
    assert_eq!((&bytes[..3], bytes.len()), (&[7, 32, 9][..], 34));
    assert_incremental(&bytes, Control::Legacy([9; 32]));
    let bytes = encoded(|out| encode_legacy_proof(&[9; 32], out));
    assert_eq!((&bytes[..3], bytes.len()), (&[8, 32, 9][..], 34));
    assert_incremental(&bytes, Control::LegacyProof([9; 32]));

    let addrs = ["192.0.2.1:258", "[2001:db8::1]:0"].map(|text| text.parse().expect("address"));
    let bytes = encoded(|out| encode_addrs(&addrs, out).expect("addresses"));
    assert_eq!(bytes[..10], [6, 26, 4, 192, 0, 2, 1, 1, 2, 6]);
    let Ok(Some((Control::Addrs(read), 28))) = next(&bytes) else { panic!("not ADDRS") };
    assert_eq!(read.iter().collect::<Vec<_>>(), addrs);
    assert_incremental(&bytes, Control::Addrs(read));
}

#[test]
fn a_length_beyond_its_type_is_refused_before_the_body_comes() {
    for (kind, most) in [
        (HELLO, 65_536),
        (TOPICS, 65_536),
        (SHARED, 65_536),
        (ASK, 0),
        (LEFT, 65_536),
        (ADDRS, 152),
        (LEGACY, 32),
        (LEGACY_PROOF, 32),
        (0, 65_536),
        (9, 65_536),
        (varint::MAX, 65_536),
    ] {
        if most > 0 {
            for fits in [1, most - 1, most] {
                assert_eq!(next(&header(kind, fits)), Ok(None), "type {kind}, {fits} bytes");
            }
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
    for kind in [TOPICS, SHARED, LEFT] {
        for length in [1, 31, 33, 63, 65, 65_535] {
            let problem = Problem::Short { need: 32, have: length % 32 };
            assert_eq!(error(kind, &vec![0; length]), ("tags", problem));
        }
        for length in [0, 32, 64, 65_536] {
            assert!(next(&stream(kind, &vec![0; length])).is_ok(), "{length}");
        }
    }
    for (kind, field) in [(LEGACY, "key"), (LEGACY_PROOF, "mac")] {
        for length in [0, 1, 31] {
            assert_eq!(error(kind, &vec![0; length]), (field, Problem::Short { need: 32, have: length }));
        }
    }
    let most = vec![[1; 32]; 2_048];
    assert!(encode_topics(&most, &mut Vec::new()).is_ok());
    let mut out = Vec::new();
    for encode in [encode_topics, encode_shared, encode_left] {
        assert!(encode(&[&most[..], &most[..1]].concat(), &mut out).is_err());
    }
    assert!(out.is_empty());
}

#[test]
fn a_hello_has_all_its_fields_and_may_have_more() {
    for number in [0, 1, varint::MAX - 1, varint::MAX] {
        let hello =
            Hello { version: 13.max(number), instance: number, max_message: number, explicit: false, continues: false };
        let bytes = encoded(|out| hello.encode(out).expect("in range"));
        assert_incremental(&bytes, Control::Hello(hello));
    }
    let mut hello = Hello { version: 13, instance: u64::MAX, max_message: 1, explicit: false, continues: false };
    assert_incremental(&encoded(|out| hello.encode(out).expect("in range")), Control::Hello(hello));
    hello.max_message = varint::MAX + 1;
    assert!(hello.encode(&mut Vec::new()).is_err());

    let body = [13, 0, 0, 0, 0, 0, 0, 0, 9, 5, 3];
    for (cut, field) in [(0, "version"), (1, "instance"), (8, "instance"), (9, "max_message"), (10, "flags")] {
        assert_eq!(error(HELLO, &body[..cut]).0, field);
    }
    for version in [0, 1, 12] {
        let old = [&[version], &body[1..]].concat();
        assert_eq!(error(HELLO, &old), ("version", Problem::Range(u64::from(version))));
    }
    let known = Hello { version: 13, instance: 9, max_message: 5, explicit: true, continues: true };
    for tail in [0, 1, 65_524, 65_525] {
        let long = stream(HELLO, &[&body[..], &vec![0xFF; tail]].concat());
        assert_eq!(next(&long), Ok(Some((Control::Hello(known), long.len()))), "flags to come, and {tail} bytes");
    }
    for flags in 0..=62 {
        let bytes = stream(HELLO, &[&body[..10], &[flags]].concat());
        let (explicit, continues) = (flags & 1 != 0, flags & 2 != 0);
        let hello = Control::Hello(Hello { explicit, continues, ..known });
        assert_eq!(next(&bytes), Ok(Some((hello, bytes.len()))), "{flags}: bits that are not known are passed over");
    }
}

#[test]
fn addresses_are_few_and_of_two_families() {
    let v4 = [4, 192, 0, 2, 1, 0, 7];
    assert!(matches!(next(&stream(ADDRS, &v4.repeat(8))), Ok(Some((Control::Addrs(a), _))) if a.iter().count() == 8));
    assert!(matches!(next(&stream(ADDRS, &[])), Ok(Some((Control::Addrs(a), _))) if a.iter().count() == 0));
    assert_eq!(error(ADDRS, &v4.repeat(9)), ("count", Problem::Long { have: 7, most: 0 }));
    for family in [0, 1, 3, 5, 7, 254, 255] {
        let bad = [&v4[..], &[family], &v4[1..]].concat();
        assert_eq!(error(ADDRS, &bad), ("family", Problem::Range(u64::from(family))));
    }
    for cut in 1..7 {
        assert_eq!(error(ADDRS, &v4[..cut]).0, if cut < 5 { "ip" } else { "port" });
    }
    let addr: SocketAddr = "[2001:db8::1]:65535".parse().expect("address");
    assert!(encode_addrs(&[addr; 8], &mut Vec::new()).is_ok());
    let mut out = Vec::new();
    assert!(encode_addrs(&[addr; 9], &mut out).is_err() && out.is_empty());
}

#[test]
fn what_is_not_known_is_passed_over() {
    for kind in [0, 9, 63, 64, varint::MAX - 1, varint::MAX] {
        assert_incremental(&stream(kind, b"to come"), Control::Unknown { kind });
    }
}

proptest! {
    #[test]
    fn round_trip(
        version in VERSION..=varint::MAX, instance: u64, max_message in 0..=varint::MAX, explicit: bool, continues: bool,
        tags: Vec<Tag>, addrs in prop::collection::vec(any::<(IpAddr, u16)>(), 0..=8), key: [u8; 32],
    ) {
        let hello = Hello { version, instance, max_message, explicit, continues };
        let addrs: Vec<SocketAddr> = addrs.into_iter().map(SocketAddr::from).collect();
        let mut out = Vec::new();
        hello.encode(&mut out).expect("in range");
        encode_topics(&tags, &mut out).expect("few");
        encode_shared(&tags, &mut out).expect("few");
        encode_ask(&mut out);
        encode_left(&tags, &mut out).expect("few");
        encode_addrs(&addrs, &mut out).expect("few");
        encode_legacy(&key, &mut out);
        encode_legacy_proof(&key, &mut out);
        let mut rest = &out[..];
        let mut take = || {
            let (control, taken) = next(rest).expect("decodes").expect("whole");
            rest = &rest[taken..];
            control
        };
        prop_assert_eq!(take(), Control::Hello(hello));
        prop_assert_eq!(take(), Control::Topics(&tags));
        prop_assert_eq!(take(), Control::Shared(&tags));
        prop_assert_eq!(take(), Control::Ask);
        prop_assert_eq!(take(), Control::Left(&tags));
        let Control::Addrs(read) = take() else { panic!("not ADDRS") };
        prop_assert_eq!(read.iter().collect::<Vec<_>>(), addrs);
        prop_assert_eq!(take(), Control::Legacy(key));
        prop_assert_eq!(take(), Control::LegacyProof(key));
        prop_assert!(rest.is_empty());
    }
}
