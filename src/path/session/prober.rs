//! Session probes of one connection: what they are made of and how they are checked.
//!
//! In: challenges to make, probes that came. Out: 44-byte datagrams, and the tags under
//! which the peer's next probes may come. Invariants: the peer always accepts the tag we
//! use, whatever is lost, doubled or late, because we go one number ahead only after an answer to a
//! challenge under the present one, which shows that the peer saw it; what is recorded and
//! sent again never moves the accepted tags, because only a higher number does.

use super::PathEvent;
use crate::crypto::path::PathKeys;
use crate::wire::v13::probe::SESSION_PROBE_BYTES;
use crate::wire::v13::{SessionProbe, Step};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use std::collections::VecDeque;

/// A challenge as its answer must show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// Number of the tag it left under.
    pub under: u32,
    pub number: u16,
    pub nonce: [u8; 16],
}

/// Makes and checks the probes of one connection.
pub(super) struct Prober {
    keys: PathKeys,
    /// Number of our tag.
    n: u32,
    /// The peer answered a challenge under it, so it accepts the next one too.
    seen: bool,
    /// An address changed since this tag is in use.
    moved: bool,
    number: u16,
    /// Highest number of a tag that the peer used.
    highest: u32,
    /// Its tags around that, oldest first: two while it is 0, then three.
    accepted: VecDeque<(u32, [u8; 8])>,
}

impl Prober {
    pub fn new(keys: PathKeys) -> Prober {
        let accepted = [0, 1].map(|n| (n, keys.their.tag(n))).into();
        Prober { keys, n: 0, seen: false, moved: false, number: 0, highest: 0, accepted }
    }

    /// The tags under which probes of the peer are accepted.
    pub fn tags(&self) -> Vec<[u8; 8]> {
        self.accepted.iter().map(|(_, tag)| *tag).collect()
    }

    /// A new challenge.
    pub fn challenge(&mut self, rng: &mut ChaCha20Rng) -> (Challenge, [u8; SESSION_PROBE_BYTES]) {
        let mut nonce = [0; 16];
        rng.fill_bytes(&mut nonce);
        self.number = self.number.wrapping_add(1);
        let challenge = Challenge { under: self.n, number: self.number, nonce };
        (challenge, self.seal(Step::Challenge, challenge.number, nonce))
    }

    /// The answer to a challenge that was checked.
    pub fn answer(&self, challenge: &SessionProbe) -> [u8; SESSION_PROBE_BYTES] {
        self.seal(Step::Answer, challenge.number, challenge.nonce)
    }

    /// Whether the peer made this probe. What it tells of the peer's tag is left in `events`.
    pub fn check(&mut self, probe: &SessionProbe, events: &mut Vec<PathEvent>) -> bool {
        let Some(n) = self.accepted.iter().find(|(_, tag)| *tag == probe.tag).map(|(n, _)| *n) else { return false };
        if !self.keys.their.fits(n, &probe.covered(), &probe.mac) {
            return false;
        }
        // The one step that can be: nothing beyond the next number is accepted.
        if n > self.highest {
            self.highest = n;
            if let Some(next) = n.checked_add(1) {
                let tag = self.keys.their.tag(next);
                self.accepted.push_back((next, tag));
                events.push(PathEvent::TagAdded(tag));
            }
            while self.accepted.len() > 3 {
                events.extend(self.accepted.pop_front().map(|(_, tag)| PathEvent::TagGone(tag)));
            }
        }
        true
    }

    /// The peer answered this challenge.
    pub fn answered(&mut self, challenge: &Challenge) {
        self.seen |= challenge.under == self.n;
        self.rotate();
    }

    /// An address that we send to or from may have changed: who watches both should not see one tag.
    pub fn moved(&mut self) {
        self.moved = true;
        self.rotate();
    }

    fn rotate(&mut self) {
        if self.moved
            && self.seen
            && let Some(next) = self.n.checked_add(1)
        {
            self.n = next;
            (self.moved, self.seen) = (false, false);
        }
    }

    fn seal(&self, step: Step, number: u16, nonce: [u8; 16]) -> [u8; SESSION_PROBE_BYTES] {
        let mut probe = SessionProbe { tag: self.keys.own.tag(self.n), step, number, nonce, mac: [0; 16] };
        probe.mac = self.keys.own.mac(self.n, &probe.covered());
        probe.encode()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::v13::Datagram;
    use proptest::prelude::*;
    use rand_chacha::rand_core::SeedableRng;

    fn pair() -> [Prober; 2] {
        [Prober::new(PathKeys::new([1; 32], [2; 32])), Prober::new(PathKeys::new([2; 32], [1; 32]))]
    }

    fn read(bytes: &[u8]) -> SessionProbe {
        match Datagram::decode(bytes) {
            Ok(Datagram::SessionProbe(probe)) => probe,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_challenge_of_the_peer_is_accepted_as_it_is_and_in_no_other_form() {
        let ([mut a, mut b], mut rng, mut events) = (pair(), ChaCha20Rng::from_seed([3; 32]), Vec::new());
        let (_, bytes) = a.challenge(&mut rng);
        for i in 1..bytes.len() {
            let mut wrong = bytes;
            wrong[i] ^= 1;
            if let Ok(Datagram::SessionProbe(probe)) = Datagram::decode(&wrong) {
                assert!(!b.check(&probe, &mut events), "byte {i}");
            }
        }
        assert!(!a.check(&read(&bytes), &mut events), "sent back to its maker");
        assert!(b.check(&read(&bytes), &mut events));
        let answer = read(&b.answer(&read(&bytes)));
        assert!(a.check(&answer, &mut events));
        assert_eq!((answer.step, answer.nonce), (Step::Answer, read(&bytes).nonce));
        assert!(events.is_empty(), "the tags of both are the first ones");
    }

    #[test]
    fn the_tag_changes_once_after_a_move_and_an_answer_in_either_order() {
        let ([mut a, mut b], mut rng) = (pair(), ChaCha20Rng::from_seed([3; 32]));
        let mut exchange = |a: &mut Prober, b: &mut Prober| {
            let (challenge, bytes) = a.challenge(&mut rng);
            let mut events = Vec::new();
            assert!(b.check(&read(&bytes), &mut events));
            a.answered(&challenge);
            (read(&bytes).tag, events)
        };
        let (first, second, third) = (b.tags()[0], b.tags()[1], a.keys.own.tag(2));
        assert_eq!(exchange(&mut a, &mut b), (first, vec![]));
        assert_eq!(exchange(&mut a, &mut b), (first, vec![]), "nothing moved");
        a.moved();
        assert_eq!(exchange(&mut a, &mut b), (second, vec![PathEvent::TagAdded(third)]));
        assert_eq!(b.tags(), [first, second, third]);
        a.moved();
        a.moved();
        let fourth = a.keys.own.tag(3);
        let change = vec![PathEvent::TagAdded(fourth), PathEvent::TagGone(first)];
        assert_eq!(exchange(&mut a, &mut b), (third, change));
        a.moved();
        assert_eq!(b.tags(), [second, third, fourth]);
    }

    #[test]
    fn without_an_answer_the_tag_stays() {
        let [mut a, mut b] = pair();
        let mut rng = ChaCha20Rng::from_seed([3; 32]);
        let (_, bytes) = a.challenge(&mut rng);
        for _ in 0..9 {
            a.moved();
            let (_, later) = a.challenge(&mut rng);
            assert_eq!(read(&later).tag, read(&bytes).tag);
        }
        assert!(b.check(&read(&bytes), &mut Vec::new()));
    }

    /// What may happen to two probers and the datagrams between them.
    #[derive(Clone, Debug)]
    enum Act {
        Moved(bool),
        Challenge(bool),
        /// The datagram in flight at this place arrives, and stays in flight if it is doubled.
        Arrive(prop::sample::Index, bool),
        Lose(prop::sample::Index),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            1 => any::<bool>().prop_map(Act::Moved),
            1 => any::<bool>().prop_map(Act::Challenge),
            3 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(at, twice)| Act::Arrive(at, twice)),
            1 => any::<prop::sample::Index>().prop_map(Act::Lose),
        ]
    }

    proptest! {
        #[test]
        fn the_tags_never_part_and_the_events_tell_them_all(acts in prop::collection::vec(act(), 1..300)) {
            let (mut probers, mut rng) = (pair(), ChaCha20Rng::from_seed([3; 32]));
            let mut told: [Vec<_>; 2] = [probers[0].tags(), probers[1].tags()];
            let mut sent: [Vec<Challenge>; 2] = Default::default();
            // Receiver and datagram.
            let mut flying: Vec<(usize, SessionProbe)> = Vec::new();
            for act in acts {
                match act {
                    Act::Moved(who) => probers[usize::from(who)].moved(),
                    Act::Challenge(who) => {
                        let (challenge, bytes) = probers[usize::from(who)].challenge(&mut rng);
                        sent[usize::from(who)].push(challenge);
                        flying.push((usize::from(!who), read(&bytes)));
                    }
                    Act::Lose(_) | Act::Arrive(..) if flying.is_empty() => {}
                    Act::Lose(at) => {
                        flying.swap_remove(at.index(flying.len()));
                    }
                    Act::Arrive(at, twice) => {
                        let at = at.index(flying.len());
                        let (to, probe) = if twice { flying[at] } else { flying.swap_remove(at) };
                        let mut events = Vec::new();
                        // One that was overtaken by two changes of the tag is refused, which is a loss more.
                        if probers[to].check(&probe, &mut events) {
                            match probe.step {
                                Step::Challenge => flying.push((1 - to, read(&probers[to].answer(&probe)))),
                                Step::Answer => {
                                    if let Some(sent) = sent[to].iter().find(|sent| sent.nonce == probe.nonce) {
                                        probers[to].answered(sent);
                                    }
                                }
                            }
                        }
                        for event in events {
                            match event {
                                PathEvent::TagAdded(tag) => told[to].push(tag),
                                PathEvent::TagGone(tag) => told[to].retain(|known| *known != tag),
                                other => panic!("{other:?}"),
                            }
                        }
                    }
                }
                for who in 0..2 {
                    prop_assert_eq!(&told[who], &probers[who].tags());
                    let tag = probers[who].keys.own.tag(probers[who].n);
                    prop_assert!(probers[1 - who].tags().contains(&tag), "a new probe would be refused");
                }
            }
        }
    }
}
