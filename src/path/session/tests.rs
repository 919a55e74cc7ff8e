//! One `Paths` against a peer made of a `Prober` that answers at chosen addresses, under virtual time.

use super::*;
use crate::config::limits::{
    DIAL_BUDGET_BYTES, PATH_BACKUP_KEPT, PATH_BUSY_PERIOD, PATH_IDLE_PERIOD, PATH_NAMED_TRIES, PATH_SEEN_LIFE,
    PATH_SILENCE_MIN,
};
use crate::crypto::path::PathKey;
use crate::wire::v13::Datagram;
use proptest::prelude::*;
use rand_chacha::rand_core::SeedableRng;
use std::collections::BTreeMap;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn at(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 5))
}

fn read(bytes: &[u8]) -> SessionProbe {
    match Datagram::decode(bytes) {
        Ok(Datagram::SessionProbe(probe)) => probe,
        other => panic!("{other:?}"),
    }
}

struct Bed {
    start: Instant,
    now: Instant,
    paths: Paths,
    peer: Prober,
    budget: DialBudget,
    rng: ChaCha20Rng,
    /// Where the peer answers, and after which time.
    answers: BTreeMap<SocketAddr, Duration>,
    /// Data flows both ways on the address in use, if the peer answers there; else we only send.
    busy: bool,
    /// Answers on their way.
    coming: Vec<(Instant, SocketAddr, SessionProbe)>,
    /// All that left, in milliseconds since the start, and all events.
    challenges: Vec<(u128, SocketAddr)>,
    replies: Vec<SocketAddr>,
    resent: Vec<(SocketAddr, Vec<u8>)>,
    events: Vec<PathEvent>,
}

impl Bed {
    /// A connection to `at(1)`, which answers after 40 ms.
    fn new() -> Bed {
        #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
        let start = Instant::now();
        Bed {
            start,
            now: start,
            paths: Paths::new(PathKeys::new([1; 32], [2; 32]), at(1), start),
            peer: Prober::new(PathKeys::new([2; 32], [1; 32])),
            budget: DialBudget::default(),
            rng: ChaCha20Rng::from_seed([5; 32]),
            answers: [(at(1), MS * 40)].into(),
            busy: false,
            coming: Vec::new(),
            challenges: Vec::new(),
            replies: Vec::new(),
            resent: Vec::new(),
            events: Vec::new(),
        }
    }

    /// With back-ups that are confirmed, and quiet.
    fn with(backups: &[(u8, u32)]) -> Bed {
        let mut bed = Bed::new();
        let named: Vec<_> = backups.iter().map(|(last, _)| at(*last)).collect();
        bed.answers.extend(backups.iter().map(|(last, rtt)| (at(*last), MS * *rtt)));
        bed.paths.add_candidates(&named, bed.now);
        bed.run(SECOND * 6);
        assert_eq!(bed.paths.confirmed().len(), backups.len() + 1);
        bed.challenges.clear();
        bed
    }

    fn handle(&mut self, from: SocketAddr, probe: &SessionProbe) -> bool {
        let mut out = PathOut::default();
        let authentic = self.paths.handle_probe(from, probe, self.now, &mut out);
        self.take(out);
        authentic
    }

    fn take(&mut self, out: PathOut) {
        let time = (self.now - self.start).as_millis();
        for (to, bytes) in out.datagrams {
            if bytes.len() != SESSION_PROBE_BYTES {
                self.resent.push((to, bytes));
                continue;
            }
            let probe = read(&bytes);
            if probe.step == Step::Answer {
                self.replies.push(to);
                continue;
            }
            self.challenges.push((time, to));
            if let Some(rtt) = self.answers.get(&to) {
                assert!(self.peer.check(&probe, &mut Vec::new()), "the peer does not know the tag");
                self.coming.push((self.now + *rtt, to, read(&self.peer.answer(&probe))));
            }
        }
        for event in out.events {
            if let PathEvent::Confirmed(addr) = event {
                self.budget.answered(addr.ip(), self.now);
            }
            if !matches!(event, PathEvent::TagAdded(_) | PathEvent::TagGone(_)) {
                self.events.push(event);
            }
        }
    }

    /// A challenge of the peer.
    fn challenged_from(&mut self, from: SocketAddr) -> SessionProbe {
        let probe = read(&self.peer.challenge(&mut self.rng).1);
        assert!(self.handle(from, &probe));
        probe
    }

    fn traffic(&mut self) {
        let current = self.paths.current();
        self.paths.sending(b"data", self.now);
        if let Some(rtt) = self.answers.get(&current).copied() {
            self.paths.datagram_from(current, 100, self.now);
            self.paths.progress(rtt, true, self.now);
        }
    }

    /// Lets time pass.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        let mut tick = self.now;
        loop {
            let coming = self.coming.iter().map(|(at, ..)| *at).min();
            let next = earlier(earlier(coming, self.paths.poll_deadline()), self.busy.then_some(tick));
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            if self.busy && tick <= self.now {
                self.traffic();
                tick = self.now + MS * 50;
            }
            let (due, later) = std::mem::take(&mut self.coming).into_iter().partition(|(at, ..)| *at <= self.now);
            self.coming = later;
            for (_, from, answer) in Vec::<(Instant, SocketAddr, SessionProbe)>::from_iter(due) {
                assert!(self.handle(from, &answer));
            }
            if self.paths.poll_deadline().is_some_and(|at| at <= self.now) {
                let mut out = PathOut::default();
                self.paths.handle_timeout(self.now, &mut self.budget, &mut self.rng, &mut out);
                assert!(self.paths.poll_deadline().is_none_or(|at| at > self.now), "a deadline is left undone");
                self.take(out);
            }
        }
        self.now = end;
    }

    fn challenges_to(&self, to: SocketAddr) -> Vec<u128> {
        self.challenges.iter().filter(|(_, at)| *at == to).map(|(time, _)| *time).collect()
    }
}

#[test]
fn a_quiet_connection_with_one_address_sends_nothing_at_all() {
    let mut bed = Bed::new();
    bed.run(SECOND * 3_600);
    assert!(bed.challenges.is_empty() && bed.paths.poll_deadline().is_none());
}

#[test]
fn a_quiet_connection_asks_two_back_ups_every_twenty_to_twenty_five_seconds() {
    let mut bed = Bed::with(&[(2, 30), (3, 20), (4, 10)]);
    bed.run(SECOND * 1_000);
    let fast = bed.challenges_to(at(4));
    assert!((40..=51).contains(&fast.len()), "{}", fast.len());
    let gaps = fast.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(gaps.clone().all(|gap| gap > 18_000 && gap <= PATH_IDLE_PERIOD.as_millis() + 10));
    assert!(gaps.collect::<std::collections::BTreeSet<_>>().len() > 10, "the two sides would meet");
    assert!(!bed.challenges_to(at(3)).is_empty());
    assert!(bed.challenges_to(at(2)).is_empty() && bed.challenges_to(at(1)).is_empty());
    assert_eq!(bed.events.len(), 3, "{:?}", bed.events);
}

#[test]
fn a_back_up_that_the_peer_asks_about_needs_no_asking() {
    let mut bed = Bed::with(&[(2, 39)]);
    for _ in 0..30 {
        bed.run(SECOND * 10);
        bed.challenged_from(at(2));
        bed.run(SECOND);
        // The peer sends from there, so it is weighed against the one in use; nothing else is asked.
        assert_eq!(bed.challenges.len(), 2, "{:?}", bed.challenges);
        bed.challenges.clear();
    }
    assert_eq!(bed.replies.len(), 30);
}

#[test]
fn a_busy_connection_compares_every_five_seconds_if_there_is_something_to_compare() {
    let mut bed = Bed::with(&[(2, 50)]);
    bed.busy = true;
    bed.run(SECOND * 100);
    for last in [1, 2] {
        let times = bed.challenges_to(at(last));
        assert!((19..=21).contains(&times.len()), "{times:?}");
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= PATH_BUSY_PERIOD.as_millis()));
    }
    assert_eq!(bed.paths.info()[0].loss_permille, 0);
    assert_eq!(bed.paths.info().iter().map(|info| info.rtt).collect::<Vec<_>>(), [Some(MS * 40), Some(MS * 50)]);
    let mut alone = Bed::new();
    alone.busy = true;
    alone.run(SECOND * 100);
    assert!(alone.challenges.is_empty());
}

#[test]
fn a_peer_that_asks_about_its_back_up_and_then_sends_from_there_is_followed() {
    let mut bed = Bed::with(&[(2, 10)]);
    bed.challenged_from(at(2));
    bed.run(MS * 200);
    bed.answers.remove(&at(1));
    bed.paths.datagram_from(at(2), 100, bed.now);
    bed.run(MS * 250);
    assert_eq!(bed.paths.current(), at(2));
}

#[test]
fn who_hears_and_is_not_heard_goes_elsewhere() {
    let mut bed = Bed::with(&[(2, 40)]);
    bed.answers.remove(&at(1));
    for _ in 0..20 {
        bed.run(MS * 20);
        bed.paths.sending(b"data", bed.now);
        bed.paths.datagram_from(at(1), 100, bed.now);
        bed.paths.progress(MS * 40, false, bed.now);
    }
    assert_eq!(bed.paths.current(), at(2));
}

#[test]
fn an_answer_that_was_late_does_not_make_an_address_slow() {
    let mut bed = Bed::with(&[(2, 2_000)]);
    bed.busy = true;
    bed.answers.remove(&at(1));
    bed.run(SECOND * 8);
    assert_eq!(bed.paths.current(), at(2));
    bed.answers = [(at(2), MS * 40)].into();
    bed.run(SECOND * 3);
    bed.answers = [(at(1), MS * 40)].into();
    bed.run(MS * 500);
    assert_eq!(bed.paths.current(), at(1));
}

#[test]
fn after_a_transfer_one_question_asks_whether_the_path_lives() {
    let mut bed = Bed::new();
    for n in 0..20 {
        bed.now += MS * 20;
        bed.paths.progress(MS * 40, true, bed.now);
        if n < 6 {
            assert_eq!(bed.paths.poll_deadline(), None, "a message is no transfer");
        }
    }
    bed.run(SECOND * 100);
    assert_eq!(bed.challenges.len(), 1);
    assert_eq!(bed.challenges[0].0, 400 + PATH_SILENCE_MIN.as_millis() * 2 / 3);
}

#[test]
fn a_named_address_carries_data_only_after_it_answered_and_the_first_is_dead() {
    let mut bed = Bed::new();
    bed.busy = true;
    bed.paths.add_candidates(&[at(1), at(2), "0.0.0.0:5".parse().expect("address"), at(3)], bed.now);
    assert_eq!(bed.paths.info().len(), 3, "the one in use is known, and nobody is at 0.0.0.0");
    bed.answers.insert(at(3), MS * 60);
    bed.run(SECOND * 2);
    assert_eq!(bed.challenges_to(at(2)).len(), PATH_NAMED_TRIES as usize);
    assert_eq!(bed.paths.confirmed(), [at(1), at(3)]);
    bed.answers.remove(&at(1));
    bed.run(MS * 600);
    assert_eq!(bed.paths.current(), at(3));
    assert_eq!(bed.events, [PathEvent::Confirmed(at(3)), PathEvent::Switched { from: at(1), to: at(3) }]);
    assert_eq!(bed.paths.label(), at(1));
}

#[test]
fn a_lost_path_is_a_back_up_for_three_seconds_and_comes_back() {
    let mut bed = Bed::with(&[(2, 60)]);
    bed.busy = true;
    bed.run(SECOND);
    bed.answers.remove(&at(1));
    bed.run(MS * 600);
    let switched = bed.now;
    assert_eq!(bed.paths.confirmed(), [at(2), at(1)]);
    let lapsed = |bed: &Bed| bed.events.contains(&PathEvent::Lapsed(at(1)));
    bed.run(PATH_BACKUP_KEPT - SECOND);
    assert!(!lapsed(&bed));
    bed.run(SECOND * 2);
    assert!(lapsed(&bed) && bed.now - switched < SECOND * 5);
    assert_eq!(bed.paths.confirmed(), [at(2)]);
    bed.answers.insert(at(1), MS * 20);
    bed.run(SECOND * 30);
    assert_eq!(bed.paths.confirmed(), [at(2), at(1)], "asked now and then");
    bed.run(SECOND * 12);
    assert_eq!(bed.paths.current(), at(1), "and faster, measured three times");
}

#[test]
fn faster_addresses_are_taken_once_in_thirty_seconds() {
    let mut bed = Bed::with(&[(2, 20), (3, 200)]);
    bed.busy = true;
    let mut switches = Vec::new();
    for round in 0..120 {
        // Whichever is in use becomes the slow one.
        let slow = bed.paths.current();
        for last in 1..=3 {
            let rtt = if at(last) == slow { 200 } else { 10 * u32::from(last) };
            bed.answers.insert(at(last), MS * rtt);
        }
        bed.run(SECOND);
        if bed.paths.current() != slow {
            switches.push(round);
        }
    }
    assert!((3..=4).contains(&switches.len()), "{switches:?}");
    assert!(switches.windows(2).all(|pair| pair[1] - pair[0] >= 29), "{switches:?}");
}

#[test]
fn who_sends_old_challenges_again_moves_nothing_and_fills_nothing() {
    let mut bed = Bed::with(&[(2, 60)]);
    bed.busy = true;
    let recorded = bed.challenged_from(at(1));
    let strangers: Vec<_> =
        (1..=20u8).flat_map(|a| (1..=50).map(move |b| SocketAddr::from(([9, 9, a, b], 9)))).collect();
    bed.replies.clear();
    bed.challenges.clear();
    for stranger in &strangers {
        assert!(bed.handle(*stranger, &recorded));
        bed.run(MS * 5);
        assert!(bed.paths.info().len() <= 2 + PATH_SEEN);
    }
    for stranger in &strangers {
        let answered = bed.replies.iter().filter(|to| *to == stranger).count();
        assert!(answered + bed.challenges_to(*stranger).len() <= 1, "{stranger} got more than it sent");
    }
    let asked = bed.challenges.iter().filter(|(_, to)| strangers.contains(to)).count();
    let taken_in = 5_000 / 100 + 1;
    assert!(asked > taken_in / 2 && asked <= taken_in, "{asked}");
    assert_eq!(bed.events, [PathEvent::Confirmed(at(2))]);
    bed.run(SECOND * 12);
    assert_eq!(bed.paths.info().len(), 2, "they are forgotten");
    assert_eq!(bed.paths.current(), at(1));
}

#[test]
fn a_flood_of_one_challenge_is_answered_at_a_bounded_rate() {
    let mut bed = Bed::new();
    let recorded = bed.challenged_from(at(1));
    for _ in 0..1_000 {
        for _ in 0..10 {
            assert!(bed.handle(at(1), &recorded));
        }
        bed.now += MS;
    }
    let allowed = (PATH_ANSWERS_BURST + PATH_ANSWERS_PER_SECOND) as usize;
    assert!((allowed - 10..=allowed).contains(&bed.replies.len()), "{}", bed.replies.len());
}

#[test]
fn who_carries_copies_does_not_become_the_path_while_the_true_one_lives() {
    let mut bed = Bed::new();
    bed.busy = true;
    // It even carries challenges and answers, and faster.
    bed.answers.insert(at(66), MS * 38);
    for _ in 0..600 {
        bed.paths.datagram_from(at(66), 100, bed.now);
        bed.challenged_from(at(66));
        bed.run(MS * 100);
        assert_eq!(bed.paths.current(), at(1));
    }
    let asked = bed.challenges_to(at(1)).len();
    assert!((50..=75).contains(&asked), "once a second: {asked}");
}

#[test]
fn a_peer_that_moved_is_followed_when_its_new_address_answers() {
    for known in [false, true] {
        let mut bed = if known { Bed::with(&[(2, 40)]) } else { Bed::new() };
        bed.answers = [(at(2), MS * 40)].into();
        bed.now += SECOND;
        bed.paths.datagram_from(at(2), 100, bed.now);
        assert_eq!(bed.paths.current(), at(1));
        bed.run(MS * 300);
        assert_eq!(bed.paths.current(), at(2), "known: {known}");
    }
}

#[test]
fn an_address_that_was_only_seen_gets_no_byte_more_than_came_from_it() {
    for (bytes, wait) in [(9, 10), (21, 30), (29, 100), (43, 150), (44, 40), (100, 400), (1_200, 1_000)] {
        let mut bed = Bed::new();
        let (mut came, recorded) = (0, bed.challenged_from(at(1)));
        bed.challenges.clear();
        for round in 0..400 {
            if round % 7 == 3 {
                bed.handle(at(9), &recorded);
                came += SESSION_PROBE_BYTES;
            } else {
                bed.paths.datagram_from(at(9), bytes, bed.now);
                came += bytes;
            }
            bed.run(MS * wait);
            let replies = bed.replies.iter().filter(|to| **to == at(9)).count();
            let went = (replies + bed.challenges_to(at(9)).len()) * SESSION_PROBE_BYTES;
            assert!(went <= came, "{went} bytes for {came}");
        }
        assert!(!bed.challenges_to(at(9)).is_empty(), "it was never asked");
        bed.run(PATH_SEEN_LIFE + SECOND);
        assert_eq!(bed.paths.info().len(), 1, "it is forgotten");
        assert_eq!(bed.paths.poll_deadline(), None);
    }
}

#[test]
fn who_asks_from_a_new_address_is_asked_first_and_then_answered() {
    let mut bed = Bed::new();
    bed.answers.insert(at(2), MS * 40);
    bed.challenged_from(at(2));
    assert!(bed.replies.is_empty(), "one came, and one goes");
    bed.run(MS * 50);
    assert_eq!(bed.challenges_to(at(2)), [0]);
    assert_eq!(bed.replies, [at(2)]);
    assert_eq!(bed.paths.confirmed(), [at(1), at(2)]);
    bed.challenged_from(at(2));
    assert_eq!(bed.replies, [at(2); 2]);
}

#[test]
fn two_small_packets_pay_for_a_question() {
    let mut bed = Bed::new();
    bed.paths.datagram_from(at(2), 29, bed.now);
    bed.run(SECOND * 3);
    assert!(bed.challenges_to(at(2)).is_empty());
    bed.paths.datagram_from(at(2), 29, bed.now);
    bed.run(SECOND * 3);
    assert_eq!(bed.challenges_to(at(2)).len(), 1);
}

#[test]
fn our_own_move_asks_all_at_once_and_changes_the_tag() {
    let mut bed = Bed::with(&[(2, 30), (3, 50)]);
    let tag = |bed: &mut Bed| read(&bed.paths.prober.challenge(&mut bed.rng).1).tag;
    let before = tag(&mut bed);
    bed.paths.local_changed(bed.now);
    assert_ne!(tag(&mut bed), before);
    bed.run(SECOND);
    let mut asked: Vec<_> = bed.challenges.iter().map(|(_, to)| *to).collect();
    asked.sort_unstable();
    assert_eq!(asked, [at(1), at(2), at(3)], "once: the one in use answers");
    assert_eq!(bed.paths.current(), at(1));
    assert_eq!(bed.paths.tags(), bed.peer_tags());
}

#[test]
fn a_search_without_answers_slows_down_and_ends() {
    let mut bed = Bed::with(&[(2, 30)]);
    bed.answers.clear();
    bed.paths.local_changed(bed.now);
    let start = (bed.now - bed.start).as_millis();
    bed.run(SECOND * 600);
    let times = bed.challenges_to(at(1));
    let steps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(steps[..6], [100, 100, 150, 200, 250, 250]);
    assert!(steps[22..].iter().all(|step| *step == 1_000), "{steps:?}");
    assert!(times.last().is_some_and(|last| *last <= start + 10_000));
    assert_eq!(bed.paths.poll_deadline(), None);
    assert_eq!(bed.paths.current(), at(1), "there is no other");
    bed.paths.sending(b"data", bed.now);
    bed.answers.insert(at(2), MS * 30);
    bed.run(SECOND);
    assert_eq!(bed.paths.current(), at(2));
}

#[test]
fn addresses_that_never_answered_get_no_more_than_the_dial_budget() {
    let mut bed = Bed::new();
    bed.answers.clear();
    bed.busy = true;
    let silent: Vec<_> = (10..30).map(|port| SocketAddr::from(([9, 9, 9, 9], port))).collect();
    for _ in 0..600 {
        for some in silent.chunks(5) {
            bed.paths.add_candidates(some, bed.now);
        }
        bed.paths.datagram_from(silent[0], 100, bed.now);
        bed.run(MS * 100);
    }
    let times: Vec<_> = bed.challenges.iter().filter(|(_, to)| silent.contains(to)).map(|(time, _)| *time).collect();
    assert!(times.len() >= 9, "{}", times.len());
    for (i, time) in times.iter().enumerate() {
        let window = times[i..].iter().take_while(|later| *later - time < 10_000).count();
        assert!(window * SESSION_PROBE_BYTES <= DIAL_BUDGET_BYTES as usize, "{window}");
    }
    assert!(bed.paths.info().len() <= 1 + PATH_ADDRS + PATH_SEEN);
}

#[test]
fn an_answer_counts_once_in_time_and_from_where_was_asked() {
    let mut bed = Bed::new();
    bed.answers.clear();
    bed.paths.add_candidates(&[at(2)], bed.now);
    let mut out = PathOut::default();
    bed.paths.handle_timeout(bed.now, &mut bed.budget, &mut bed.rng, &mut out);
    let challenge = read(&out.datagrams[0].1);
    assert!(bed.peer.check(&challenge, &mut Vec::new()));
    let answer = read(&bed.peer.answer(&challenge));
    let forged = SessionProbe { nonce: [0; 16], ..answer };
    assert!(!bed.handle(at(2), &forged));
    bed.now += MS * 30;
    bed.handle(at(3), &answer);
    assert_eq!(bed.paths.confirmed(), [at(1)]);
    bed.handle(at(2), &answer);
    bed.now += MS * 500;
    bed.handle(at(2), &answer);
    assert_eq!(bed.paths.confirmed(), [at(1), at(2)]);
    assert!(bed.paths.info().iter().any(|info| info.address == at(2) && info.rtt == Some(MS * 30)));
    assert_eq!(bed.events, [PathEvent::Confirmed(at(2))]);

    let mut late = Bed::new();
    late.answers = [(at(2), SECOND * 3)].into();
    late.paths.add_candidates(&[at(2)], late.now);
    late.run(SECOND * 20);
    assert_eq!(late.paths.confirmed(), [at(1)]);
}

#[test]
fn what_left_in_doubt_is_sent_again_on_the_new_path() {
    let mut bed = Bed::with(&[(2, 40)]);
    bed.paths.progress(MS * 40, true, bed.now);
    bed.answers.remove(&at(1));
    for (ms, data) in [(0, "lost"), (30, "lost too"), (150, "first probe"), (20, "second"), (30, "third")] {
        bed.run(MS * ms);
        bed.paths.sending(data.as_bytes(), bed.now);
    }
    bed.run(MS * 300);
    assert_eq!(bed.resent, [(at(2), b"second".to_vec()), (at(2), b"third".to_vec())]);
    bed.resent.clear();
    bed.answers.insert(at(1), MS * 5);
    bed.busy = true;
    bed.run(SECOND * 40);
    assert_eq!(bed.paths.current(), at(1));
    assert!(bed.resent.is_empty(), "a switch between living paths resends nothing");
}

#[test]
fn quic_s_own_silence_on_a_path_that_answers_is_asked_about_ever_less() {
    let mut bed = Bed::with(&[(2, 40)]);
    bed.paths.sending(b"data", bed.now);
    bed.run(SECOND * 60);
    assert_eq!(bed.paths.current(), at(1));
    assert!(bed.challenges_to(at(1)).len() < 40, "{}", bed.challenges_to(at(1)).len());
}

#[test]
fn the_list_is_bounded_and_keeps_what_answers() {
    let mut bed = Bed::with(&[(2, 30), (3, 30)]);
    for n in 0..100 {
        bed.paths.add_candidates(&[at(100 + n)], bed.now);
        bed.run(SECOND * 2);
    }
    assert_eq!(bed.paths.confirmed().len(), 3);
    assert_eq!(bed.paths.info().len(), 1 + PATH_ADDRS);
}

#[test]
fn loss_is_the_share_of_challenges_without_an_answer() {
    let mut bed = Bed::with(&[(2, 500)]);
    bed.busy = true;
    bed.run(SECOND * 200);
    let loss = |bed: &Bed| bed.paths.info()[0].loss_permille;
    assert_eq!(loss(&bed), 0);
    bed.answers.remove(&at(1));
    bed.run(MS * 150);
    bed.answers.insert(at(1), MS * 40);
    bed.run(SECOND * 10);
    assert_eq!((bed.paths.current(), loss(&bed)), (at(1), 0), "a short gap costs no challenge");
    bed.answers.remove(&at(1));
    bed.run(MS * 320);
    bed.answers.insert(at(1), MS * 40);
    bed.run(SECOND * 20);
    assert_eq!(bed.paths.current(), at(1));
    assert!((60..=190).contains(&loss(&bed)), "{}", loss(&bed));
}

impl Bed {
    /// The tags that we should accept, as the peer would use them.
    fn peer_tags(&self) -> Vec<[u8; 8]> {
        (0..2).map(|n| PathKey::new([2; 32]).tag(n)).collect()
    }
}

/// What may happen to a connection.
#[derive(Clone, Debug)]
enum Act {
    Named(u8),
    Datagram(u8),
    Challenge(u8),
    Answers(u8, Option<u16>),
    LocalChanged,
    Busy(bool),
    Wait(u16),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (1u8..30).prop_map(Act::Named),
        2 => (1u8..30).prop_map(Act::Datagram),
        1 => (1u8..30).prop_map(Act::Challenge),
        3 => (1u8..30, prop::option::of(1u16..4_000)).prop_map(|(last, rtt)| Act::Answers(last, rtt)),
        1 => Just(Act::LocalChanged),
        1 => any::<bool>().prop_map(Act::Busy),
        4 => (0u16..9_000).prop_map(Act::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn whatever_happens_data_goes_where_somebody_answered_and_memory_is_bounded(
        acts in prop::collection::vec(act(), 1..80)
    ) {
        let mut bed = Bed::new();
        for act in acts {
            match act {
                Act::Named(last) => bed.paths.add_candidates(&[at(last)], bed.now),
                Act::Datagram(last) => bed.paths.datagram_from(at(last), 100, bed.now),
                Act::Challenge(last) => {
                    bed.challenged_from(at(last));
                }
                Act::Answers(last, None) => {
                    bed.answers.remove(&at(last));
                }
                Act::Answers(last, Some(rtt)) => {
                    bed.answers.insert(at(last), MS * u32::from(rtt));
                }
                Act::LocalChanged => bed.paths.local_changed(bed.now),
                Act::Busy(busy) => bed.busy = busy,
                // `run` checks that no deadline is left undone.
                Act::Wait(ms) => bed.run(MS * u32::from(ms)),
            }
            let info = bed.paths.info();
            prop_assert!(info.len() <= 1 + PATH_ADDRS + PATH_SEEN);
            prop_assert!(bed.paths.confirmed().contains(&bed.paths.current()));
            let mut addrs: Vec<_> = info.iter().map(|info| info.address).collect();
            addrs.sort_unstable();
            addrs.dedup();
            prop_assert_eq!(addrs.len(), info.len(), "an address is there once");
            for event in &bed.events {
                if let PathEvent::Switched { to, .. } = event {
                    let answered = *to == at(1) || bed.events.contains(&PathEvent::Confirmed(*to));
                    prop_assert!(answered, "{to} never answered");
                }
            }
        }
    }
}

#[test]
fn a_peer_that_goes_on_asking_at_a_back_up_is_asked_back_less_and_less() {
    let mut bed = Bed::with(&[(2, 60)]);
    for _ in 0..60 {
        bed.challenged_from(at(2));
        bed.run(SECOND);
    }
    let asked = bed.challenges.iter().filter(|(_, to)| *to == at(1)).count();
    assert!((2..=8).contains(&asked), "{asked} times in a minute");
    // Data from there is another matter: the peer may have moved.
    bed.challenges.clear();
    bed.paths.datagram_from(at(2), 100, bed.now);
    bed.run(MS * 200);
    assert!(bed.challenges.iter().any(|(_, to)| *to == at(1)));
}

#[test]
fn a_host_that_calls_late_waits_longer_before_it_calls_a_peer_silent() {
    let mut bed = Bed::with(&[(2, 60)]);
    let waits = |bed: &mut Bed| {
        bed.paths.sending(b"data", bed.now);
        bed.paths.doubt_at().expect("something waits") - bed.now
    };
    let usual = waits(&mut bed);
    assert!(usual <= PATH_SILENCE_MIN);
    bed.paths.progress(MS * 40, true, bed.now);
    // The next thing that is due is done half a second late.
    bed.now = bed.paths.poll_deadline().expect("back-ups are asked") + MS * 500;
    bed.run(Duration::ZERO);
    bed.run(MS * 100);
    let busy = waits(&mut bed);
    assert!(busy >= usual + SECOND, "{busy:?}");
    // What lies back long enough counts no more.
    bed.paths.datagram_from(at(1), 100, bed.now);
    bed.paths.progress(MS * 40, true, bed.now);
    bed.run(SECOND * 3);
    bed.paths.progress(MS * 40, true, bed.now);
    assert_eq!(waits(&mut bed), usual);
}
