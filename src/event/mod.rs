//! Events as the application sees them: one record with a kind, whatever the
//! consumer (callback, descriptor and drain, or wait).
//!
//! In: `node::Event`. Out: `Record`, the fields that the C accessors read, and its
//! byte form for `setowire_event_drain`, which wrappers in other languages parse.
//! Life-cycle events carry one JSON object, so that a new field needs no new ABI.
//! The numbers of the kinds are part of the ABI: append only, never renumbered.

pub mod text;

use crate::error::Code;
use crate::node::{Event, StreamChange};
use crate::wire::hex;
use bytes::Bytes;
use std::time::Duration;
use text::json;

/// The kinds of events; bit `n` of an event mask is kind `n`.
pub mod kind {
    pub const CONNECTION: u16 = 1;
    pub const DISCONNECTION: u16 = 2;
    pub const UPDATE: u16 = 3;
    pub const MESSAGE: u16 = 4;
    pub const WRITABLE: u16 = 5;
    pub const OP_DONE: u16 = 6;
    pub const PEERS: u16 = 7;
    pub const LOST: u16 = 8;
    pub const DATAGRAM: u16 = 9;
    pub const STREAM: u16 = 10;
    pub const STREAM_READABLE: u16 = 11;
    pub const STREAM_WRITABLE: u16 = 12;
    pub const STREAM_CLOSED: u16 = 13;
    pub const CHANGED: u16 = 14;
    pub const PEER: u16 = 15;
    pub const PEER_REJECTED: u16 = 16;
    pub const TOPIC_UPDATED: u16 = 17;
    pub const PEER_TOPIC: u16 = 18;
    pub const BANNED: u16 = 19;
    pub const ASK: u16 = 20;
    pub const FOUND: u16 = 21;
    pub const ROUND: u16 = 22;
    pub const ROUND_CANCELLED: u16 = 23;
    pub const UNANNOUNCE: u16 = 24;
    pub const CLOSED: u16 = 63;
}

/// Flag of a `MESSAGE`: it came unencrypted, anyone may have written it.
pub const MESSAGE_CLEAR: u16 = 1;
/// Flag of a `MESSAGE`: it was sent to a topic. The topic is the record's tag, and its author follows the header.
pub const MESSAGE_BROADCAST: u16 = 2;
/// Flag of a `STREAM_CLOSED`: the peer reset its direction, and `tag` is its code.
pub const STREAM_RESET: u16 = 4;
/// Bytes of a record before its data, and before its author if it has one.
pub const RECORD_HEADER: usize = 40;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub kind: u16,
    pub flags: u16,
    /// Counts the records of one swarm from 1; a gap is a record the event mask left out.
    pub seq: u64,
    /// The id this is about: a peer, a stream, or the operation of an `OP_DONE`.
    pub subject: u64,
    /// The peer this is about; 0: none.
    pub peer: u64,
    /// The caller's tag of an operation, the topic of a broadcast, the peer that opened a stream, or the code of its reset.
    pub tag: u64,
    /// 0, or the number of an error code.
    pub code: i32,
    /// The key that signed a broadcast; none: nobody did, or it is no broadcast.
    pub author: Option<Box<[u8; 32]>>,
    pub data: Bytes,
}

impl Record {
    fn is_broadcast(&self) -> bool {
        self.kind == kind::MESSAGE && self.flags & MESSAGE_BROADCAST != 0
    }

    /// Bytes before its data.
    fn head_len(&self) -> usize {
        if self.is_broadcast() { RECORD_HEADER + 32 } else { RECORD_HEADER }
    }

    /// Bytes of its encoded form, a multiple of eight.
    pub fn encoded_len(&self) -> usize {
        self.head_len().saturating_add(self.data.len()).saturating_add(7) & !7
    }

    /// Hands its encoded form to `write` in pieces: little endian, padded with zeros to eight bytes.
    pub fn encode(&self, write: &mut dyn FnMut(&[u8])) {
        let len = self.encoded_len();
        let mut header = [0; RECORD_HEADER];
        header[..4].copy_from_slice(&(len as u32).to_le_bytes());
        header[4..6].copy_from_slice(&self.kind.to_le_bytes());
        header[6..8].copy_from_slice(&self.flags.to_le_bytes());
        header[8..16].copy_from_slice(&self.seq.to_le_bytes());
        header[16..24].copy_from_slice(&self.subject.to_le_bytes());
        header[24..32].copy_from_slice(&self.tag.to_le_bytes());
        header[32..36].copy_from_slice(&self.code.to_le_bytes());
        header[36..].copy_from_slice(&(self.data.len() as u32).to_le_bytes());
        write(&header);
        if self.is_broadcast() {
            write(self.author.as_deref().unwrap_or(&[0; 32]));
        }
        write(&self.data);
        write(&[0; 7][..len.saturating_sub(self.head_len() + self.data.len()).min(7)]);
    }
}

impl From<Event> for Record {
    fn from(event: Event) -> Record {
        let about = |kind, peer: u64| Record { kind, subject: peer, peer, ..Record::default() };
        match event {
            Event::Connection(info) => {
                Record { data: json(&text::Peer::new(&info, None)), ..about(kind::CONNECTION, info.id.0) }
            }
            Event::Update(info) => {
                Record { data: json(&text::Peer::new(&info, None)), ..about(kind::UPDATE, info.id.0) }
            }
            Event::Disconnection { peer, code, reason, info } => {
                let data = json(&text::Peer::new(&info, Some(&reason)));
                Record { code: code as i32, data, ..about(kind::DISCONNECTION, peer.0) }
            }
            Event::Message { peer, data, clear, broadcast } => {
                let flags = if clear { MESSAGE_CLEAR } else { 0 };
                let flags = flags | if broadcast.is_some() { MESSAGE_BROADCAST } else { 0 };
                let tag = broadcast.as_ref().map_or(0, |broadcast| broadcast.topic.0);
                let author = broadcast.and_then(|broadcast| broadcast.author).map(Box::new);
                Record { flags, data, tag, author, ..about(kind::MESSAGE, peer.0) }
            }
            Event::Writable { peer } => about(kind::WRITABLE, peer.0),
            Event::Datagram { peer, data } => Record { data, ..about(kind::DATAGRAM, peer.0) },
            Event::Stream { peer, stream, change } => {
                let (kind, reset, lost) = match change {
                    StreamChange::Opened => (kind::STREAM, None, false),
                    StreamChange::Readable => (kind::STREAM_READABLE, None, false),
                    StreamChange::Writable => (kind::STREAM_WRITABLE, None, false),
                    StreamChange::Closed { reset, lost } => (kind::STREAM_CLOSED, reset, lost),
                };
                let flags = if reset.is_some() { STREAM_RESET } else { 0 };
                // Who opened it is in the byte form too.
                let tag = if change == StreamChange::Opened { peer.0 } else { reset.unwrap_or(0) };
                let code = if lost { Code::Closed as i32 } else { 0 };
                Record { kind, flags, subject: stream.0, peer: peer.0, tag, code, ..Record::default() }
            }
            Event::OpDone { op, tag, peer, code, detail } => {
                let data = match (code, peer) {
                    (None, Some(peer)) => json(&text::Connected { peer: peer.0 }),
                    _ => detail.into(),
                };
                Record {
                    kind: kind::OP_DONE,
                    subject: op.0,
                    peer: peer.map_or(0, |peer| peer.0),
                    tag,
                    code: code.map_or(0, |code| code as i32),
                    data,
                    ..Record::default()
                }
            }
            Event::Changed { connecting, connections, known } => {
                let data = json(&text::Counts { connecting, connections, known });
                Record { data, ..about(kind::CHANGED, 0) }
            }
            Event::Candidate { candidate, accepted } => {
                let kind = if accepted { kind::PEER } else { kind::PEER_REJECTED };
                let topic = candidate.topic.map_or(0, |topic| topic.0);
                Record { tag: topic, data: json(&text::Found::from(&candidate)), ..about(kind, 0) }
            }
            Event::Found { op, tag, candidate } => {
                Record { subject: op.0, tag, data: json(&text::Found::from(&candidate)), ..about(kind::FOUND, 0) }
            }
            Event::TopicUpdated { topic, ok } => {
                let code = if ok { 0 } else { Code::Unreachable as i32 };
                Record { subject: topic.0, code, ..about(kind::TOPIC_UPDATED, 0) }
            }
            Event::PeerTopic { whom, topic } => {
                Record { tag: topic.0, data: json(&text::Name::from(&whom)), ..about(kind::PEER_TOPIC, 0) }
            }
            Event::Banned { whom, reason } => {
                let data = json(&text::Banned { name: text::Name::from(&whom), reason: &reason });
                Record { data, ..about(kind::BANNED, 0) }
            }
            Event::Ask(question) => {
                let data = json(&text::Ask::from(&question));
                let topic = question.topic.map_or(0, |topic| topic.0);
                Record { subject: question.id, tag: topic, data, ..about(kind::ASK, 0) }
            }
            Event::Round(asked) => {
                Record { subject: asked.query, data: json(&text::Round::from(&*asked)), ..about(kind::ROUND, 0) }
            }
            Event::RoundCancelled { query } => Record { subject: query, ..about(kind::ROUND_CANCELLED, 0) },
            Event::Unannounce(of) => {
                let data = json(&text::Unannounce { name: hex::encode(&of.0), key: hex::encode(&of.1) });
                Record { data, ..about(kind::UNANNOUNCE, 0) }
            }
            Event::Peers { json } => Record { data: json.into(), ..about(kind::PEERS, 0) },
            Event::Closed { code, detail } => {
                Record { code: code.map_or(0, |code| code as i32), data: detail.into(), ..about(kind::CLOSED, 0) }
            }
        }
    }
}

/// The record that tells how many messages found no room.
pub fn lost(messages: u64, total: u64) -> Bytes {
    json(&text::Lost { messages, total })
}

/// Whole microseconds; a duration beyond 584,000 years is cut.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::{
        Asked, Broadcast, Family, LocalPorts, OpId, PeerId, PeerInfo, RoundKind, Session, Source, StreamId, TopicId,
    };
    use crate::wire::hex::encode as hex;
    use serde_json::{Value, json};

    fn info() -> PeerInfo {
        PeerInfo {
            id: PeerId(7),
            key: None,
            legacy_id: Some([0xab; 20]),
            session: Session::V12,
            suite: None,
            topics: Vec::new(),
            explicit: false,
            address: "10.77.0.2:40001".parse().unwrap(),
            addresses: vec!["10.77.0.2:40001".parse().unwrap()],
            source: Source::Lan,
            family: Family::JsOrPython,
            confirmed: false,
            client: true,
            rtt: Some(Duration::from_micros(812)),
            loss_permille: 0,
            bytes_sent: 0,
            bytes_received: 0,
            messages_sent: 0,
            messages_received: 0,
            datagrams_dropped: 0,
            buffered: 0,
            connect_time: Duration::from_millis(12),
            max_message: 65_474,
        }
    }

    #[test]
    fn a_connection_tells_everything_in_one_object() {
        let record = Record::from(Event::Connection(Box::new(info())));
        assert_eq!((record.kind, record.subject, record.peer), (kind::CONNECTION, 7, 7));
        let object: Value = serde_json::from_slice(&record.data).unwrap();
        let expected = json!({
            "peer": 7, "id": "ab".repeat(20), "key": null, "address": "10.77.0.2", "port": 40001,
            "source": "lan", "session": "p2p-v12", "security": "legacy", "family": "js-or-python",
            "confirmed": false, "client": true, "rtt_us": 812, "connect_ms": 12, "max_message": 65474,
            "addresses": ["10.77.0.2:40001"], "suite": null, "topics": [], "explicit": false,
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn an_address_is_told_in_full_whatever_its_length() {
        let longest = "[fe80:1002:1003:1004:1005:1006:1007:1008%4294967295]:65535";
        let addresses = [longest, "[::ffff:255.255.255.255]:65535", "[::]:0"].map(|text| text.parse().unwrap());
        let info = PeerInfo { address: addresses[1], addresses: addresses.into(), ..info() };
        let object: Value = serde_json::from_slice(&Record::from(Event::Update(Box::new(info))).data).unwrap();
        assert_eq!(object["address"], "255.255.255.255");
        assert_eq!(object["addresses"], json!([longest, "[::ffff:255.255.255.255]:65535", "[::]:0"]));
    }

    #[test]
    fn a_disconnection_adds_code_and_reason() {
        let record = Record::from(Event::Disconnection {
            peer: PeerId(7),
            code: Code::TimedOut,
            reason: "silent for 60 s".into(),
            info: Box::new(info()),
        });
        assert_eq!((record.kind, record.code), (kind::DISCONNECTION, Code::TimedOut as i32));
        let object: Value = serde_json::from_slice(&record.data).unwrap();
        assert_eq!(object["reason"], "silent for 60 s");
    }

    #[test]
    fn a_connect_that_succeeded_names_its_peer() {
        let done = |code, detail: &str| Event::OpDone {
            op: OpId(3),
            tag: 9,
            peer: Some(PeerId(7)),
            code,
            detail: detail.into(),
        };
        let record = Record::from(done(None, ""));
        assert_eq!((record.subject, record.peer, record.tag, record.code), (3, 7, 9, 0));
        assert_eq!(record.data, br#"{"peer":7}"#[..]);
        let record = Record::from(done(Some(Code::Cancelled), "stopped"));
        assert_eq!((record.code, &record.data[..]), (Code::Cancelled as i32, &b"stopped"[..]));
    }

    #[test]
    fn a_source_is_told_what_to_announce() {
        let asked = Asked {
            query: 7,
            name: [0xab; 32],
            kind: RoundKind::LookupAndUnannounce,
            clear: true,
            key: [0xcd; 32],
            ports: LocalPorts { v4: Some(4_001), v6: None },
        };
        let record = Record::from(Event::Round(Box::new(asked)));
        assert_eq!((record.kind, record.subject, record.peer, record.tag), (kind::ROUND, 7, 0, 0));
        let expected = json!({
            "name": "ab".repeat(32), "kind": "lookup-and-unannounce", "clear": true, "key": "cd".repeat(32),
            "port_v4": 4001, "port_v6": null,
        });
        assert_eq!(serde_json::from_slice::<Value>(&record.data).unwrap(), expected);
        let record = Record::from(Event::RoundCancelled { query: 7 });
        assert_eq!((record.kind, record.subject, record.data.len()), (kind::ROUND_CANCELLED, 7, 0));
        let record = Record::from(Event::Unannounce(Box::new(([0xab; 32], [0xcd; 32]))));
        let expected = json!({ "name": "ab".repeat(32), "key": "cd".repeat(32) });
        assert_eq!((record.kind, record.subject), (kind::UNANNOUNCE, 0));
        assert_eq!(serde_json::from_slice::<Value>(&record.data).unwrap(), expected);
    }

    /// The wrappers test their parsers with these bytes.
    #[test]
    fn a_record_has_the_bytes_that_the_wrappers_read() {
        let mut golden = String::new();
        let record =
            Record { kind: kind::MESSAGE, flags: 1, seq: 2, subject: 7, data: b"hi"[..].into(), ..Record::default() };
        record.encode(&mut |piece| golden += &hex(piece));
        let header = "30000000 0400 0100 0200000000000000 0700000000000000 0000000000000000 00000000 02000000";
        assert_eq!(golden, [header, "6869000000000000"].concat().replace(' ', ""));
    }

    #[test]
    fn the_author_of_a_broadcast_stands_before_its_data() {
        let broadcast = |author| {
            let broadcast = Some(Box::new(Broadcast { topic: TopicId(9), author }));
            let event = Event::Message { peer: PeerId(7), data: b"hi"[..].into(), clear: false, broadcast };
            let mut bytes = Vec::new();
            Record { seq: 2, ..Record::from(event) }.encode(&mut |piece| bytes.extend_from_slice(piece));
            hex(&bytes)
        };
        let header = "50000000 0400 0200 0200000000000000 0700000000000000 0900000000000000 00000000 02000000";
        let expected = |author: &str| [header, author, "6869000000000000"].concat().replace(' ', "");
        assert_eq!(broadcast(Some([0xab; 32])), expected(&"ab".repeat(32)));
        assert_eq!(broadcast(None), expected(&"00".repeat(32)));
    }

    #[test]
    fn the_end_of_a_stream_tells_whether_the_peer_went_first() {
        let closed = |reset, lost| {
            let change = StreamChange::Closed { reset, lost };
            let record = Record::from(Event::Stream { peer: PeerId(7), stream: StreamId(8), change });
            (record.kind, record.subject, record.flags, record.tag, record.code)
        };
        assert_eq!(closed(None, false), (kind::STREAM_CLOSED, 8, 0, 0, 0));
        assert_eq!(closed(Some(77), false), (kind::STREAM_CLOSED, 8, STREAM_RESET, 77, 0));
        assert_eq!(closed(None, true), (kind::STREAM_CLOSED, 8, 0, 0, Code::Closed as i32));
    }

    #[test]
    fn records_are_padded_to_eight_bytes() {
        for len in 0..20 {
            let record = Record { kind: kind::MESSAGE, seq: 1, data: vec![7; len].into(), ..Record::default() };
            let mut bytes = Vec::new();
            record.encode(&mut |piece| bytes.extend_from_slice(piece));
            assert_eq!(bytes.len(), record.encoded_len());
            assert_eq!(bytes.len() % 8, 0);
            assert_eq!(u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize, bytes.len());
            assert_eq!(u32::from_le_bytes(bytes[36..40].try_into().unwrap()) as usize, len);
            assert!(bytes[40 + len..].iter().all(|byte| *byte == 0));
        }
    }
}
