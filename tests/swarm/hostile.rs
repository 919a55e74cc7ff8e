//! What anybody can make a swarm do who knows a topic, or a key that is looked for: invent peers and addresses in any number.
//! Others keep their places.

use crate::bed::*;
use crate::hub::{Asked, Mood};
use crate::table::{Table, whom};
use rand_chacha::rand_core::Rng;
use setowire::Config;
use setowire::config::limits::KNOWN_PER_IP;
use setowire::config::swarm::{Preset, SwarmOptions};
use setowire::crypto::announce::{self, Announcement};
use setowire::crypto::topic::TopicKey;
use setowire::node::{Datagrams, Event, Source, Via, Whom};
use setowire::session::quic::TopicNo;
use setowire::swarm::Found;
use setowire::swarm::door::Purpose;
use setowire::wire::v13::Beacon;
use std::net::SocketAddr;

/// The nth of many addresses.
fn place(n: u32) -> SocketAddr {
    let [_, _, c, d] = n.to_be_bytes();
    SocketAddr::from(([10, 200, c, d], 4_000))
}

fn invented(n: u32) -> [u8; 32] {
    let mut key = [0xEE; 32];
    key[..4].copy_from_slice(&n.to_be_bytes());
    key
}

/// Lets a node hear that this key is at this place, from one who knows the topic.
fn forge(bed: &mut Bed, who: usize, topic: &TopicKey, key: [u8; 32], from: SocketAddr) {
    let today = announce::day(bed.time().unix_us);
    let mut nonce = [0; 12];
    bed.rng.fill_bytes(&mut nonce);
    let said = Announcement { key, v4: from.port(), v6: 0, instance: 1 };
    let sealed = announce::seal(topic, today, nonce, &said).expect("sealed");
    let beacon = Beacon { tag: announce::tag(topic, today), nonce, sealed: &sealed }.encode();
    bed.call(who, |node, now| node.handle_datagrams(now, Datagrams::one(Via::Lan { interface: 1 }, from, &beacon)));
}

/// Whether the application still gets a connection that it asks for.
fn may_connect(bed: &mut Bed, who: usize, options: &Config) {
    let honest = bed.add(options);
    let addr = bed.seats[honest].addr.to_string();
    let tag = bed.begin(who, |node, now, tag| node.connect(now, &addr, None, None, tag));
    assert_eq!(bed.finish(who, tag), None, "{} dials", bed.node(who).stats().dials);
}

/// For a peer that is joined, or dialled, by its key.
#[test]
fn invented_addresses_of_a_peer_leave_room_for_other_dials() {
    both_presets(|bed, options| {
        for joined in [true, false] {
            let a = bed.add_with_lan(options);
            let key = [7; 32];
            if joined {
                bed.call(a, |node, now| node.join_peer(now, Whom::Key(key), None)).expect("room");
            } else {
                bed.begin(a, |node, now, tag| node.connect_peer(now, key, None, tag));
            }
            for n in 0..400 {
                forge(bed, a, &TopicKey::peer(&key), key, place(n));
            }
            may_connect(bed, a, options);
        }
    });
}

#[test]
fn a_source_that_invents_addresses_leaves_room_for_other_dials() {
    let mut bed = Bed::new(5);
    let options = config(Preset::Setowire);
    bed.hub.mood = Mood::Silent;
    let a = bed.add(&options);
    bed.join(a, topic(1), CLIENT);
    let Some((_, Asked::Round { query, .. })) = bed.hub.asked_by(a).pop() else { panic!("a round") };
    for n in 0..400 {
        bed.call(a, |node, now| node.handle_found(now, query, invented(n / 8), place(n)));
    }
    may_connect(&mut bed, a, &options);
}

/// A firewall that takes its time is asked about a thousand peers that are none; who really dials us is asked about, too.
#[test]
fn invented_peers_leave_questions_for_those_who_dial_us() {
    both_presets(|bed, options| {
        for validate in [false, true] {
            let mut strict = options.clone();
            (strict.swarm.firewall, strict.swarm.validate) = (true, validate);
            let (a, b) = (bed.add_with_lan(&strict), bed.add(options));
            bed.join_flushed(a, topic(1), BOTH);
            let name = TopicKey::public(&topic(1));
            for n in 0..1_500 {
                forge(bed, a, &name, invented(n), place(n));
            }
            bed.join(b, topic(1), CLIENT);
            bed.run(ms(1_000));
            let asked = bed.told(a, |event| match event {
                Event::Ask(question) if question.purpose == Purpose::Incoming => Some(question.whom),
                _ => None,
            });
            assert_eq!(asked, [bed.whom(b)], "validate: {validate}");
            bed.leave(b, topic(1));
            bed.leave(a, topic(1));
        }
    });
}

/// Peers that were invented elsewhere are said to be where others are: these are heard of as before.
#[test]
fn invented_peers_do_not_crowd_an_address() {
    let mut table = Table::joined(&SwarmOptions::of(Preset::V4));
    let ours = SocketAddr::from(([93, 184, 216, 9], 4_000));
    let mut say = |key: [u8; 32], addr: SocketAddr| {
        let found = Found { whom: Whom::Key(key), addr: Some(addr), source: Source::Outside, topic: Some(TopicNo(1)) };
        table.call(|roster, lent| roster.found(lent, found));
    };
    for n in 0..1_000 {
        say(invented(n), place(n));
    }
    for n in 0..1_000 {
        say(invented(n), ours);
    }
    say([9; 32], ours);
    assert!(table.is_known(9), "who is really there");
    let there = |known: &&Whom| table.addresses_of(known).first() == Some(&ours);
    let crowd = table.roster.known_peers().iter().filter(there).count();
    assert!(crowd <= KNOWN_PER_IP, "{crowd}");
}

/// Who was let in by the answer to a question, but is not wanted any more, is not dialled.
#[test]
fn who_was_left_meanwhile_is_not_dialled() {
    let mut table = Table::new(&SwarmOptions { firewall: true, ..SwarmOptions::of(Preset::V4) });
    table.call(|roster, lent| roster.join_peer(lent, whom(3), None)).expect("room");
    let questions = table.told(|event| match event {
        Event::Ask(question) => Some(question.id),
        _ => None,
    });
    table.call(|roster, lent| roster.leave_peer(lent, &whom(3)));
    // The answer may come too late, or be of no use.
    let _ = table.call(|roster, lent| roster.answer(lent, questions[0], true));
    assert_eq!((table.dials_of(3), table.is_known(3)), (0, false));
}

/// A peer joined by key is dialled as soon as its ban is lifted.
#[test]
fn lifting_a_ban_brings_back_who_is_joined_by_key() {
    let mut table = Table::new(&SwarmOptions::of(Preset::V4));
    table.call(|roster, lent| roster.ban(lent, whom(3), None, false)).expect("room");
    table.call(|roster, lent| roster.join_peer(lent, whom(3), None)).expect("room");
    assert_eq!(table.dials_of(3), 0);
    table.call(|roster, lent| roster.unban(lent, &whom(3)));
    assert_eq!(table.dials_of(3), 1);
}
