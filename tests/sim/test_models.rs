//! The models against what was measured on the real peers (the spec's [run] marks).

use crate::link::Profile;
use crate::models::crypt::{Session, is_lower, xor_hash};
use crate::models::{CPP, JS, PY_010, PY_MAIN, Quirks, RUST};
use crate::network::{NodeId, Place};
use crate::world::World;
use setowire::crypto::identity::V12Keys;
use setowire::node::Via;
use std::net::SocketAddr;
use std::time::Duration;

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// A world with one model at place 0 and a hand-made peer at place 1.
struct Hand {
    world: World,
    model: NodeId,
    raw: NodeId,
    keys: V12Keys,
    session: Session,
    sequence: u32,
}

impl Hand {
    fn new(quirks: &'static Quirks) -> Hand {
        let mut world = World::new(5, Profile::WIRE);
        let model = world.add_model(Place::new(0), quirks);
        let raw = world.add_raw(Place::new(1).on(&[9]));
        let keys = V12Keys::from_seed(b"hand");
        let mut hand = Hand { session: Session::of_zeros(true), world, model, raw, keys, sequence: 0 };
        hand.hello();
        let acks = hand.arrived(0xa2);
        let key: [u8; 32] = acks[0][9..41].try_into().expect("a key");
        let id = hand.world.wire_id(model);
        let lower = is_lower(true, &hand.keys, &id, &key);
        hand.session = Session::new(&hand.keys, &key, lower).expect("a shared secret");
        hand
    }

    fn send(&mut self, bytes: Vec<u8>) {
        let to = self.world.net.places[self.model].v4();
        self.world.send(self.raw, Via::Main, to, bytes);
    }

    fn hello(&mut self) {
        let hello = [&[0xa1][..], &self.keys.wire_id(), self.keys.public()].concat();
        self.send(hello);
    }

    fn data(&mut self, sequence: u32, payload: &[u8]) {
        let frame = self.session.seal(sequence, payload);
        self.send(frame);
    }

    fn next(&mut self, payload: &[u8]) {
        self.sequence += 1;
        self.data(self.sequence - 1, payload);
    }

    /// Frames of a kind that arrive within 10 ms, BATCH opened.
    fn arrived(&mut self, kind: u8) -> Vec<Vec<u8>> {
        self.world.run_for(MS * 10);
        let mut frames = Vec::new();
        for (_, _, bytes) in self.world.take_raw(self.raw) {
            let mut rest = if bytes[0] == 0x13 {
                &bytes[2..]
            } else {
                frames.push(bytes.clone());
                &[]
            };
            while let Some((len, tail)) = rest.split_first_chunk::<2>() {
                let (frame, tail) = tail.split_at(u16::from_be_bytes(*len).into());
                frames.push(frame.to_vec());
                rest = tail;
            }
        }
        frames.retain(|frame| frame[0] == kind);
        frames
    }

    fn delivered(&self) -> Vec<Vec<u8>> {
        self.world.model(self.model).delivered.iter().map(|d| d.data.clone()).collect()
    }

    fn write(&mut self, n: u32) {
        let id = self.keys.wire_id();
        let text = move |i: u32| format!("message {i} of the model").into_bytes();
        self.world.call_model(self.model, |m, io| (0..n).for_each(|i| m.write(io, &id, &text(i))));
    }

    fn model_address(&self) -> SocketAddr {
        self.world.net.places[self.model].v4()
    }
}

#[test]
fn xor_hash_matches_the_vectors() {
    assert_eq!(xor_hash(b""), 0x811c_9dc5_811c_9dc5);
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/hash.json")).expect("vectors");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let unhex = |text: &str| -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex")).collect()
    };
    let mut checked = 0;
    for vector in json["vectors"].as_array().expect("a list") {
        if let (Some(data), Some(hash)) = (vector["inputs"]["data"].as_str(), vector["expected"]["hash"].as_str()) {
            assert_eq!(format!("{:016x}", xor_hash(&unhex(data))), hash);
            checked += 1;
        }
    }
    assert!(checked > 2, "{checked} vectors of xorHash");
}

#[test]
fn a_silent_receiver_gets_16_messages_then_2_per_second() {
    let mut hand = Hand::new(&JS);
    hand.write(400);
    assert_eq!(hand.arrived(0x01).len(), 16);
    // PONG opens the window: one slot freed, one added, each second.
    let mut arrived = 16;
    for _ in 0..6 {
        hand.world.run_for(S);
        let pong = [&[0x04][..], hand.keys.id()].concat();
        hand.send(pong);
        arrived += hand.arrived(0x01).len();
    }
    assert_eq!(arrived, 28);
}

#[test]
fn ack_only_frames_open_the_window_and_the_limiter_drops_the_rest() {
    for (quirks, least, most) in [(&JS, 256, 300), (&PY_MAIN, 256, 300), (&CPP, 399, 400)] {
        let mut hand = Hand::new(quirks);
        hand.next(b"so that sequence 0 is used");
        hand.write(400);
        let mut arrived = 0;
        for _ in 0..200 {
            let frames = hand.arrived(0x01).len();
            arrived += frames;
            (0..frames).for_each(|_| hand.data(0, b""));
        }
        assert!((least..=most).contains(&arrived), "{}: {arrived} of 400", quirks.name);
        assert_eq!(hand.delivered().len(), 1, "{}: an ACK-only frame was delivered", quirks.name);
    }
}

#[test]
fn a_gap_delays_everything_by_50_ms_until_the_number_after_it_is_repeated() {
    for quirks in [&JS, &PY_010] {
        let mut hand = Hand::new(quirks);
        let delay = |hand: &mut Hand, sequence: u32| -> Duration {
            let (sent, before) = (hand.world.now, hand.delivered().len());
            hand.data(sequence, format!("frame {sequence}").as_bytes());
            hand.world.expect("delivery", S, |w| w.model(0).delivered.len() > before);
            hand.world.now - sent
        };
        assert!(delay(&mut hand, 0) < MS);
        assert!(delay(&mut hand, 2) > MS * 50);
        assert!(delay(&mut hand, 3) > MS * 50, "{}: the delay is permanent", quirks.name);
        hand.data(3, b"frame 3");
        hand.world.run_for(MS * 5);
        assert!(delay(&mut hand, 4) < MS, "{}: the repeat heals", quirks.name);
        assert_eq!(hand.delivered().len(), 4, "the repeat is not delivered");
    }
}

#[test]
fn cpp_waits_for_a_missing_frame_for_ever() {
    let mut hand = Hand::new(&CPP);
    hand.data(0, b"a");
    hand.data(2, b"c");
    hand.data(3, b"d");
    hand.world.run_for(S * 30);
    assert_eq!(hand.delivered(), [b"a"]);
    hand.data(1, b"b");
    hand.world.run_for(S);
    assert_eq!(hand.delivered(), [b"a", b"b", b"c", b"d"]);

    let mut late = Hand::new(&CPP);
    late.data(1, b"not from 0");
    late.world.run_for(S * 5);
    assert!(late.delivered().is_empty());
}

#[test]
fn rust_delivers_replays_resets_its_counter_and_ignores_batches() {
    let mut hand = Hand::new(&RUST);
    let frame = hand.session.seal(7, b"once");
    hand.send(frame.clone());
    hand.send(frame.clone());
    let batch = [&[0x13, 1, 0, frame.len() as u8][..], &frame].concat();
    hand.send(batch);
    hand.world.run_for(S);
    assert_eq!(hand.delivered(), [b"once", b"once"]);

    hand.write(2);
    let counters = |frames: &[Vec<u8>]| -> Vec<u8> { frames.iter().map(|f| f[12]).collect() };
    assert_eq!(counters(&hand.arrived(0x01)), [0, 1]);
    hand.hello();
    hand.world.run_for(MS);
    hand.write(1);
    assert_eq!(counters(&hand.arrived(0x01)), [0]);

    let longer = [&[0xa1][..], &hand.keys.wire_id(), hand.keys.public(), &[0; 16]].concat();
    hand.arrived(0xa2);
    hand.send(longer);
    assert!(hand.arrived(0xa2).is_empty(), "a HELLO of 57 bytes is ignored");
    hand.data(8, &[1; 4_063]);
    hand.data(9, &[2; 4_064]);
    hand.world.run_for(S);
    assert_eq!(hand.delivered().last().map(Vec::len), Some(4_063));
}

#[test]
fn goaway_by_family() {
    for (quirks, after_one, after_two) in [(&JS, true, false), (&PY_010, true, false), (&RUST, false, false)] {
        let id = V12Keys::from_seed(b"hand").wire_id();
        let mut hand = Hand::new(quirks);
        hand.send(vec![0x0a]);
        hand.world.run_for(MS * 10);
        assert_eq!(hand.world.model(0).is_connected(&id), after_one, "{}", quirks.name);
        hand.send(vec![0x0a, 0]);
        hand.world.run_for(MS * 10);
        assert_eq!(hand.world.model(0).is_connected(&id), after_two, "{}", quirks.name);
    }
    let mut hand = Hand::new(&CPP);
    hand.send(vec![0x0a, 0]);
    hand.world.run_for(MS * 10);
    assert!(hand.world.model(0).crashed.is_some() && !hand.world.is_up(0));
}

#[test]
fn crashing_inputs_crash_the_models_they_should() {
    let low_order = [&[0xa1][..], &[7; 8], &[0; 32]].concat();
    for (quirks, dies) in [(&JS, true), (&PY_MAIN, false), (&CPP, false), (&RUST, false)] {
        let mut hand = Hand::new(quirks);
        hand.send(low_order.clone());
        hand.world.run_for(S);
        assert_eq!(hand.world.model(0).crashed.is_some(), dies, "{}", quirks.name);
        let registered = hand.world.model(0).is_connected(&[7; 8]);
        assert_eq!(registered, quirks.cpp || quirks.rust, "{}", quirks.name);
    }
    let mut hand = Hand::new(&JS);
    hand.send([&[0x0b][..], &[1; 8], &[0, 5, 0, 1], b"index 5 of 1"].concat());
    hand.world.run_for(S);
    assert!(hand.world.model(0).crashed.is_some());
}

#[test]
fn pongs_tell_the_families_apart() {
    for quirks in crate::models::ALL {
        let mut hand = Hand::new(quirks);
        let ping = [&[0x03][..], &9u64.to_be_bytes(), hand.keys.id()].concat();
        hand.send(ping.clone());
        let pongs = hand.arrived(0x04);
        assert_eq!(pongs.len(), 1, "{}", quirks.name);
        assert_eq!(pongs[0].len(), if quirks.cpp { 29 } else { 21 });
        assert!(!quirks.cpp || pongs[0][1..] == ping[1..]);
    }
}

#[test]
fn large_messages_leave_as_clear_fragments_and_come_in_as_one_frame() {
    let text: Vec<u8> = (0..5_000u32).map(|i| i as u8).collect();
    for quirks in [&JS, &PY_010, &CPP] {
        let mut hand = Hand::new(quirks);
        let id = hand.keys.wire_id();
        hand.world.call_model(0, |m, io| m.write(io, &id, &text));
        let pieces: Vec<u8> = hand.arrived(0x0b).iter().flat_map(|f| f[13..].to_vec()).collect();
        assert_eq!(pieces, text, "{}", quirks.name);
        let large = vec![0x61; 60_000];
        hand.next(&large);
        hand.world.run_for(S);
        assert_eq!(hand.delivered(), [large], "{}", quirks.name);
    }
}

/// Ticks of 5 s beacons until everyone sees everyone.
fn meet(world: &mut World, within: Duration) {
    let nodes: Vec<NodeId> = world.nodes().collect();
    world.expect("all meet", within, |w| nodes.iter().all(|a| nodes.iter().all(|b| a == b || w.sees(*a, *b))));
}

#[test]
fn families_meet_by_beacon_as_their_topic_hashes_allow() {
    let mut world = World::new(6, Profile::WIRE);
    for (n, quirks) in [&JS, &PY_010, &PY_MAIN].into_iter().enumerate() {
        world.add_model(Place::new(n as u32), quirks);
    }
    meet(&mut world, S * 10);
    let cpp = world.add_model(Place::new(3), &CPP);
    let other = world.add_model(Place::new(4), &CPP);
    world.expect("C++ meets C++", S * 2, |w| w.sees(cpp, other));
    world.run_for(S * 20);
    assert!(!world.sees(cpp, 0) && !world.sees(0, cpp), "12 and 24 digits do not match");

    let mut routeless = World::new(7, Profile::WIRE);
    for n in 0..2 {
        let mut place = Place::new(n);
        place.default_route = false;
        routeless.add_model(place, &PY_010);
    }
    routeless.run_for(S * 20);
    assert!(!routeless.sees(0, 1), "127.0.0.1 in beacons leads nowhere");
}

#[test]
fn floods_reach_everyone_once_and_gossip_is_delivered_as_data() {
    let mut world = World::new(8, Profile::WIRE);
    for n in 0..4 {
        world.add_model(Place::new(n), if n % 2 == 0 { &JS } else { &PY_MAIN });
    }
    meet(&mut world, S * 10);
    world.run_for(S * 5);
    let got_gossip =
        world.nodes().any(|n| world.model(n).delivered.iter().any(|d| d.data.starts_with(b"{\"_gossip\"")));
    assert!(got_gossip, "gossip appears as data");
    world.write(0, 1, b"to one peer only").expect("sent");
    world.run_for(S);
    for node in world.nodes() {
        let copies = world.model(node).delivered.iter().filter(|d| d.data == b"to one peer only").count();
        // A sender does not know its own message when it comes back; here all are neighbours.
        assert!(copies <= 1 && (node == 0 || copies == 1), "node {node}: {copies}");
    }
    world.broadcast(0, b"to one peer only");
    world.run_for(S);
    let copies = world.model(1).delivered.iter().filter(|d| d.data == b"to one peer only").count();
    assert_eq!(copies, 1, "the same content again is suppressed");
}

#[test]
fn a_seeded_restart_is_mute_until_the_old_entry_is_gone() {
    let mut world = World::new(9, Profile::WIRE);
    let a = world.add_model(Place::new(0), &JS);
    let b = world.add_model(Place::new(1), &JS);
    meet(&mut world, S * 10);
    for i in 0..20 {
        world.run_for(S);
        world.broadcast(b, format!("before {i}").as_bytes());
    }
    world.run_for(S);
    let before = world.received(a, b).len();
    let seed = world.identity_seed(b);
    world.kill(b);
    world.start_model(b, &JS, seed);
    world.expect("the new process sees the other", S * 12, |w| w.sees(b, a));
    world.broadcast(b, b"after the restart");
    world.run_for(S * 2);
    assert_eq!(world.received(a, b).len(), before, "its numbers are old");

    world.kill(b);
    world.run_for(S * 62);
    assert!(!world.sees(a, b), "dropped after 60 s of silence");
    assert_eq!(world.model(a).disconnections.len(), 1);
}

#[test]
fn a_killed_process_does_not_answer() {
    let mut hand = Hand::new(&JS);
    let to = hand.model_address();
    hand.world.kill(0);
    hand.world.send(hand.raw, Via::Main, to, vec![0x03, 0]);
    hand.world.run_for(S);
    assert!(hand.world.take_raw(hand.raw).is_empty());
}
