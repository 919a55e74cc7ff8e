//! Topic hashes, the JSON texts, STUN, and the messages of the v12 DHT.

use crate::{Vector, old_hash, unhex_array};
use serde_json::{Value, json};
use setowire::crypto::identity::V12Keys;
use setowire::wire::dht::{self, Body, Id, Message, Node};
use setowire::wire::hex::encode as hex;
use setowire::wire::json::{Announcement, Gossip, announcement, gossip};
use setowire::wire::stun::{decode_response, encode_request};
use setowire::wire::topic::{topic_hash12, topic_hash24};
use setowire::wire::{Frame, ihave};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;

fn socket(ip: &Value, port: &Value) -> Option<SocketAddr> {
    let port = u16::try_from(port.as_u64()?).expect("port");
    Some(SocketAddr::new(ip.as_str()?.parse().expect("ip"), port))
}

pub fn topic(vector: &Vector) {
    let topic: [u8; 32] = Sha256::digest(vector.text("topic_name")).into();
    assert_eq!(vector.bytes("topic"), topic);
    let short = topic_hash12(&topic);
    assert_eq!(*vector.want("topic_hash"), json!(short));
    assert_eq!(*vector.want("topic_hash_cpp"), json!(topic_hash24(&topic)));
    assert_eq!(*vector.want("announce_path"), json!(format!("/p2p-{short}-announce")));
    let id = vector.want("inbox_id").as_str().expect("id");
    assert_eq!(*vector.want("inbox_path"), json!(format!("/p2p-{short}-{id}")));
    let key = format!("topic:{short}:{id}");
    assert_eq!(vector.want_bytes("dht_key_hash"), dht::key(&key));
    assert_eq!(*vector.want("dht_key"), json!(key));
}

pub fn json(vector: &Vector) {
    match vector.name.as_str() {
        "announce-without-public-address" | "announce-with-public-address" => {
            let body = vector.want("json").as_str().expect("text");
            let keys = V12Keys::from_seed(&vector.bytes("seed"));
            let public = match vector.name.as_str() {
                "announce-with-public-address" => socket(vector.input("ip"), vector.input("port")),
                _ => None,
            };
            let local = socket(vector.input("lip"), vector.input("lport"));
            assert_eq!(announcement(body.as_bytes()), Some(Announcement { id: *keys.id(), public, local }));
        }
        "gossip-payload" => {
            vector.remark();
            let payload = vector.want("payload").as_str().expect("text");
            let id = Some(unhex_array(vector.text("wire_id")));
            let address = socket(vector.input("ip"), vector.input("port"));
            assert_eq!(gossip(payload.as_bytes()), Some(Gossip { id, address }));
        }
        "ihave-js-python" => {
            let plaintexts = vector.input("plaintexts").as_array().expect("list");
            let hashes: Vec<[u8; 8]> =
                plaintexts.iter().map(|text| old_hash::xor_hash(&crate::unhex(text.as_str().expect("hex")))).collect();
            let mut frame = Vec::new();
            ihave::encode(&hashes, &mut frame);
            assert_eq!(vector.want_bytes("frame"), frame);
            let Ok(Frame::IHave(read)) = Frame::decode(&frame) else { panic!("not IHAVE") };
            assert_eq!(read.hashes().collect::<Vec<_>>(), hashes);
        }
        other => panic!("unknown vector {other}"),
    }
}

pub fn stun(vector: &Vector) {
    if vector.name == "stun-request" {
        let request = encode_request(&[7; 12]);
        assert!(request.starts_with(&vector.want_bytes("prefix")));
        assert!(request.ends_with(&[7; 12]));
        assert_eq!(*vector.want("length"), json!(request.len()));
        return;
    }
    assert!(vector.name.starts_with("stun-response-"), "unknown vector {}", vector.name);
    let response = vector.bytes("response");
    let transaction = response[8..20].try_into().expect("12 bytes");
    let found = decode_response(&response, &transaction).ok();
    let expected = match &vector.expected {
        Value::Null => None,
        _ => socket(vector.want("ip"), vector.want("port")),
    };
    assert_eq!(found, expected);
    let mut other = transaction;
    other[11] ^= 1;
    assert!(decode_response(&response, &other).is_err());
}

thread_local! {
    /// The message vectors are one conversation: what was stored stays for the next.
    static NODE: RefCell<DhtNode> = RefCell::default();
}

/// As much of an old DHT node as the vectors show: it learns who writes to it, stores and answers.
#[derive(Default)]
struct DhtNode {
    table: Vec<Node>,
    storage: BTreeMap<Id, String>,
}

impl DhtNode {
    fn receive(&mut self, own: Id, request: Message, from: SocketAddr) -> Option<Message> {
        let sender = Node { id: request.from, address: from };
        if !self.table.contains(&sender) {
            self.table.push(sender);
        }
        let body = match request.body {
            Body::Ping => Body::Pong,
            Body::FindNode { .. } => Body::FoundNode { nodes: self.table.clone() },
            Body::FindValue { key } => match self.storage.get(&key) {
                Some(value) => Body::FoundValue { value: value.clone() },
                None => Body::FoundNode { nodes: self.table.clone() },
            },
            Body::Store { key, value } => {
                self.storage.insert(key, value);
                return None;
            }
            other => panic!("not a request: {other:?}"),
        };
        Some(Message { from: own, rpc: request.rpc, body })
    }
}

pub fn dht(vector: &Vector) {
    let own = V12Keys::from_seed(&[0; 32]);
    match vector.name.as_str() {
        name if name.starts_with("bucket-") => {
            let (own, other) = (unhex_array(vector.text("self")), unhex_array(vector.text("other")));
            assert_eq!(vector.want_bytes("distance"), dht::distance(&own, &other));
            assert_eq!(*vector.want("bucket"), json!(dht::bucket(&own, &other)));
        }
        "dht-ping" | "dht-store" | "dht-find-value-hit" | "dht-find-value-miss" | "dht-find-node" | "dht-no-rpcid" => {
            let text = vector.text("request");
            let request = Message::decode(text.as_bytes()).expect("a request");
            assert_eq!(parse(&request.encode().expect("fits")), parse(text.as_bytes()));
            let from = vector.input("from");
            let from = socket(&from["address"], &from["port"]).expect("address");
            let (reply, table, storage) = NODE.with_borrow_mut(|node| {
                let reply = node.receive(*own.id(), request, from);
                (reply, node.table.len(), node.storage.clone())
            });
            let replies = vector.want("replies").as_array().expect("list");
            assert_eq!(replies.len(), usize::from(reply.is_some()));
            for (expected, reply) in replies.iter().zip(&reply) {
                let expected = expected.as_str().expect("text").as_bytes();
                assert_eq!(parse(&reply.encode().expect("fits")), parse(expected));
                assert_eq!(Message::decode(expected).as_ref(), Ok(reply));
            }
            assert_eq!(*vector.want("table_size"), json!(table));
            let storage: BTreeMap<String, String> =
                storage.into_iter().map(|(key, value)| (hex(&key), value)).collect();
            assert_eq!(*vector.want("storage"), json!(storage));
        }
        "dht-put" => {
            let key = dht::key(vector.text("key"));
            assert_eq!(vector.want_bytes("key_hash"), key);
            let body = Body::Store { key, value: vector.text("value").to_owned() };
            let message = Message { from: *own.id(), rpc: None, body };
            let [store] = vector.want("stores").as_array().expect("list").as_slice() else { panic!("one store") };
            let text = store["json"].as_str().expect("text");
            assert_eq!(NODE.with_borrow(|node| Some(node.table[0].address)), socket(&store["ip"], &store["port"]));
            assert_eq!(parse(&message.encode().expect("fits")), parse(text.as_bytes()));
            assert_eq!(Message::decode(text.as_bytes()), Ok(message));
        }
        other => panic!("unknown vector {other}"),
    }
}

/// The order of fields does not count.
fn parse(text: &[u8]) -> Value {
    serde_json::from_slice(text).expect("JSON")
}
