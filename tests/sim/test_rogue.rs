//! Modern peers that break the rules, one attack after the other: no session without a proof, no proof but one's own,
//! bounded memory, nobody else harmed, and nothing left of them.

use crate::link::Profile;
use crate::models::rogue::{Conn, Rogue};
use crate::network::{NodeId, Place};
use crate::world::{TOPIC, World};
use quinn_proto::{ConnectionHandle, Dir};
use setowire::config::limits;
use setowire::crypto::topic::Role;
use setowire::node::{Event, PeerId, StreamChange, Via};
use setowire::wire::v13::control;
use setowire::{Code, Config};
use std::net::SocketAddr;
use std::time::Duration;

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const US: NodeId = 0;
const FRIEND: NodeId = 1;
const ROGUE: NodeId = 2;
// Close codes of the wire.
const PROTOCOL: u64 = 1;
const NO_TOPIC: u64 = 2;
const REFUSED: u64 = 5;
const BAD_PROOF: u64 = 6;
const TIMED_OUT: u64 = 8;
const TOO_LARGE: u64 = 9;

/// Ours at 0 and 1, connected, and a rogue that no beacon reaches.
fn world(seed: u64) -> World {
    world_of(seed, Config::default())
}

fn world_of(seed: u64, config: Config) -> World {
    let mut world = World::new(seed, Profile::WIRE);
    world.add_ours(Place::new(0).v4_only(), &config);
    world.add_ours(Place::new(1).v4_only(), &Config::default());
    world.add_rogue(Place::new(2).v4_only().on(&[9]));
    world.expect("connected", S * 10, |w| w.sees(US, FRIEND) && w.sees(FRIEND, US));
    world.run_for(S);
    world
}

fn us(world: &World) -> SocketAddr {
    world.net.places[US].v4()
}

fn conn(rogue: &Rogue, handle: ConnectionHandle) -> &Conn {
    &rogue.conns[&handle]
}

/// The rogue has a connection with a place, by its dial; nothing is said yet.
fn dial(world: &mut World, to: NodeId) -> ConnectionHandle {
    let to = world.net.places[to].v4();
    let handle = world.call_rogue(ROGUE, |rogue, io| rogue.dial(io, to));
    world.expect("a handshake", S * 3, |w| conn(w.rogue(ROGUE), handle).established);
    handle
}

/// We dial the rogue, by its address.
fn dialled(world: &mut World) -> ConnectionHandle {
    let before: Vec<_> = world.rogue(ROGUE).conns.keys().copied().collect();
    let to = world.net.places[ROGUE].v4().to_string();
    world.call(US, |node, now| node.connect(now, &to, None, None, 7)).expect("a dial begins");
    let new = |w: &World| {
        let mut conns = w.rogue(ROGUE).conns.iter();
        conns.find(|(handle, conn)| !before.contains(handle) && !conn.tags().is_empty()).map(|(handle, _)| *handle)
    };
    world.expect("our topics", S * 3, |w| new(w).is_some());
    new(world).expect("it is there")
}

fn with<R>(world: &mut World, handle: ConnectionHandle, call: impl FnOnce(&mut Conn) -> R) -> R {
    world.call_rogue(ROGUE, |rogue, _| call(rogue.conns.get_mut(&handle).expect("a connection")))
}

/// The rogue is a member of the topic and connected with us.
fn member(world: &mut World) -> (ConnectionHandle, PeerId) {
    let handle = dial(world, US);
    with(world, handle, |conn| conn.greet(false, Some(&TOPIC)));
    let key = world.rogue(ROGUE).identity.key();
    let find = |w: &World| w.ours(US).peers.values().find(|info| info.key == Some(key)).map(|info| info.id);
    world.expect("a session", S, |w| find(w).is_some());
    (handle, find(world).expect("it is there"))
}

fn closed_with(world: &mut World, handle: ConnectionHandle, code: u64) {
    let closed = |w: &World| conn(w.rogue(ROGUE), handle).closed.clone();
    world.expect("a close", S * 15, |w| closed(w).is_some());
    let (said, text) = closed(world).expect("it is closed");
    assert_eq!(said, code, "{text}");
}

/// Our friend and we still talk, at once, over the connection of before.
fn friends_talk(world: &mut World, word: &str) {
    for (from, to) in [(US, FRIEND), (FRIEND, US)] {
        let text = format!("{word} from {from}").into_bytes();
        world.write(from, to, &text).expect("room");
        world.expect("delivery", MS * 100, |w| w.received(to, from).contains(&text));
    }
    let friend = world.ours(US).peer(&world.wire_id(FRIEND)).expect("connected");
    assert_eq!(friend.id, PeerId(1), "another connection");
}

/// Nothing is kept but what the friend takes.
fn nothing_left(world: &mut World) {
    world.run_for(S * 10);
    let held = |w: &World, name: &str| w.ours(US).node.held().iter().find(|(n, _)| *n == name).expect("a name").1;
    for name in ["links", "connections", "keys", "peers"] {
        assert_eq!(held(world, name), 1, "{name}");
    }
    let streams = ["streams", "unread streams", "stream windows"];
    for name in ["waiting dials", "buffered bytes", "reassembly bytes", "unconfirmed"].into_iter().chain(streams) {
        assert_eq!(held(world, name), 0, "{name}");
    }
}

fn never_connected(world: &World) {
    assert_eq!(world.ours(US).peers.len(), 1, "somebody without a proof is a peer");
    assert_eq!(world.ours(US).node.stats().connections, 1);
}

#[test]
fn who_knows_no_topic_of_ours_gets_no_session_and_learns_none() {
    let mut world = world(600);
    let handle = dial(&mut world, US);
    with(&mut world, handle, |conn| conn.greet(false, Some(&[9; 32])));
    closed_with(&mut world, handle, NO_TOPIC);
    assert!(conn(world.rogue(ROGUE), handle).tags().is_empty(), "a proof of ours was shown to a stranger");
    never_connected(&world);
    friends_talk(&mut world, "still");
    nothing_left(&mut world);
}

#[test]
fn who_asks_without_a_topic_is_refused_where_that_is_not_wanted() {
    let mut world = world_of(601, Config { accept_explicit: false, ..Config::default() });
    let handle = dial(&mut world, US);
    with(&mut world, handle, |conn| conn.greet(true, None));
    closed_with(&mut world, handle, REFUSED);
    never_connected(&world);
    nothing_left(&mut world);
}

#[test]
fn what_comes_before_the_proof_is_delivered_to_nobody() {
    let mut world = world(602);
    let handle = dial(&mut world, US);
    with(&mut world, handle, |conn| {
        let messages = conn.quic.streams().open(Dir::Uni).expect("leave to open one");
        conn.write(messages, b"\x02\x05early");
        let stream = conn.quic.streams().open(Dir::Bi).expect("leave to open one");
        let _ = (stream, conn.quic.datagrams().send(bytes::Bytes::from_static(b"early"), true));
    });
    world.run_for(limits::QUIC_SETUP_TIMEOUT + S);
    never_connected(&world);
    let data = |event: &Event| matches!(event, Event::Message { .. } | Event::Datagram { .. } | Event::Stream { .. });
    assert!(!world.ours(US).events.iter().any(|(_, event)| data(event)), "it was delivered");
    assert!(conn(world.rogue(ROGUE), handle).closed.is_some());
    nothing_left(&mut world);
}

#[test]
fn our_own_proofs_sent_back_to_us_prove_nothing() {
    let mut world = world(603);
    let handle = dialled(&mut world);
    with(&mut world, handle, |conn| {
        let tags = conn.tags();
        conn.greet_with(true, &tags);
    });
    closed_with(&mut world, handle, BAD_PROOF);
    never_connected(&world);
    friends_talk(&mut world, "still");
}

#[test]
fn our_own_proofs_shown_to_a_friend_prove_nothing() {
    let mut world = world(604);
    let from_us = dialled(&mut world);
    let tags = conn(world.rogue(ROGUE), from_us).tags();
    assert!(tags.len() >= 4);
    let to_friend = dial(&mut world, FRIEND);
    with(&mut world, to_friend, |conn| conn.greet_with(false, &tags));
    closed_with(&mut world, to_friend, NO_TOPIC);
    assert_eq!(world.ours(FRIEND).node.stats().connections, 1);
    friends_talk(&mut world, "still");
}

#[test]
fn nobody_gets_the_legacy_id_of_another() {
    let mut world = world(605);
    let friend = world.ours(US).peer(&world.wire_id(FRIEND)).expect("connected").clone();
    let keys = setowire::crypto::identity::V12Keys::from_seed(&world.identity_seed(FRIEND));
    let (handle, peer) = member(&mut world);
    with(&mut world, handle, |conn| {
        let mut frames = Vec::new();
        control::encode_legacy(keys.public(), &mut frames);
        control::encode_legacy_proof(&[7; 32], &mut frames);
        conn.say(&frames);
    });
    closed_with(&mut world, handle, BAD_PROOF);
    let claimed = |event: &Event| match event {
        Event::Connection(info) | Event::Update(info) => info.id == peer && info.legacy_id.is_some(),
        _ => false,
    };
    assert!(!world.ours(US).events.iter().any(|(_, event)| claimed(event)), "he is taken for our friend");
    assert_eq!(world.ours(US).peer(&world.wire_id(FRIEND)).expect("connected").legacy_id, friend.legacy_id);
    friends_talk(&mut world, "still");
    nothing_left(&mut world);
}

#[test]
fn who_shows_no_certificate_is_nobody() {
    let mut world = world(606);
    let bare = Rogue::without_certificate([1; 32], [2; 32]);
    world.call_rogue(ROGUE, |rogue, _| *rogue = bare);
    let to = us(&world);
    let handle = world.call_rogue(ROGUE, |rogue, io| rogue.dial(io, to));
    world.expect("an alert", S * 3, |w| conn(w.rogue(ROGUE), handle).closed.is_some());
    never_connected(&world);
    nothing_left(&mut world);
}

#[test]
fn who_never_acknowledges_costs_little_and_is_given_up() {
    let mut world = world(607);
    let (_, peer) = member(&mut world);
    world.call_rogue(ROGUE, |rogue, _| rogue.mute = true);
    world.tap = Some(Vec::new());
    let mut taken = 0;
    while world.call(US, |node, now| node.send(now, peer, vec![7; 100_000], 1_000 + taken)).is_ok() {
        taken += 1;
    }
    assert!(taken > 10, "{taken}");
    let stream = world.call(US, |node, _| node.open_stream(peer)).expect("a stream");
    while world.call(US, |node, _| node.write_stream(stream, &[8; 50_000])).is_ok_and(|taken| taken > 0) {}
    let gone = |w: &World| !w.ours(US).peers.contains_key(&peer);
    world.expect("given up", limits::QUIC_IDLE_TIMEOUT * 2, gone);
    let sent: usize = world.tap.take().expect("a tap").iter().filter(|p| p.to == ROGUE).map(|p| p.bytes.len()).sum();
    assert!(sent < 200_000, "{sent} bytes to somebody who never answered");
    let unsent = |w: &World| w.ours(US).done.iter().filter(|done| done.tag >= 1_000 && done.code.is_some()).count();
    assert_eq!(unsent(&world) as u64, taken, "messages without a word");
    // It is dialled for a while: it was lost.
    world.run_for(S * 60);
    nothing_left(&mut world);
    friends_talk(&mut world, "still");
}

#[test]
fn who_opens_everything_gets_what_everybody_may() {
    let mut world = world(608);
    let (handle, peer) = member(&mut world);
    for round in 0..200u32 {
        with(&mut world, handle, |conn| {
            for dir in [Dir::Bi, Dir::Uni] {
                while let Some(id) = conn.quic.streams().open(dir) {
                    let kind = if dir == Dir::Uni { 40 + round as u8 % 20 } else { 1 + (round % 2) as u8 * 9 };
                    conn.write(id, &[kind, 1, 2, 3]);
                }
            }
        });
        world.run_for(MS * 5);
    }
    let held = world.ours(US).node.held();
    let streams = held.iter().find(|(name, _)| *name == "streams").expect("a name").1;
    assert!(streams > 0 && streams <= limits::QUIC_STREAMS_MAX as usize, "{streams} streams");
    assert!(world.ours(US).peers.contains_key(&peer), "streams of unknown types are no fault");
    friends_talk(&mut world, "still");
    with(&mut world, handle, |conn| conn.heard.clear());
    world.call_rogue(ROGUE, |rogue, io| rogue.conns.get_mut(&handle).expect("it is there").close(io.mono));
    // What it left unread is freed by who wants nothing of it.
    world.expect("the end", S, |w| !w.ours(US).peers.contains_key(&peer));
    let opened = world.ours(US).events.iter().filter_map(|(_, event)| match event {
        Event::Stream { stream, change: StreamChange::Opened, .. } => Some(*stream),
        _ => None,
    });
    let opened: Vec<_> = opened.collect();
    assert!(streams <= opened.len());
    opened.iter().for_each(|stream| world.call(US, |node, _| node.stop_stream(*stream, 0)).expect("it is there"));
    nothing_left(&mut world);
}

#[test]
fn second_message_streams_and_broken_frames_end_the_connection() {
    let mut world = world(609);
    type Break = (&'static str, fn(&mut Conn), u64);
    let breaks: [Break; 4] = [
        (
            "a second message stream",
            |conn| {
                for _ in 0..2 {
                    let id = conn.quic.streams().open(Dir::Uni).expect("leave to open one");
                    conn.write(id, &[2, 1, 1]);
                }
            },
            PROTOCOL,
        ),
        (
            "a message above the limit",
            |conn| {
                let id = conn.quic.streams().open(Dir::Uni).expect("leave to open one");
                conn.write(id, &[2, 0x90, 0, 0, 0]);
            },
            TOO_LARGE,
        ),
        ("a control frame above the limit", |conn| assert_eq!(conn.say(&[2, 0xbf, 0xff, 0xff, 0xff]), 5), PROTOCOL),
        ("a second HELLO", |conn| conn.greet(false, None), PROTOCOL),
    ];
    for (name, act, code) in breaks {
        let (handle, peer) = member(&mut world);
        with(&mut world, handle, act);
        closed_with(&mut world, handle, code);
        assert!(!world.ours(US).peers.contains_key(&peer), "{name}");
        friends_talk(&mut world, name);
    }
    nothing_left(&mut world);
}

#[test]
fn floods_inside_a_session_starve_nobody() {
    let mut world = world(610);
    let (handle, _) = member(&mut world);
    let messages = with(&mut world, handle, |conn| {
        let id = conn.quic.streams().open(Dir::Uni).expect("leave to open one");
        conn.write(id, &[2]);
        id
    });
    let message = [&[0x43, 0xe8][..], &[5; 1_000]].concat().repeat(20);
    let mut topics = Vec::new();
    control::encode_topics(&[[3; 32]; 64], &mut topics).expect("few tags");
    // Only whole pieces: one that is cut would be another attack.
    let (mut rest, mut said) = (Vec::new(), Vec::new());
    for round in 0..400 {
        with(&mut world, handle, |conn| {
            for (stream, piece, left) in
                [(messages, &message, &mut rest), (conn.control.expect("a stream"), &topics, &mut said)]
            {
                if left.len() < 200_000 {
                    left.extend_from_slice(piece);
                }
                let taken = conn.write(stream, left);
                left.drain(..taken);
            }
            for _ in 0..50 {
                let _ = conn.quic.datagrams().send(bytes::Bytes::from_static(&[1; 1_000]), true);
            }
        });
        world.run_for(MS * 5);
        if round % 50 == 0 {
            friends_talk(&mut world, &format!("round {round}"));
            world.ours_mut(US).events.clear();
        }
    }
    assert!(world.ours(US).received.len() > 1_000, "it is a member: its messages are delivered");
    world.call_rogue(ROGUE, |rogue, io| rogue.conns.get_mut(&handle).expect("it is there").close(io.mono));
    nothing_left(&mut world);
}

#[test]
fn large_messages_that_are_announced_and_not_sent_give_their_room_back() {
    let mut world = world(611);
    let (handle, peer) = member(&mut world);
    with(&mut world, handle, |conn| {
        let id = conn.quic.streams().open(Dir::Uni).expect("leave to open one");
        conn.write(id, &[2, 0x80, 0xff, 0xff, 0xff]);
        conn.write(id, &[0; 80_000]);
    });
    world.run_for(S);
    let stats = world.ours(US).node.stats();
    assert!(stats.reassembly_bytes > 0 && stats.reassembly_bytes <= limits::REASSEMBLY_TOTAL_BYTES as u64);
    // The friend's large message finds room all the same.
    let large = vec![6; 4 << 20];
    world.write(FRIEND, US, &large).expect("room");
    world.expect("a large message", S * 5, |w| w.received(US, FRIEND).iter().any(|got| got.len() == large.len()));
    let mut waited = Duration::ZERO;
    while world.ours(US).peers.contains_key(&peer) {
        assert!(waited <= limits::REASSEMBLY_PATIENCE * 2, "room is kept for ever");
        with(&mut world, handle, |conn| conn.quic.ping());
        world.run_for(S);
        waited += S;
    }
    closed_with(&mut world, handle, TIMED_OUT);
    nothing_left(&mut world);
}

#[test]
fn who_speaks_no_word_after_the_handshake_is_given_up() {
    let mut world = world(612);
    let handles: Vec<_> = (0..20).map(|_| dial(&mut world, US)).collect();
    world.run_for(limits::QUIC_SETUP_TIMEOUT + S);
    for handle in handles {
        closed_with(&mut world, handle, TIMED_OUT);
    }
    never_connected(&world);
    nothing_left(&mut world);
}

/// Datagrams of the friend's connection that came to us.
fn tapped(world: &mut World) -> Vec<Vec<u8>> {
    world.tap = Some(Vec::new());
    for n in 0..20 {
        friends_talk(world, &format!("tapped {n}"));
    }
    let tapped = world.tap.take().expect("a tap").into_iter();
    tapped.filter(|p| p.to == US && p.bytes[0] & 0xc0 == 0x40).map(|p| p.bytes.to_vec()).collect()
}

#[test]
fn garbage_between_packets_changes_nothing() {
    let mut world = world(613);
    let packets = tapped(&mut world);
    assert!(packets.len() >= 20);
    let (friend, to) = (world.net.places[FRIEND].v4(), us(&world));
    for (n, packet) in packets.iter().enumerate() {
        // The same id, and then anything; or a packet with one byte changed; or its beginning.
        let mut bent = packet.clone();
        let at = world.rng.below(bent.len() as u64) as usize;
        bent[at] ^= 1 << world.rng.below(8);
        let cut = packet[..world.rng.range(1, packet.len() as u64) as usize].to_vec();
        let noise = [&packet[..9], &world.rng.vec(200)].concat();
        let long = [&[0xe0, 0, 0, 0, 1, 8], &packet[1..9], &world.rng.vec(200)[..]].concat();
        for bytes in [packet.clone(), bent, cut, noise, long] {
            world.inject(friend, US, to, bytes);
        }
        friends_talk(&mut world, &format!("round {n}"));
    }
    assert_eq!(world.ours(US).node.stats().disconnections, 0);
    nothing_left(&mut world);
}

#[test]
fn packets_of_a_friend_that_come_again_from_elsewhere_move_nothing() {
    let mut world = world(614);
    let packets = tapped(&mut world);
    let attacker = world.add_raw(Place::new(5).v4_only().on(&[8]));
    let (to, mut sent, mut got) = (us(&world), 0, 0);
    for round in 0..100 {
        for packet in &packets {
            sent += packet.len();
            world.send(attacker, Via::Main, to, packet.clone());
        }
        friends_talk(&mut world, &format!("round {round}"));
        world.run_for(MS * 50);
        for (_, _, bytes) in world.take_raw(attacker) {
            assert_eq!(bytes[0], 0xa5, "more than a question went to the attacker");
            got += bytes.len();
        }
    }
    assert!(got <= sent, "{got} bytes for {sent}");
    let friend = world.ours(US).peer(&world.wire_id(FRIEND)).expect("connected");
    assert_eq!(friend.address, world.net.places[FRIEND].v4());
}

#[test]
fn first_packets_that_are_bent_leave_nothing() {
    let mut world = world(615);
    world.tap = Some(Vec::new());
    let handle = dial(&mut world, US);
    let first: Vec<Vec<u8>> = world
        .tap
        .take()
        .expect("a tap")
        .into_iter()
        .filter(|p| p.to == US && p.origin == ROGUE && p.bytes[0] & 0x80 != 0)
        .map(|p| p.bytes.to_vec())
        .collect();
    assert!(first.len() >= 2, "an Initial, and another after the Retry");
    world.call_rogue(ROGUE, |rogue, io| rogue.conns.get_mut(&handle).expect("it is there").close(io.mono));
    let (rogue, to, mut came) = (world.net.places[ROGUE].v4(), us(&world), 0);
    world.call_rogue(ROGUE, |rogue, _| rogue.mute = true);
    for n in 0..3_000u32 {
        let mut bytes = first[n as usize % first.len()].clone();
        for _ in 0..=world.rng.below(3) {
            // Mostly where the headers are.
            let most = if world.rng.chance(0.7) { 60 } else { bytes.len() as u64 };
            let at = world.rng.below(most) as usize;
            bytes[at] = world.rng.u64() as u8;
        }
        if world.rng.chance(0.1) {
            bytes.truncate(world.rng.range(1, 1_200) as usize);
        }
        let stranger = SocketAddr::from(([172, 16, (n >> 8) as u8, n as u8], 999));
        came += bytes.len();
        world.inject(if n % 2 == 0 { rogue } else { stranger }, US, to, bytes);
        if n % 20 == 0 {
            world.run_for(MS);
        }
    }
    assert!(came > 1_000_000);
    friends_talk(&mut world, "still");
    world.run_for(limits::QUIC_SETUP_TIMEOUT * 2);
    never_connected(&world);
    nothing_left(&mut world);
}

#[test]
fn the_proof_of_a_member_counts() {
    // The control of the tests above: with the right proof, and nothing wrong, the rogue is a peer in both roles.
    let mut world = world(616);
    let (handle, peer) = member(&mut world);
    let id = with(&mut world, handle, |conn| {
        let id = conn.quic.streams().open(Dir::Uni).expect("leave to open one");
        conn.write(id, b"\x02\x05hello");
        id
    });
    assert_eq!(id.dir(), Dir::Uni);
    world.expect("its message", S, |w| w.ours(US).received.iter().any(|got| got.peer == peer && got.data == b"hello"));
    world.call(US, |node, now| node.close_peer(now, peer)).expect("it is connected");
    closed_with(&mut world, handle, 0);
    let handle = dialled(&mut world);
    with(&mut world, handle, |conn| {
        assert_eq!(conn.role, Role::Acceptor);
        conn.greet(false, Some(&TOPIC));
    });
    world.expect("the dial ends well", S, |w| w.ours(US).done.iter().any(|done| done.tag == 7 && done.peer.is_some()));
    assert_eq!(world.ours(US).done.iter().filter(|done| done.code == Some(Code::Refused)).count(), 0);
}
