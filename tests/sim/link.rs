//! What a link does to a datagram: delay, loss, copies, disorder, fragments.
//!
//! Input: the length of a datagram. Output: the delays after which copies of it
//! arrive, none if it was lost. A datagram above the MTU is sent in fragments, of
//! which each can be lost; it arrives when all did. Loss is uniform, or comes in
//! bursts (two states with their own loss).

use crate::rng::Rng;
use std::time::Duration;

/// Loss that comes in bursts: per datagram the chance to enter and to leave a bad time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bursts {
    pub enter: f64,
    pub leave: f64,
    pub loss: f64,
}

/// The properties of a link, the same in both directions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    pub latency: Duration,
    /// Added to the latency, uniformly from 0 to this. Keeps the order of datagrams.
    pub jitter: Duration,
    pub loss: f64,
    pub bursts: Option<Bursts>,
    pub duplicate: f64,
    /// Chance that a datagram is held back, so that later ones overtake it.
    pub reorder: f64,
    /// How long such a datagram is held back at most.
    pub hold: Duration,
    /// Bytes of UDP payload in one packet.
    pub mtu: usize,
}

impl Profile {
    /// A clean wire: 200 µs, nothing lost.
    pub const WIRE: Profile = Profile {
        latency: Duration::from_micros(200),
        jitter: Duration::ZERO,
        loss: 0.0,
        bursts: None,
        duplicate: 0.0,
        reorder: 0.0,
        hold: Duration::from_millis(20),
        mtu: 1_472,
    };

    /// A wide-area link: 20 ms with some jitter, and this loss.
    pub fn lossy(loss: f64) -> Profile {
        Profile { latency: Duration::from_millis(20), jitter: Duration::from_millis(4), loss, ..Profile::WIRE }
    }
}

/// One direction of a link in use.
#[derive(Clone, Debug, Default)]
pub struct Link {
    in_burst: bool,
    /// When the last datagram in order arrives: jitter does not overtake.
    last_arrival: Duration,
}

impl Link {
    /// The times at which copies of a datagram of `len` bytes, sent now, arrive.
    pub fn arrivals(&mut self, profile: &Profile, rng: &mut Rng, now: Duration, len: usize) -> Vec<Duration> {
        let mut times = Vec::new();
        let copies = if profile.duplicate > 0.0 && rng.chance(profile.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            let fragments = len.div_ceil(profile.mtu).max(1);
            let lost = (0..fragments).filter(|_| self.loses(profile, rng)).count() > 0;
            if lost {
                continue;
            }
            let jitter = match profile.jitter.as_micros() as u64 {
                0 => Duration::ZERO,
                us => Duration::from_micros(rng.below(us)),
            };
            let at = now + profile.latency + jitter;
            if profile.reorder > 0.0 && rng.chance(profile.reorder) {
                times.push(at + Duration::from_micros(rng.below(profile.hold.as_micros().max(1) as u64)));
            } else {
                self.last_arrival = at.max(self.last_arrival);
                times.push(self.last_arrival);
            }
        }
        times
    }

    fn loses(&mut self, profile: &Profile, rng: &mut Rng) -> bool {
        let mut loss = profile.loss;
        if let Some(bursts) = profile.bursts {
            if rng.chance(if self.in_burst { bursts.leave } else { bursts.enter }) {
                self.in_burst = !self.in_burst;
            }
            if self.in_burst {
                loss = bursts.loss;
            }
        }
        loss > 0.0 && rng.chance(loss)
    }
}
