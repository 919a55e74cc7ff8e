//! Finding each other: topics, seeds, the peer cache; and what an idle node costs.

use crate::link::Profile;
use crate::models::{CPP, JS};
use crate::network::{NodeId, Place};
use crate::world::{TOPIC, World};
use setowire::Config;
use setowire::node::{Event, Modes, Source};
use std::time::Duration;

const S: Duration = Duration::from_secs(1);

fn connected(world: &mut World, a: NodeId, b: NodeId, within: Duration) {
    world.expect("connected", within, |w| w.sees(a, b) && w.sees(b, a));
}

#[test]
fn only_those_with_a_common_topic_meet_on_the_lan() {
    let mut world = World::new(500, Profile::WIRE);
    let other = [1; 32];
    let both = world.add_ours(Place::new(0), &Config::default());
    world.call(both, |node, now| node.join(now, other, None, Modes::default())).expect("a second topic");
    let first = world.add_ours(Place::new(1), &Config::default());
    let second = world.add_ours(Place::new(2), &Config::default());
    // It only hears of the first topic for the moment of its start, before anybody can answer.
    world.call(second, |node, now| node.leave(now, &TOPIC)).expect("leaves");
    world.call(second, |node, now| node.join(now, other, None, Modes::default())).expect("joins");
    let old = world.add_model(Place::new(3), &JS);
    let old_long = world.add_model(Place::new(4), &CPP);
    for (a, b) in [(both, first), (both, old), (both, old_long), (first, old)] {
        connected(&mut world, a, b, S * 12);
    }
    assert_eq!(world.ours(both).node.stats().topics, 2);
    world.run_for(S * 20);
    assert!(world.sees(both, second), "they share the second topic");
}

#[test]
fn a_topic_that_was_left_is_not_announced_any_more() {
    let mut world = World::new(501, Profile::WIRE);
    let a = world.add_ours(Place::new(0), &Config::default());
    world.call(a, |node, now| node.leave(now, &TOPIC)).expect("leaves");
    world.run_for(S);
    let sent = world.datagrams;
    world.run_for(S * 30);
    assert_eq!(world.datagrams, sent, "beacons without a topic");
    world.add_model(Place::new(1), &JS);
    world.run_for(S * 12);
    assert!(world.ours(a).peers.is_empty());
    assert_eq!(world.ours(a).node.stats().topics, 0);
}

#[test]
fn a_seed_is_dialled_until_it_answers() {
    let mut world = World::new(502, Profile::WIRE);
    let server = Place::new(1).on(&[1]);
    let mut config = Config::default();
    config.add_seed(&server.v4().to_string()).expect("an address");
    let client = world.add_ours(Place::new(0).on(&[0]), &config);
    world.run_for(S * 20);
    let server = world.add_ours(server, &Config::default());
    world.expect("the seed is found when it comes up", S * 120, |w| w.sees(client, server));
    let info = world.ours(client).peer(&world.wire_id(server)).expect("connected").clone();
    assert!(info.source == Source::Seed && info.client, "{info:?}");
}

#[test]
fn bootstrap_nodes_are_dialled_when_nobody_was_met() {
    let mut world = World::new(512, Profile::WIRE);
    let server = Place::new(1).on(&[1]);
    let mut config = Config::default();
    config.add_bootstrap(&server.v4().to_string()).expect("an address");
    config.add_bootstrap("198.51.100.7").expect("the usual port");
    assert_eq!(config.bootstrap[1], "198.51.100.7:49737");
    config.add_bootstrap("no port:x").expect_err("nonsense");
    let server = world.add_ours(server, &Config::default());
    let client = world.add_ours(Place::new(0).on(&[0]), &config);
    world.run_for(S * 14);
    assert!(!world.sees(client, server), "not before its time");
    world.expect("then it is", S * 5, |w| w.sees(client, server));
    let info = world.ours(client).peer(&world.wire_id(server)).expect("connected").clone();
    assert_eq!((info.source, info.client), (Source::Bootstrap, true));
    // Who has met somebody needs none.
    let (near, other) = (Place::new(3).on(&[3]), Place::new(4).on(&[3]));
    let alone = world.add_ours(near, &config);
    let friend = world.add_ours(other, &Config::default());
    world.expect("met", S * 2, |w| w.sees(alone, friend));
    world.run_for(S * 60);
    assert!(!world.sees(alone, server));
}

#[test]
fn the_peer_cache_leads_back() {
    let mut world = World::new(503, Profile::WIRE);
    let a = world.add_ours(Place::new(0), &Config::default());
    let b = world.add_ours(Place::new(1), &Config::default());
    let old = world.add_model(Place::new(2), &JS);
    connected(&mut world, a, b, S * 2);
    connected(&mut world, a, old, S * 12);
    world.broadcast(a, b"so that they are confirmed");
    world.broadcast(b, b"this one too");
    world.broadcast(old, b"and this");
    world.run_for(S * 40);
    let cache = world.ours(a).events.iter().rev().find_map(|(_, event)| match event {
        Event::Peers { json } => Some(json.clone()),
        _ => None,
    });
    let json = cache.expect("the cache is handed out");
    let seed = world.identity_seed(a);
    world.kill(a);
    // Elsewhere now: no multicast reaches it.
    world.net.places[a] = Place::new(7).on(&[7]);
    world.run_for(S * 70);
    let mut config = Config { lan: false, ..Config::default() };
    config.set_peer_cache(&json).expect("what was handed out is taken in");
    world.start_ours(a, &config, seed);
    connected(&mut world, a, b, S * 5);
    connected(&mut world, a, old, S * 5);
    let sources: Vec<Source> = world.ours(a).peers.values().map(|info| info.source).collect();
    assert!(sources.contains(&Source::Cache), "{sources:?}");
}

#[test]
fn a_lost_peer_is_dialled_again_and_in_the_end_forgotten() {
    let mut world = World::new(504, Profile::WIRE);
    let a = world.add_ours(Place::new(0).on(&[0]), &Config::default());
    let b = world.add_ours(Place::new(1).on(&[1]), &Config::default());
    world.dial(a, b);
    connected(&mut world, a, b, S * 2);
    world.net.side[b] = 1;
    world.expect("it is lost", S * 65, |w| !w.sees(a, b));
    world.run_for(S * 20);
    world.net.side[b] = 0;
    connected(&mut world, a, b, S * 70);
    world.kill(b);
    world.run_for(S * 3_600 * 2);
    let before = world.datagrams;
    world.run_for(S * 3_600);
    let beacons = (world.datagrams - before) as f64 / 3_600.0;
    // Two with text and a sealed one over IPv4, one of each over IPv6, each 5 s.
    assert!(beacons < 1.1, "{beacons} datagrams per second long after the last peer left");
}

#[test]
fn an_idle_node_sleeps() {
    let mut world = World::new(505, Profile::WIRE);
    let a = world.add_ours(Place::new(0), &Config { lan: false, ..Config::default() });
    world.run_for(S * 10);
    let wakes = world.ours(a).wakes;
    world.run_for(S * 60);
    assert!(world.ours(a).wakes - wakes <= 60, "{} wake-ups in 60 s", world.ours(a).wakes - wakes);

    let b = world.add_ours(Place::new(1), &Config::default());
    world.run_for(S * 10);
    let wakes = world.ours(b).wakes;
    world.run_for(S * 60);
    // Twelve beacons, and at most one wake-up per second beside them.
    assert!(world.ours(b).wakes - wakes <= 72, "{} wake-ups in 60 s", world.ours(b).wakes - wakes);
}

#[test]
fn without_room_for_events_no_connection_is_made() {
    let mut world = World::new(506, Profile::WIRE);
    let a = world.add_ours(Place::new(0), &Config::default());
    world.call(a, |node, now| node.set_accepting(now, false));
    let b = world.add_ours(Place::new(1), &Config::default());
    world.run_for(S * 20);
    assert!(world.ours(a).peers.is_empty());
    world.call(a, |node, now| node.set_accepting(now, true));
    connected(&mut world, a, b, S * 20);
}
