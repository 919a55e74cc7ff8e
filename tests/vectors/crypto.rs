//! Identity, session keys, sealed frames, and what was captured from running peers.

use crate::{Vector, unhex};
use serde_json::{Value, json};
use setowire::crypto::identity::V12Keys;
use setowire::crypto::v12::{PeerKey, SessionKeys, SessionSecrets, join_nonce, split_nonce};
use setowire::wire::data::{Data, split_plaintext};
use setowire::wire::hex::encode as hex;
use setowire::wire::{Frame, Hello, Pong, json::gossip, ping};
use sha2::{Digest, Sha256};

pub fn identity(vector: &Vector) {
    let seed = vector.bytes("seed");
    let keys = V12Keys::from_seed(&seed);
    assert_eq!(vector.want_bytes("private_raw"), Sha256::digest(&seed).as_slice());
    assert_eq!(vector.want_bytes("public"), keys.public());
    assert_eq!(vector.want_bytes("id"), keys.id());
    assert_eq!(vector.want_bytes("wire_id"), keys.wire_id());
}

pub fn session(vector: &Vector) {
    let keys = |side: &str| {
        let keys = V12Keys::from_seed(&vector.bytes(&format!("seed_{side}")));
        assert_eq!(vector.bytes(&format!("public_{side}")), keys.public());
        assert_eq!(vector.bytes(&format!("id_{side}")), keys.id());
        keys
    };
    let (a, b) = (keys("a"), keys("b"));
    assert_eq!(vector.want_bytes("shared"), *a.agree(b.public()).expect("honest key"));
    let of_a = SessionSecrets::derive(&a, b.public()).expect("honest key");
    let of_b = SessionSecrets::derive(&b, a.public()).expect("honest key");
    for (side, secrets) in [("a", &of_a), ("b", &of_b)] {
        let expected = json!({ "send_key": hex(&*secrets.send), "recv_key": hex(&*secrets.recv) });
        assert_eq!(*vector.want(side), expected);
        for field in ["session_id", "nonce_prefix"] {
            assert_eq!(vector.want_bytes(field), secrets.session_id.to_be_bytes());
        }
    }
    let a_is_low = vector.want("a_is_low").as_bool().expect("bool");
    assert_eq!(a_is_low, a.wire_id() < b.wire_id());
    let (low, high) = if a_is_low { (&of_a, &of_b) } else { (&of_b, &of_a) };
    let okm = [low.send.as_slice(), high.send.as_slice(), &low.session_id.to_be_bytes()].concat();
    assert_eq!(vector.want_bytes("okm"), okm);
}

pub fn data(vector: &Vector) {
    let from = V12Keys::from_seed(&vector.bytes("from_seed"));
    let to = V12Keys::from_seed(&vector.bytes("to_seed"));
    let sender = SessionKeys::derive(&from, to.public()).expect("honest key");
    let receiver = SessionKeys::derive(&to, from.public()).expect("honest key");
    let counter: u64 = vector.text("counter").parse().expect("counter");
    let sequence = u32::try_from(vector.number("seq")).expect("sequence");
    let payload = vector.bytes("payload");

    let nonce = join_nonce(sender.session_id(), counter);
    assert_eq!(vector.want_bytes("nonce"), nonce);
    let sealed = sender.seal(nonce, sequence, &payload).expect("sealed");
    let mut frame = Vec::new();
    Data { nonce, sealed: &sealed }.encode(&mut frame);
    assert_eq!(vector.want_bytes("frame"), frame);

    let plaintext = open(&receiver, &frame);
    assert_eq!(vector.want_bytes("plaintext"), plaintext);
    assert_eq!(split_plaintext(&plaintext), Some((sequence, &payload[..])));
}

fn open(keys: &SessionKeys, frame: &[u8]) -> Vec<u8> {
    let Ok(Frame::Data(data)) = Frame::decode(frame) else { panic!("not DATA") };
    assert_eq!(split_nonce(&data.nonce).0, keys.session_id());
    keys.open(data.nonce, data.sealed).expect("opens")
}

pub fn captured(vector: &Vector) {
    let family = vector.name.strip_prefix("captured-").expect("captured-");
    assert!(["js", "py010", "pymain", "cpp", "rust"].contains(&family), "unknown vector {}", vector.name);
    let tester = V12Keys::from_seed(&vector.bytes("tester_seed"));
    let hello = Hello { id: tester.wire_id(), key: *tester.public() };
    assert_eq!(vector.bytes("tester_hello"), hello.hello());

    let ack = vector.want_bytes("hello_ack");
    let Ok(Frame::HelloAck(peer)) = Frame::decode(&ack) else { panic!("not HELLO_ACK") };
    assert_eq!(peer.hello_ack().as_slice(), ack);
    let peer_key = PeerKey::checked(peer.id, &peer.key).expect("id belongs to key");
    if let Some(seed) = vector.input("peer_seed").as_str() {
        assert_eq!(V12Keys::from_seed(&unhex(seed)).id(), &peer_key.id);
    }
    pings(vector, &peer_key, &tester);

    let secrets = SessionSecrets::derive(&tester, &peer.key).expect("honest key");
    let expected = json!({
        "send_key": hex(&*secrets.send),
        "recv_key": hex(&*secrets.recv),
        "session_id": hex(&secrets.session_id.to_be_bytes()),
    });
    assert_eq!(*vector.want("session_keys_of_tester"), expected);

    let keys = SessionKeys::derive(&tester, &peer.key).expect("honest key");
    let plaintext = open(&keys, &vector.want_bytes("data"));
    assert_eq!(vector.want_bytes("data_plaintext"), plaintext);
    assert_eq!(split_plaintext(&plaintext), Some((0, &b"captured payload"[..])));
    if family == "rust" {
        pex_of_tester(vector, &tester);
    } else {
        let plaintext = open(&keys, &vector.want_bytes("gossip_data"));
        assert_eq!(vector.want_bytes("gossip_plaintext"), plaintext);
        let (_, payload) = split_plaintext(&plaintext).expect("numbered");
        let told = gossip(payload).expect("gossip");
        assert_eq!(told.address, vector.text("second_tester_udp").parse().ok());
        assert!(told.id.is_some_and(|id| id != tester.wire_id()));
    }
}

fn pings(vector: &Vector, peer: &PeerKey, tester: &V12Keys) {
    let ping = vector.want_bytes("ping");
    let Ok(Frame::Ping(theirs)) = Frame::decode(&ping) else { panic!("not PING") };
    assert_eq!(theirs.id, Some(peer.wire_id()));
    assert_eq!(ping::encode_ping(theirs.timestamp.expect("timestamp"), &peer.id).as_slice(), ping);

    let ours = vector.bytes("tester_ping");
    let Ok(Frame::Ping(asked)) = Frame::decode(&ours) else { panic!("not PING") };
    let timestamp = asked.timestamp.expect("timestamp");
    let pong = vector.want_bytes("pong");
    let expected = match vector.name.as_str() {
        "captured-cpp" => Pong::Echo { timestamp, id: *tester.id() },
        _ => Pong::Id(peer.id),
    };
    assert_eq!(Frame::decode(&pong), Ok(Frame::Pong(expected)));
    if let Pong::Id(id) = expected {
        assert_eq!(ping::encode_pong(&id).as_slice(), pong);
    }
}

/// A Rust peer tells a new peer of all its peers, the new one included.
fn pex_of_tester(vector: &Vector, tester: &V12Keys) {
    let frame = vector.want_bytes("pex_after_handshake");
    let Ok(Frame::Pex(pex)) = Frame::decode(&frame) else { panic!("not PEX") };
    let told: Vec<Value> = pex.entries().map(|entry| json!([hex(&entry.id), entry.address.to_string()])).collect();
    assert_eq!(told, [json!([hex(&tester.wire_id()), vector.text("tester_udp")])]);
}
