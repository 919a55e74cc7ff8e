//! Beacons of the old peers: text with id, address, port and a hash of the topic.
//!
//! Old peers compare 12 digits of the topic hash, C++ peers 24, so IPv4 gets both forms; the IPv6
//! group is our own and gets the short one, with no address in the text. A beacon on one of
//! our topics is a hint to dial the sender's address with the port of its text (old
//! Python peers write 127.0.0.1 when they have no default route). Only public topics get here.

use super::{Name, to_v4, to_v6};
use crate::crypto::identity::{LegacyId, wire_id};
use crate::discovery::Hint;
use crate::node::api::{LanInterface, LocalPorts, Source, Topic, Transmit};
use crate::path::is_dialable;
use crate::wire::Beacon;
use crate::wire::topic::{topic_hash12, topic_hash24};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

pub(super) struct Legacy {
    id: LegacyId,
    ports: LocalPorts,
    hashes: BTreeMap<Name, Hashes>,
}

struct Hashes {
    short: String,
    long: String,
}

impl Legacy {
    pub(super) fn new(id: LegacyId, ports: LocalPorts) -> Legacy {
        Legacy { id, ports, hashes: BTreeMap::new() }
    }

    pub(super) fn join(&mut self, name: Name, topic: &Topic) {
        self.hashes.insert(name, Hashes { short: topic_hash12(topic), long: topic_hash24(topic) });
    }

    pub(super) fn leave(&mut self, name: &Name) {
        self.hashes.remove(name);
    }

    /// The beacons of a topic on an interface; none for a private one.
    pub(super) fn announce(&self, name: &Name, interface: &LanInterface, out: &mut Vec<Transmit>) {
        let Some(hashes) = self.hashes.get(name) else { return };
        let text = |ip: Option<Ipv4Addr>, port: u16, topic_hash: &str| {
            let mut bytes = Vec::with_capacity(96);
            Beacon { id: self.id, ip, port, topic_hash }.encode(&mut bytes);
            bytes
        };
        if let (Some(ip), Some(port)) = (interface.v4.first(), self.ports.v4) {
            out.push(to_v4(interface, text(Some(*ip), port, &hashes.short)));
            out.push(to_v4(interface, text(Some(*ip), port, &hashes.long)));
        }
        if let (true, Some(port)) = (interface.v6, self.ports.v6) {
            out.push(to_v6(interface, text(None, port, &hashes.short)));
        }
    }

    pub(super) fn hear(&self, from: SocketAddr, beacon: &Beacon<'_>) -> Option<Hint> {
        let wanted = |joined: &Hashes| {
            joined.short.eq_ignore_ascii_case(beacon.topic_hash) || joined.long.eq_ignore_ascii_case(beacon.topic_hash)
        };
        if beacon.id == self.id {
            return None;
        }
        let (name, _) = self.hashes.iter().find(|(_, joined)| wanted(joined))?;
        let mut addr = from;
        addr.set_port(beacon.port);
        let id = Some(wire_id(&beacon.id));
        is_dialable(&addr).then_some(Hint { addr, id, key: None, source: Source::Lan, topic: Some(*name) })
    }
}
