//! Leaving, restarts with the same seed, new ports, partitions: ours with each old family.

use crate::link::Profile;
use crate::models::{JS, PY_010, PY_MAIN, Quirks, RUST};
use crate::network::{NodeId, Place};
use crate::pair::*;
use crate::world::World;
use setowire::config::swarm::SwarmOptions;
use setowire::node::Via;
use setowire::{Code, Config};

/// The first probes for larger packets cost more than a tenth of a connect.
#[test]
fn a_session_looks_for_larger_packets_when_it_has_lasted() {
    let mut world = two_of_ours(171, Place::v4_only);
    world.tap = Some(Vec::new());
    let large = |w: &World| w.tap.iter().flatten().any(|packet| packet.via == Via::Main && packet.bytes.len() > 1_200);
    connected(&mut world, S * 10);
    assert!(!large(&world), "before anybody had use for them");
    world.expect("larger packets", S * 60, |w| large(w));
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
fn a_connection_closed_before_its_first_pong_is_still_told() {
    for quirks in OLD.iter().filter(|quirks| !quirks.cpp) {
        let mut world = World::new(122, Profile::WIRE);
        world.add_ours(Place::new(0), &Config::default());
        world.add_model(Place::new(1), quirks);
        world.dial(0, 1);
        world.expect(quirks.name, S, |w| w.sees(0, 1));
        let peer = world.ours(0).peer(&world.wire_id(1)).expect("connected").id;
        world.call(0, |node, now| node.close_peer(now, peer)).expect("it is there");
        world.expect(quirks.name, S, |w| w.model(1).disconnections.len() == 1);
    }
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
        // By its clock it is the older of two swarms with one seed: it has to wait until the other shows to be dead.
        world.expect("the new process sees the other", S * 20, |w| w.sees(0, 1));
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
fn of_two_live_swarms_with_one_seed_the_newer_one_stays() {
    let mut world = two_of_ours(190, Place::v4_only);
    connected(&mut world, S);
    let seed = world.identity_seed(0);
    let twin = world.add_ours_seeded(Place::new(2).v4_only(), &Config::default(), seed);
    let key = |w: &World, node: NodeId| w.ours(node).node.info().key;
    let at = |w: &World| w.ours(1).peers.values().map(|info| info.address).collect::<Vec<_>>();
    let there = world.net.places[twin].v4();
    world.expect("the newer one", S * 10, |w| at(w) == [there]);
    world.run_for(S * 120);
    assert_eq!(at(&world), [there], "they push each other out for ever");
    assert_eq!(world.ours(1).node.stats().connections, 2);
    assert!(world.ours(0).peers.is_empty(), "the older one is connected with somebody");
    assert_eq!(key(&world, 0), key(&world, twin));
    talk_with(&mut world, twin, 1);
}

#[test]
fn who_comes_back_after_a_crash_takes_its_own_place_in_a_full_swarm() {
    let legacy_off = Config { legacy: false, ..Config::default() };
    for (n, back) in ["the same port", "another port", "another address"].into_iter().enumerate() {
        let mut world = World::new(195 + n as u64, Profile::WIRE);
        let place = |n: u32| Place::new(n).v4_only();
        let us = world.add_ours(
            place(0),
            &Config { swarm: SwarmOptions { max_peers: 2, ..SwarmOptions::default() }, ..Config::default() },
        );
        let (friend, other) = (world.add_ours(place(1), &legacy_off), world.add_ours(place(2), &legacy_off));
        let key = |w: &World, node: NodeId| w.ours(node).node.info().key;
        let with = |w: &World, node: NodeId| w.ours(us).peers.values().any(|info| info.key == Some(key(w, node)));
        world.expect("all places are taken", S * 10, |w| with(w, friend) && with(w, other));
        let kept = world.ours(us).peers.values().find(|info| info.key == Some(key(&world, other))).expect("it").id;
        world.run_for(S * 2);
        let seed = world.identity_seed(friend);
        world.kill(friend);
        match n {
            0 => {}
            1 => world.net.places[friend].set_port(33_000),
            _ => world.net.places[friend].interfaces[0].v4 = Some([10, 0, 88, 8].into()),
        }
        world.run_for(S);
        // Strangers ask for the place all the time, and one of them from where the friend was.
        let strangers =
            [world.add_ours(place(3), &legacy_off), world.add_ours(Place::beside(&place(1), 999), &legacy_off)];
        for stranger in strangers {
            world.dial(stranger, us);
        }
        world.run_for(S);
        for stranger in strangers {
            let code = |w: &World| w.ours(stranger).done.last().and_then(|done| done.code);
            world.expect("no place", S * 3, |w| code(w) == Some(Code::Refused));
            world.dial(stranger, us);
        }
        world.start_ours(friend, &legacy_off, seed);
        world.dial(friend, us);
        let there = world.net.places[friend].v4();
        let at = move |w: &World| w.ours(us).peers.values().any(|info| info.address == there && info.confirmed);
        world.expect(back, S * 3, |w| at(w) && with(w, friend) && w.ours(friend).peers.len() == 1);
        world.run_for(S * 100);
        assert!(with(&world, friend) && with(&world, other) && !strangers.iter().any(|node| with(&world, *node)));
        assert!(world.ours(us).peers.contains_key(&kept), "{back}: somebody else gave way");
        let ours = world.ours(us).node.stats();
        assert_eq!((ours.connections, ours.disconnections), (3, 1), "{back}");
        for stranger in strangers {
            assert!(world.ours(stranger).peers.values().all(|info| info.key != Some(key(&world, us))));
        }
    }
}

fn talk_with(world: &mut World, a: NodeId, b: NodeId) {
    for (from, to) in [(a, b), (b, a)] {
        let text = format!("from {from}").into_bytes();
        let peer = *world.ours(from).peers.keys().next().expect("connected");
        world.call(from, |node, now| node.send(now, peer, text.clone(), 0)).expect("room");
        world.expect("delivery", S, |w| w.ours(to).received.iter().any(|got| got.data == text));
    }
}
