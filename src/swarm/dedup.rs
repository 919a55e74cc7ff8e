//! Two connections with one program under two keys: which of them goes, by ids that the programs told each other.
//!
//! Both sides come to the same answer: with the smaller id ours, the connection that was looked at last stays if we
//! dialled it, with the greater one if we did not. A peer whose connection had to go and whom we dialled is held: it is
//! not dialled while the other one is there.

use crate::config::limits::{DEDUP_ID_BYTES, DEDUP_PAIRS};
use crate::node::api::{PeerId, Whom};
use std::collections::BTreeMap;

type Pair = (Vec<u8>, Vec<u8>);

/// Which connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Double {
    /// This one: it leads to ourselves.
    Own,
    /// `goes`, as long as `stays` is there.
    Of { goes: PeerId, stays: PeerId },
}

#[derive(Default)]
pub struct Dedup {
    pairs: BTreeMap<Pair, PeerId>,
    by_peer: BTreeMap<PeerId, Pair>,
    /// Who is not dialled as long as a connection is there.
    held: BTreeMap<PeerId, Vec<Whom>>,
    holds: usize,
}

impl Dedup {
    /// Looks at a connection. `client`: we dialled it.
    pub fn check(&mut self, peer: PeerId, client: bool, local: &[u8], remote: &[u8]) -> Option<Double> {
        let cut = |id: &[u8]| id.get(..id.len().min(DEDUP_ID_BYTES)).unwrap_or_default().to_vec();
        let pair = (cut(local), cut(remote));
        if pair.0 == pair.1 {
            return Some(Double::Own);
        }
        match self.pairs.get(&pair).copied() {
            Some(first) if first == peer => None,
            Some(first) => {
                let this_goes = if pair.0 < pair.1 { !client } else { client };
                if this_goes {
                    return Some(Double::Of { goes: peer, stays: first });
                }
                self.by_peer.remove(&first);
                self.keep(peer, pair);
                Some(Double::Of { goes: first, stays: peer })
            }
            None => {
                if self.pairs.len() < DEDUP_PAIRS {
                    self.keep(peer, pair);
                }
                None
            }
        }
    }

    fn keep(&mut self, peer: PeerId, pair: Pair) {
        self.pairs.insert(pair.clone(), peer);
        if let Some(before) = self.by_peer.insert(peer, pair.clone()).filter(|before| *before != pair) {
            self.pairs.remove(&before);
        }
    }

    /// Does not let a peer be dialled as long as this connection is there. False: as many are held as may be.
    pub fn hold(&mut self, stays: PeerId, whom: Whom) -> bool {
        let room = self.holds < DEDUP_PAIRS;
        if room {
            self.holds = self.holds.saturating_add(1);
            self.held.entry(stays).or_default().push(whom);
        }
        room
    }

    /// A connection ended. Who was held because of it.
    pub fn gone(&mut self, peer: PeerId) -> Vec<Whom> {
        if let Some(pair) = self.by_peer.remove(&peer) {
            self.pairs.remove(&pair);
        }
        let held = self.held.remove(&peer).unwrap_or_default();
        self.holds = self.holds.saturating_sub(held.len());
        held
    }

    pub fn held(&self) -> usize {
        self.holds
    }

    /// Pairs that are remembered.
    pub fn pairs(&self) -> usize {
        self.pairs.len()
    }
}
