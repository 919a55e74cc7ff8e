//! Strangers who name addresses, identities and places that are not theirs. Nobody's
//! connection ends, nobody is kept out, nobody is told of a peer that is not there.

use crate::link::Profile;
use crate::models::JS;
use crate::network::{LAN_GROUP, LAN_PORT, NodeId, Place, is_modern};
use crate::world::World;
use setowire::Config;
use setowire::config::limits;
use setowire::config::swarm::SwarmOptions;
use setowire::crypto::identity::V12Keys;
use setowire::node::{Event, Via};
use std::net::SocketAddr;
use std::time::Duration;

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const US: NodeId = 0;
const FRIEND: NodeId = 1;

fn frame(kind: u8, keys: &V12Keys) -> Vec<u8> {
    [&[kind][..], &keys.wire_id(), keys.public()].concat()
}

fn pong(keys: &V12Keys) -> Vec<u8> {
    [&[0x04][..], keys.id()].concat()
}

/// Ours at 0 and 1, connected; `talk`: confirmed as well.
fn friends(seed: u64, talk: bool) -> World {
    friends_over(seed, talk, None)
}

/// The same over the old wire.
fn old_friends(seed: u64, talk: bool) -> World {
    friends_over(seed, talk, Some(is_modern))
}

fn friends_over(seed: u64, talk: bool, drops: Option<fn(&[u8]) -> bool>) -> World {
    let mut world = World::new(seed, Profile::WIRE);
    world.net.drops = drops;
    world.add_ours(Place::new(0), &Config::default());
    world.add_ours(Place::new(1), &Config::default());
    world.expect("connected", S * 10, |w| w.sees(US, FRIEND) && w.sees(FRIEND, US));
    if talk {
        world.broadcast(US, b"hello");
        world.broadcast(FRIEND, b"hello you");
        world.run_for(S);
    }
    world
}

fn us(world: &World) -> SocketAddr {
    world.net.places[US].v4()
}

fn beacon(world: &mut World, from: NodeId, id: &[u8; 20], port: u16) {
    let interface = world.net.places[from].interfaces[0].index;
    let hash = crate::models::crypt::beacon_hash(&crate::world::TOPIC, 12);
    let id: String = id.iter().map(|b| format!("{b:02x}")).collect();
    let text = format!("{id}:10.0.0.1:{port}:{hash}");
    world.send(from, Via::Lan { interface }, SocketAddr::from((LAN_GROUP, LAN_PORT)), [&[9], text.as_bytes()].concat());
}

#[test]
fn an_address_named_for_another_peer_still_belongs_to_its_own() {
    for friends in [friends, old_friends] {
        let mut world = friends(400, true);
        let keys = V12Keys::from_seed(&world.identity_seed(FRIEND));
        let server = world.add_ours(Place::new(5).on(&[9]), &Config::default());
        let at = world.net.places[server].v4();
        let to = us(&world);
        for kind in [0xa1, 0xa2] {
            world.inject(at, US, to, frame(kind, &keys));
        }
        world.inject(at, US, to, [&[3][..], &[7; 8], keys.id()].concat());
        world.run_for(MS * 10);
        world.dial(US, server);
        world.expect("the one who is there", S * 2, |w| w.sees(US, server) && w.sees(server, US));
        let done = world.ours(US).done.last().expect("the dial ended").peer.expect("well");
        assert_eq!(world.ours(US).wire_id_of(&world.ours(US).peers[&done]), world.wire_id(server));
        assert_eq!(world.ours(US).node.stats().disconnections, 0, "the friend was disconnected");
        // The other way round: it dials us.
        let client = world.add_ours(Place::new(6).on(&[8]), &Config::default());
        let from = world.net.places[client].v4();
        world.inject(from, US, to, frame(0xa1, &keys));
        world.inject(from, US, to, frame(0xa1, &V12Keys::from_seed(b"squatter")));
        world.dial(client, US);
        world.expect("the one who dials", S * 3, |w| w.sees(US, client) && w.sees(client, US));
        assert_eq!(world.ours(US).node.stats().disconnections, 0, "the friend was disconnected");
    }
}

#[test]
fn an_answer_in_a_friends_name_does_not_end_him() {
    for friends in [friends, old_friends] {
        let mut world = friends(401, true);
        let other = V12Keys::from_seed(b"other");
        // A beacon puts another id to the friend's address, and the answer of that id is forged.
        let port = world.net.places[FRIEND].v4().port();
        beacon(&mut world, FRIEND, other.id(), port);
        let (from, to) = (world.net.places[FRIEND].v4(), us(&world));
        for _ in 0..40 {
            world.run_for(MS / 20);
            world.inject(from, US, to, frame(0xa2, &other));
            world.inject(from, US, to, frame(0xa1, &other));
            world.inject(from, US, to, pong(&other));
        }
        world.run_for(S * 10);
        assert!(world.sees(US, FRIEND));
        assert_eq!(world.ours(US).node.stats().disconnections, 0);
    }
}

#[test]
fn a_faster_answer_does_not_draw_data_away_from_a_silent_friend() {
    let mut world = World::new(402, Profile::WIRE);
    world.add_ours(Place::new(0), &Config::default());
    world.add_model(Place::new(1), &JS);
    let far = Profile { latency: MS * 60, ..Profile::WIRE };
    world.net.set_link(US, FRIEND, far);
    let attacker = world.add_raw(Place::new(2).on(&[9]));
    world.expect("connected", S * 10, |w| w.sees(US, FRIEND) && w.sees(FRIEND, US));
    let keys = V12Keys::from_seed(&world.identity_seed(FRIEND));
    let to = us(&world);
    for round in 0..200u64 {
        let ping = [&[3][..], &round.to_be_bytes(), keys.id()].concat();
        world.send(attacker, Via::Main, to, ping);
        world.run_for(MS * 50);
        for (_, _, bytes) in world.take_raw(attacker) {
            assert_ne!(bytes[0], 1, "DATA went to the attacker");
            if bytes[0] == 3 {
                world.send(attacker, Via::Main, to, pong(&keys));
            }
        }
        if round % 10 == 0 {
            world.write(US, FRIEND, format!("secret {round}").as_bytes()).expect("room");
        }
    }
    let last = b"secret 190".to_vec();
    world.expect("all of it", S, |w| w.received(FRIEND, US).contains(&last));
}

#[test]
fn who_proves_himself_or_is_dialled_finds_room_among_those_who_did_not() {
    let mut world = World::new(403, Profile::WIRE);
    world.add_ours(
        Place::new(0),
        &Config { swarm: SwarmOptions { max_peers: 6, ..SwarmOptions::default() }, ..Config::default() },
    );
    let crowd = world.add_raw(Place::new(1));
    let to = us(&world);
    // Six identities of one stranger, found by beacons or by themselves; each answers whatever it is asked.
    for n in 0..6u16 {
        let keys = V12Keys::from_seed(&n.to_be_bytes());
        world.net.places[crowd].set_port(3_000 + n);
        if n % 2 == 0 {
            beacon(&mut world, crowd, keys.id(), 3_000 + n);
        } else {
            world.send(crowd, Via::Main, to, frame(0xa1, &keys));
            world.send(crowd, Via::Main, to, frame(0xa1, &keys));
        }
        for _ in 0..10 {
            world.run_for(MS * 20);
            for (_, from, bytes) in world.take_raw(crowd) {
                match bytes[0] {
                    0xa1 => world.send(crowd, Via::Main, from, frame(0xa2, &keys)),
                    3 => world.send(crowd, Via::Main, from, pong(&keys)),
                    _ => {}
                }
            }
        }
    }
    assert_eq!(world.ours(US).node.stats().peers, 6, "the table is full");
    let speaker = world.add_ours(Place::new(2).on(&[9]), &Config::default());
    world.dial(speaker, US);
    world.expect("an answer", S * 5, |w| w.sees(speaker, US));
    world.broadcast(speaker, b"it is me");
    world.expect("proven", S * 2, |w| w.sees(US, speaker));
    let wanted = world.add_ours(Place::new(3).on(&[8]), &Config::default());
    world.dial(US, wanted);
    world.expect("dialled", S * 2, |w| w.sees(US, wanted));
    assert!(world.sees(US, speaker), "a confirmed peer gave way");
    assert_eq!(world.ours(US).node.stats().peers, 6);
}

#[test]
fn a_handshake_forged_for_a_victim_costs_it_little_and_leaves_nothing() {
    let mut world = World::new(404, Profile::WIRE);
    world.add_ours(Place::new(0), &Config::default());
    let victim = world.add_raw(Place::new(1).on(&[9]));
    let (from, to) = (world.net.places[victim].v4(), us(&world));
    let keys = V12Keys::from_seed(b"nobody");
    // PONGs of old peers hold no secret: this one is believed.
    for bytes in [frame(0xa1, &keys), frame(0xa1, &keys), pong(&keys)] {
        world.inject(from, US, to, bytes);
    }
    world.run_for(S * 3_600);
    let got: usize = world.take_raw(victim).iter().map(|(_, _, bytes)| bytes.len()).sum();
    // A PONG each second until it is gone, and two PROBEs.
    assert!(got <= 2_200, "the victim got {got} bytes");
    assert_eq!(world.ours(US).node.stats().peers, 0);
    let peers = world.ours(US).events.iter().any(|(_, event)| matches!(event, Event::Peers { .. }));
    assert!(!peers, "it is to be remembered as a peer");
}

#[test]
fn beacons_of_many_addresses_leave_room_for_the_applications_dials() {
    let mut world = World::new(405, Profile::WIRE);
    world.add_ours(Place::new(0), &Config::default());
    let liar = world.add_raw(Place::new(1));
    let wanted = world.add_ours(Place::new(2).on(&[9]), &Config::default());
    for n in 0..600u32 {
        let keys = V12Keys::from_seed(&n.to_be_bytes());
        beacon(&mut world, liar, keys.id(), 2_000 + n as u16);
    }
    world.run_for(MS * 10);
    let places = limits::MAX_PEERS - limits::MAX_PEERS / limits::PLACES_KEPT;
    assert_eq!(world.ours(US).node.stats().dials, places as u64);
    world.dial(US, wanted);
    world.expect("connected all the same", S, |w| w.sees(US, wanted));
}

#[test]
fn an_application_refused_for_want_of_room_in_total_hears_when_there_is_some() {
    let mut world = World::new(406, Profile::WIRE);
    world.add_ours(Place::new(0), &Config { send_buffer: 1 << 30, ..Config::default() });
    world.add_model(Place::new(1), &JS);
    world.expect("connected", S * 10, |w| w.sees(US, FRIEND));
    let message = vec![7; 65_000];
    while world.write(US, FRIEND, &message).is_ok() {}
    let writable = |w: &World| w.ours(US).events.iter().any(|(_, event)| matches!(event, Event::Writable { .. }));
    world.expect("the writable event", S * 20, writable);
    world.write(US, FRIEND, &message).expect("room again");
}

#[test]
fn a_batch_of_pings_is_not_answered_by_as_many_datagrams() {
    let mut world = old_friends(407, true);
    let (from, to) = (world.net.places[FRIEND].v4(), us(&world));
    let batch = [&[0x13, 255][..], &[0, 2, 3, 0].repeat(255)].concat();
    let before = world.ours(US).node.stats().datagrams_sent;
    for _ in 0..10 {
        world.inject(from, US, to, batch.clone());
    }
    world.run_for(MS);
    let sent = world.ours(US).node.stats().datagrams_sent - before;
    assert!(sent <= u64::from(limits::V12_PONG_BURST) + 2, "{sent} datagrams");
}

#[test]
fn forged_pongs_and_pex_do_not_change_how_a_proven_peer_is_treated() {
    let mut world = old_friends(408, true);
    let (from, to) = (world.net.places[FRIEND].v4(), us(&world));
    for bytes in [vec![4; 29], [&[0x30, 1][..], &[9; 14]].concat()] {
        world.inject(from, US, to, bytes);
    }
    world.run_for(S * 3);
    let family = world.ours(US).peers.values().next().expect("the friend").family;
    assert_eq!(family, setowire::node::Family::JsOrPython);
}

#[test]
fn forged_fragments_are_flagged_and_not_sealed_for_others() {
    let mut world = old_friends(409, true);
    let third = world.add_ours(Place::new(2), &Config::default());
    world.expect("connected", S * 10, |w| w.sees(US, third) && w.sees(third, US));
    let (from, to) = (world.net.places[FRIEND].v4(), us(&world));
    world.inject(from, US, to, [&[0x0b][..], &[7; 8], &[0, 0, 0, 1], b"forged"].concat());
    world.run_for(S);
    let got = world.ours(US).received.last().expect("the fragment");
    assert!(got.clear && got.data == b"forged");
    assert!(world.ours(third).received.iter().all(|got| got.data != b"forged"), "sealed by us for a third");
}
