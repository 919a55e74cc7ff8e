//! A man in the middle who drops what is new, so that two of ours speak the old wire: where that is allowed it is
//! flagged, undone when he is gone, and in vain with peers that are known to be modern.

use crate::link::Profile;
use crate::network::{Place, is_modern};
use crate::pair::{MS, S, connected, talk, two_of_ours};
use crate::world::{TOPIC, World};
use setowire::node::{Event, Modes, Session};
use setowire::{Code, Config};

/// He drops PROBEs: what two of ours begin with.
fn is_probe(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0xa3)
}

fn session(world: &World, node: usize) -> Option<Session> {
    world.ours(node).peer(&world.wire_id(1 - node)).map(|info| info.session)
}

#[test]
fn without_legacy_there_is_no_session_and_no_old_frame() {
    let mut world = World::new(620, Profile::WIRE);
    world.net.drops = Some(is_probe);
    world.tap = Some(Vec::new());
    for n in 0..2 {
        world.add_ours(Place::new(n), &Config { legacy: false, ..Config::default() });
    }
    world.dial(0, 1);
    world.run_for(S * 120);
    assert!(world.ours(0).peers.is_empty() && world.ours(1).peers.is_empty());
    let old = |bytes: &[u8]| !is_modern(bytes) && bytes[0] != 0xa6;
    assert!(!world.tap.take().expect("a tap").iter().any(|packet| old(&packet.bytes)), "a frame of the old wire left");
    // He is gone: it was him.
    world.net.drops = None;
    connected(&mut world, S * 20);
    assert_eq!([0, 1].map(|node| session(&world, node)), [Some(Session::Quic); 2]);
}

#[test]
fn nothing_goes_over_the_old_wire_when_the_modern_session_that_followed_is_over() {
    let mut world = World::new(623, Profile::WIRE);
    world.net.drops = Some(is_probe);
    for n in 0..2 {
        world.add_ours(Place::new(n).v4_only(), &Config::default());
    }
    connected(&mut world, S * 10);
    world.net.drops = None;
    world.expect("modern sessions", S * 60, |w| [0, 1].iter().all(|node| session(w, *node) == Some(Session::Quic)));
    // The application reads nothing: of what came over the modern session, and of its end, it hears later.
    world.call(0, |node, _| node.set_room(0));
    world.write(1, 0, b"the last word").expect("room");
    world.run_for(MS * 20);
    world.close(1);
    world.run_for(MS * 20);
    let peer = world.ours(0).peer(&world.wire_id(1)).expect("not told yet").id;
    let sent = world.call(0, |node, now| node.send(now, peer, &b"too late"[..], 7));
    assert_eq!(sent.map_err(|error| error.code), Err(Code::NotFound));
    assert_eq!(world.ours(0).node.buffered(peer).map_err(|error| error.code), Err(Code::NotFound));
    assert!(world.ours(0).node.peer_info(peer).is_none());
    world.call(0, |node, _| node.set_room(usize::MAX));
    world.run_for(S);
    let told =
        |event: &&Event| matches!(event, Event::Message { .. } | Event::Disconnection { .. } | Event::OpDone { .. });
    let events: Vec<_> = world.ours(0).events.iter().map(|(_, event)| event).filter(told).collect();
    let [Event::Message { data, .. }, Event::Disconnection { .. }] = events[..] else { panic!("{events:?}") };
    assert_eq!(data[..], b"the last word"[..]);
}

#[test]
fn an_old_session_is_flagged_and_followed_by_a_modern_one_when_he_is_gone() {
    let mut world = World::new(621, Profile::WIRE);
    world.net.drops = Some(is_probe);
    for n in 0..2 {
        world.add_ours(Place::new(n).v4_only(), &Config::default());
    }
    connected(&mut world, S * 10);
    talk(&mut world, S, "over the old wire");
    for node in 0..2 {
        let info = world.ours(node).peers.values().next().expect("connected").clone();
        assert_eq!((info.session.security(), info.key), ("legacy", None));
    }
    let ids = [0, 1].map(|node| *world.ours(node).peers.keys().next().expect("connected"));
    world.net.drops = None;
    world.expect("modern sessions", S * 60, |w| [0, 1].iter().all(|node| session(w, *node) == Some(Session::Quic)));
    talk(&mut world, S, "over the new one");
    for (node, id) in ids.into_iter().enumerate() {
        assert_eq!(world.ours(node).peers.keys().copied().collect::<Vec<_>>(), [id], "under the same number");
        assert_eq!(world.ours(node).node.stats().disconnections, 0);
    }
}

#[test]
fn peers_that_are_known_to_be_modern_are_not_pushed_back() {
    let mut world = two_of_ours(622, Place::v4_only);
    connected(&mut world, S);
    talk(&mut world, S, "so that both know");
    // He cuts the connection and from then on lets through what is old.
    world.net.side[1] = 1;
    world.expect("both give up", S * 100, |w| !w.sees(0, 1) && !w.sees(1, 0));
    world.net.side[1] = 0;
    world.net.drops = Some(is_probe);
    for _ in 0..40 {
        world.run_for(S * 3);
        world.dial(0, 1);
        world.dial(1, 0);
        assert!(world.ours(0).peers.is_empty() && world.ours(1).peers.is_empty(), "they were pushed back");
    }
    for node in 0..2 {
        let old = |event: &Event| matches!(event, Event::Connection(info) if info.session == Session::V12);
        assert!(!world.ours(node).events.iter().any(|(_, event)| old(event)));
    }
    world.net.drops = None;
    connected(&mut world, S * 20);
    world.run_for(MS * 10);
    assert_eq!([0, 1].map(|node| session(&world, node)), [Some(Session::Quic); 2]);
}

#[test]
fn a_modern_session_for_a_private_topic_begins_beside_an_old_one() {
    let mut world = two_of_ours(623, Place::v4_only);
    world.net.drops = Some(is_modern);
    connected(&mut world, S * 10);
    for node in 0..2 {
        world.call(node, |node, now| node.join(now, TOPIC, Some([3; 32]), Modes::default())).expect("joins");
        let public = world.ours(node).node.topics()[0];
        world.call(node, |node, now| node.close_topic(now, public)).expect("leaves");
    }
    world.net.drops = None;
    // Who shares nothing but a private topic does not name his id of the old wire.
    let modern = |w: &World, node: usize| w.ours(node).peers.values().any(|info| info.session == Session::Quic);
    world.expect("a modern session", S * 20, |w| modern(w, 0) && modern(w, 1));
    for node in 0..2 {
        let infos = world.ours(node).peers.values();
        assert!(infos.filter(|info| info.session == Session::Quic).all(|info| info.legacy_id.is_none()));
    }
}
