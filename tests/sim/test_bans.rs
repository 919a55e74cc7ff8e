//! A peer of our own kind that was banned, and then does without what is new: by bad luck, or because somebody drops it.
//! Its id of the old wire is banned with its key, as far as we know that the two are one.

use crate::link::Profile;
use crate::network::{Place, is_modern};
use crate::pair::{MS, S};
use crate::world::World;
use setowire::Config;
use setowire::node::{Event, PeerId, PeerInfo, Session, Whom};

const US: usize = 0;
const BANNED: usize = 1;

/// Two of ours that do not hear each other's beacons; the second dials.
fn world(seed: u64, config: &Config) -> World {
    let mut world = World::new(seed, Profile::WIRE);
    world.add_ours(Place::new(0).on(&[0]).v4_only(), config);
    world.add_ours(Place::new(1).on(&[1]).v4_only(), &Config::default());
    world
}

fn key(world: &World) -> [u8; 32] {
    world.ours(BANNED).node.info().key
}

/// A peer that is connected with us, over this kind of session.
fn met(world: &World, session: Session) -> Option<PeerId> {
    let mut peers = world.ours(US).peers.values();
    peers.find(|info| info.session == session).map(|info| info.id)
}

/// How we were told of peers over the old wire.
fn old(world: &World) -> Vec<&PeerInfo> {
    let old = world.ours(US).events.iter().filter_map(|(_, event)| match event {
        Event::Connection(info) if info.session == Session::V12 => Some(&**info),
        _ => None,
    });
    old.collect()
}

/// The banned one begins anew, at another port.
fn moves(world: &mut World) {
    world.kill(BANNED);
    world.run_for(S);
    let seed = world.identity_seed(BANNED);
    world.net.places[BANNED].set_port(31_000);
    world.start_ours(BANNED, &Config::default(), seed);
}

/// From now on nothing new gets through, and both dial each other.
fn dial_over_the_old_wire(world: &mut World) {
    world.net.drops = Some(is_modern);
    for _ in 0..20 {
        world.dial(BANNED, US);
        world.dial(US, BANNED);
        world.run_for(S * 3);
    }
}

/// It dials us, the firewall asks, and the application says no.
fn turned_away(seed: u64) -> World {
    let mut config = Config::default();
    config.swarm.firewall = true;
    let mut world = world(seed, &config);
    world.dial(BANNED, US);
    let asked = |w: &World| {
        w.ours(US).events.iter().find_map(|(_, event)| match event {
            Event::Ask(question) => Some(question.id),
            _ => None,
        })
    };
    world.expect("a question", S, |w| asked(w).is_some());
    let question = asked(&world).expect("it was asked");
    world.call(US, |node, now| node.answer(now, question, false)).expect("it is open");
    // The next are let in without a question.
    world.call(US, |node, _| node.set_firewall(false));
    world.run_for(S);
    assert_eq!(world.ours(US).node.swarm_stats().banned, 1);
    world
}

#[test]
fn who_is_banned_at_once_is_banned_under_its_old_id_too() {
    for (seed, (dials, softly)) in (740..).zip([(BANNED, true), (BANNED, false), (US, true), (US, false)]) {
        let mut world = world(seed, &Config::default());
        world.dial(dials, 1 - dials);
        world.expect("a session", S, |w| met(w, Session::Quic).is_some());
        let (peer, whom) = (met(&world, Session::Quic).expect("it is there"), Whom::Key(key(&world)));
        world.call(US, |node, now| node.ban(now, whom, None, !softly)).expect("room");
        if softly {
            world.call(US, |node, now| node.close_peer(now, peer)).expect("it is there");
        }
        world.expect("the end", S, |w| w.ours(US).peers.is_empty());
        moves(&mut world);
        dial_over_the_old_wire(&mut world);
        assert!(old(&world).is_empty(), "seed {seed}: it came back: {:?}", old(&world));
        // A ban that is lifted lets it in again.
        world.net.drops = None;
        world.call(US, |node, now| node.unban(now, &whom)).expect("it is open");
        world.dial(BANNED, US);
        world.expect("a session", S * 10, |w| met(w, Session::Quic).is_some());
    }
}

#[test]
fn what_a_banned_peer_says_while_its_end_waits_for_the_proof_is_not_heard() {
    let mut world = world(745, &Config::default());
    world.dial(BANNED, US);
    world.expect("a session", S, |w| met(w, Session::Quic).is_some());
    let whom = Whom::Key(key(&world));
    world.call(US, |node, now| node.ban(now, whom, None, true)).expect("room");
    world.expect("a session there", S, |w| !w.ours(BANNED).peers.is_empty());
    let mut said = 0;
    while let Some(peer) = world.ours(BANNED).peers.keys().next().copied() {
        world.call(BANNED, |node, now| node.send(now, peer, &b"let me in"[..], 0)).expect("room");
        said += 1;
        assert!(said < 1_000, "it is not put out");
        world.run_for(MS);
    }
    assert!(said > 5, "the end waited");
    assert!(world.ours(US).peers.is_empty());
    assert!(world.ours(US).received.is_empty());
}

#[test]
fn who_was_not_let_in_does_not_come_over_the_old_wire_from_the_same_address() {
    let mut world = turned_away(750);
    dial_over_the_old_wire(&mut world);
    assert!(old(&world).is_empty(), "it came back: {:?}", old(&world));
    world.net.drops = None;
    let whom = Whom::Key(key(&world));
    world.call(US, |node, now| node.unban(now, &whom)).expect("it is open");
    world.dial(BANNED, US);
    world.expect("a session", S * 10, |w| met(w, Session::Quic).is_some());
}

#[test]
fn another_program_at_the_address_of_a_banned_one_is_let_in() {
    let mut world = turned_away(751);
    world.kill(BANNED);
    world.run_for(S);
    let seed = world.rng.bytes();
    world.start_ours(BANNED, &Config::default(), seed);
    world.dial(BANNED, US);
    world.expect("a session", S, |w| met(w, Session::Quic).is_some());
    world.kill(BANNED);
    world.expect("the end", S * 100, |w| w.ours(US).peers.is_empty());
    world.start_model(BANNED, &crate::models::JS, seed);
    world.dial(BANNED, US);
    world.expect("an old peer", S * 10, |w| met(w, Session::V12).is_some());
}

/// Nothing links the two: it is let in, and asked at once who it is.
#[test]
fn who_comes_over_the_old_wire_from_elsewhere_is_found_out_as_soon_as_something_new_gets_through() {
    // Whichever of the two has the greater id.
    for seed in 752..760 {
        let mut world = turned_away(seed);
        moves(&mut world);
        world.net.drops = Some(is_modern);
        world.dial(BANNED, US);
        world.expect("a session over the old wire", S * 10, |w| met(w, Session::V12).is_some());
        world.net.drops = None;
        world.expect("it is found out", MS * 100, |w| w.ours(US).peers.is_empty());
        let before = old(&world).len();
        dial_over_the_old_wire(&mut world);
        assert_eq!(old(&world).len(), before, "seed {seed}: it came back");
    }
}
