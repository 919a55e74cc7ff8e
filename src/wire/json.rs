//! The JSON texts of v12: gossip among the messages, announcements by other ways.
//!
//! In: bytes of anyone. Out: the few fields that matter, each of them optional, because
//! the families leave out, nullify or add fields. Size and number of values are
//! bounded before the parser sees the text, so that it cannot be made to build a
//! large tree from a small message. Addresses and ports are read as strictly as in
//! frames; a field that does not parse counts as missing.

use super::{hex, reader::dial_address};
use crate::{
    config::limits::{JSON_MAX_BYTES, JSON_MAX_VALUES},
    crypto::identity::{LegacyId, WireId},
};
use serde_json::{Map, Value};
use std::net::SocketAddr;

/// What an old peer says about another one, in the middle of the application's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gossip {
    pub id: Option<WireId>,
    pub address: Option<SocketAddr>,
}

/// Recognises a payload that is gossip and not the application's; none: it is the application's.
pub fn gossip(payload: &[u8]) -> Option<Gossip> {
    const MARK: &[u8] = b"\"_gossip\"";
    if payload.first() != Some(&b'{') || payload.len() > JSON_MAX_BYTES {
        return None;
    }
    payload.windows(MARK.len()).find(|part| *part == MARK)?;
    let object = object(payload, JSON_MAX_BYTES)?;
    object.get("_gossip")?;
    let id = text(&object, "id").and_then(|id| hex::decode(id.get(..16)?.as_bytes()));
    Some(Gossip { id, address: address(&object, "ip", "port") })
}

/// What a peer says about itself on a piping server, a bootstrap server or in the DHT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    pub id: LegacyId,
    /// Where it believes the world can reach it.
    pub public: Option<SocketAddr>,
    /// Where its own network can.
    pub local: Option<SocketAddr>,
}

/// Reads an announcement; none if it is not an object with an id of 40 digits.
pub fn announcement(body: &[u8]) -> Option<Announcement> {
    let object = object(body, JSON_MAX_BYTES)?;
    let id = hex::decode(text(&object, "id")?.as_bytes())?;
    Some(Announcement { id, public: address(&object, "ip", "port"), local: address(&object, "lip", "lport") })
}

/// The object that a text is, if it is small enough to be looked at.
pub(super) fn object(bytes: &[u8], most: usize) -> Option<Map<String, Value>> {
    let values = bytes.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    if bytes.len() > most || values > JSON_MAX_VALUES {
        return None;
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

pub(super) fn text<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    object.get(field)?.as_str()
}

/// An address from its two fields; none if either is missing, not of its kind, or not to be dialled.
pub(super) fn address(object: &Map<String, Value>, ip: &str, port: &str) -> Option<SocketAddr> {
    let port = u16::try_from(object.get(port)?.as_u64()?).ok()?;
    dial_address(text(object, ip)?.as_bytes(), port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn gossip_of_every_spelling_is_recognised() {
        let full = Gossip { id: Some([0x6e; 8]), address: Some("10.0.0.9:1234".parse().unwrap()) };
        let none = Gossip { id: None, address: None };
        let id = "6e6e6e6e6e6e6e6e";
        for (payload, expected) in [
            (format!(r#"{{"_gossip":true,"id":"{id}","ip":"10.0.0.9","port":1234}}"#), full),
            (format!(r#"{{"_gossip": true, "id": "{id}{id}", "ip": "10.0.0.9", "port": 1234, "x":[1]}}"#), full),
            (r#"{"_gossip":true}"#.to_owned(), none),
            (r#"{"_gossip":null,"id":null,"ip":null,"port":null}"#.to_owned(), none),
            (r#"{"_gossip":true,"id":"zz","ip":"host","port":"1"}"#.to_owned(), none),
            (r#"{"_gossip":true,"id":"éééééééé","ip":"10.0.0.9","port":65536}"#.to_owned(), none),
            (r#"{"_gossip":true,"id":7,"ip":"10.0.0.9","port":0}"#.to_owned(), none),
        ] {
            assert_eq!(gossip(payload.as_bytes()), Some(expected), "{payload}");
        }
    }

    #[test]
    fn the_applications_own_messages_stay_its_own() {
        let deep = format!(r#"{{"_gossip":{}"#, "[".repeat(1_000));
        let wide = format!(r#"{{"_gossip":[{}1]}}"#, "1,".repeat(JSON_MAX_VALUES));
        let long = format!(r#"{{"_gossip":"{}"}}"#, "x".repeat(JSON_MAX_BYTES));
        let own = [
            "",
            "{",
            "{}",
            "hello",
            r#"{"id":"x"}"#,
            r#"["_gossip"]"#,
            r#"{"x":"\"_gossip\""}"#,
            r#"{"x":{"_gossip":1}}"#,
        ];
        for payload in own.iter().copied().chain([deep.as_str(), &wide, &long]) {
            assert_eq!(gossip(payload.as_bytes()), None, "{payload}");
        }
    }

    #[test]
    fn an_announcement_needs_an_id_and_nothing_else() {
        let id = "6e".repeat(20);
        let read = |rest: &str| announcement(format!(r#"{{"id":"{id}"{rest}}}"#).as_bytes()).unwrap();
        assert_eq!(read("").public, None);
        assert_eq!(read(r#","ip":null,"port":null,"lip":"10.0.0.1","lport":5"#).local, "10.0.0.1:5".parse().ok());
        assert_eq!(read(r#","ip":"::1","port":5"#).public, "[::1]:5".parse().ok());
        for bad in ["null", "[]", "{}", r#"{"id":null}"#, r#"{"id":"6e6e6e6e6e6e6e6e"}"#, "\u{0}"] {
            assert_eq!(announcement(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn anything_may_arrive(text in "\\{\"_gossip\":[\\[\\]{},:\"0-9a-z\\\\]{0,60}", bytes: Vec<u8>) {
            gossip(text.as_bytes());
            gossip(&bytes);
            announcement(&bytes);
        }
    }
}
