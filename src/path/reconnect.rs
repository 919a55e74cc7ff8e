//! Peers that were lost without a goodbye are dialled again, ever more rarely.

use crate::config::limits::{ADDRS_PER_PEER, RECONNECT_MAX, RECONNECT_SECONDS, RECONNECT_TRIES};
use crate::crypto::identity::WireId;
use crate::timers::Timers;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Who is dialled again: nobody else may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whom {
    /// A peer of the old wire.
    Legacy(WireId),
    /// A modern peer.
    Key([u8; 32]),
}

/// Lost peers.
#[derive(Default)]
pub struct Reconnect {
    lost: BTreeMap<Whom, Lost>,
    timers: Timers<Whom>,
}

struct Lost {
    addrs: Vec<SocketAddr>,
    tries: u32,
}

impl Reconnect {
    /// Remembers a lost peer. Beyond the limit the newcomer is not remembered.
    pub fn lost(&mut self, now: Instant, id: Whom, mut addrs: Vec<SocketAddr>) {
        addrs.truncate(ADDRS_PER_PEER);
        if addrs.is_empty() || (!self.lost.contains_key(&id) && self.lost.len() >= RECONNECT_MAX) {
            return;
        }
        self.lost.insert(id, Lost { addrs, tries: 0 });
        self.timers.set(id, Some(now + wait(0)));
    }

    /// The peer is back, or not wanted any more.
    pub fn forget(&mut self, id: &Whom) {
        self.lost.remove(id);
        self.timers.set(*id, None);
    }

    pub fn clear(&mut self) {
        *self = Reconnect::default();
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whom to dial now, and where.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<(Whom, Vec<SocketAddr>)> {
        let mut due = Vec::new();
        for id in self.timers.take_due(now) {
            let Some(lost) = self.lost.get_mut(&id) else { continue };
            due.push((id, lost.addrs.clone()));
            lost.tries += 1;
            if lost.tries >= RECONNECT_TRIES {
                self.lost.remove(&id);
            } else {
                self.timers.set(id, Some(now + wait(lost.tries)));
            }
        }
        due
    }
}

fn wait(tries: u32) -> Duration {
    let last = RECONNECT_SECONDS[RECONNECT_SECONDS.len() - 1];
    Duration::from_secs(RECONNECT_SECONDS.get(tries as usize).copied().unwrap_or(last))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;

    #[test]
    fn ever_more_rarely_and_then_never() {
        let (mut reconnect, start) = (Reconnect::default(), Instant::now());
        reconnect.lost(start, Whom::Legacy([1; 8]), vec!["192.0.2.1:5".parse().expect("address")]);
        let mut waits = Vec::new();
        let mut at = start;
        while let Some(next) = reconnect.poll_deadline() {
            waits.push((next - at).as_secs());
            at = next;
            assert_eq!(reconnect.handle_timeout(at).len(), 1);
        }
        assert_eq!(waits, [1, 2, 5, 15, 60, 300, 300, 300, 300, 300, 300, 300]);
    }
}
