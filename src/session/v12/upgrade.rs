//! From a v12 session to a modern one with the same peer, and never back.
//!
//! When the peer turns out to be of our own kind, a modern session takes over under the same
//! `PeerId`: what waits moves there, what is on its way is still taken in for a while, and the
//! application sees an update. A legacy id that is proven to belong to a modern peer is not
//! spoken to over v12: whoever drops our PROBEs gains nothing by it.

use super::{V12, tx};
use crate::config::limits::V12_RETIRED_LIFE;
use crate::crypto::identity::WireId;
use crate::node::api::PeerId;
use crate::session::Env;
use std::net::SocketAddr;

impl V12 {
    /// A modern session goes on with this peer: the messages that wait, in order, with their tags.
    pub fn retire(&mut self, env: &mut Env<'_>, peer: PeerId) -> Vec<(bytes::Bytes, u64)> {
        let Some(link) = self.links.get_mut(&peer) else { return Vec::new() };
        link.retired = Some(env.now.mono + V12_RETIRED_LIFE);
        let waiting = link.tx.take_waiting();
        self.service(env, peer);
        waiting.into_iter().map(|tx::Outgoing { data, tag, .. }| (data.into(), tag)).collect()
    }

    /// The modern session that went on is over: nothing more is taken in under this number.
    pub fn forget(&mut self, env: &mut Env<'_>, peer: PeerId) {
        if self.links.get(&peer).is_some_and(|link| link.retired.is_some()) {
            let code = crate::error::Code::Closed;
            self.end(env, peer, super::End { code, reason: String::new(), redial: false });
        }
    }

    /// A peer has no place any more: the one that proved least and came first.
    pub fn yield_one(&mut self, env: &mut Env<'_>) {
        let reason = "a peer with a modern session needs the place";
        let yields = self.links.values().filter(|link| link.may_yield() && link.retired.is_none());
        if let Some(peer) = yields.min_by_key(|link| (link.client, link.id)).map(|link| link.id) {
            self.end(
                env,
                peer,
                super::End { code: crate::error::Code::Refused, reason: reason.to_owned(), redial: false },
            );
        }
    }

    /// Some connected peer proved nothing and would make room.
    pub fn may_yield(&self) -> bool {
        self.links.values().any(|link| link.may_yield() && link.retired.is_none())
    }

    /// Peers, those that went on with a modern session left out.
    pub fn count(&self) -> usize {
        self.links.values().filter(|link| link.retired.is_none()).count()
    }

    /// Whether a HELLO of this id is to be left alone: it belongs to a modern peer, or may be that of one that is banned, or
    /// QUIC has begun at its address.
    pub(super) fn must_be_modern(&self, env: &mut Env<'_>, from: &SocketAddr, id: &WireId) -> bool {
        if self.by_id.contains_key(id) {
            return false;
        }
        let modern = env.proven.key_of(id, env.now.unix_us).is_some() || env.door.is_haunted(from, env.now.mono);
        if modern {
            env.dialer.insist(from, env.now.mono);
        }
        modern || env.dialer.is_answered(from)
    }
}
