//! What setowire/13 computes with keys.

use crate::{Vector, unhex_array};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use setowire::crypto::announce::{self, Announcement};
use setowire::crypto::cert::{certificate, key_of};
use setowire::crypto::identity::V12Keys;
use setowire::crypto::legacy::LegacySecret;
use setowire::crypto::path::PathKey;
use setowire::crypto::probe::probe_target;
use setowire::crypto::topic::{Role, TopicKey};
use setowire::wire::hex::encode as hex;
use setowire::wire::v13::{SessionProbe, Step};

fn array<const N: usize>(vector: &Vector, field: &str) -> [u8; N] {
    unhex_array(vector.text(field))
}

fn topic_key(vector: &Vector) -> TopicKey {
    let topic = array(vector, "topic");
    match vector.input("secret") {
        Value::Null => TopicKey::public(&topic),
        _ => TopicKey::private(&topic, &array(vector, "secret")),
    }
}

fn port(vector: &Vector, field: &str) -> u16 {
    u16::try_from(vector.number(field)).expect("port")
}

fn large(vector: &Vector, field: &str) -> u64 {
    vector.text(field).parse().expect("number")
}

pub fn v13_topic(vector: &Vector) {
    let key = topic_key(vector);
    let exporter = array(vector, "exporter");
    assert_eq!(vector.want_bytes("key"), key.bytes());
    assert_eq!(vector.want_bytes("dialler"), key.proof(Role::Dialler, &exporter));
    assert_eq!(vector.want_bytes("acceptor"), key.proof(Role::Acceptor, &exporter));
    assert_eq!(vector.want_bytes("mesh"), key.mesh());
}

pub fn v13_announce(vector: &Vector) {
    let (topic, nonce) = (topic_key(vector), array(vector, "nonce"));
    let day = announce::day(large(vector, "unix_us"));
    assert_eq!(*vector.want("day"), json!(day));
    assert_eq!(vector.want_bytes("tag"), announce::tag(&topic, day));
    let said = Announcement {
        key: array(vector, "key"),
        v4: port(vector, "v4"),
        v6: port(vector, "v6"),
        instance: large(vector, "instance"),
    };
    let sealed = vector.want_bytes("sealed");
    assert_eq!(announce::seal(&topic, day, nonce, &said).expect("sealed").as_slice(), sealed);
    assert_eq!(announce::open(&topic, day, nonce, &sealed), Some(said));
}

pub fn v13_probe(vector: &Vector) {
    assert_eq!(vector.want_bytes("target"), probe_target(&array(vector, "key"), &array(vector, "nonce")));
}

pub fn v13_path(vector: &Vector) {
    let key = PathKey::new(array(vector, "key"));
    let n = u32::try_from(vector.number("n")).expect("n");
    assert_eq!(vector.want_bytes("tag"), key.tag(n));
    let (number, nonce) = (port(vector, "number"), array(vector, "nonce"));
    let mut probe = SessionProbe { tag: key.tag(n), step: Step::Challenge, number, nonce, mac: [0; 16] };
    probe.mac = key.mac(n, &probe.covered());
    assert_eq!(vector.want_bytes("mac"), probe.mac);
    assert!(key.fits(n, &probe.covered(), &probe.mac));
    assert_eq!(vector.want_bytes("frame"), probe.encode());
}

pub fn v13_legacy(vector: &Vector) {
    let own = V12Keys::from_seed(&vector.bytes("seed"));
    let (their_public, exporter) = (array(vector, "their_public"), array(vector, "exporter"));
    for (field, role) in [("dialler", Role::Dialler), ("acceptor", Role::Acceptor)] {
        let proof = LegacySecret::new(&own, &their_public).map(|secret| secret.proof(role, &exporter));
        assert_eq!(*vector.want(field), proof.map_or(Value::Null, |proof| json!(hex(&proof))));
    }
}

pub fn v13_certificate(vector: &Vector) {
    let key = SigningKey::from_bytes(&array(vector, "seed"));
    let der = certificate(&key);
    assert_eq!(vector.want_bytes("certificate"), der.as_ref());
    assert_eq!(vector.want_bytes("key"), key_of(&der).expect("our own"));
}
