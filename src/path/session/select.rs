//! The choice between the address in use and the others: pure functions of what is known.
//!
//! In: what was asked, answered and heard, and when. Out: whether to change now, and where
//! to, or when to look again. Invariants: only an address that answered a fresh challenge is
//! chosen; the one in use is left while it works only for one that is clearly faster, and otherwise
//! only when it was asked and had the time to answer, so that who merely copies
//! datagrams from elsewhere changes nothing while the true address lives.

use super::path::Path;
use crate::config::limits::{
    PATH_BETTER_BY, PATH_BETTER_SAMPLES, PATH_BUSY_PERIOD, PATH_PATIENCE, PATH_PATIENCE_MAX, PATH_SILENCE_MAX,
    PATH_SILENCE_MIN, PATH_STEPS_MS,
};
use std::time::{Duration, Instant};

/// Taken for the round trip of an address where none was measured.
const UNKNOWN_RTT: Duration = Duration::from_millis(100);

/// How long nothing may be acknowledged while we send. `rtt` is that of QUIC.
pub(super) fn silence(current: &Path, rtt: Option<Duration>) -> Duration {
    let rtt = current.rtt.max(rtt).unwrap_or_default();
    rtt.saturating_mul(3).clamp(PATH_SILENCE_MIN, PATH_SILENCE_MAX)
}

/// When the address in use has had its time, if it owes an answer and another one gave it. Two challenges should be
/// missed, unless the connection counts as silent, which it does from `silent_at` on.
pub(super) fn leave_at(
    current: &Path,
    others: &[Path],
    rtt: Option<Duration>,
    silent_at: Option<Instant>,
) -> Option<Instant> {
    let asked = current.asked?;
    fastest(others, asked)?;
    let rtt = current.rtt.max(rtt).unwrap_or(UNKNOWN_RTT);
    let patience = (rtt.saturating_mul(3) / 2 + PATH_PATIENCE).min(PATH_PATIENCE_MAX);
    let two = asked.max(current.heard) + patience + Duration::from_millis(PATH_STEPS_MS[0]);
    // What still comes from there is no sign that we are heard.
    Some(silent_at.map_or(two, |silent_at| two.min(silent_at.max(asked + patience))))
}

/// Of the addresses that answered since a time, the fastest.
pub(super) fn fastest(others: &[Path], since: Instant) -> Option<usize> {
    let answered = |path: &Path| path.is_confirmed() && path.answered.is_some_and(|at| at >= since);
    let alive = others.iter().enumerate().filter(|(_, path)| answered(path));
    alive.min_by_key(|(_, path)| path.rtt).map(|(i, _)| i)
}

/// An address that is clearly faster than the one in use while both answer.
pub(super) fn better(current: &Path, others: &[Path], now: Instant) -> Option<usize> {
    let recent = |path: &Path| {
        let answered = path.answered.is_some_and(|at| now.saturating_duration_since(at) <= PATH_BUSY_PERIOD * 2);
        answered && path.is_confirmed() && path.asked.is_none() && path.samples >= PATH_BETTER_SAMPLES
    };
    let present = current.rtt.filter(|_| recent(current))?;
    let worth = |rtt: Duration| rtt + PATH_BETTER_BY <= present && rtt.saturating_mul(5) <= present.saturating_mul(4);
    let faster = others.iter().enumerate().filter(|(_, path)| recent(path) && path.rtt.is_some_and(worth));
    faster.min_by_key(|(_, path)| path.rtt).map(|(i, _)| i)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::super::path::Proof;
    use super::*;
    use std::net::SocketAddr;

    const MS: Duration = Duration::from_millis(1);

    fn path(last: u8, rtt: u32, answered: Instant) -> Path {
        let mut path = Path::new(SocketAddr::from(([10, 0, 0, last], 5)), Proof::Confirmed, answered);
        (path.rtt, path.answered, path.samples) = (Some(MS * rtt), Some(answered), PATH_BETTER_SAMPLES);
        path
    }

    #[test]
    fn the_one_in_use_has_its_time_from_the_challenge_or_from_what_it_last_sent() {
        let start = Instant::now();
        let (mut current, other) = (path(1, 40, start), path(2, 500, start + MS * 10));
        let others = [other];
        let leave = |current: &Path, rtt: u32, silent: u32| {
            leave_at(current, &others, Some(MS * rtt), Some(start + MS * silent)).map(|at| at - start)
        };
        assert_eq!(leave(&current, 0, 0), None, "it was not asked");
        current.asked = Some(start);
        assert_eq!(leave(&current, 0, 0), Some(MS * 80));
        assert_eq!(leave(&current, 0, 110), Some(MS * 110), "silent later");
        assert_eq!(leave(&current, 0, 9_000), Some(MS * 180), "two challenges are missed");
        assert_eq!(leave_at(&current, &others, None, None), Some(start + MS * 180));
        assert_eq!(leave(&current, 100, 0), Some(MS * 170));
        assert_eq!(leave(&current, 9_000, 0), Some(MS * 500));
        current.heard = start + MS * 50;
        assert_eq!(leave(&current, 0, 9_000), Some(MS * 230));
        assert_eq!(leave(&current, 0, 0), Some(MS * 80), "we hear, and are not heard");
        current.asked = Some(start + MS * 11);
        assert_eq!(leave(&current, 0, 0), None, "the other did not answer since");
    }

    #[test]
    fn faster_is_faster_by_a_fifth_and_five_milliseconds_and_measured_lately() {
        let start = Instant::now();
        let better = |present, rtt| better(&path(1, present, start), &[path(2, rtt, start)], start).is_some();
        assert!(better(50, 40) && !better(50, 41));
        assert!(better(10, 5) && !better(10, 6));
        let mut current = path(1, 50, start);
        let choice = |current: &Path, other: Path, at| super::better(current, &[path(3, 44, start), other], at);
        assert_eq!(choice(&current, path(2, 9, start), start), Some(1));
        assert_eq!(choice(&current, path(2, 9, start), start + MS * 10_001), None, "long ago");
        let mut few = path(2, 9, start);
        few.samples = PATH_BETTER_SAMPLES - 1;
        assert_eq!(choice(&current, few, start), None);
        let mut owes = path(2, 9, start);
        owes.asked = Some(start);
        assert_eq!(choice(&current, owes, start), None);
        current.asked = Some(start);
        assert_eq!(choice(&current, path(2, 9, start), start), None, "the one in use is in doubt");
    }

    #[test]
    fn silence_follows_the_round_trip_within_bounds() {
        let mut current = path(1, 20, Instant::now());
        assert_eq!(silence(&current, None), PATH_SILENCE_MIN);
        assert_eq!(silence(&current, Some(MS * 200)), MS * 600);
        current.rtt = Some(MS * 2_000);
        assert_eq!(silence(&current, Some(MS * 200)), PATH_SILENCE_MAX);
    }
}
