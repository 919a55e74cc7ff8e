//! Ours with ours, and ours with each old family: how they meet.

use crate::link::Profile;
use crate::models::PY_010;
use crate::network::Place;
use crate::pair::*;
use crate::world::World;
use setowire::node::Source;
use setowire::{Code, Config};

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
    // PING and PONG each second both ways, three beacons each 5 s, some probes.
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
        world.call(a, |node, now| node.connect(now, &target, None, None, tag)).expect("begins");
        world.expect(&target, S * 15, |w| w.ours(a).done.iter().any(|done| done.tag == tag));
        let done = world.ours(a).done.iter().find(|done| done.tag == tag).expect("done").clone();
        let timed_out = done.code == Some(Code::TimedOut) && code == Some(Code::Unreachable);
        assert!(done.code == code || timed_out, "{target}: {done:?}");
        assert_eq!(done.peer.is_some(), code.is_none());
    }
    talk(&mut world, S, "hello");
    assert_eq!(world.ours(a).node.stats().ops, 0);
}
