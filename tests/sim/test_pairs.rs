//! Ours with ours, and ours with each old family: meeting, messages, leaving, restarts.

use crate::link::{Bursts, Profile};
use crate::models::{CPP, JS, PY_010, PY_MAIN, Quirks, RUST};
use crate::network::{NodeId, Place};
use crate::world::World;
use setowire::node::{Family, Source};
use setowire::{Code, Config};
use std::collections::BTreeSet;
use std::time::Duration;

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const OLD: [&Quirks; 5] = [&JS, &PY_010, &PY_MAIN, &CPP, &RUST];
/// Those that meet us by beacon.
const ON_LAN: [&Quirks; 4] = [&JS, &PY_010, &PY_MAIN, &CPP];

fn two_of_ours(seed: u64, change: fn(Place) -> Place) -> World {
    let mut world = World::new(seed, Profile::WIRE);
    for n in 0..2 {
        world.add_ours(change(Place::new(n)), &Config::default());
    }
    world
}

/// Ours at place 0 and an old peer at place 1, connected both ways.
fn with_old(seed: u64, quirks: &'static Quirks, profile: Profile) -> World {
    let mut world = World::new(seed, profile);
    world.add_ours(Place::new(0), &Config::default());
    world.add_model(Place::new(1), quirks);
    if quirks.rust {
        world.dial(0, 1);
    }
    connected(&mut world, S * 30);
    // Long enough for a PONG, so that the family is known.
    world.run_for(S * 3);
    world
}

fn family_of(quirks: &Quirks) -> Family {
    match quirks {
        q if q.cpp => Family::Cpp,
        q if q.rust => Family::Rust,
        _ => Family::JsOrPython,
    }
}

fn connected(world: &mut World, within: Duration) {
    world.expect("connected both ways", within, |w| w.sees(0, 1) && w.sees(1, 0));
}

/// Both sides get a new message of the other.
fn talk(world: &mut World, within: Duration, word: &str) {
    let texts = [0, 1].map(|n| format!("{word} from {n} at {:?}", world.now).into_bytes());
    let until = world.now + within;
    let got = |w: &World, texts: &[Vec<u8>; 2]| [0, 1].map(|n| w.received(n, 1 - n).contains(&texts[1 - n]));
    let mut sent = [false; 2];
    while got(world, &texts) != [true; 2] {
        assert!(world.now < until, "seed {}: not within {within:?}: {word}: {:?}", world.seed, got(world, &texts));
        for n in 0..2 {
            if !sent[n] && world.sees(n, 1 - n) {
                sent[n] = world.write(n, 1 - n, &texts[n]).is_ok();
            }
        }
        world.run_for(MS * 100);
    }
}

/// Both sides hear something new of the other: what is said while a path is dead may be lost.
fn heals(world: &mut World, within: Duration) {
    let until = world.now + within;
    let before = [0, 1].map(|n| world.received(n, 1 - n).len());
    let mut round = 0;
    while [0, 1].iter().any(|n| world.received(*n, 1 - n).len() == before[*n]) {
        assert!(world.now < until, "seed {}: it did not heal within {within:?}", world.seed);
        for n in 0..2 {
            if world.sees(n, 1 - n) {
                world.write(n, 1 - n, format!("round {round} of {n} at {:?}", world.now).as_bytes()).expect("room");
            }
        }
        round += 1;
        world.run_for(MS * 300);
    }
}

fn unique(list: Vec<Vec<u8>>) -> usize {
    list.into_iter().collect::<BTreeSet<_>>().len()
}

#[test]
fn two_of_ours_meet_by_beacon() {
    for (i, change) in [|p| p, Place::v4_only, Place::v6_only].into_iter().enumerate() {
        let mut world = two_of_ours(i as u64, change);
        connected(&mut world, MS * 500);
        for (a, b) in [(0, 1), (1, 0)] {
            let info = world.ours(a).peer(&world.wire_id(b)).expect("connected").clone();
            assert!(matches!(info.source, Source::Lan | Source::Incoming), "{info:?}");
        }
        talk(&mut world, S, "hello");
        world.expect("both confirmed", S, |w| [0, 1].iter().all(|n| w.ours(*n).peers.values().all(|p| p.confirmed)));
        world.run_for(S * 120);
        assert_eq!(world.ours(0).peers.len(), 1);
        let connections = world.ours(0).node.stats().connections;
        assert_eq!(connections, 1, "one connection for one peer over both families");
    }
}

#[test]
fn a_late_interface_and_a_second_network_are_used() {
    let mut world = World::new(20, Profile::WIRE);
    let a = world.add_ours(Place::new(0).on(&[0]), &Config::default());
    let b = world.add_ours(Place::new(1).on(&[1]), &Config::default());
    world.run_for(S * 12);
    assert!(!world.sees(a, b));
    let both = Place::new(0).on(&[0, 1]);
    world.net.places[a].interfaces = both.interfaces;
    let interfaces = world.net.places[a].lan_interfaces();
    world.call(a, |node, now| node.handle_interfaces(now, &interfaces));
    connected(&mut world, S * 6);
}

#[test]
fn an_idle_pair_of_ours_is_quiet() {
    let mut world = two_of_ours(21, Place::v4_only);
    connected(&mut world, S);
    talk(&mut world, S, "hello");
    world.run_for(S * 5);
    let before = world.datagrams;
    world.run_for(S * 60);
    // PING and PONG each second both ways, beacons with two hashes each 5 s, some probes.
    let per_second = (world.datagrams - before) as f64 / 60.0;
    assert!(per_second < 8.0, "{per_second} datagrams per second");
}

#[test]
fn each_family_is_found_recognised_and_talks() {
    for (i, quirks) in OLD.into_iter().enumerate() {
        let mut world = with_old(30 + i as u64, quirks, Profile::WIRE);
        let info = world.ours(0).peer(&world.wire_id(1)).expect("connected").clone();
        assert_eq!(info.family, family_of(quirks), "{}", quirks.name);
        talk(&mut world, S, "hello");
        world.run_for(S * 100);
        assert!(world.sees(0, 1) && world.sees(1, 0), "{}: still connected", quirks.name);
        let connections = world.ours(0).node.stats().connections;
        assert_eq!(connections, 1, "{}", quirks.name);
        talk(&mut world, S, "still there");
    }
}

#[test]
fn an_old_peer_that_dials_us_is_a_connection() {
    for (i, quirks) in OLD.into_iter().enumerate() {
        let mut world = World::new(40 + i as u64, Profile::WIRE);
        world.add_ours(Place::new(0).on(&[0]), &Config::default());
        world.add_model(Place::new(1).on(&[1]), quirks);
        world.dial(1, 0);
        connected(&mut world, S * 2);
        world.run_for(S * 3);
        assert_eq!(world.ours(0).peer(&world.wire_id(1)).map(|info| info.family), Some(family_of(quirks)));
        talk(&mut world, S, "hello");
    }
}

#[test]
fn python_without_a_default_route_is_found_by_its_beacon() {
    let mut world = World::new(50, Profile::WIRE);
    let mut place = Place::new(1);
    place.default_route = false;
    // The old peer first, so that our own first beacon is not heard.
    world.add_ours(Place::new(0).on(&[5]), &Config::default());
    world.add_model(place, &PY_010);
    world.run_for(S * 4);
    let home = Place::new(0);
    world.net.places[0].interfaces = home.interfaces;
    let interfaces = world.net.places[0].lan_interfaces();
    world.call(0, |node, now| node.handle_interfaces(now, &interfaces));
    connected(&mut world, S * 7);
    talk(&mut world, S, "hello");
}

#[test]
fn a_hundred_one_way_messages_arrive_there() {
    for (i, quirks) in OLD.into_iter().enumerate() {
        let mut world = with_old(60 + i as u64, quirks, Profile::WIRE);
        for n in 0..100u8 {
            world.write(0, 1, &[n; 100]).expect("room for 100 messages");
        }
        world.run_for(S * 5);
        let got = world.received(1, 0);
        assert_eq!(unique(got.clone()), 100, "{}", quirks.name);
        assert_eq!(got.len(), 100, "{}: each once", quirks.name);
    }
}

#[test]
fn a_hundred_one_way_messages_arrive_here() {
    for (i, quirks) in OLD.into_iter().enumerate() {
        let mut world = with_old(70 + i as u64, quirks, Profile::WIRE);
        for n in 0..100u8 {
            world.write(1, 0, &[n; 100]).expect("sent");
        }
        world.run_for(S * 5);
        let got = world.received(0, 1);
        assert_eq!(unique(got.clone()), 100, "{}", quirks.name);
        assert_eq!(got.len(), 100, "{}: each once", quirks.name);
        assert!(got.is_sorted(), "{}: in order", quirks.name);
    }
}

#[test]
fn the_same_message_twice_is_delivered_twice_here() {
    for (i, quirks) in OLD.into_iter().enumerate() {
        let mut world = with_old(80 + i as u64, quirks, Profile::WIRE);
        for _ in 0..2 {
            world.write(1, 0, b"again").expect("sent");
            world.write(0, 1, b"again, from us").expect("sent");
            world.run_for(S);
        }
        assert_eq!(world.received(0, 1), [b"again", b"again"], "{}", quirks.name);
        let there = world.received(1, 0).len();
        assert_eq!(there, if quirks.rust { 2 } else { 1 }, "{}: its own filter", quirks.name);
    }
}

#[test]
fn large_messages_both_ways() {
    for (i, quirks) in OLD.into_iter().enumerate() {
        for len in [1_163, 1_200, 1_201, 5_000, 60_000] {
            let mut world = with_old(90 + i as u64, quirks, Profile::WIRE);
            let text: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            world.write(1, 0, &text).expect("sent");
            let sent = world.write(0, 1, &text);
            world.run_for(S * 3);
            let here: Vec<(&[u8], bool)> = world.ours(0).received.iter().map(|r| (&r.data[..], r.clear)).collect();
            let clear = len > 1_200 && !quirks.rust;
            assert_eq!(here, [(&text[..], clear)], "{} to us, {len} bytes", quirks.name);
            if quirks.rust && len > 4_063 {
                assert_eq!(sent.map_err(|e| e.code), Err(Code::TooLarge), "{len} bytes to Rust");
            } else {
                sent.unwrap_or_else(|e| panic!("{}: {len} bytes: {e}", quirks.name));
                assert_eq!(world.received(1, 0), [&text[..]], "us to {}, {len} bytes", quirks.name);
            }
        }
    }
}

#[test]
fn messages_that_no_frame_can_hold_are_refused() {
    for quirks in ON_LAN {
        let mut world = with_old(95, quirks, Profile::WIRE);
        let refused = world.write(0, 1, &vec![7; 65_475]).map_err(|e| e.code);
        assert_eq!(refused, Err(Code::TooLarge), "{}", quirks.name);
        world.write(0, 1, &vec![7; 65_474]).expect("the largest frame");
        world.run_for(S);
        assert_eq!(world.received(1, 0).len(), 1, "{}", quirks.name);
    }
}

#[test]
fn clear_fragments_are_sent_only_with_leave_and_only_to_those_who_understand_them() {
    for (quirks, taken) in [(&JS, true), (&PY_010, true), (&CPP, false), (&RUST, false)] {
        let mut world = World::new(96, Profile::WIRE);
        let config = Config { clear_fragments: true, ..Config::default() };
        world.add_ours(Place::new(0), &config);
        world.add_model(Place::new(1), quirks);
        if quirks.rust {
            world.dial(0, 1);
        }
        connected(&mut world, S * 10);
        world.run_for(S * 3);
        let text: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
        let sent = world.write(0, 1, &text).map_err(|e| e.code);
        assert_eq!(sent, if taken { Ok(()) } else { Err(Code::TooLarge) }, "{}", quirks.name);
        world.run_for(S * 3);
        assert_eq!(world.received(1, 0), if taken { vec![text] } else { Vec::new() }, "{}", quirks.name);
    }
}

#[test]
fn our_messages_survive_loss() {
    let bursts = Bursts { enter: 0.01, leave: 0.3, loss: 0.9 };
    let disorder = Profile { duplicate: 0.05, reorder: 0.05, ..Profile::lossy(0.05) };
    // A burst takes a frame and its copies alike.
    let bursty = Profile { bursts: Some(bursts), ..Profile::lossy(0.02) };
    let profiles = [(Profile::lossy(0.05), 99), (Profile::lossy(0.1), 99), (bursty, 96), (disorder, 99)];
    for quirks in ON_LAN {
        for (i, (profile, least)) in profiles.into_iter().enumerate() {
            let mut world = with_old(100 + i as u64, quirks, profile);
            let count = 300;
            for n in 0..count {
                world.write(0, 1, format!("ours {n}").as_bytes()).expect("sent");
                world.write(1, 0, format!("theirs {n}").as_bytes()).expect("sent");
                world.run_for(MS * 50);
            }
            world.run_for(S * 10);
            let there = unique(world.received(1, 0));
            assert!(there * 100 >= count * least, "{} {i}: {there} of {count} of ours arrived", quirks.name);
            // Theirs are lost as the link loses them, but nothing stalls.
            let here = world.received(0, 1);
            assert!(unique(here.clone()) * 100 >= count * 84, "{} {i}: {} of theirs", quirks.name, here.len());
            assert_eq!(unique(here.clone()), here.len(), "{} {i}: a copy was delivered", quirks.name);
            let last = here.last().map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default();
            let number: usize = last.trim_start_matches("theirs ").parse().expect("a number");
            assert!(number + 20 > count, "{} {i}: the last was {last}", quirks.name);
        }
    }
}

#[test]
fn ours_lose_nothing_among_themselves() {
    for (loss, least) in [(0.02, 297), (0.05, 297), (0.1, 297), (0.2, 285)] {
        let mut world = two_of_ours(110, Place::v4_only);
        world.net.profile = Profile::lossy(loss);
        connected(&mut world, S * 30);
        for n in 0..300 {
            world.write(0, 1, format!("message {n}").as_bytes()).expect("sent");
            world.run_for(MS * 20);
        }
        world.run_for(S * 10);
        let got = world.received(1, 0);
        assert!(unique(got.clone()) >= least, "{loss}: {} of 300", unique(got.clone()));
        assert_eq!(unique(got.clone()), got.len(), "{loss}: a copy was delivered");
    }
}

#[test]
fn we_leave_and_they_notice() {
    for quirks in OLD {
        let mut world = with_old(120, quirks, Profile::WIRE);
        world.close(0);
        let within = if quirks.cpp { S * 65 } else { S };
        world.expect(quirks.name, within, |w| w.model(1).disconnections.len() == 1);
        assert!(world.ours(0).closed && world.model(1).crashed.is_none(), "{}", quirks.name);
    }
    let mut world = two_of_ours(121, Place::v4_only);
    connected(&mut world, S);
    world.run_for(S * 2);
    let id = world.wire_id(0);
    world.close(0);
    world.expect("ours notices ours", S * 5, |w| !w.ours(1).is_connected(&id));
}

#[test]
fn they_leave_and_we_notice() {
    for quirks in OLD {
        let mut world = with_old(130, quirks, Profile::WIRE);
        let id = world.wire_id(1);
        world.close(1);
        // JavaScript and Python say goodbye and close 2 s later; the others just stop.
        let within = if quirks.says_goodbye { S * 5 } else { S * 65 };
        world.expect(quirks.name, within, |w| !w.ours(0).is_connected(&id));
        world.run_for(S * 5);
        let stats = world.ours(0).node.stats();
        assert_eq!((stats.peers, stats.disconnections), (0, 1), "{}", quirks.name);
    }
}

#[test]
fn a_goodbye_between_hellos_is_noticed() {
    // A dial of theirs says HELLO eight times, whatever else happens.
    for quirks in OLD.iter().filter(|quirks| quirks.says_goodbye) {
        let mut world = World::new(131, Profile::WIRE);
        world.add_ours(Place::new(0), &Config::default());
        world.add_model(Place::new(1), quirks);
        world.dial(1, 0);
        connected(&mut world, S * 30);
        world.close(1);
        let id = world.wire_id(1);
        world.expect(quirks.name, S * 5, |w| !w.ours(0).is_connected(&id));
    }
}

fn restart_model(world: &mut World, node: NodeId, quirks: &'static Quirks, new_port: bool) {
    let seed = world.identity_seed(node);
    world.kill(node);
    if new_port {
        let port = world.net.places[node].ports.v4.expect("a port") + 1_000;
        world.net.places[node].set_port(port);
    }
    world.run_for(MS * 300);
    world.start_model(node, quirks, seed);
    if quirks.rust {
        world.dial(1, 0);
    }
}

#[test]
fn a_seeded_restart_of_theirs_heals() {
    for (i, quirks) in OLD.into_iter().enumerate() {
        for new_port in [false, true] {
            let mut world = with_old(140 + i as u64, quirks, Profile::WIRE);
            for n in 0..30 {
                talk(&mut world, S, &format!("before {n}"));
            }
            restart_model(&mut world, 1, quirks, new_port);
            world.expect("the new process sees us", S * 12, |w| w.sees(1, 0));
            heals(&mut world, S * 6);
            for n in 0..5 {
                talk(&mut world, S * 2, &format!("and on {n}"));
            }
        }
    }
}

#[test]
fn a_seeded_restart_of_ours_heals() {
    // Not with C++, which nothing but 60 s of silence makes forget the old numbers.
    for (i, quirks) in [&JS, &PY_010, &PY_MAIN, &RUST].into_iter().enumerate() {
        for new_port in [false, true] {
            let mut world = with_old(150 + i as u64, quirks, Profile::WIRE);
            for n in 0..30 {
                talk(&mut world, S, &format!("before {n}"));
            }
            let seed = world.identity_seed(0);
            world.kill(0);
            if new_port {
                world.net.places[0].set_port(31_000);
            }
            world.run_for(MS * 300);
            world.start_ours(0, &Config::default(), seed);
            if quirks.rust {
                world.dial(0, 1);
            }
            world.expect("the new process sees them", S * 12, |w| w.sees(0, 1));
            heals(&mut world, S * 6);
            for n in 0..5 {
                talk(&mut world, S * 2, &format!("and on {n}"));
            }
        }
    }
}

#[test]
fn a_seeded_restart_among_ours_heals() {
    for new_port in [false, true] {
        let mut world = two_of_ours(160, Place::v4_only);
        connected(&mut world, S);
        for n in 0..30 {
            talk(&mut world, S, &format!("before {n}"));
        }
        let seed = world.identity_seed(0);
        world.kill(0);
        if new_port {
            world.net.places[0].set_port(31_000);
        }
        // Its wall clock is an hour behind when it comes back.
        world.step_clock(0, -3_600_000_000);
        world.run_for(MS * 300);
        world.start_ours(0, &Config::default(), seed);
        world.expect("the new process sees the other", S * 6, |w| w.sees(0, 1));
        heals(&mut world, S * 6);
    }
}

#[test]
fn a_peer_known_from_before_may_come_back_with_an_earlier_clock() {
    let mut world = two_of_ours(161, Place::v4_only);
    connected(&mut world, S);
    talk(&mut world, S, "before");
    let seed = world.identity_seed(0);
    let peer = world.ours(1).peer(&world.wire_id(0)).expect("connected").id;
    world.call(1, |node, now| node.close_peer(now, peer)).expect("closes");
    world.kill(0);
    world.step_clock(0, -3_600_000_000);
    world.start_ours(0, &Config::default(), seed);
    connected(&mut world, S * 6);
    heals(&mut world, S * 3);
}

#[test]
fn a_goodbye_that_was_lost_mutes_nobody() {
    for (i, quirks) in OLD.into_iter().enumerate() {
        let mut world = with_old(165 + i as u64, quirks, Profile::WIRE);
        for n in 0..10 {
            talk(&mut world, S, &format!("before {n}"));
        }
        let peer = world.ours(0).peer(&world.wire_id(1)).expect("connected").id;
        world.net.side[1] = 1;
        world.call(0, |node, now| node.close_peer(now, peer)).expect("closes");
        world.run_for(S);
        world.net.side[1] = 0;
        assert!(world.sees(1, 0), "{}: it does not know that we left", quirks.name);
        if quirks.rust {
            world.dial(0, 1);
        }
        world.expect(quirks.name, S * 15, |w| w.sees(0, 1));
        // One PING there and back, before which a counter that starts over is a replay.
        world.run_for(MS * 10);
        talk(&mut world, S * 2, "again");
        for n in 0..3 {
            talk(&mut world, S, &format!("and on {n}"));
        }
    }
}

#[test]
fn a_new_port_in_flight_keeps_the_connection() {
    // What a NAT does that forgets a mapping: the same process, seen at another port.
    for quirks in [None, Some(&JS), Some(&PY_MAIN)] {
        let mut world = match quirks {
            None => two_of_ours(170, Place::v4_only),
            Some(quirks) => with_old(170, quirks, Profile::WIRE),
        };
        connected(&mut world, S);
        talk(&mut world, S, "before");
        world.net.places[1].set_port(32_000);
        heals(&mut world, S * 10);
        world.run_for(S * 70);
        talk(&mut world, S, "much later");
        assert_eq!(world.ours(0).node.stats().disconnections, 0, "{:?}", quirks.map(|q| q.name));
    }
}

#[test]
fn a_connection_comes_back_after_a_partition() {
    for (i, quirks) in ON_LAN.into_iter().enumerate() {
        let mut world = with_old(180 + i as u64, quirks, Profile::WIRE);
        world.net.side[1] = 1;
        world.expect("both give up", S * 75, |w| !w.sees(0, 1) && !w.sees(1, 0));
        world.net.side[1] = 0;
        connected(&mut world, S * 20);
        talk(&mut world, S * 6, "again");
    }
}

#[test]
fn connect_by_name_and_to_nobody() {
    let mut world = World::new(190, Profile::WIRE);
    let a = world.add_ours(Place::new(0).on(&[0]), &Config::default());
    let b = world.add_ours(Place::new(1).on(&[1]), &Config::default());
    let address = world.net.places[b].v4();
    world.net.names.insert("peer.example".to_owned(), vec![address.ip()]);
    let ends = [
        (format!("peer.example:{}", address.port()), None),
        ("nobody.example:5".to_owned(), Some(Code::Resolve)),
        ("10.200.0.1:5".to_owned(), Some(Code::Unreachable)),
    ];
    for (tag, (target, code)) in (1..).zip(ends) {
        world.call(a, |node, now| node.connect(now, &target, None, tag)).expect("begins");
        world.expect(&target, S * 15, |w| w.ours(a).done.iter().any(|done| done.tag == tag));
        let done = world.ours(a).done.iter().find(|done| done.tag == tag).expect("done").clone();
        let timed_out = done.code == Some(Code::TimedOut) && code == Some(Code::Unreachable);
        assert!(done.code == code || timed_out, "{target}: {done:?}");
        assert_eq!(done.peer.is_some(), code.is_none());
    }
    talk(&mut world, S, "hello");
    assert_eq!(world.ours(a).node.stats().ops, 0);
}
