//! Messages between ours and each old family: all sizes, bursts, loss.

use crate::link::{Bursts, Profile};
use crate::models::{CPP, JS, PY_010, RUST};
use crate::network::Place;
use crate::pair::*;
use crate::world::World;
use setowire::node::Event;
use setowire::{Code, Config};

#[test]
fn a_hundred_one_way_messages_arrive_there() {
    for (i, quirks) in OLD.into_iter().enumerate() {
        let mut world = with_old(60 + i as u64, quirks, Profile::WIRE);
        for n in 0..100u8 {
            world.write(0, 1, &[n; 100]).expect("room for 100 messages");
        }
        world.run_for(S * 5);
        let got = world.received(1, 0);
        assert_eq!(unique(got.clone()), 100, "{}", quirks.name);
        assert_eq!(got.len(), 100, "{}: each once", quirks.name);
    }
}

#[test]
fn a_hundred_one_way_messages_arrive_here() {
    for (i, quirks) in OLD.into_iter().enumerate() {
        let mut world = with_old(70 + i as u64, quirks, Profile::WIRE);
        for n in 0..100u8 {
            world.write(1, 0, &[n; 100]).expect("sent");
        }
        world.run_for(S * 5);
        let got = world.received(0, 1);
        assert_eq!(unique(got.clone()), 100, "{}", quirks.name);
        assert_eq!(got.len(), 100, "{}: each once", quirks.name);
        assert!(got.is_sorted(), "{}: in order", quirks.name);
    }
}

#[test]
fn the_same_message_twice_is_delivered_twice_here() {
    for (i, quirks) in OLD.into_iter().enumerate() {
        let mut world = with_old(80 + i as u64, quirks, Profile::WIRE);
        for _ in 0..2 {
            world.write(1, 0, b"again").expect("sent");
            world.write(0, 1, b"again, from us").expect("sent");
            world.run_for(S);
        }
        assert_eq!(world.received(0, 1), [b"again", b"again"], "{}", quirks.name);
        let there = world.received(1, 0).len();
        assert_eq!(there, if quirks.rust { 2 } else { 1 }, "{}: its own filter", quirks.name);
    }
}

#[test]
fn large_messages_both_ways() {
    for (i, quirks) in OLD.into_iter().enumerate() {
        for len in [1_163, 1_200, 1_201, 5_000, 60_000] {
            let mut world = with_old(90 + i as u64, quirks, Profile::WIRE);
            let text: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            world.write(1, 0, &text).expect("sent");
            let sent = world.write(0, 1, &text);
            world.run_for(S * 3);
            let here: Vec<(&[u8], bool)> = world.ours(0).received.iter().map(|r| (&r.data[..], r.clear)).collect();
            let clear = len > 1_200 && !quirks.rust;
            assert_eq!(here, [(&text[..], clear)], "{} to us, {len} bytes", quirks.name);
            if quirks.rust && len > 4_063 {
                assert_eq!(sent.map_err(|e| e.code), Err(Code::TooLarge), "{len} bytes to Rust");
            } else {
                sent.unwrap_or_else(|e| panic!("{}: {len} bytes: {e}", quirks.name));
                assert_eq!(world.received(1, 0), [&text[..]], "us to {}, {len} bytes", quirks.name);
            }
        }
    }
}

#[test]
fn messages_that_no_frame_can_hold_are_refused() {
    for quirks in ON_LAN {
        let mut world = with_old(95, quirks, Profile::WIRE);
        let refused = world.write(0, 1, &vec![7; 65_475]).map_err(|e| e.code);
        assert_eq!(refused, Err(Code::TooLarge), "{}", quirks.name);
        world.write(0, 1, &vec![7; 65_474]).expect("the largest frame");
        world.run_for(S);
        assert_eq!(world.received(1, 0).len(), 1, "{}", quirks.name);
    }
}

#[test]
fn a_send_refused_for_what_waits_for_others_is_told_when_to_try_again() {
    let mut world = World::new(97, Profile::WIRE);
    let config = Config { send_buffer: 1 << 30, ..Config::default() };
    world.add_ours(Place::new(0), &config);
    world.add_ours(Place::new(1), &Config::default());
    world.add_ours(Place::new(2), &Config::default());
    world.expect("connected", S * 5, |w| w.sees(0, 1) && w.sees(0, 2));
    world.kill(1);
    let message = vec![7; 60_000];
    let refused = (0..2_000).find_map(|_| world.write(0, 1, &message).err()).map(|e| e.code);
    assert_eq!(refused, Some(Code::WouldBlock));
    assert_eq!(world.write(0, 2, &message).map_err(|e| e.code), Err(Code::WouldBlock));
    let there = world.ours(0).peer(&world.wire_id(2)).expect("it is connected").id;
    world.expect("the peer is writable", S * 70, |world| {
        world.ours(0).events.iter().any(|(_, event)| *event == Event::Writable { peer: there })
    });
}

#[test]
fn clear_fragments_are_sent_only_with_leave_and_only_to_those_who_understand_them() {
    for (quirks, taken) in [(&JS, true), (&PY_010, true), (&CPP, false), (&RUST, false)] {
        let mut world = World::new(96, Profile::WIRE);
        let config = Config { clear_fragments: true, ..Config::default() };
        world.add_ours(Place::new(0), &config);
        world.add_model(Place::new(1), quirks);
        if quirks.rust {
            world.dial(0, 1);
        }
        connected(&mut world, S * 10);
        world.run_for(S * 3);
        let text: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
        let sent = world.write(0, 1, &text).map_err(|e| e.code);
        assert_eq!(sent, if taken { Ok(()) } else { Err(Code::TooLarge) }, "{}", quirks.name);
        world.run_for(S * 3);
        assert_eq!(world.received(1, 0), if taken { vec![text] } else { Vec::new() }, "{}", quirks.name);
    }
}

#[test]
fn our_messages_survive_loss() {
    let bursts = Bursts { enter: 0.01, leave: 0.3, loss: 0.9 };
    let disorder = Profile { duplicate: 0.05, reorder: 0.05, ..Profile::lossy(0.05) };
    // A burst takes a frame and its copies alike.
    let bursty = Profile { bursts: Some(bursts), ..Profile::lossy(0.02) };
    let profiles = [(Profile::lossy(0.05), 99), (Profile::lossy(0.1), 99), (bursty, 96), (disorder, 99)];
    for quirks in ON_LAN {
        for (i, (profile, least)) in profiles.into_iter().enumerate() {
            let mut world = with_old(100 + i as u64, quirks, profile);
            let count = 300;
            for n in 0..count {
                world.write(0, 1, format!("ours {n}").as_bytes()).expect("sent");
                world.write(1, 0, format!("theirs {n}").as_bytes()).expect("sent");
                world.run_for(MS * 50);
            }
            world.run_for(S * 10);
            let there = unique(world.received(1, 0));
            assert!(there * 100 >= count * least, "{} {i}: {there} of {count} of ours arrived", quirks.name);
            // Theirs are lost as the link loses them, but nothing stalls.
            let here = world.received(0, 1);
            assert!(unique(here.clone()) * 100 >= count * 84, "{} {i}: {} of theirs", quirks.name, here.len());
            assert_eq!(unique(here.clone()), here.len(), "{} {i}: a copy was delivered", quirks.name);
            let last = here.last().map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default();
            let number: usize = last.trim_start_matches("theirs ").parse().expect("a number");
            assert!(number + 20 > count, "{} {i}: the last was {last}", quirks.name);
        }
    }
}

#[test]
fn ours_lose_nothing_among_themselves() {
    for (loss, least) in [(0.02, 297), (0.05, 297), (0.1, 297), (0.2, 285)] {
        let mut world = two_of_ours(110, Place::v4_only);
        world.net.profile = Profile::lossy(loss);
        connected(&mut world, S * 30);
        for n in 0..300 {
            world.write(0, 1, format!("message {n}").as_bytes()).expect("sent");
            world.run_for(MS * 20);
        }
        world.run_for(S * 10);
        let got = world.received(1, 0);
        assert!(unique(got.clone()) >= least, "{loss}: {} of 300", unique(got.clone()));
        assert_eq!(unique(got.clone()), got.len(), "{loss}: a copy was delivered");
    }
}

#[test]
fn an_application_that_reads_nothing_for_minutes_loses_nobody() {
    let mut world = two_of_ours(0x6e5, Place::v4_only);
    connected(&mut world, S);
    world.run_for(S);
    let large = vec![7; 12 << 20];
    world.write(1, 0, b"before").expect("room");
    world.write(1, 0, &large).expect("room");
    // Some of it has come, and then nothing more is read.
    world.run_for(MS * 3);
    world.call(0, |node, _| node.set_room(0));
    world.run_for(S * 150);
    assert!(world.received(0, 1).iter().all(|got| got.len() < large.len()), "it came while nobody read");
    world.call(0, |node, _| node.set_room(usize::MAX));
    world.run_for(S * 5);
    let got: Vec<usize> = world.received(0, 1).iter().map(Vec::len).collect();
    assert_eq!(got, [6, large.len()]);
    assert_eq!(world.ours(0).node.stats().disconnections, 0, "it was taken for a peer that stalls");
}
