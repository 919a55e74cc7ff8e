//! Which messages of v12 peers are new, and to whom they are forwarded.
//!
//! v12 messages carry no id: a flood reaches us over several links with the same
//! content, and an author may repeat a content on purpose. Each link carries one copy
//! of each message, so a content is new exactly when its count on the link it
//! came by exceeds its highest count on any other link, within ten minutes.
//! What we sent ourselves counts like a link, so that it does not come back as news.

use crate::config::limits::{BRIDGE_OVERLAP, FLOOD_CONTENTS, FLOOD_LINKS, FLOOD_MEMORY};
use crate::node::api::PeerId;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// Names a content.
pub type ContentId = [u8; 16];

/// What a copy of a content came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// We said it ourselves.
    Own,
    /// A v12 peer.
    Peer(PeerId),
    /// The mesh, from the bridge with this key.
    Bridge([u8; 32]),
    /// The mesh, signed by its author, whoever that is.
    Signed,
}

/// Counts of contents by link. What we sent ourselves counts like a link of its own.
#[derive(Default)]
pub struct Flood {
    contents: BTreeMap<ContentId, Counts>,
    /// Contents by the time they were first seen.
    order: VecDeque<(Instant, ContentId)>,
}

#[derive(Default)]
struct Counts {
    links: Vec<(Link, u32)>,
    /// How many of ours went to this one peer alone.
    direct: Option<(PeerId, u32)>,
    /// When an unsigned copy was news.
    unsigned: Option<Instant>,
}

/// The name of a content.
pub fn content_id(data: &[u8]) -> ContentId {
    let hash: [u8; 32] = Sha256::digest(data).into();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    id
}

impl Flood {
    /// Counts a message that came over `link`; true if it is new.
    pub fn received(&mut self, content: ContentId, link: Link, now: Instant) -> bool {
        let count = self.count(content, link, now);
        let Some(counts) = self.contents.get_mut(&content) else { return true };
        let new = count > counts.highest_but(link);
        if link != Link::Signed {
            counts.unsigned = if new { Some(now) } else { counts.unsigned };
            return new;
        }
        // An unsigned copy is on its way for a short time; later the same words are said anew.
        let recent = counts.unsigned.is_some_and(|at| now.saturating_duration_since(at) < BRIDGE_OVERLAP);
        new || !recent
    }

    /// This peer has not shown us all copies of a content that we know of.
    pub fn lacks(&self, content: ContentId, peer: PeerId) -> bool {
        let Some(counts) = self.contents.get(&content) else { return true };
        let shown = counts.links.iter().find(|(link, _)| *link == Link::Peer(peer)).map_or(0, |(_, count)| *count);
        counts.links.iter().any(|(_, count)| *count > shown)
    }

    /// Counts a message of our own, so that it is not new when a flood brings it back. Old peers
    /// never send a message back to where it came from: what went to `only` one peer and comes
    /// from there is that peer's own.
    pub fn sent(&mut self, content: ContentId, only: Option<PeerId>, now: Instant) {
        self.count(content, Link::Own, now);
        if let (Some(peer), Some(counts)) = (only, self.contents.get_mut(&content)) {
            counts.direct = match counts.direct {
                Some((known, count)) if known == peer => Some((peer, count.saturating_add(1))),
                Some(other) => Some(other),
                None => Some((peer, 1)),
            };
        }
    }

    /// Contents remembered now.
    pub fn len(&self) -> usize {
        self.contents.len()
    }

    pub fn is_empty(&self) -> bool {
        self.contents.is_empty()
    }

    fn count(&mut self, content: ContentId, link: Link, now: Instant) -> u32 {
        self.forget(now);
        let counts = self.contents.entry(content).or_insert_with(|| {
            self.order.push_back((now, content));
            Counts::default()
        });
        if let Some((_, count)) = counts.links.iter_mut().find(|(known, _)| *known == link) {
            *count = count.saturating_add(1);
            return *count;
        }
        if counts.links.len() >= FLOOD_LINKS {
            // A link too many counts as a copy: 0 exceeds nothing.
            return 0;
        }
        counts.links.push((link, 1));
        1
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, content)) = self.order.front().copied() {
            if self.order.len() <= FLOOD_CONTENTS && now.saturating_duration_since(at) < FLOOD_MEMORY {
                break;
            }
            self.order.pop_front();
            self.contents.remove(&content);
        }
    }
}

impl Counts {
    /// The highest count on another link. What went to one peer alone is not expected back from it, and
    /// an author's signature is no copy of what we said.
    fn highest_but(&self, link: Link) -> u32 {
        let direct = self.direct.filter(|(peer, _)| link == Link::Peer(*peer)).map_or(0, |(_, count)| count);
        let others = self.links.iter().filter(|(other, _)| *other != link);
        others
            .filter(|(other, _)| link != Link::Signed || *other != Link::Own)
            .map(|(other, count)| if *other == Link::Own { count.saturating_sub(direct) } else { *count })
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;
    use std::time::Duration;

    const A: Link = Link::Peer(PeerId(1));
    const B: Link = Link::Peer(PeerId(2));
    const BRIDGES: [Link; 2] = [Link::Bridge([1; 32]), Link::Bridge([2; 32])];

    #[test]
    fn copies_over_other_links_are_not_new_but_repeats_are() {
        let (mut flood, now, hi) = (Flood::default(), Instant::now(), content_id(b"hi"));
        assert!(flood.received(hi, A, now));
        assert!(!flood.received(hi, B, now), "forwarded by B");
        assert!(flood.received(hi, A, now), "A said it again");
        assert!(!flood.received(hi, B, now));
        assert!(flood.received(hi, B, now), "B says it a third time, A only twice");
    }

    #[test]
    fn our_own_message_that_comes_back_is_not_new() {
        let (mut flood, now, hi) = (Flood::default(), Instant::now(), content_id(b"hi"));
        flood.sent(hi, None, now);
        assert!(!flood.received(hi, A, now));
        assert!(flood.received(hi, A, now));
    }

    #[test]
    fn an_answer_with_our_own_words_is_new_where_it_was_addressed_to() {
        let (mut flood, now, ping) = (Flood::default(), Instant::now(), content_id(b"ping"));
        flood.sent(ping, Some(PeerId(1)), now);
        assert!(flood.received(ping, A, now), "A echoes it");
        assert!(!flood.received(ping, B, now), "A forwarded it to B");
    }

    #[test]
    fn two_bridges_and_a_peer_bring_one_message() {
        let (mut flood, now, hi) = (Flood::default(), Instant::now(), content_id(b"hi"));
        assert!(flood.received(hi, BRIDGES[0], now));
        assert!(!flood.received(hi, BRIDGES[1], now) && !flood.received(hi, A, now));
        assert!(flood.received(hi, A, now), "said again");
        assert!(!flood.received(hi, BRIDGES[1], now), "and bridged again");
        assert!(flood.lacks(hi, PeerId(2)) && !flood.lacks(hi, PeerId(1)));
        assert!(flood.lacks(content_id(b"never heard"), PeerId(1)));
    }

    #[test]
    fn signed_messages_are_new_unless_a_copy_was_faster() {
        let (mut flood, now, hi) = (Flood::default(), Instant::now(), content_id(b"hi"));
        assert!(flood.received(hi, Link::Signed, now));
        assert!(flood.received(hi, Link::Signed, now), "two authors may say the same");
        assert!(!flood.received(hi, A, now) && !flood.received(hi, BRIDGES[0], now), "copies of that");
        flood.sent(hi, None, now);
        assert!(flood.received(hi, Link::Signed, now), "and so may we");

        let fast = content_id(b"fast");
        assert!(flood.received(fast, A, now));
        assert!(!flood.received(fast, Link::Signed, now), "the copy was delivered");
        assert!(flood.received(fast, Link::Signed, now), "a second one is another message");
        let late = content_id(b"late");
        assert!(flood.received(late, A, now));
        assert!(flood.received(late, Link::Signed, now + BRIDGE_OVERLAP), "nobody waits so long for a copy");
    }

    #[test]
    fn memory_is_bounded_in_time_and_number() {
        let (mut flood, start) = (Flood::default(), Instant::now());
        assert!(flood.received(content_id(b"hi"), A, start));
        assert!(flood.received(content_id(b"hi"), B, start + FLOOD_MEMORY), "forgotten after ten minutes");
        for n in 0..3 * FLOOD_CONTENTS {
            flood.received(content_id(&n.to_be_bytes()), A, start + FLOOD_MEMORY + Duration::from_secs(1));
        }
        assert!(flood.len() <= FLOOD_CONTENTS + 1);
    }
}
