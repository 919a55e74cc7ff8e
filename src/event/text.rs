//! The JSON that life-cycle events and listings carry: one type for each kind of object, written in one go.
//!
//! In: what the node tells. Out: the fields that the header documents, in the order of these types. A field is only
//! ever added. Written without a tree of values in between: a connection costs several such objects on each side.

use super::micros;
use crate::crypto::tls::Suite;
use crate::node::{Asked, Candidate, KnownPeer, PeerInfo, Question, TopicId, Whom};
use crate::wire::hex;
use bytes::Bytes;
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};

/// Room for the description of a peer with one address and without topics, so that its text need not grow.
const TEXT_BYTES: usize = 512;

/// A peer that is or was connected.
#[derive(Serialize)]
pub struct Peer<'a> {
    peer: u64,
    id: Option<String>,
    key: Option<String>,
    address: IpAddr,
    port: u16,
    source: &'a str,
    session: &'a str,
    security: &'a str,
    suite: Option<&'a str>,
    topics: Vec<u64>,
    explicit: bool,
    family: &'a str,
    confirmed: bool,
    client: bool,
    rtt_us: Option<u64>,
    connect_ms: u64,
    max_message: usize,
    addresses: &'a [SocketAddr],
    /// Why it is no longer connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> Peer<'a> {
    pub fn new(info: &'a PeerInfo, reason: Option<&'a str>) -> Peer<'a> {
        Peer {
            peer: info.id.0,
            id: info.legacy_id.map(|id| hex::encode(&id)),
            key: info.key.map(|key| hex::encode(&key)),
            address: plain_ip(info.address),
            port: info.address.port(),
            source: info.source.name(),
            session: info.session.name(),
            security: info.session.security(),
            suite: info.suite.map(Suite::name),
            topics: ids(&info.topics),
            explicit: info.explicit,
            family: info.family.name(),
            confirmed: info.confirmed,
            client: info.client,
            rtt_us: info.rtt.map(micros),
            connect_ms: u64::try_from(info.connect_time.as_millis()).unwrap_or(u64::MAX),
            max_message: info.max_message,
            addresses: &info.addresses,
            reason,
        }
    }
}

/// A peer by the name that it has.
#[derive(Serialize)]
pub struct Name {
    key: Option<String>,
    id: Option<String>,
}

impl From<&Whom> for Name {
    fn from(whom: &Whom) -> Name {
        match whom {
            Whom::Key(key) => Name { key: Some(hex::encode(key)), id: None },
            Whom::Legacy(id) => Name { key: None, id: Some(hex::encode(id)) },
        }
    }
}

/// Who was banned, and why.
#[derive(Serialize)]
pub struct Banned<'a> {
    #[serde(flatten)]
    pub name: Name,
    pub reason: &'a str,
}

/// A peer that was found.
#[derive(Serialize)]
pub struct Found<'a> {
    #[serde(flatten)]
    name: Name,
    address: Option<IpAddr>,
    port: Option<u16>,
    source: &'a str,
    local: bool,
    topic: Option<u64>,
}

impl<'a> From<&'a Candidate> for Found<'a> {
    fn from(candidate: &'a Candidate) -> Found<'a> {
        Found {
            name: Name::from(&candidate.whom),
            address: candidate.address.map(plain_ip),
            port: candidate.address.map(|address| address.port()),
            source: candidate.source.name(),
            local: candidate.local,
            topic: candidate.topic.map(|topic| topic.0),
        }
    }
}

/// A peer that the application is asked about.
#[derive(Serialize)]
pub struct Ask<'a> {
    #[serde(flatten)]
    name: Name,
    purpose: &'a str,
    address: Option<IpAddr>,
    port: Option<u16>,
}

impl<'a> From<&'a Question> for Ask<'a> {
    fn from(question: &'a Question) -> Ask<'a> {
        Ask {
            name: Name::from(&question.whom),
            purpose: question.purpose.name(),
            address: question.address.map(plain_ip),
            port: question.address.map(|address| address.port()),
        }
    }
}

/// What a source of the application is to announce or to look for.
#[derive(Serialize)]
pub struct Round<'a> {
    name: String,
    kind: &'a str,
    clear: bool,
    key: String,
    port_v4: Option<u16>,
    port_v6: Option<u16>,
}

impl<'a> From<&'a Asked> for Round<'a> {
    fn from(asked: &'a Asked) -> Round<'a> {
        Round {
            name: hex::encode(&asked.name),
            kind: asked.kind.name(),
            clear: asked.clear,
            key: hex::encode(&asked.key),
            port_v4: asked.ports.v4,
            port_v6: asked.ports.v6,
        }
    }
}

/// What such a source is to take back.
#[derive(Serialize)]
pub struct Unannounce {
    pub name: String,
    pub key: String,
}

/// The peer of a connect that succeeded.
#[derive(Serialize)]
pub struct Connected {
    pub peer: u64,
}

/// How many dials, connections and peers there are.
#[derive(Serialize)]
pub struct Counts {
    pub connecting: usize,
    pub connections: usize,
    pub known: usize,
}

/// How many messages found no room.
#[derive(Serialize)]
pub struct Lost {
    pub messages: u64,
    pub total: u64,
}

/// What is known of a peer, connected or not.
#[derive(Serialize)]
pub struct Known<'a> {
    #[serde(flatten)]
    name: Name,
    addresses: &'a [SocketAddr],
    source: &'a str,
    topics: Vec<u64>,
    peer: u64,
    attempts: u32,
    priority: Option<u8>,
    prioritized: bool,
    proven: bool,
    banned: bool,
    client: bool,
    explicit: bool,
    reconnecting: bool,
    queued: bool,
    waiting: bool,
    dialling: bool,
}

impl<'a> From<&'a KnownPeer> for Known<'a> {
    fn from(known: &'a KnownPeer) -> Known<'a> {
        Known {
            name: Name::from(&known.whom),
            addresses: &known.addresses,
            source: known.source.name(),
            topics: ids(&known.topics),
            peer: known.connected.map_or(0, |peer| peer.0),
            attempts: known.attempts,
            priority: known.priority,
            prioritized: known.priority.is_some_and(|priority| priority >= 2),
            proven: known.proven,
            banned: known.banned,
            client: known.client,
            explicit: known.explicit,
            reconnecting: known.reconnecting,
            queued: known.queued,
            waiting: known.waiting,
            dialling: known.dialling,
        }
    }
}

/// The text of an object.
pub fn json(object: &impl Serialize) -> Bytes {
    let mut text = Vec::with_capacity(TEXT_BYTES);
    // Into memory and of plain fields: there is nothing that could be refused.
    let _ = serde_json::to_writer(&mut text, object);
    text.into()
}

/// Without the `::ffff:` of an IPv4 address seen through an IPv6 socket.
fn plain_ip(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

fn ids(topics: &[TopicId]) -> Vec<u64> {
    topics.iter().map(|topic| topic.0).collect()
}
