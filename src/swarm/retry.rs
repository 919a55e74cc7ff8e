//! When a peer is dialled again after a dial or a connection to it ended, and how urgent that is.
//!
//! Two ways to count, by the preset: that of Hyperswarm 4 (also ours), by attempts since the last good connection,
//! and that of version 2, by retries with a wait of their own each. Both release peers in batches (`bulk`).

use super::bulk::Bulk;
use super::known::Known;
use crate::config::limits::{GOOD_CONNECTION, LOST_ATTEMPTS, RETRY_WAITS};
use crate::config::swarm::{Preset, SwarmOptions};
use crate::node::api::{Source, Whom};
use crate::path::{Scope, scope};
use crate::timers::earlier;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use std::time::{Duration, Instant};

/// Attempts after which a peer is given up, unless it is explicit.
pub const GIVEN_UP: u32 = 3;

/// Which timer a peer waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    Short,
    Middle,
    Long,
    /// Of explicit peers that do not answer.
    Forever,
}

pub struct Retry {
    preset: Preset,
    timers: [Bulk<Whom>; 4],
    /// Of the preset v2: who did not answer after all retries.
    unresponsive: Bulk<Whom>,
}

impl Retry {
    pub fn new(options: &SwarmOptions, rng: &mut ChaCha20Rng) -> Retry {
        let mut random = |most: Duration| {
            let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
            Duration::from_millis(rng.next_u64().checked_rem(most.saturating_add(1)).unwrap_or(0))
        };
        let jitter = random(options.jitter);
        let mut waits = [Duration::ZERO; 4];
        for (n, wait) in waits.iter_mut().enumerate() {
            let [base, more] = RETRY_WAITS.get(n).copied().unwrap_or_default();
            *wait = match (options.preset, options.backoffs) {
                (Preset::V2, _) => options.requeue.get(n).copied().unwrap_or(base),
                (_, Some(given)) => given.get(n).copied().unwrap_or(base) + jitter,
                (_, None) => base + random(more) + jitter,
            };
        }
        Retry {
            preset: options.preset,
            timers: waits.map(Bulk::new),
            unresponsive: Bulk::new(options.forget_unresponsive),
        }
    }

    /// How urgent a dial is: more is sooner. None: it is not to be dialled by itself.
    pub fn priority(&self, known: &Known) -> Option<u8> {
        match self.preset {
            Preset::V2 => match known.attempts {
                0..=GIVEN_UP if known.tried && !known.proven => Some(0),
                0 if is_near(known) => Some(3),
                0 => Some(2),
                1 => Some(5),
                2 => Some(4),
                3 => Some(1),
                _ => None,
            },
            Preset::Setowire | Preset::V4 => match known.attempts {
                0 => Some(2),
                1 => Some(4),
                2 => Some(3),
                3 => Some(1),
                _ if known.explicit || known.lost => Some(0),
                _ => None,
            },
        }
    }

    /// Counts what came to an end. `open`: how long the connection was there, if it was.
    pub fn count(&self, known: &mut Known, open: Option<Duration>) {
        match self.preset {
            // Each retry counts, in `again`; the beginning of a connection set it to none, and since then the application
            // may have counted (`backoff`).
            Preset::V2 => {}
            Preset::Setowire | Preset::V4 => {
                if open.is_some_and(|open| open >= GOOD_CONNECTION) {
                    known.attempts = 0;
                }
                known.attempts = known.attempts.saturating_add(1);
            }
        }
    }

    /// Where it waits for the next dial; none: nowhere, it is given up.
    pub fn again(&self, known: &mut Known) -> Option<Wait> {
        if !known.reconnecting {
            return None;
        }
        if self.preset == Preset::V2 {
            known.attempts = known.attempts.saturating_add(1);
            return match known.attempts {
                1 => Some(Wait::Short),
                2 => Some(Wait::Middle),
                3 => Some(Wait::Long),
                _ if known.explicit => Some(Wait::Forever),
                _ => None,
            };
        }
        match (known.attempts, known.proven) {
            (0, _) | (1, true) => Some(Wait::Short),
            (1, false) | (2, true) => Some(Wait::Middle),
            (2 | 3, _) => Some(Wait::Long),
            _ if known.explicit => Some(Wait::Forever),
            (attempts, _) if known.lost && attempts < LOST_ATTEMPTS => Some(Wait::Forever),
            _ => None,
        }
    }

    pub fn wait(&mut self, now: Instant, whom: Whom, wait: Wait) {
        if let Some(timer) = self.timers.get_mut(wait as usize) {
            timer.add(now, whom);
        }
    }

    /// Forgotten later, so that it is found anew then.
    pub fn wait_to_forget(&mut self, now: Instant, whom: Whom) {
        self.unresponsive.add(now, whom);
    }

    pub fn clear(&mut self) {
        self.timers.iter_mut().for_each(Bulk::clear);
        self.unresponsive.clear();
    }

    pub fn poll_deadline(&self) -> Option<Instant> {
        let next = self.timers.iter().filter_map(Bulk::poll_deadline).min();
        earlier(next, self.unresponsive.poll_deadline())
    }

    /// Who may be dialled again, and who is to be forgotten.
    pub fn handle_timeout(&mut self, now: Instant) -> (Vec<Whom>, Vec<Whom>) {
        let due = self.timers.iter_mut().filter_map(|timer| timer.handle_timeout(now)).flatten().collect();
        (due, self.unresponsive.handle_timeout(now).unwrap_or_default())
    }
}

/// It is on this network.
pub fn is_near(known: &Known) -> bool {
    known.source == Source::Lan || known.addrs.first().is_some_and(|addr| scope(&addr.ip()) != Scope::Global)
}
