//! Broadcasts and floods: forwarding between old peers, and the rule that tells a
//! flood's copies from a message repeated on purpose.

use crate::link::Profile;
use crate::models::{CPP, JS, PY_MAIN, RUST};
use crate::network::{NodeId, Place};
use crate::world::{TOPIC, World};
use setowire::Config;
use setowire::node::{Event, Modes};
use std::time::Duration;

const S: Duration = Duration::from_secs(1);

fn copies(world: &World, node: NodeId, text: &[u8]) -> usize {
    if world.is_model(node) {
        return world.model(node).delivered.iter().filter(|d| d.data == text).count();
    }
    world.ours(node).received.iter().filter(|r| r.data == text).count()
}

fn all_meet(world: &mut World, pairs: &[(NodeId, NodeId)]) {
    world.expect("all meet", S * 30, |w| pairs.iter().all(|(a, b)| w.sees(*a, *b) && w.sees(*b, *a)));
    world.run_for(S * 3);
}

#[test]
fn a_flood_is_delivered_once_and_a_repeat_twice() {
    let mut world = World::new(200, Profile::WIRE);
    let us = world.add_ours(Place::new(0), &Config::default());
    let [a, b, c] = [(1, &JS), (2, &PY_MAIN), (3, &JS)].map(|(n, quirks)| world.add_model(Place::new(n), quirks));
    all_meet(&mut world, &[(us, a), (us, b), (us, c), (a, b), (a, c), (b, c)]);
    world.broadcast(a, b"to all");
    world.run_for(S);
    assert_eq!(copies(&world, us, b"to all"), 1, "once from its author, its copies by the others are floods");
    world.broadcast(a, b"to all");
    world.run_for(S);
    assert_eq!(copies(&world, us, b"to all"), 2, "its author said it again");
    assert_eq!(copies(&world, b, b"to all"), 1, "the old peers' own filter");
}

#[test]
fn what_one_old_peer_says_reaches_another_through_us() {
    let mut world = World::new(201, Profile::WIRE);
    let us = world.add_ours(Place::new(0).on(&[0, 1]), &Config::default());
    let a = world.add_model(Place::new(1).on(&[0]), &JS);
    let b = world.add_model(Place::new(2).on(&[1]), &PY_MAIN);
    let cpp = world.add_model(Place::new(3).on(&[1]), &CPP);
    let rust = world.add_model(Place::new(4).on(&[1]), &RUST);
    world.dial(us, rust);
    all_meet(&mut world, &[(us, a), (us, b), (us, cpp), (us, rust)]);
    world.broadcast(a, b"from one network to the other");
    world.run_for(S * 2);
    for node in [us, b, cpp, rust] {
        assert_eq!(copies(&world, node, b"from one network to the other"), 1, "node {node}");
    }
    assert_eq!(copies(&world, a, b"from one network to the other"), 0, "not back to its author");
}

#[test]
fn a_broadcast_of_ours_reaches_all_and_says_how_many() {
    let mut world = World::new(202, Profile::WIRE);
    let us = world.add_ours(Place::new(0), &Config::default());
    let other = world.add_ours(Place::new(1), &Config::default());
    let [js, py, cpp, rust] =
        [(2, &JS), (3, &PY_MAIN), (4, &CPP), (5, &RUST)].map(|(n, quirks)| world.add_model(Place::new(n), quirks));
    world.dial(us, rust);
    all_meet(&mut world, &[(us, other), (us, js), (us, py), (us, cpp), (us, rust)]);
    assert_eq!(world.broadcast(us, b"to everybody"), 5);
    world.run_for(S * 2);
    for node in [other, js, py, cpp, rust] {
        assert_eq!(copies(&world, node, b"to everybody"), 1, "node {node}");
    }
    assert_eq!(copies(&world, us, b"to everybody"), 0, "not back to us");
}

#[test]
fn gossip_of_old_peers_is_swallowed() {
    // The driver asserts that it is never delivered; here there is plenty of it.
    let mut world = World::new(203, Profile::WIRE);
    let us = world.add_ours(Place::new(0), &Config::default());
    for n in 1..8 {
        world.add_model(Place::new(n), if n % 2 == 0 { &JS } else { &PY_MAIN });
        world.run_for(S);
    }
    world.run_for(S * 20);
    let gossip = |w: &World, n| w.model(n).delivered.iter().filter(|d| d.data.starts_with(b"{\"_gossip\"")).count();
    assert!((1..8).map(|n| gossip(&world, n)).sum::<usize>() > 10, "the old peers got gossip");
    assert_eq!(world.ours(us).received.len(), 0);
    assert_eq!(world.ours(us).peers.len(), 7);
}

#[test]
fn offers_of_values_and_other_frames_of_old_peers_do_no_harm() {
    let mut world = World::new(205, Profile::WIRE);
    let us = world.add_ours(Place::new(0), &Config::default());
    let old: Vec<NodeId> = (1..4).map(|n| world.add_model(Place::new(n), &JS)).collect();
    for node in &old {
        // HAVE follows the handshake, IHAVE each second, PEX each minute.
        world.call_model(*node, |model, _| {
            model.values.extend((0..64).map(|n| (format!("key {n} of {node}"), vec![n; 50])));
        });
    }
    all_meet(&mut world, &[(us, old[0]), (us, old[1]), (us, old[2])]);
    for round in 0..70 {
        world.broadcast(old[0], format!("round {round}").as_bytes());
        world.run_for(S);
    }
    assert_eq!(world.ours(us).received.len(), 70);
    assert_eq!(world.ours(us).node.stats().disconnections, 0);
}

#[test]
fn messages_among_ours_arrive_once() {
    let mut world = World::new(204, Profile::WIRE);
    for n in 0..4 {
        world.add_ours(Place::new(n), &Config::default());
    }
    let pairs: Vec<_> = (0..4).flat_map(|a| (0..a).map(move |b| (a, b))).collect();
    all_meet(&mut world, &pairs);
    world.write(0, 1, b"for one").expect("sent");
    world.broadcast(0, b"for all");
    world.run_for(S * 2);
    for node in 1..4 {
        assert_eq!(copies(&world, node, b"for all"), 1, "node {node}");
    }
    assert_eq!(copies(&world, 1, b"for one"), 1);
}

/// The author does not know yet that it shares a topic with who has just joined it, so there are two ways for its message:
/// from itself, as to a peer without a topic, and around by another member. Either may be the faster one.
#[test]
fn a_broadcast_to_who_has_just_joined_is_one_message() {
    for (seed, slow) in [(210, 0), (211, 1)] {
        let mut world = World::new(seed, Profile::WIRE);
        let [author, member] = [0, 1].map(|n| world.add_ours(Place::new(n), &Config::default()));
        let late = world.add_ours(Place::new(2).on(&[1]), &Config::default());
        let topic = world.ours(late).node.topics()[0];
        world.call(late, |node, now| node.close_topic(now, topic)).expect("joined");
        world.dial(late, author);
        world.dial(late, member);
        all_meet(&mut world, &[(author, member), (author, late), (member, late)]);
        let far = Profile { latency: Duration::from_millis(500), ..Profile::WIRE };
        world.net.set_link(author, late, far);
        world.call(late, |node, now| node.join(now, TOPIC, None, Modes::default())).expect("room");
        let shares = |w: &World, a, b| !w.ours(a).peer(&w.wire_id(b)).expect("connected").topics.is_empty();
        world.expect("the topic is shared", S, |w| shares(w, late, member) && shares(w, member, late));
        assert!(!shares(&world, author, late));
        if slow == 1 {
            world.net.set_link(author, late, Profile::WIRE);
            world.net.set_link(member, late, far);
        }
        world.broadcast(author, b"welcome");
        world.run_for(S * 4);
        assert_eq!([author, member, late].map(|node| copies(&world, node, b"welcome")), [0, 1, 1], "seed {seed}");
    }
}

#[test]
fn a_broadcast_reaches_a_peer_without_a_topic_and_nobody_behind_it() {
    let mut world = World::new(212, Profile::WIRE);
    let [a, b, c] = [0, 1, 2].map(|n| {
        let node = world.add_ours(Place::new(n).on(&[n]), &Config::default());
        let topic = world.ours(node).node.topics()[0];
        world.call(node, |node, now| node.close_topic(now, topic)).expect("joined");
        node
    });
    world.dial(a, b);
    world.dial(b, c);
    all_meet(&mut world, &[(a, b), (b, c)]);
    for count in 1..=2 {
        let reached = world.call(a, |node, now| node.broadcast(now, b"to my peers")).expect("said");
        world.run_for(S);
        assert_eq!((reached, [a, b, c].map(|node| copies(&world, node, b"to my peers"))), (1, [0, count, 0]));
    }
    let told = world.ours(b).events.iter().filter_map(|(_, event)| match event {
        Event::Message { broadcast, .. } => Some(broadcast.is_none()),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [true; 2], "of no topic");
}
