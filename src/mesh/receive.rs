//! What frames of the mesh stream do to the mesh.
//!
//! The cheap questions come first: whether the topic is shared, the message known, its time
//! plausible, its sender within its rates. Then the signature; only then is anything kept.

use super::author;
use super::gossip::{Delivered, Gossip, Refused};
use super::link::{Link, Way};
use crate::config::limits::{MESH_FORGED, MESH_HOPS};
use crate::node::api::PeerId;
use crate::wire::v13::mesh::{BRIDGED, MESSAGE_HEADER_BYTES, Mesh, Message, MessageId, NEIGHBOUR_TAG, TopicTag};
use bytes::Bytes;
use std::time::Instant;

impl Gossip {
    /// Takes a frame of a peer's mesh stream.
    pub fn handle(&mut self, now: Instant, peer: PeerId, frame: &Mesh<'_>) -> Result<Option<Delivered>, Refused> {
        match frame {
            Mesh::Message(message) => return self.message(now, peer, message),
            Mesh::Have(have) => {
                let entries: Vec<(TopicTag, MessageId)> = have.iter().collect();
                self.admit(now, peer, entries.len().saturating_mul(24), false)?;
                entries.into_iter().for_each(|(topic, id)| self.have(now, peer, topic, id));
            }
            Mesh::Want(ids) => {
                self.admit(now, peer, ids.len().saturating_mul(16), false)?;
                ids.iter().for_each(|id| self.want(now, peer, *id));
            }
            Mesh::Prune(topic) => {
                self.admit(now, peer, topic.len(), false)?;
                if let Some(way) = self.links.get_mut(&peer).and_then(|link| link.topics.get_mut(topic)) {
                    way.eager = false;
                }
            }
            Mesh::Unknown { .. } => self.admit(now, peer, 1, false)?,
        }
        Ok(None)
    }

    fn message(&mut self, now: Instant, peer: PeerId, message: &Message<'_>) -> Result<Option<Delivered>, Refused> {
        let Message { topic, author, id, .. } = *message;
        let size = message.payload.len().saturating_add(MESSAGE_HEADER_BYTES);
        let neighbour = topic == NEIGHBOUR_TAG;
        let shared = self.links.get(&peer).is_some_and(|link| match neighbour {
            // Whatever is shared: the other side may have seen that change later. Nobody passes such a message on.
            true => link.key == author && message.hops == 0 && message.flags & BRIDGED == 0,
            false => link.topics.contains_key(&topic),
        });
        let name = self.topics.get(&topic).copied().filter(|_| shared);
        let known = shared && self.seen.contains(&id, &topic);
        let plausible = message.hops < MESH_HOPS && author != self.key && self.seen.is_fresh(&author, message.time);
        let new = name.filter(|_| plausible && !known);
        self.admit(now, peer, size, new.is_some())?;
        if known {
            self.stats.duplicates += 1;
            self.has(peer, topic, id);
            if !self.store.get(id, topic).is_some_and(|entry| entry.direct) {
                self.write(peer, |link| link.send_prune(topic));
            }
            return Ok(None);
        }
        let Some(name) = new else {
            self.stats.ignored += 1;
            return Ok(None);
        };
        let Some(content) = author::verify(&name, message) else { return self.forged(peer) };
        let first = !self.seen.anywhere(&id);
        self.pulls.forget(id, topic);
        if !self.seen.enter(now, id, topic, author, message.time, size) {
            self.stats.over_rate += 1;
            return Ok(None);
        }
        self.stats.received += 1;
        let lazy = |link: &Link| link.topics.get(&topic).is_some_and(|way| !way.eager);
        let direct = message.hops == 0 && self.links.get(&peer).is_some_and(lazy);
        if !direct {
            self.graft(peer, topic);
        }
        let hops = message.hops.saturating_add(1);
        let payload = if hops < MESH_HOPS && !neighbour {
            let frame = self.pass_on(now, &Message { hops, ..*message }, Some(peer), direct);
            frame.slice(frame.len().saturating_sub(message.payload.len())..)
        } else {
            Bytes::copy_from_slice(message.payload)
        };
        let bridged = message.flags & BRIDGED != 0;
        Ok(first.then_some(Delivered { topic, author, bridged, id, content, payload, from: peer }))
    }

    fn have(&mut self, now: Instant, peer: PeerId, topic: TopicTag, id: MessageId) {
        let shares = |link: &Link| topic == NEIGHBOUR_TAG || link.topics.contains_key(&topic);
        if !self.links.get(&peer).is_some_and(shares) {
            self.stats.ignored += 1;
        } else if self.seen.contains(&id, &topic) {
            self.has(peer, topic, id);
        } else if !self.pulls.announced(now, peer, id, topic) {
            self.stats.unannounced += 1;
        }
    }

    fn want(&mut self, now: Instant, peer: PeerId, id: MessageId) {
        for topic in self.store.topics(id) {
            if self.graft(peer, topic) || topic == NEIGHBOUR_TAG {
                self.offer(now, peer, id, topic, true);
            }
        }
    }

    /// Messages of a topic go to this peer at once from now on; false if the topic is not shared with it.
    pub(super) fn graft(&mut self, peer: PeerId, topic: TopicTag) -> bool {
        let way = self.links.get_mut(&peer).and_then(|link| link.topics.get_mut(&topic));
        way.map(|way| *way = Way { eager: true, pruned: false, since: way.since }).is_some()
    }

    /// A peer has this message: it needs neither payload nor id.
    fn has(&mut self, peer: PeerId, topic: TopicTag, id: MessageId) {
        if let (Some(link), Some(entry)) = (self.links.get_mut(&peer), self.store.get(id, topic)) {
            entry.held_by(peer);
            link.needs_not(topic, id);
        }
    }

    fn forged(&mut self, peer: PeerId) -> Result<Option<Delivered>, Refused> {
        self.stats.forged += 1;
        let Some(link) = self.links.get_mut(&peer) else { return Ok(None) };
        link.forged = link.forged.saturating_add(1);
        if link.forged < MESH_FORGED { Ok(None) } else { Err(Refused::Hostile) }
    }

    /// Charges a peer for a frame, or says when it may come.
    fn admit(&mut self, now: Instant, peer: PeerId, bytes: usize, check: bool) -> Result<(), Refused> {
        let Some(link) = self.links.get_mut(&peer) else { return Ok(()) };
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).max(1);
        let total = if check { self.checks.ready_at(1, now) } else { now };
        let ready = link.ready_at(now, bytes, check).max(total);
        if ready > now {
            self.stats.delayed += 1;
            return Err(Refused::Later(ready));
        }
        link.charge(now, bytes, check);
        if check {
            self.checks.take(1, now);
        }
        Ok(())
    }
}
