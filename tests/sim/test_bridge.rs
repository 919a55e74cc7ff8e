//! Modern and old peers on one topic: everyone gets every broadcast once, whoever says it and
//! however the two kinds are connected.

use crate::link::Profile;
use crate::models::{JS, PY_MAIN};
use crate::network::{NodeId, Place};
use crate::world::{TOPIC, World};
use setowire::Config;
use setowire::config::limits::BRIDGE_STEP;
use setowire::node::{Broadcast, Event, Modes, Session};
use std::time::Duration;

const S: Duration = Duration::from_secs(1);

/// How often a node got this text.
fn copies(world: &World, node: NodeId, text: &str) -> usize {
    if world.is_model(node) {
        return world.model(node).delivered.iter().filter(|d| d.data == text.as_bytes()).count();
    }
    world.ours(node).received.iter().filter(|r| r.data == text.as_bytes()).count()
}

/// What the application of a node was told of the broadcast with this text.
fn told(world: &World, node: NodeId, text: &str) -> Option<Broadcast> {
    world.ours(node).events.iter().find_map(|(_, event)| match event {
        Event::Message { data, broadcast, .. } if data == text.as_bytes() => broadcast.as_deref().copied(),
        _ => None,
    })
}

fn key(world: &World, node: NodeId) -> [u8; 32] {
    world.ours(node).node.info().key
}

fn all_meet(world: &mut World, pairs: &[(NodeId, NodeId)]) {
    world.expect("all meet", S * 30, |w| pairs.iter().all(|(a, b)| w.sees(*a, *b) && w.sees(*b, *a)));
    let modern = |w: &World, a: NodeId, b: NodeId| {
        w.ours(a).peer(&w.wire_id(b)).is_some_and(|info| info.session == Session::Quic)
    };
    let ours = |w: &World, node: &NodeId| w.is_ours(*node);
    world.expect("modern peers have modern sessions", S * 30, |w| {
        pairs.iter().filter(|(a, b)| ours(w, a) && ours(w, b)).all(|(a, b)| modern(w, *a, *b) && modern(w, *b, *a))
    });
    world.run_for(S * 5);
}

/// Each of these nodes says something, and each of the others gets it once.
fn everyone_hears_everyone(world: &mut World, nodes: &[NodeId], round: &str) {
    for from in nodes {
        let text = format!("{round}: {from} to all");
        world.broadcast(*from, text.as_bytes());
        world.run_for(S * 4);
        for node in nodes {
            let count = copies(world, *node, &text);
            assert_eq!(count, usize::from(node != from), "seed {}, {text}, at {node}", world.seed);
        }
    }
}

#[test]
fn all_in_one_network() {
    for seed in 700..705 {
        let mut world = World::new(seed, Profile::WIRE);
        let modern = [0, 1, 2].map(|n| world.add_ours(Place::new(n), &Config::default()));
        let old = [(3, &PY_MAIN), (4, &JS), (5, &PY_MAIN)].map(|(n, quirks)| world.add_model(Place::new(n), quirks));
        let nodes = [&modern[..], &old[..]].concat();
        let pairs: Vec<_> = nodes.iter().flat_map(|a| nodes.iter().map(move |b| (*a, *b))).collect();
        all_meet(&mut world, &pairs.into_iter().filter(|(a, b)| a < b).collect::<Vec<_>>());
        everyone_hears_everyone(&mut world, &nodes, "together");
        let text = format!("together: {} to all", modern[1]);
        let author = told(&world, modern[0], &text).expect("a broadcast").author;
        assert_eq!(author, Some(key(&world, modern[1])), "seed {seed}: no copy was faster than the message");
    }
}

#[test]
fn over_links_that_lose() {
    let (mut signed, mut said) = (0, 0);
    for seed in 750..756 {
        let mut world = World::new(seed, Profile::lossy(0.1));
        let modern = [0, 1, 2, 3].map(|n| world.add_ours(Place::new(n), &Config::default()));
        let old = world.add_model(Place::new(4), &PY_MAIN);
        let pairs = modern.iter().flat_map(|a| modern.iter().map(move |b| (*a, *b))).filter(|(a, b)| a < b);
        let pairs: Vec<_> = pairs.chain(modern.iter().map(|node| (*node, old))).collect();
        all_meet(&mut world, &pairs);
        let texts: Vec<_> = (0..40).map(|n| (modern[n % 4], format!("{n} to all"))).collect();
        for (from, text) in &texts {
            world.broadcast(*from, text.as_bytes());
            world.run_for(Duration::from_millis(50));
        }
        world.run_for(S * 10);
        for (from, text) in &texts {
            for node in modern.iter().filter(|node| *node != from) {
                assert_eq!(copies(&world, *node, text), 1, "seed {seed}: {text}, at {node}");
                said += 1;
                signed += usize::from(told(&world, *node, text).is_some_and(|told| told.author.is_some()));
            }
            assert_eq!(copies(&world, *from, text), 0, "seed {seed}: {text}, back to its author");
        }
    }
    println!("{signed} of {said} came with their author; of the others a copy over p2p-v12 was faster");
    assert!(signed * 4 > said * 3, "{signed} of {said}");
}

/// Old peers in two networks, modern ones in a third: two of these are in one with old peers each.
fn apart(seed: u64) -> (World, [NodeId; 4], [NodeId; 3]) {
    let mut world = World::new(seed, Profile::WIRE);
    let places: [&[u32]; 4] = [&[0], &[0], &[0, 1], &[0, 2]];
    let modern = [0, 1, 2, 3].map(|n| world.add_ours(Place::new(n).on(places[n as usize]), &Config::default()));
    let a = world.add_model(Place::new(4).on(&[1]), &PY_MAIN);
    let b = world.add_model(Place::new(5).on(&[1]), &JS);
    let c = world.add_model(Place::new(6).on(&[2]), &PY_MAIN);
    let [_, _, left, right] = modern;
    let mut pairs = vec![(left, a), (left, b), (a, b), (right, c)];
    pairs.extend(modern.iter().flat_map(|a| modern.iter().map(move |b| (*a, *b))).filter(|(a, b)| a < b));
    all_meet(&mut world, &pairs);
    (world, modern, [a, b, c])
}

#[test]
fn old_peers_that_only_some_modern_ones_see() {
    for seed in 710..715 {
        let (mut world, modern, old) = apart(seed);
        let nodes = [&modern[..], &old[..]].concat();
        everyone_hears_everyone(&mut world, &nodes, "apart");
        let text = format!("apart: {} to all", old[0]);
        let broadcast = told(&world, modern[0], &text).expect("it came over the mesh");
        assert_eq!(broadcast.author, None, "nobody knows who wrote what a bridge brings");
        world.kill(modern[2]);
        world.run_for(S * 70);
        everyone_hears_everyone(&mut world, &[modern[0], modern[1], modern[3], old[2]], "one bridge less");
    }
}

#[test]
fn a_message_to_one_peer_is_for_it_alone() {
    let (mut world, modern, old) = apart(720);
    world.write(modern[0], modern[2], b"for you alone").expect("connected");
    world.run_for(S * 3);
    assert_eq!(copies(&world, modern[2], "for you alone"), 1);
    assert_eq!(told(&world, modern[2], "for you alone"), None, "no broadcast");
    for node in [modern[1], modern[3]].into_iter().chain(old) {
        assert_eq!(copies(&world, node, "for you alone"), 0, "node {node}");
    }
}

#[test]
fn a_private_topic_stays_among_its_members() {
    let (mut world, modern, old) = apart(730);
    let secret = [7; 32];
    let mut private = [modern[0], modern[2]].map(|node| {
        world.call(node, |node, now| node.join(now, TOPIC, Some(secret), Modes::default())).expect("joined")
    });
    world.run_for(S * 5);
    let reached = world.call(modern[0], |node, now| node.broadcast_topic(now, private[0], b"among us")).expect("said");
    assert_eq!(reached, 1, "one other member");
    world.run_for(S * 3);
    assert_eq!(copies(&world, modern[2], "among us"), 1);
    private.swap(0, 1);
    let broadcast = told(&world, modern[2], "among us").expect("a broadcast");
    assert_eq!(broadcast, Broadcast { topic: private[0], author: Some(key(&world, modern[0])) });
    for node in [modern[1], modern[3]].into_iter().chain(old) {
        assert_eq!(copies(&world, node, "among us"), 0, "node {node}");
    }
}

#[test]
fn without_legacy_nothing_of_unknown_authors_is_delivered() {
    let mut world = World::new(740, Profile::WIRE);
    let strict = world.add_ours(Place::new(0), &Config { legacy: false, ..Config::default() });
    let bridge = world.add_ours(Place::new(1).on(&[0, 1]), &Config::default());
    let old = world.add_model(Place::new(2).on(&[1]), &PY_MAIN);
    all_meet(&mut world, &[(strict, bridge), (bridge, old)]);
    world.broadcast(old, b"who am I");
    world.broadcast(strict, b"signed");
    world.run_for(S * 4);
    assert_eq!((copies(&world, bridge, "who am I"), copies(&world, strict, "who am I")), (1, 0));
    assert_eq!((copies(&world, bridge, "signed"), copies(&world, old, "signed")), (1, 1));
}

#[test]
fn a_broadcast_does_not_come_back_by_a_peer_that_its_author_met_afterwards() {
    let mut world = World::new(745, Profile::WIRE);
    let author = world.add_ours(Place::new(0), &Config::default());
    let bridge = world.add_ours(Place::new(1).on(&[0, 1]), &Config::default());
    let old = world.add_model(Place::new(2).on(&[1]), &PY_MAIN);
    all_meet(&mut world, &[(author, bridge), (bridge, old)]);
    assert_eq!(world.ours(author).peers.len(), 1);
    world.broadcast(author, b"round and round");
    world.dial(old, author);
    world.expect("they meet before the bridge acts", BRIDGE_STEP / 2, |w| w.sees(old, author));
    world.run_for(S * 4);
    let came = [author, bridge, old].map(|node| copies(&world, node, "round and round"));
    assert_eq!(came, [0, 1, 1]);
}

#[test]
fn what_our_only_peer_says_is_its_own_even_if_we_said_the_same() {
    let mut world = World::new(746, Profile::WIRE);
    let ours = world.add_ours(Place::new(0), &Config::default());
    let old = world.add_model(Place::new(1), &PY_MAIN);
    all_meet(&mut world, &[(ours, old)]);
    for count in 1..4 {
        world.broadcast(ours, b"hello");
        world.run_for(S);
        world.broadcast(old, b"hello");
        world.run_for(S);
        assert_eq!(copies(&world, ours, "hello"), count);
    }
}
