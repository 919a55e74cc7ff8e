//! Broadcasts that neighbours announced and that have not come yet.
//!
//! An announced message most likely comes by itself over a faster link, so it is asked for only
//! after a short wait, from one neighbour at a time; from the next one when the first
//! does not answer in time or leaves. When nobody is left to ask, it is forgotten. Each
//! neighbour is charged for what it was the first to announce: ids that do not
//! exist fill its own share of the table and cost one question each.

use crate::config::limits::{MESH_HOLDERS, MESH_MISSING, MESH_MISSING_PER_LINK, MESH_PULL_DELAY, MESH_PULL_RETRY};
use crate::node::api::PeerId;
use crate::wire::v13::mesh::{MessageId, TopicTag};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

type Name = (MessageId, TopicTag);

/// All of them.
#[derive(Default)]
pub struct Pulls {
    missing: BTreeMap<Name, Missing>,
    due: BTreeSet<(Instant, Name)>,
    charged: BTreeMap<PeerId, usize>,
}

struct Missing {
    /// Who was the first to announce it.
    by: PeerId,
    due: Instant,
    asked: Option<PeerId>,
    /// Whom to ask next.
    holders: VecDeque<PeerId>,
}

impl Pulls {
    /// `peer` has a message that we lack; false if there is no room to remember that.
    pub fn announced(&mut self, now: Instant, peer: PeerId, id: MessageId, topic: TopicTag) -> bool {
        let name = (id, topic);
        if let Some(missing) = self.missing.get_mut(&name) {
            if !missing.holders.contains(&peer) && missing.holders.len() < MESH_HOLDERS {
                missing.holders.push_back(peer);
            }
            // Who was asked and announces it again had no room to send it, and has now.
            if missing.asked == Some(peer) {
                missing.asked = None;
                self.due.remove(&(missing.due, name));
                missing.due = missing.due.min(now + MESH_PULL_DELAY);
                self.due.insert((missing.due, name));
            }
            return true;
        }
        let charged = self.charged.entry(peer).or_default();
        if *charged >= MESH_MISSING_PER_LINK || self.missing.len() >= MESH_MISSING {
            return false;
        }
        *charged += 1;
        let due = now + MESH_PULL_DELAY;
        self.due.insert((due, name));
        self.missing.insert(name, Missing { by: peer, due, asked: None, holders: VecDeque::from([peer]) });
        true
    }

    /// It came, or its topic was left.
    pub fn forget(&mut self, id: MessageId, topic: TopicTag) {
        let Some(missing) = self.missing.remove(&(id, topic)) else { return };
        self.due.remove(&(missing.due, (id, topic)));
        if let Some(charged) = self.charged.get_mut(&missing.by) {
            *charged = charged.saturating_sub(1);
            if *charged == 0 {
                self.charged.remove(&missing.by);
            }
        }
    }

    pub fn forget_topic(&mut self, topic: TopicTag) {
        let names: Vec<Name> = self.missing.keys().filter(|(_, of)| *of == topic).copied().collect();
        names.into_iter().for_each(|(id, topic)| self.forget(id, topic));
    }

    /// Nothing more is to be had from this peer; what it was asked for is asked elsewhere at once.
    pub fn forget_peer(&mut self, now: Instant, peer: PeerId) {
        for (name, missing) in &mut self.missing {
            missing.holders.retain(|holder| *holder != peer);
            if missing.asked == Some(peer) {
                self.due.remove(&(missing.due, *name));
                missing.due = now;
                missing.asked = None;
                self.due.insert((now, *name));
            }
        }
    }

    /// What to ask whom now.
    pub fn take_due(&mut self, now: Instant) -> Vec<(PeerId, MessageId, TopicTag)> {
        let mut questions = Vec::new();
        while let Some((at, name)) = self.due.first().copied() {
            if at > now {
                break;
            }
            let next = self.missing.get_mut(&name).and_then(|missing| missing.holders.pop_front());
            let (Some(peer), Some(missing)) = (next, self.missing.get_mut(&name)) else {
                self.forget(name.0, name.1);
                self.due.remove(&(at, name));
                continue;
            };
            self.due.remove(&(at, name));
            missing.asked = Some(peer);
            missing.due = now + MESH_PULL_RETRY;
            self.due.insert((missing.due, name));
            questions.push((peer, name.0, name.1));
        }
        questions
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    pub fn len(&self) -> usize {
        self.missing.len()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;

    const T: TopicTag = [1; 8];
    const A: PeerId = PeerId(1);
    const B: PeerId = PeerId(2);

    fn id(n: usize) -> MessageId {
        (n as u128).to_be_bytes()
    }

    #[test]
    fn asked_late_then_elsewhere_then_forgotten() {
        let (mut pulls, start) = (Pulls::default(), Instant::now());
        assert!(pulls.announced(start, A, id(1), T) && pulls.announced(start, B, id(1), T));
        assert!(pulls.announced(start, B, id(1), T), "said twice, asked once");
        assert!(pulls.take_due(start).is_empty(), "it may come by itself");
        let asked = pulls.poll_deadline().expect("due");
        assert_eq!(pulls.take_due(asked), [(A, id(1), T)]);
        assert!(pulls.take_due(asked).is_empty());
        let again = pulls.poll_deadline().expect("due");
        assert_eq!((again, pulls.take_due(again)), (asked + MESH_PULL_RETRY, vec![(B, id(1), T)]));
        assert!(pulls.announced(again, A, id(1), T));
        assert!(pulls.announced(again, B, id(1), T), "it had no room and has now");
        let soon = again + MESH_PULL_DELAY;
        assert_eq!(pulls.take_due(soon), [(A, id(1), T)]);
        assert_eq!(pulls.take_due(soon + MESH_PULL_RETRY), [(B, id(1), T)]);
        assert!(pulls.take_due(soon + 2 * MESH_PULL_RETRY).is_empty());
        assert_eq!((pulls.len(), pulls.poll_deadline(), pulls.charged.len()), (0, None, 0));
    }

    #[test]
    fn who_leaves_is_not_waited_for_and_what_came_is_not_asked_for() {
        let (mut pulls, start) = (Pulls::default(), Instant::now());
        for n in 1..=3 {
            pulls.announced(start, A, id(n), T);
        }
        pulls.announced(start, B, id(1), T);
        pulls.forget(id(2), T);
        let asked = start + MESH_PULL_DELAY;
        assert_eq!(pulls.take_due(asked), [(A, id(1), T), (A, id(3), T)]);
        pulls.forget_peer(asked, A);
        assert_eq!(pulls.take_due(asked), [(B, id(1), T)]);
        pulls.forget_topic(T);
        assert_eq!((pulls.len(), pulls.poll_deadline(), pulls.charged.len()), (0, None, 0));
    }

    #[test]
    fn ids_that_do_not_exist_fill_the_share_of_who_invents_them() {
        let (mut pulls, start) = (Pulls::default(), Instant::now());
        let taken = (0..2 * MESH_MISSING_PER_LINK).filter(|n| pulls.announced(start, A, id(*n), T)).count();
        assert_eq!(taken, MESH_MISSING_PER_LINK);
        assert!(pulls.announced(start, B, id(1 << 20), T));
        let asked = start + MESH_PULL_DELAY;
        assert_eq!(pulls.take_due(asked).len(), MESH_MISSING_PER_LINK + 1);
        assert!(pulls.take_due(asked + MESH_PULL_RETRY).is_empty());
        assert_eq!(pulls.len(), 0);
        for n in 0..2 * MESH_MISSING {
            pulls.announced(start, PeerId(n as u64), id(n), T);
        }
        assert_eq!(pulls.len(), MESH_MISSING);
    }
}
