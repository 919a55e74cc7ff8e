//! Beacons between machines on one network, in virtual time.

use super::*;
use crate::config::limits::LAN_NONCES;
use crate::node::api::Source;
use rand_chacha::rand_core::SeedableRng;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// Noon of a day in November 2026.
const NOON_US: u64 = 1_794_787_200_000_000 + DAY_US / 2;
const DAY_US: u64 = 86_400_000_000;
const TOPIC: Topic = [7; 32];
const INTERFACE: u32 = 3;

/// A machine of the network: its beacons, where it is, and how wrong its wall clock is.
struct Machine {
    lan: Lan,
    key: [u8; 32],
    v4: SocketAddr,
    v6: SocketAddr,
    now: Now,
    rng: ChaCha20Rng,
}

impl Machine {
    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    fn with(n: u8, ports: LocalPorts, legacy: bool) -> Machine {
        let identity = Identity::from_seed(&[n; 32]);
        let mut lan = Lan::new(&identity, ports, 1_000 + u64::from(n), legacy);
        let now = Now { mono: Instant::now(), unix_us: NOON_US };
        let v4 = Ipv4Addr::new(192, 168, 0, n);
        lan.set_interfaces(now, &[LanInterface { index: INTERFACE, name: "lan0".to_owned(), v4: vec![v4], v6: true }]);
        let v6 = SocketAddrV6::new(format!("fe80::{n}").parse().expect("address"), LAN_PORT, 0, INTERFACE);
        let rng = ChaCha20Rng::from_seed([n; 32]);
        Machine { lan, key: identity.key(), v4: (v4, LAN_PORT).into(), v6: v6.into(), now, rng }
    }

    fn new(n: u8) -> Machine {
        Machine::with(n, LocalPorts { v4: Some(4_000 + u16::from(n)), v6: Some(6_000 + u16::from(n)) }, false)
    }

    fn joined(n: u8, key: &TopicKey) -> Machine {
        let mut machine = Machine::new(n);
        machine.join(key, None);
        machine
    }

    fn join(&mut self, key: &TopicKey, public: Option<&Topic>) {
        self.lan.listen(key, public);
        self.lan.announce(self.now, &key.mesh(), true);
    }

    /// Time goes by; the beacons that leave meanwhile.
    fn run(&mut self, time: Duration) -> Vec<Transmit> {
        let until = self.now.mono + time;
        let mut sent = Vec::new();
        while let Some(at) = self.lan.poll_deadline().filter(|at| *at <= until) {
            self.pass(at.saturating_duration_since(self.now.mono));
            sent.extend(self.lan.handle_timeout(self.now, &mut self.rng));
        }
        self.pass(until - self.now.mono);
        sent
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono += time;
        self.now.unix_us += time.as_micros() as u64;
    }

    /// The beacon that leaves now over IPv4.
    fn beacon(&mut self) -> Vec<u8> {
        let sent = self.run(Duration::from_secs(6));
        sent.into_iter().rfind(|t| t.to.is_ipv4() && t.bytes[0] == 0xA6).expect("a beacon").bytes
    }

    fn hear(&mut self, from: SocketAddr, bytes: &[u8]) -> Option<Hint> {
        self.lan.handle_datagram(self.now, from, bytes).expect("a beacon")
    }
}

fn types(sent: &[Transmit]) -> BTreeSet<(u8, bool)> {
    sent.iter().map(|transmit| (transmit.bytes[0], transmit.to.is_ipv4())).collect()
}

#[test]
fn a_beacon_leads_to_its_sender_with_the_port_of_the_family() {
    let key = TopicKey::private(&TOPIC, &[9; 32]);
    let (mut a, mut b) = (Machine::joined(1, &key), Machine::joined(2, &key));
    let mut hints = Vec::new();
    for transmit in a.run(Duration::ZERO) {
        assert_eq!((transmit.to.port(), transmit.via), (LAN_PORT, Via::Lan { interface: INTERFACE }));
        assert_eq!(transmit.bytes.len(), v13::beacon::BEACON_BYTES);
        let from = if transmit.to.is_ipv4() { a.v4 } else { a.v6 };
        assert_eq!(a.hear(from, &transmit.bytes), None, "its own comes back");
        hints.extend(b.hear(from, &transmit.bytes));
    }
    let (mut v4, mut v6) = (a.v4, a.v6);
    v4.set_port(4_001);
    v6.set_port(6_001);
    let hint = |addr| Hint { addr, id: None, key: Some(a.key), source: Source::Lan, topic: Some(key.mesh()) };
    assert_eq!(hints, [hint(v4), hint(v6)]);
}

#[test]
fn a_family_without_a_port_is_not_offered() {
    let key = TopicKey::public(&TOPIC);
    let mut a = Machine::with(1, LocalPorts { v4: Some(4_001), v6: None }, false);
    a.join(&key, None);
    let sent = a.run(Duration::ZERO);
    assert_eq!(types(&sent), BTreeSet::from([(0xA6, true)]));
    let mut b = Machine::joined(2, &key);
    let v6 = a.v6;
    assert_eq!(b.hear(v6, &sent[0].bytes), None, "there is nothing to dial over IPv6");
    assert!(b.hear(a.v4, &a.beacon()).is_some());
}

#[test]
fn old_peers_hear_of_public_topics_while_legacy_is_on_and_of_nothing_else() {
    let modern = BTreeSet::from([(0xA6, true), (0xA6, false)]);
    let both = BTreeSet::from([(0x09, true), (0x09, false), (0xA6, true), (0xA6, false)]);
    let (public, private) = (TopicKey::public(&TOPIC), TopicKey::private(&TOPIC, &[9; 32]));
    for (legacy, key, topic, expected) in [
        (true, &public, Some(&TOPIC), &both),
        (false, &public, Some(&TOPIC), &modern),
        (true, &private, None, &modern),
        (false, &private, None, &modern),
    ] {
        let mut machine = Machine::with(1, LocalPorts { v4: Some(4_001), v6: Some(6_001) }, legacy);
        machine.join(key, topic);
        for _ in 0..5 {
            let sent = machine.run(Duration::from_secs(6));
            assert_eq!(types(&sent), *expected, "legacy {legacy}, public {}", topic.is_some());
        }
    }
}

#[test]
fn with_legacy_off_old_beacons_are_not_heard() {
    let ports = LocalPorts { v4: Some(4_001), v6: None };
    let mut old = Machine::with(1, ports, true);
    old.join(&TopicKey::public(&TOPIC), Some(&TOPIC));
    let text = old.run(Duration::ZERO).into_iter().find(|t| t.bytes[0] == 0x09).expect("for old peers").bytes;
    for legacy in [true, false] {
        let mut machine = Machine::with(2, ports, legacy);
        assert_eq!(machine.hear(old.v4, &text), None, "not joined");
        machine.join(&TopicKey::public(&TOPIC), Some(&TOPIC));
        let hint = machine.hear(old.v4, &text);
        assert_eq!(hint.is_some(), legacy);
        assert!(hint.is_none_or(|hint| hint.key.is_none() && hint.id.is_some() && hint.addr.port() == 4_001));
    }
}

#[test]
fn at_once_soon_again_and_then_every_five_seconds() {
    let mut machine = Machine::joined(1, &TopicKey::public(&TOPIC));
    assert_eq!(machine.run(Duration::ZERO).len(), 2);
    assert_eq!(machine.run(Duration::from_millis(399)).len(), 0);
    assert_eq!(machine.run(Duration::from_millis(1)).len(), 2);
    assert_eq!(machine.run(Duration::from_millis(4_599)).len(), 0);
    assert_eq!(machine.run(Duration::from_millis(1)).len(), 2);
    let later = machine.run(Duration::from_secs(500)).len();
    assert!((180..=220).contains(&later), "{later} beacons in 500 s");
}

#[test]
fn many_topics_leave_in_bursts_and_all_of_them() {
    let mut machine = Machine::new(1);
    let keys: Vec<TopicKey> = (0..150).map(|n| TopicKey::public(&[n; 32])).collect();
    keys.iter().for_each(|key| machine.join(key, None));
    let first = machine.lan.handle_timeout(machine.now, &mut machine.rng);
    assert_eq!(first.len(), BURST);
    let rest = machine.run(Duration::from_millis(399));
    let tags: BTreeSet<Vec<u8>> = first.iter().chain(&rest).map(|sent| sent.bytes[2..18].to_vec()).collect();
    assert_eq!((first.len() + rest.len(), tags.len()), (300, 150));
}

#[test]
fn what_was_left_or_went_away_is_not_announced() {
    let (public, private) = (TopicKey::public(&TOPIC), TopicKey::private(&TOPIC, &[9; 32]));
    let mut machine = Machine::joined(1, &public);
    machine.join(&private, None);
    machine.join(&private, None);
    assert_eq!(machine.run(Duration::ZERO).len(), 4, "two topics, once each");
    machine.join(&TopicKey::public(&[8; 32]), None);
    machine.lan.leave(&TopicKey::public(&[8; 32]));
    machine.lan.leave(&private);
    assert_eq!(machine.run(Duration::from_secs(1)).len(), 2, "the echo of the one that is left");
    let mut other = Machine::joined(2, &private);
    let beacon = other.beacon();
    assert_eq!(machine.hear(other.v4, &beacon), None, "left, so not looked for");
    machine.lan.set_interfaces(machine.now, &[]);
    assert_eq!(machine.run(Duration::from_secs(60)).len(), 0, "no interface");
    machine.lan.leave(&public);
    assert_eq!(machine.lan.poll_deadline(), None);
}

#[test]
fn a_topic_joined_after_the_first_beacon_is_heard_too() {
    let (first, second) = (TopicKey::public(&TOPIC), TopicKey::private(&TOPIC, &[9; 32]));
    let (mut a, mut b) = (Machine::joined(1, &second), Machine::joined(2, &first));
    let beacon = a.beacon();
    assert_eq!(b.hear(a.v4, &beacon), None);
    b.join(&second, None);
    assert!(b.hear(a.v4, &beacon).is_some());
}

#[test]
fn replays_and_bent_beacons_are_ignored() {
    let key = TopicKey::public(&TOPIC);
    let (mut a, mut b) = (Machine::joined(1, &key), Machine::joined(2, &key));
    let beacon = a.beacon();
    for (i, bit) in (0..beacon.len()).flat_map(|i| [(i, 0x01), (i, 0x80)]) {
        let mut bent = beacon.clone();
        bent[i] ^= bit;
        assert!(!matches!(b.lan.handle_datagram(b.now, a.v4, &bent), Ok(Some(_))), "byte {i}");
    }
    for length in 0..beacon.len() {
        assert!(b.lan.handle_datagram(b.now, a.v4, &beacon[..length]).is_err(), "{length} bytes");
    }
    assert!(b.hear(a.v4, &beacon).is_some(), "bent ones do not use it up");
    let liar = "192.168.0.66:45678".parse().expect("address");
    assert_eq!((b.hear(liar, &beacon), b.hear(a.v4, &beacon)), (None, None));
    for _ in 0..100 {
        let other = a.beacon();
        assert!(b.hear(a.v4, &other).is_some());
    }
    assert_eq!(b.hear(liar, &beacon), None, "also long after");
}

#[test]
fn the_memory_for_replays_is_bounded() {
    let key = TopicKey::public(&TOPIC);
    let (mut a, mut b) = (Machine::joined(1, &key), Machine::joined(2, &key));
    let first = a.beacon();
    assert!(b.hear(a.v4, &first).is_some());
    let said = crate::crypto::announce::Announcement { key: a.key, v4: 1, v6: 1, instance: 1 };
    let today = crate::crypto::announce::day(b.now.unix_us);
    let tag = crate::crypto::announce::tag(&key, today);
    for n in 1..=LAN_NONCES {
        assert_eq!(b.hear(a.v4, &first), None, "{n} others since");
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&n.to_be_bytes());
        let sealed = crate::crypto::announce::seal(&key, today, nonce, &said).expect("sealed");
        assert!(b.hear(a.v4, &v13::Beacon { tag, nonce, sealed: &sealed }.encode()).is_some());
    }
    assert!(b.hear(a.v4, &first).is_some(), "it was the oldest");
}

#[test]
fn a_clock_may_be_wrong_by_a_day_and_no_more() {
    let key = TopicKey::private(&TOPIC, &[9; 32]);
    for days in -3i64..=3 {
        let (mut a, mut b) = (Machine::joined(1, &key), Machine::joined(2, &key));
        b.now.unix_us = b.now.unix_us.saturating_add_signed(days * DAY_US as i64);
        assert_eq!(b.hear(a.v4, &a.beacon()).is_some(), days.abs() <= 1, "{days} days");
        assert_eq!(a.hear(b.v4, &b.beacon()).is_some(), days.abs() <= 1, "{days} days");
    }
}

#[test]
fn the_tags_follow_the_day() {
    let key = TopicKey::public(&TOPIC);
    let (mut a, mut b) = (Machine::joined(1, &key), Machine::joined(2, &key));
    let mut tags = BTreeSet::new();
    for day in 0..5 {
        let beacon = a.beacon();
        assert!(b.hear(a.v4, &beacon).is_some(), "day {day}");
        tags.insert(beacon[2..18].to_vec());
        a.pass(Duration::from_micros(DAY_US));
        b.pass(Duration::from_micros(DAY_US));
    }
    assert_eq!(tags.len(), 5);
    // Clocks that stepped back, as after a start without the network's time.
    for machine in [&mut a, &mut b] {
        machine.now.unix_us = 5;
    }
    assert!(b.hear(a.v4, &a.beacon()).is_some());
}

#[test]
fn who_knows_the_topic_and_not_the_secret_learns_nothing() {
    let secret = TopicKey::private(&TOPIC, &[9; 32]);
    let mut a = Machine::joined(1, &secret);
    let (today, again) = (a.beacon(), a.beacon());
    a.pass(Duration::from_micros(DAY_US));
    let tomorrow = a.beacon();
    for key in [TopicKey::public(&TOPIC), TopicKey::private(&TOPIC, &[0; 32])] {
        let mut outsider = Machine::joined(2, &key);
        assert_eq!(outsider.hear(a.v4, &today), None);
        outsider.pass(Duration::from_micros(DAY_US));
        assert_eq!(outsider.hear(a.v4, &tomorrow), None);
        assert_ne!(outsider.beacon()[2..18], tomorrow[2..18]);
    }
    let parts = |beacon: &[u8]| -> BTreeSet<Vec<u8>> { beacon[2..].windows(4).map(<[u8]>::to_vec).collect() };
    assert_eq!(today[..2], tomorrow[..2], "type and version");
    assert!(parts(&today).is_disjoint(&parts(&tomorrow)), "two days cannot be linked");
    assert_eq!(today[2..18], again[2..18], "within a day the tag names the topic");
    assert!(parts(&today[16..]).is_disjoint(&parts(&again[16..])), "and nothing else is the same");
}

#[test]
fn who_only_looks_asks_and_is_answered_at_once() {
    let key = TopicKey::public(&TOPIC);
    let (mut server, mut client) = (Machine::joined(1, &key), Machine::new(2));
    server.run(Duration::from_secs(1));
    client.lan.listen(&key, None);
    assert_eq!(client.run(Duration::from_secs(60)).len(), 0, "it announces nothing");
    assert!(client.lan.ask(client.now, &key.mesh()));
    let asked = client.run(Duration::ZERO);
    assert_eq!(asked.len(), 2, "one for each family");
    assert_eq!(server.hear(client.v4, &asked[0].bytes), None, "nobody to dial");
    let answer = server.run(Duration::ZERO);
    let heard = client.hear(server.v4, &answer[0].bytes).expect("an answer");
    assert_eq!((heard.key, heard.topic), (Some(server.key), Some(key.mesh())));
    // The question is repeated once, like every beacon.
    assert_eq!(client.run(Duration::from_secs(60)).len(), 2);
    assert_eq!(client.lan.poll_deadline(), None, "then it is quiet");
}

#[test]
fn one_answer_serves_all_who_asked_lately() {
    let key = TopicKey::public(&TOPIC);
    let mut server = Machine::joined(1, &key);
    server.run(Duration::from_secs(1));
    let ask = |server: &mut Machine, n: u8| {
        let mut client = Machine::new(n);
        client.lan.listen(&key, None);
        client.lan.ask(client.now, &key.mesh());
        let asked = client.run(Duration::ZERO);
        assert_eq!(server.hear(client.v4, &asked[0].bytes), None);
    };
    ask(&mut server, 2);
    assert_eq!(server.run(Duration::ZERO).len(), 2);
    (3..40).for_each(|n| ask(&mut server, n));
    assert_eq!(server.run(LAN_ANSWER_PERIOD - Duration::from_millis(1)).len(), 0);
    assert_eq!(server.run(Duration::from_millis(1)).len(), 2, "one more for all of them");
}

#[test]
fn who_announced_himself_needs_no_answer() {
    let key = TopicKey::public(&TOPIC);
    let (mut a, mut b) = (Machine::joined(1, &key), Machine::joined(2, &key));
    b.lan.seek(&key.mesh(), true);
    b.run(Duration::from_secs(1));
    a.lan.ask(a.now, &key.mesh());
    let sent = a.run(Duration::ZERO);
    assert_eq!(sent.len(), 4);
    let hear = |b: &mut Machine| {
        let v4 = sent.iter().filter(|transmit| transmit.to.is_ipv4());
        v4.filter_map(|sent| b.hear(a.v4, &sent.bytes)).count()
    };
    assert_eq!((hear(&mut b), b.run(Duration::ZERO).len()), (1, 0), "it is dialled instead");
    // Who looks for nobody dials nobody, and answers.
    let mut server = Machine::joined(3, &key);
    server.run(Duration::from_secs(1));
    assert_eq!((hear(&mut server), server.run(Duration::ZERO).len()), (1, 2));
    let mut left = Machine::joined(4, &key);
    left.lan.seek(&key.mesh(), true);
    left.lan.seek(&key.mesh(), false);
    left.run(Duration::from_secs(1));
    assert_eq!((hear(&mut left), left.run(Duration::ZERO).len()), (1, 2));
}

#[test]
fn a_name_that_only_answers_is_silent_otherwise() {
    let own = TopicKey::peer(&[7; 32]);
    let (mut peer, mut seeker) = (Machine::new(1), Machine::new(2));
    peer.lan.listen(&own, None);
    peer.lan.answer(&own.mesh());
    assert_eq!(peer.run(Duration::from_secs(60)).len(), 0);
    seeker.lan.listen(&own, None);
    seeker.lan.ask(seeker.now, &own.mesh());
    let asked = seeker.run(Duration::ZERO);
    peer.hear(seeker.v4, &asked[0].bytes);
    let answer = peer.run(Duration::ZERO);
    assert_eq!(seeker.hear(peer.v4, &answer[0].bytes).and_then(|hint| hint.key), Some(peer.key));
    seeker.lan.leave(&own);
    assert_eq!(seeker.lan.poll_deadline(), None);
}

#[test]
fn a_topic_that_is_not_announced_any_more_is_still_heard() {
    let key = TopicKey::public(&TOPIC);
    let (mut a, mut b) = (Machine::joined(1, &key), Machine::joined(2, &key));
    a.lan.announce(a.now, &key.mesh(), false);
    assert_eq!(a.run(Duration::from_secs(60)).len(), 0);
    assert!(a.hear(b.v4, &b.beacon()).is_some());
}
