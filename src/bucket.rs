//! Token buckets: so much at once, so much per second, under a time that is given.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Tokens are counted in millionths, so that slow rates lose nothing to rounding.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    burst: u64,
    per_second: u64,
    millionths: u64,
    at: Instant,
}

const ONE: u64 = 1_000_000;

impl Bucket {
    /// Starts full.
    pub fn new(burst: u32, per_second: u32, now: Instant) -> Bucket {
        let burst = u64::from(burst.max(1));
        Bucket { burst, per_second: u64::from(per_second.max(1)), millionths: burst * ONE, at: now }
    }

    /// Takes `n` tokens if they are there.
    pub fn take(&mut self, n: u32, now: Instant) -> bool {
        self.refill(now);
        let cost = u64::from(n) * ONE;
        if self.millionths < cost.min(self.burst * ONE) {
            return false;
        }
        self.millionths = self.millionths.saturating_sub(cost);
        true
    }

    /// When `n` tokens will be there (more than the burst: when it is full).
    pub fn ready_at(&mut self, n: u32, now: Instant) -> Instant {
        self.refill(now);
        let missing = (u64::from(n) * ONE).min(self.burst * ONE).saturating_sub(self.millionths);
        // One token is a million millionths, so missing / rate is in microseconds.
        now + Duration::from_micros(missing.div_ceil(self.per_second))
    }

    /// Changes the rate from now on.
    pub fn set_rate(&mut self, per_second: u32, now: Instant) {
        self.refill(now);
        self.per_second = u64::from(per_second.max(1));
    }

    /// No token is missing: the bucket needs not be kept.
    pub fn is_full(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.millionths >= self.burst * ONE
    }

    fn refill(&mut self, now: Instant) {
        let micros = u64::try_from(now.saturating_duration_since(self.at).as_micros()).unwrap_or(u64::MAX);
        self.at = self.at.max(now);
        self.millionths = self.millionths.saturating_add(micros.saturating_mul(self.per_second)).min(self.burst * ONE);
    }
}

/// A bucket for all, and one for each IP address of a bounded number.
pub struct PerSource {
    total: Bucket,
    by_ip: BTreeMap<IpAddr, Bucket>,
    burst: u32,
    sources: usize,
    next_sweep: Instant,
}

/// How often a full table of sources is searched for quiet ones: not for every datagram of a flood.
const SWEEP_PERIOD: Duration = Duration::from_millis(100);

impl PerSource {
    /// `per_second` for all; each address has `burst` at once and a quarter of it per second; `sources` are remembered.
    pub fn new(per_second: u32, burst: u32, sources: usize, now: Instant) -> PerSource {
        let total = Bucket::new(per_second, per_second, now);
        PerSource { total, by_ip: BTreeMap::new(), burst, sources, next_sweep: now }
    }

    /// Takes a token of this address and one of all.
    pub fn take(&mut self, ip: IpAddr, now: Instant) -> bool {
        if !self.by_ip.contains_key(&ip) && self.by_ip.len() >= self.sources {
            if now >= self.next_sweep {
                self.next_sweep = now + SWEEP_PERIOD;
                self.by_ip.retain(|_, bucket| !bucket.is_full(now));
            }
            // A full table of busy sources: the bound for all still holds.
            if self.by_ip.len() >= self.sources {
                return self.total.take(1, now);
            }
        }
        let burst = self.burst;
        let fresh = || Bucket::new(burst, burst / 4, now);
        self.by_ip.entry(ip).or_insert_with(fresh).take(1, now) && self.total.take(1, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    fn a_burst_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(3, 10, start);
        assert!((0..3).all(|_| bucket.take(1, start)));
        assert!(!bucket.take(1, start));
        assert_eq!(bucket.ready_at(1, start), start + Duration::from_millis(100));
        assert!(!bucket.take(1, start + Duration::from_millis(99)));
        assert!(bucket.take(1, start + Duration::from_millis(100)));
        assert!(bucket.is_full(start + Duration::from_secs(86_400)));
        assert!(
            bucket.take(9, start + Duration::from_secs(86_400)),
            "more than the burst waits for a full bucket, not for ever"
        );
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    fn sources_have_a_rate_each_and_one_in_all() {
        let now = Instant::now();
        let mut sources = PerSource::new(100, 8, 16, now);
        let ip = |n: u8| IpAddr::from([10, 0, 0, n]);
        assert_eq!((0..50).filter(|_| sources.take(ip(1), now)).count(), 8);
        assert_eq!((0..=255).filter(|n| sources.take(ip(*n), now)).count(), 92, "more sources than are remembered");
        assert!(sources.by_ip.len() <= 16);
        let later = now + Duration::from_secs(4);
        assert!(sources.take(ip(1), later) && sources.by_ip.len() <= 16);
    }
}
