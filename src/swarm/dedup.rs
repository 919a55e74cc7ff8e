//! Two connections with one program under two keys: which of them goes, by ids that the programs told each other.
//!
//! Both sides come to the same answer: with the smaller id ours, the connection that we did not dial stays.

use crate::config::limits::{DEDUP_ID_BYTES, DEDUP_PAIRS};
use crate::node::api::PeerId;
use std::collections::BTreeMap;

type Pair = (Vec<u8>, Vec<u8>);

#[derive(Default)]
pub struct Dedup {
    pairs: BTreeMap<Pair, (PeerId, bool)>,
    by_peer: BTreeMap<PeerId, Pair>,
}

impl Dedup {
    /// The connection that is to end, if any: this one or the one that came first. `client`: we dialled it.
    pub fn check(&mut self, peer: PeerId, client: bool, local: &[u8], remote: &[u8]) -> Option<PeerId> {
        let cut = |id: &[u8]| id.get(..id.len().min(DEDUP_ID_BYTES)).unwrap_or_default().to_vec();
        let pair = (cut(local), cut(remote));
        if pair.0 == pair.1 {
            // Connected to self.
            return Some(peer);
        }
        match self.pairs.get(&pair).copied() {
            Some((first, _)) if first == peer => None,
            Some((first, _)) => {
                let this_goes = if pair.0 < pair.1 { !client } else { client };
                if this_goes {
                    return Some(peer);
                }
                self.by_peer.remove(&first);
                self.keep(peer, client, pair);
                Some(first)
            }
            None => {
                if self.pairs.len() < DEDUP_PAIRS {
                    self.keep(peer, client, pair);
                }
                None
            }
        }
    }

    fn keep(&mut self, peer: PeerId, client: bool, pair: Pair) {
        self.pairs.insert(pair.clone(), (peer, client));
        if let Some(before) = self.by_peer.insert(peer, pair.clone()).filter(|before| *before != pair) {
            self.pairs.remove(&before);
        }
    }

    /// A connection ended.
    pub fn gone(&mut self, peer: PeerId) {
        if let Some(pair) = self.by_peer.remove(&peer) {
            self.pairs.remove(&pair);
        }
    }

    /// Pairs that are remembered.
    pub fn pairs(&self) -> usize {
        self.pairs.len()
    }
}
