//! Nothing leaves a suspended swarm, and nothing that was begun before comes true in it. The same of bans: whoever is on his
//! way in when he is banned does not get in.

use crate::bed::*;
use crate::hub::Asked;
use setowire::{Code, Config};
use std::time::Duration;

#[test]
fn it_announces_nothing_on_the_local_network() {
    both_presets(|bed, options| {
        let a = bed.add_with_lan(options);
        bed.join_flushed(a, topic(1), BOTH);
        bed.run(ms(2_000));
        bed.call(a, |node, now| node.suspend(now)).expect("open");
        bed.run(ms(1_000));
        let before = bed.sent.0;
        bed.run(ms(60_000));
        assert_eq!(bed.sent.0 - before, 0, "datagrams of a suspended swarm");
        bed.call(a, |node, now| node.resume(now)).expect("open");
        bed.run(ms(20_000));
        assert!(bed.sent.0 - before >= 3, "announced again");
    });
}

#[test]
fn it_dials_nobody() {
    both_presets(|bed, options| {
        let b = bed.add(options);
        let seed = bed.seats[b].addr.to_string();
        let a = bed.add(&Config { seeds: vec![seed.clone()], ..options.clone() });
        bed.kill(b);
        bed.join_flushed(a, topic(1), BOTH);
        // Without a time limit, and with one.
        let tags: Vec<u64> = [Some(Duration::MAX), None]
            .map(|limit| bed.begin(a, |node, now, tag| node.connect(now, &seed, None, limit, tag)))
            .into();
        bed.call(a, |node, now| node.suspend(now)).expect("open");
        for tag in tags {
            assert_eq!(bed.result(a, tag), Some(Some(Code::Unreachable)), "it will not be connected");
        }
        let before = bed.sent.0;
        let tag = bed.begin(a, |node, now, tag| node.connect(now, &seed, None, Some(Duration::MAX), tag));
        assert_eq!(bed.result(a, tag), Some(Some(Code::Unreachable)));
        let key = bed.key(b);
        let tag = bed.begin(a, |node, now, tag| node.connect_peer(now, key, Some(Duration::MAX), tag));
        assert_eq!(bed.result(a, tag), Some(Some(Code::Unreachable)));
        bed.run(ms(100_000));
        assert_eq!(bed.sent.0 - before, 0, "datagrams of a suspended swarm");
        assert_eq!(bed.node(a).stats().dials, 0);
    });
}

#[test]
fn to_listen_waits_for_the_resumption() {
    both_presets(|bed, options| {
        let a = bed.add(options);
        bed.call(a, |node, now| node.suspend(now)).expect("open");
        bed.call(a, |node, now| node.listen(now)).expect("open");
        bed.run(ms(1_000_000));
        assert_eq!(bed.hub.rounds_of(a), []);
        bed.call(a, |node, now| node.resume(now)).expect("open");
        bed.run(ms(1_000));
        assert_eq!(bed.hub.rounds_of(a).len(), 1, "its key is announced");
    });
}

#[test]
fn a_refresh_ends() {
    both_presets(|bed, options| {
        let a = bed.add(options);
        let session = bed.join(a, topic(1), BOTH);
        bed.flushed(a, session);
        bed.call(a, |node, now| node.suspend(now)).expect("open");
        let tag = bed.begin(a, |node, now, tag| node.refresh(now, session, CLIENT, tag));
        assert_eq!(bed.result(a, tag), Some(Some(Code::Unreachable)));
        // What it changed holds.
        bed.call(a, |node, now| node.resume(now)).expect("open");
        assert!(bed.flushed(a, session));
        assert!(!bed.node(a).topic_info(session).expect("joined").server);
    });
}

/// The round in which our key is announced is over before the announcement is taken back.
#[test]
fn no_round_goes_on() {
    both_presets(|bed, options| {
        bed.hub.delay = ms(3_000);
        let a = bed.add(options);
        bed.call(a, |node, now| node.listen(now)).expect("open");
        let tag = bed.begin(a, |node, now, tag| node.look_up(now, topic(9), None, false, tag));
        bed.call(a, |node, now| node.suspend(now)).expect("open");
        assert_eq!(bed.result(a, tag), Some(Some(Code::Unreachable)));
        assert_eq!(bed.held(a, "rounds"), 0);
        let asked: Vec<Asked> = bed.hub.asked_by(a).into_iter().map(|(_, asked)| asked).collect();
        let cancelled = asked.iter().filter(|asked| matches!(asked, Asked::Cancel { .. })).count();
        assert_eq!(cancelled, 2, "{asked:?}");
        let Asked::Round { query, name, .. } = asked[0] else { panic!("{asked:?}") };
        let place = |what: Asked| asked.iter().position(|asked| *asked == what).expect("asked for");
        assert!(place(Asked::Cancel { query }) < place(Asked::Unannounce { name }), "{asked:?}");
    });
}

/// Whenever it happens: of a connection that was on its way nothing is left.
#[test]
fn whoever_is_on_his_way_in_does_not_get_in() {
    for after in (0..80).step_by(2) {
        for dialler in [false, true] {
            for banned in [false, true] {
                let mut bed = Bed::new(after);
                let options = config(setowire::config::swarm::Preset::Setowire);
                let (a, b) = (bed.add(&options), bed.add(&options));
                bed.join_flushed(a, topic(1), BOTH);
                bed.join(b, topic(1), CLIENT);
                bed.run(ms(after));
                let (who, other) = if dialler { (b, bed.whom(a)) } else { (a, bed.whom(b)) };
                bed.call(who, |node, now| match banned {
                    true => node.ban(now, other, None, true),
                    false => node.suspend(now),
                })
                .expect("open");
                bed.run(ms(2_000));
                let open = bed.seats[who].open.len();
                assert_eq!(open, 0, "after {after} ms, banned: {banned}, by the one who dials: {dialler}");
            }
        }
    }
}

/// Who waits for the answer of a firewall when the swarm is suspended hears at once that he is refused.
#[test]
fn who_waits_at_the_door_is_turned_away() {
    both_presets(|bed, options| {
        let mut strict = options.clone();
        strict.swarm.firewall = true;
        let (a, b) = (bed.add(&strict), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        bed.run(ms(500));
        assert_eq!(bed.held(a, "questions"), 1);
        bed.call(a, |node, now| node.suspend(now)).expect("open");
        bed.run(ms(100));
        assert_eq!(bed.node(b).swarm_status().connecting, 0, "its dial has failed");
    });
}
