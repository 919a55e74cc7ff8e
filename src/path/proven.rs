//! Which legacy ids are proven to belong to modern peers.
//!
//! The proof is made inside a modern session. While it is remembered, nobody may speak p2p-v12
//! under that id: whoever drops our PROBEs cannot push us back to the old wire with a peer that has the new
//! one. Bounded in number and age; the oldest goes first. Kept across runs in the peer cache.

use crate::config::limits::{PROVEN_LINK_LIFE, PROVEN_LINKS};
use crate::crypto::identity::{LegacyId, WireId, wire_id};
use std::collections::BTreeMap;

/// A legacy id, the key it belongs to and when that was proven, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub id: LegacyId,
    pub key: [u8; 32],
    pub unix_us: u64,
}

/// All links that are believed.
#[derive(Default)]
pub struct Proven {
    links: BTreeMap<WireId, Link>,
}

impl Proven {
    /// A link was proven, now or in an earlier run.
    pub fn learn(&mut self, link: Link, now_us: u64) {
        let wire = wire_id(&link.id);
        if is_old(&link, now_us) {
            return;
        }
        if self.links.len() >= PROVEN_LINKS && !self.links.contains_key(&wire) {
            let oldest = self.links.iter().min_by_key(|(_, link)| link.unix_us).map(|(id, _)| *id);
            oldest.and_then(|id| self.links.remove(&id));
        }
        self.links.insert(wire, link);
    }

    /// The key that this id of the old wire belongs to, if it was proven lately.
    pub fn key_of(&self, wire: &WireId, now_us: u64) -> Option<[u8; 32]> {
        self.links.get(wire).filter(|link| !is_old(link, now_us)).map(|link| link.key)
    }

    /// All that are believed now.
    pub fn links(&self, now_us: u64) -> impl Iterator<Item = &Link> {
        self.links.values().filter(move |link| !is_old(link, now_us))
    }
}

/// A clock that stepped back makes nothing older.
fn is_old(link: &Link, now_us: u64) -> bool {
    u128::from(now_us.saturating_sub(link.unix_us)) >= PROVEN_LINK_LIFE.as_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_believed_for_thirty_days() {
        let (mut proven, life) = (Proven::default(), PROVEN_LINK_LIFE.as_micros() as u64);
        let link = Link { id: [1; 20], key: [2; 32], unix_us: 5 };
        proven.learn(link, 5);
        assert_eq!(proven.key_of(&[1; 8], life + 4), Some([2; 32]));
        assert_eq!(proven.key_of(&[1; 8], life + 5), None);
        assert_eq!(proven.key_of(&[1; 8], 0), Some([2; 32]), "a clock that stepped back");
        assert_eq!(proven.links(life + 5).count(), 0);
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut proven = Proven::default();
        for n in 0..=PROVEN_LINKS as u64 {
            let mut id = [0; 20];
            id[..8].copy_from_slice(&n.to_be_bytes());
            proven.learn(Link { id, key: [0; 32], unix_us: n }, n);
        }
        assert_eq!(proven.links(0).count(), PROVEN_LINKS);
        assert_eq!(proven.key_of(&0u64.to_be_bytes(), 0), None);
    }
}
