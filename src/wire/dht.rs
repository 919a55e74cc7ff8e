//! The v12 DHT's messages: one JSON object in one datagram, on a socket of its own.
//!
//! In: bytes of anyone; out: a [`Message`] whose fields have the right kinds and sizes. Ids and keys are 20 bytes,
//! written as 40 hex digits; the number that ties an answer to its question is 4 bytes
//! and may be missing. Nodes of an answer without a usable address are left out. Old
//! peers die of a message whose sender is not text: none is ever written. Also here: the distance
//! between two ids and the bucket it belongs to, which differ from Kademlia's in one point.

use super::{
    error::{DecodeError, EncodeError, Problem},
    hex, json,
};
use crate::config::limits::{DHT_FOUND_NODES, DHT_MAX_BYTES};
use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};
use std::net::SocketAddr;

/// The id of a node, and the key of a value.
pub type Id = [u8; 20];

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who says it is its sender.
    pub from: Id,
    /// Ties an answer to its question.
    pub rpc: Option<[u8; 4]>,
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    Ping,
    Pong,
    Store {
        key: Id,
        value: String,
    },
    FindNode {
        target: Id,
    },
    /// At most [`DHT_FOUND_NODES`].
    FoundNode {
        nodes: Vec<Node>,
    },
    FindValue {
        key: Id,
    },
    FoundValue {
        value: String,
    },
}

/// A node that another one told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: Id,
    pub address: SocketAddr,
}

impl Message {
    pub fn decode(datagram: &[u8]) -> Result<Message, DecodeError> {
        let object = json::object(datagram, DHT_MAX_BYTES).ok_or(error("object", Problem::Text))?;
        let kind = object.get("type").and_then(Value::as_u64).ok_or(error("type", Problem::Text))?;
        let body = match kind {
            1 => Body::Ping,
            2 => Body::Pong,
            3 => Body::Store { key: id(&object, "key")?, value: value(&object)? },
            4 => Body::FindNode { target: id(&object, "target")? },
            5 => Body::FoundNode { nodes: nodes(&object)? },
            6 => Body::FindValue { key: id(&object, "key")? },
            7 => Body::FoundValue { value: value(&object)? },
            other => return Err(error("type", Problem::Range(other))),
        };
        let rpc = match object.get("rpcId") {
            None | Some(Value::Null) => None,
            Some(rpc) => {
                let digits = rpc.as_str().and_then(|text| hex::decode(text.as_bytes()));
                Some(digits.ok_or(error("rpcId", Problem::Text))?)
            }
        };
        Ok(Message { from: id(&object, "from")?, rpc, body })
    }

    /// The datagram; an error if it would be too large to be read.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut object = match &self.body {
            Body::Ping => json!({ "type": 1 }),
            Body::Pong => json!({ "type": 2 }),
            Body::Store { key, value } => json!({ "type": 3, "key": hex::encode(key), "value": value }),
            Body::FindNode { target } => json!({ "type": 4, "target": hex::encode(target) }),
            Body::FoundNode { nodes } if nodes.len() > DHT_FOUND_NODES => {
                return Err(EncodeError::new("DHT", "nodes", nodes.len()));
            }
            Body::FoundNode { nodes } => {
                let nodes: Vec<Value> = nodes.iter().map(node_json).collect();
                json!({ "type": 5, "nodes": nodes })
            }
            Body::FindValue { key } => json!({ "type": 6, "key": hex::encode(key) }),
            Body::FoundValue { value } => json!({ "type": 7, "value": value }),
        };
        if let Value::Object(fields) = &mut object {
            fields.insert("from".to_owned(), hex::encode(&self.from).into());
            if let Some(rpc) = self.rpc {
                fields.insert("rpcId".to_owned(), hex::encode(&rpc).into());
            }
        }
        let bytes = object.to_string().into_bytes();
        match json::object(&bytes, DHT_MAX_BYTES) {
            Some(_) => Ok(bytes),
            None => Err(EncodeError::new("DHT", "a text that makes it too large, with bytes", bytes.len())),
        }
    }
}

/// The key of a value from its text: its SHA-1.
pub fn key(text: &str) -> Id {
    Sha1::digest(text).into()
}

/// How far two ids are from each other: compare as big-endian numbers.
pub fn distance(a: &Id, b: &Id) -> Id {
    let mut distance = *a;
    for (byte, other) in distance.iter_mut().zip(b) {
        *byte ^= other;
    }
    distance
}

/// The bucket, 0 to 159, that the old peers keep `other` in.
///
/// The first byte that differs counts from the front, the highest bit that differs
/// in it from the back (0x80 is 7): not the number of leading zero bits.
pub fn bucket(own: &Id, other: &Id) -> usize {
    let first = distance(own, other).into_iter().zip((0usize..).step_by(8)).find(|(byte, _)| *byte != 0);
    match first {
        Some((byte, bits_before)) => bits_before.saturating_add(usize::try_from(byte.ilog2()).unwrap_or_default()),
        None => 159,
    }
}

const fn error(field: &'static str, problem: Problem) -> DecodeError {
    DecodeError::new("DHT", field, problem)
}

fn id(object: &Map<String, Value>, field: &'static str) -> Result<Id, DecodeError> {
    json::text(object, field).and_then(|text| hex::decode(text.as_bytes())).ok_or(error(field, Problem::Text))
}

fn value(object: &Map<String, Value>) -> Result<String, DecodeError> {
    json::text(object, "value").map(str::to_owned).ok_or(error("value", Problem::Text))
}

fn nodes(object: &Map<String, Value>) -> Result<Vec<Node>, DecodeError> {
    let list = object.get("nodes").and_then(Value::as_array).ok_or(error("nodes", Problem::Text))?;
    let usable = list
        .iter()
        .filter_map(Value::as_object)
        .filter_map(|node| Some(Node { id: id(node, "id").ok()?, address: json::address(node, "ip", "port")? }));
    Ok(usable.take(DHT_FOUND_NODES).collect())
}

fn node_json(node: &Node) -> Value {
    json!({ "id": hex::encode(&node.id), "ip": node.address.ip().to_string(), "port": node.address.port() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::IpAddr;

    const FROM: &str = "6e46eb890d7b6ca5204178b3432f1dd6c06bc5f4";

    fn field(rest: &str) -> Result<Message, &'static str> {
        Message::decode(format!(r#"{{"from":"{FROM}",{rest}}}"#).as_bytes()).map_err(|error| error.field)
    }

    #[test]
    fn every_field_has_its_kind() {
        for (rest, wrong) in [
            (r#""type":"1""#, "type"),
            (r#""type":0"#, "type"),
            (r#""type":8"#, "type"),
            (r#""type":1,"rpcId":7"#, "rpcId"),
            (r#""type":1,"rpcId":"0102030""#, "rpcId"),
            (r#""type":1,"from":7"#, "from"),
            (r#""type":3,"value":"x""#, "key"),
            (r#""type":6,"key":"xyz""#, "key"),
            (r#""type":4"#, "target"),
            (r#""type":5"#, "nodes"),
            (r#""type":5,"nodes":{}"#, "nodes"),
            (r#""type":7,"value":7"#, "value"),
        ] {
            assert_eq!(field(rest), Err(wrong), "{rest}");
        }
        assert_eq!(field(r#""type":1,"rpcId":null,"x":{"y":[]}"#).unwrap().rpc, None);
        assert!(Message::decode(b"[]").is_err());
    }

    #[test]
    fn nodes_that_lead_nowhere_are_left_out() {
        let good = format!(r#"{{"id":"{FROM}","ip":"10.0.0.5","port":4444}}"#);
        let bad = [
            r#"{"id":7,"ip":"10.0.0.5","port":1}"#.to_owned(),
            good.replace("4444", "65536"),
            good.replace("4444", "0"),
            good.replace("10.0.0.5", "host"),
            "7".to_owned(),
        ];
        let found = |list: &str| match field(&format!(r#""type":5,"nodes":[{list}]"#)) {
            Ok(Message { body: Body::FoundNode { nodes }, .. }) => nodes.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!(found(&format!("{},{good}", bad.join(","))), 1);
        assert_eq!(found(&vec![good; 30].join(",")), DHT_FOUND_NODES);
    }

    #[test]
    fn what_would_not_be_read_is_not_written() {
        let message = |body| Message { from: [7; 20], rpc: None, body };
        let node = Node { id: [7; 20], address: "10.0.0.5:1".parse().unwrap() };
        assert!(message(Body::FoundNode { nodes: vec![node; DHT_FOUND_NODES + 1] }).encode().is_err());
        assert!(message(Body::FoundValue { value: "x".repeat(DHT_MAX_BYTES) }).encode().is_err());
    }

    fn bodies() -> impl Strategy<Value = Body> {
        let node = (any::<Id>(), any::<IpAddr>(), 1u16..)
            .prop_filter("leads somewhere", |(_, ip, _)| !ip.is_unspecified())
            .prop_map(|(id, ip, port)| Node { id, address: SocketAddr::new(ip, port) });
        let nodes = prop::collection::vec(node, 0..=DHT_FOUND_NODES);
        prop_oneof![
            Just(Body::Ping),
            Just(Body::Pong),
            (any::<Id>(), ".{0,100}").prop_map(|(key, value)| Body::Store { key, value }),
            any::<Id>().prop_map(|target| Body::FindNode { target }),
            nodes.prop_map(|nodes| Body::FoundNode { nodes }),
            any::<Id>().prop_map(|key| Body::FindValue { key }),
            ".{0,100}".prop_map(|value| Body::FoundValue { value }),
        ]
    }

    proptest! {
        #[test]
        fn round_trip(from: Id, rpc: Option<[u8; 4]>, body in bodies()) {
            let message = Message { from, rpc, body };
            prop_assert_eq!(Message::decode(&message.encode().unwrap()), Ok(message));
        }

        #[test]
        fn distance_and_bucket(a: Id, b: Id) {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert!(bucket(&a, &b) < 160);
            prop_assert_eq!(bucket(&a, &a), 159);
        }
    }
}
