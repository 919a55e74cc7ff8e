//! Strangers who flood, forge, replay and lie. A confirmed peer stays connected,
//! tables stay bounded and empty again, nobody is hit through us.

use crate::link::Profile;
use crate::models::{CPP, JS, PY_MAIN, Quirks, RUST};
use crate::network::{LAN_GROUP, LAN_PORT, NodeId, Packet, Place, is_modern};
use crate::rng::Rng;
use crate::world::World;
use setowire::Config;
use setowire::config::limits;
use setowire::config::swarm::SwarmOptions;
use setowire::crypto::identity::V12Keys;
use setowire::node::Via;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Ours at 0, its confirmed peer at 1, the attacker's sockets at 2.
struct Attack {
    world: World,
    friend: Friend,
    rng: Rng,
    said: u32,
}

/// Who is connected with us.
#[derive(Clone, Copy, Debug)]
enum Friend {
    /// Ours, over a modern session.
    Modern,
    /// Ours, with a network between us that lets only the old wire through.
    Ours,
    Old(&'static Quirks),
}
use Friend::{Modern, Old, Ours};

impl Friend {
    fn restart(self, world: &mut World, seed: [u8; 32]) {
        match self {
            Modern | Ours => world.start_ours(FRIEND, &Config::default(), seed),
            Old(quirks) => world.start_model(FRIEND, quirks, seed),
        }
        if matches!(self, Old(quirks) if quirks.rust) {
            world.dial(FRIEND, US);
        }
    }
}

const US: NodeId = 0;
const FRIEND: NodeId = 1;
const ATTACKER: NodeId = 2;

impl Attack {
    fn new(seed: u64, friend: Friend) -> Attack {
        let mut world = World::new(seed, Profile::WIRE);
        world.add_ours(Place::new(0), &Config::default());
        match friend {
            Friend::Modern | Friend::Ours => world.add_ours(Place::new(1), &Config::default()),
            Friend::Old(quirks) => world.add_model(Place::new(1), quirks),
        };
        world.add_raw(Place::new(2).on(&[9]));
        match friend {
            Friend::Modern => {}
            Friend::Ours => world.net.drops = Some(is_modern),
            Friend::Old(quirks) if quirks.rust => world.dial(US, FRIEND),
            Friend::Old(_) => {}
        }
        world.expect("connected", S * 10, |w| w.sees(US, FRIEND) && w.sees(FRIEND, US));
        let mut attack = Attack { world, friend, rng: Rng::new(seed ^ 1), said: 0 };
        attack.still_talks();
        attack.world.expect("confirmed", S, |w| w.ours(US).peers.values().all(|peer| peer.confirmed));
        attack
    }

    fn us(&self) -> SocketAddr {
        self.world.net.places[US].v4()
    }

    /// The connection of before is still there and carries messages both ways, each once.
    fn still_talks(&mut self) {
        self.said += 1;
        for (from, to) in [(US, FRIEND), (FRIEND, US)] {
            let text = format!("number {} from {from}", self.said).into_bytes();
            assert!(self.world.sees(from, to), "{from} lost {to}");
            self.world.write(from, to, &text).expect("room");
            self.world.expect("delivery", S * 2, |w| w.received(to, from).contains(&text));
            self.world.run_for(S);
            let copies = self.world.received(to, from).iter().filter(|got| **got == text).count();
            assert_eq!(copies, 1);
        }
        let stats = self.world.ours(US).node.stats();
        assert_eq!((stats.connections, stats.disconnections), (1, 0), "the confirmed peer was displaced");
    }

    /// From a forged source.
    fn forge(&mut self, from: SocketAddr, bytes: Vec<u8>) {
        let to = self.us();
        self.world.inject(from, US, to, bytes);
    }

    fn stranger(&mut self) -> SocketAddr {
        let [a, b, c] = self.rng.bytes();
        SocketAddr::new(Ipv4Addr::new(172, 16 + (a & 15), b, c).into(), 1_024 + self.rng.below(60_000) as u16)
    }

    /// All gauges but those of the friend are back to nothing.
    fn calm(&mut self) {
        self.world.run_for(limits::UNCONFIRMED_LIFE + S * 10);
        let stats = self.world.ours(US).node.stats();
        // Where only the old wire gets through, each beacon of the friend makes us try for a modern session.
        let dials = if matches!(self.friend, Ours) { 0 } else { stats.dials };
        let gauges = (stats.unconfirmed, dials, stats.ops, stats.buffered_bytes, stats.reassembly_bytes);
        assert_eq!(gauges, (0, 0, 0, 0, 0));
        assert_eq!(stats.peers, 1);
    }
}

fn hello(kind: u8, keys: &V12Keys) -> Vec<u8> {
    [&[kind][..], &keys.wire_id(), keys.public()].concat()
}

#[test]
fn floods_of_hellos_fill_nothing() {
    for friend in [Modern, Ours, Old(&JS)] {
        let mut attack = Attack::new(300, friend);
        for i in 0..6_000u32 {
            let keys = V12Keys::from_seed(&(i % 500).to_be_bytes());
            let from = attack.stranger();
            attack.forge(from, hello(0xa1 + (i % 2) as u8, &keys));
            attack.world.run_for(MS);
            let stats = attack.world.ours(US).node.stats();
            assert!(stats.unconfirmed <= limits::UNCONFIRMED_MAX as u64 && stats.dials <= limits::DIALS_MAX as u64);
        }
        attack.still_talks();
        attack.calm();
    }
}

#[test]
fn one_stranger_with_many_identities_fills_nothing() {
    let mut attack = Attack::new(301, Old(&PY_MAIN));
    // It answers every PING and HELLO, from one address and many ports.
    for i in 0..400u32 {
        let keys = V12Keys::from_seed(&i.to_be_bytes());
        let port = 2_000 + i as u16;
        attack.world.net.places[ATTACKER].set_port(port);
        let us = attack.us();
        attack.world.send(ATTACKER, Via::Main, us, hello(0xa1, &keys));
        attack.world.run_for(MS * 2);
        for (_, from, bytes) in attack.world.take_raw(ATTACKER) {
            let answer = match bytes[0] {
                0xa1 => hello(0xa2, &keys),
                0x03 => [&[0x04][..], keys.id()].concat(),
                _ => continue,
            };
            attack.world.send(ATTACKER, Via::Main, from, answer);
        }
        attack.world.run_for(MS * 8);
    }
    assert!(attack.world.sees(US, FRIEND), "the confirmed peer was pushed out");
    let stats = attack.world.ours(US).node.stats();
    assert!(stats.peers <= limits::MAX_PEERS as u64 && stats.unconfirmed <= limits::UNCONFIRMED_MAX as u64);
    assert!(stats.peers <= 1 + limits::UNCONFIRMED_PER_IP as u64, "{} peers from one address", stats.peers);
    attack.world.run_for(limits::V12_PEER_TIMEOUT + S * 10);
    assert_eq!(attack.world.ours(US).node.stats().peers, 1);
    assert!(attack.world.sees(US, FRIEND));
}

#[test]
fn confirmed_peers_keep_their_places_in_a_full_table() {
    let mut world = World::new(302, Profile::WIRE);
    let config = Config { swarm: SwarmOptions { max_peers: 4, ..SwarmOptions::default() }, ..Config::default() };
    let us = world.add_ours(Place::new(0), &config);
    let friends: Vec<NodeId> = (1..5).map(|n| world.add_ours(Place::new(n), &Config::default())).collect();
    world.expect("connected", S * 20, |w| friends.iter().all(|f| w.sees(us, *f) && w.sees(*f, us)));
    world.broadcast(us, b"hello");
    for friend in &friends {
        world.broadcast(*friend, b"hello too");
    }
    world.run_for(S);
    let before = world.ours(us).node.stats().disconnections;
    for n in 5..25 {
        let stranger = world.add_model(Place::new(n), if n % 2 == 0 { &JS } else { &RUST });
        world.dial(stranger, us);
        world.run_for(MS * 500);
    }
    world.run_for(S * 30);
    assert!(friends.iter().all(|f| world.sees(us, *f)), "a stranger took a friend's place");
    assert_eq!(world.ours(us).node.stats().disconnections, before);
    assert!(world.ours(us).peers.len() <= 4);
}

#[test]
fn a_known_id_with_another_key_changes_nothing() {
    for friend in [Modern, Ours, Old(&JS), Old(&CPP), Old(&RUST)] {
        let mut attack = Attack::new(303, friend);
        let id = attack.world.wire_id(FRIEND);
        let address = attack.world.net.places[FRIEND].v4();
        let wrong = V12Keys::from_seed(b"attacker");
        for kind in [0xa1, 0xa2] {
            let forged = [&[kind][..], &id, wrong.public()].concat();
            let zero = [&[kind][..], &id, &[0; 32]].concat();
            for bytes in [forged, zero] {
                let stranger = attack.stranger();
                attack.forge(stranger, bytes.clone());
                attack.forge(address, bytes);
                attack.world.run_for(MS * 100);
            }
        }
        attack.still_talks();
        attack.calm();
    }
}

#[test]
fn data_is_not_drawn_to_an_address_that_only_names_the_friend() {
    for friend in [Modern, Ours, Old(&JS), Old(&PY_MAIN)] {
        let mut attack = Attack::new(304, friend);
        let keys = V12Keys::from_seed(&attack.world.identity_seed(FRIEND));
        let us = attack.us();
        // The friend's HELLO and PING are public; the attacker also answers PINGs with its id.
        for round in 0..100u64 {
            let ping = [&[0x03][..], &round.to_be_bytes(), keys.id()].concat();
            for bytes in [hello(0xa1, &keys), hello(0xa2, &keys), ping, [&[0x04][..], keys.id()].concat()] {
                attack.world.send(ATTACKER, Via::Main, us, bytes);
            }
            attack.world.run_for(MS * 100);
            attack.world.write(US, FRIEND, format!("secret {round}").as_bytes()).expect("room");
            for (_, _, bytes) in attack.world.take_raw(ATTACKER) {
                assert!(bytes[0] != 0x01 && bytes[0] & 0x40 == 0, "data went to the attacker");
            }
        }
        let last = b"secret 99".to_vec();
        attack.world.expect("the friend gets all", S, |w| w.received(FRIEND, US).contains(&last));
        attack.still_talks();
    }
}

fn replay(attack: &mut Attack, packets: &[Packet], from_attacker: bool) {
    for packet in packets {
        let from = if from_attacker { attack.stranger() } else { packet.from };
        attack.forge(from, packet.bytes.to_vec());
        attack.world.run_for(MS);
    }
}

#[test]
fn replays_are_not_delivered() {
    for friend in [Modern, Ours, Old(&JS), Old(&CPP), Old(&RUST)] {
        let mut attack = Attack::new(305, friend);
        attack.world.tap = Some(Vec::new());
        for _ in 0..20 {
            attack.still_talks();
        }
        let tapped = attack.world.tap.take().expect("a tap");
        let to_us: Vec<Packet> = tapped.into_iter().filter(|p| p.to == US && p.via == Via::Main).collect();
        assert!(to_us.len() > 20);
        let count = attack.world.ours(US).received.len();
        for from_attacker in [false, true, false] {
            replay(&mut attack, &to_us, from_attacker);
            assert_eq!(attack.world.ours(US).received.len(), count, "{:?}", friend);
        }
        attack.still_talks();
    }
}

#[test]
fn replays_after_a_restart_of_the_friend_are_not_delivered() {
    for friend in [Modern, Ours, Old(&JS), Old(&PY_MAIN), Old(&CPP), Old(&RUST)] {
        let mut attack = Attack::new(306, friend);
        attack.world.tap = Some(Vec::new());
        for _ in 0..10 {
            attack.still_talks();
        }
        let tapped = attack.world.tap.take().expect("a tap");
        let data =
            tapped.into_iter().filter(|p| p.to == US && (p.bytes[0] & 0x40 != 0 || matches!(p.bytes[0], 0x01 | 0x13)));
        let data: Vec<Packet> = data.collect();
        let count = attack.world.ours(US).received.len();
        let seed = attack.world.identity_seed(FRIEND);
        attack.world.kill(FRIEND);
        replay(&mut attack, &data, false);
        assert_eq!(attack.world.ours(US).received.len(), count, "while it is away");
        // The HELLO of the friend is public: with it an attacker feigns a restart, then replays.
        let keys = V12Keys::from_seed(&seed);
        let address = attack.world.net.places[FRIEND].v4();
        attack.forge(address, hello(0xa1, &keys));
        attack.world.run_for(MS * 50);
        attack.forge(address, [&[0x04][..], keys.id()].concat());
        replay(&mut attack, &data, false);
        assert_eq!(attack.world.ours(US).received.len(), count, "after a feigned restart");
        attack.world.run_for(limits::V12_PEER_TIMEOUT + S * 10);
        replay(&mut attack, &data, false);
        assert_eq!(attack.world.ours(US).received.len(), count, "after it was dropped");
        friend.restart(&mut attack.world, seed);
        attack.world.expect("back", S * 20, |w| w.sees(US, FRIEND) && w.sees(FRIEND, US));
        replay(&mut attack, &data, false);
        assert_eq!(attack.world.ours(US).received.len(), count, "{:?} after it is back", friend);
    }
}

#[test]
fn a_forged_goaway_does_not_disconnect() {
    for friend in [Modern, Ours, Old(&JS), Old(&CPP), Old(&RUST)] {
        let mut attack = Attack::new(307, friend);
        let address = attack.world.net.places[FRIEND].v4();
        for i in 0..200 {
            attack.forge(address, vec![0x0a, 0][..1 + i % 2].to_vec());
            attack.world.run_for(MS * 50);
        }
        attack.still_talks();
    }
}

/// Strangers that send this and never answer get back no more than they sent.
fn no_more_than_came(name: &str, frames: impl Fn(&mut Rng) -> Vec<u8>) {
    let mut attack = Attack::new(308, Old(&JS));
    let us = attack.us();
    let mut sent = 0;
    for _ in 0..200 {
        let frame = frames(&mut attack.rng);
        sent += frame.len();
        attack.world.send(ATTACKER, Via::Main, us, frame);
        attack.world.run_for(MS * 20);
    }
    attack.world.run_for(S * 30);
    let answers = attack.world.take_raw(ATTACKER);
    let got: usize = answers.iter().map(|(_, _, bytes)| bytes.len()).sum();
    assert!(got <= sent, "{name}: {got} bytes for {sent}");
    attack.still_talks();
    attack.calm();
}

#[test]
fn strangers_get_back_no_more_than_they_sent() {
    no_more_than_came("one HELLO many times", |_| hello(0xa1, &V12Keys::from_seed(b"one")));
    no_more_than_came("many HELLOs", |rng| hello(0xa1, &V12Keys::from_seed(&rng.bytes::<8>())));
    no_more_than_came("HELLO_ACKs", |rng| hello(0xa2, &V12Keys::from_seed(&rng.bytes::<8>())));
    no_more_than_came("PINGs", |rng| [&[0x03][..], &rng.bytes::<28>()].concat());
    no_more_than_came("short frames", |rng| rng.bytes::<2>().to_vec());
    no_more_than_came("STUN requests", |rng| [&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &rng.bytes::<12>()].concat());
    no_more_than_came("PEX", |rng| {
        let mut frame = vec![0x30, 20];
        for _ in 0..20 {
            let ip = format!("172.20.{}.{}", rng.below(256), rng.below(256));
            frame.push(8);
            frame.extend(rng.bytes::<8>());
            frame.push(ip.len() as u8);
            frame.extend_from_slice(ip.as_bytes());
            frame.extend(rng.bytes::<2>());
        }
        frame
    });
    no_more_than_came("RELAY_FWD", |rng| {
        [&[0x22][..], &rng.bytes::<8>(), &[10], b"172.20.0.1", &rng.bytes::<2>()].concat()
    });
}

#[test]
fn hostile_beacons_hit_a_victim_within_the_budget_only() {
    // `check` asserts the budget on every datagram; here beacons name one victim in all ways.
    let mut world = World::new(309, Profile::WIRE);
    let us = world.add_ours(Place::new(0), &Config::default());
    let liar = world.add_raw(Place::new(1));
    let victim = world.add_raw(Place::new(2).on(&[9]));
    let interface = world.net.places[liar].interfaces[0].index;
    let group = SocketAddr::from((LAN_GROUP, LAN_PORT));
    let hash = crate::models::crypt::beacon_hash(&crate::world::TOPIC, 12);
    let mut rng = Rng::new(309);
    for i in 0..2_000u64 {
        let ip = if i % 2 == 0 { world.net.places[victim].v4().ip() } else { world.net.places[liar].v4().ip() };
        let id: String = rng.bytes::<20>().iter().map(|b| format!("{b:02x}")).collect();
        let port = match i % 10 {
            0 => 70_000,
            1 => 0,
            _ => rng.below(65_536),
        };
        let text = format!("{id}:{ip}:{port}:{hash}");
        world.send(liar, Via::Lan { interface }, group, [&[0x09], text.as_bytes()].concat());
        world.run_for(MS * 10);
    }
    let refused = world.ours(us).node.stats().dials_refused_by_budget;
    assert!(refused > 0, "the budget refused nothing");
    assert!(world.take_raw(victim).is_empty(), "the address in the text is not the one to dial");
    // Each of those that are kept is dialled four times.
    world.run_for(S * 300);
    assert_eq!(world.ours(us).node.stats().dials, 0);
    assert_eq!(world.ours(us).node.swarm_status().known, 0);
}

#[test]
fn noise_is_survived() {
    let mut attack = Attack::new(310, Old(&JS));
    let address = attack.world.net.places[FRIEND].v4();
    let kinds = [0x01, 0x03, 0x04, 0x07, 0x09, 0x0b, 0x10, 0x11, 0x12, 0x13, 0x14, 0x20, 0x21, 0x22, 0x30, 0xa1];
    for i in 0..20_000 {
        let len = attack.rng.below(80) as usize;
        let mut bytes = attack.rng.vec(len);
        if let Some(kind) = bytes.first_mut().filter(|_| i % 4 != 0) {
            *kind = *attack.rng.pick(&kinds);
        }
        let from = if i % 2 == 0 { address } else { attack.stranger() };
        attack.forge(from, bytes);
        if i % 20 == 0 {
            attack.world.run_for(MS);
        }
    }
    // A PONG among the noise may come in the friend's name, so nothing more than this is asked.
    attack.world.run_for(S * 5);
    attack.still_talks();
}
