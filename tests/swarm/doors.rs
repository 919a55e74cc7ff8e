//! Who is let in: limits of both directions, the firewall that answers late or never, bans.

use crate::bed::*;
use setowire::config::swarm::Preset;
use setowire::node::{Event, Question, Whom};
use setowire::swarm::door::Purpose;

fn questions(bed: &Bed, who: usize) -> Vec<Question> {
    bed.told(who, |event| match event {
        Event::Ask(question) => Some(question.clone()),
        _ => None,
    })
}

fn bans(bed: &Bed, who: usize) -> usize {
    bed.told(who, |event| matches!(event, Event::Banned { .. }).then_some(())).len()
}

/// Nobody answers: the others go on, and nobody is banned.
#[test]
fn a_firewall_that_never_answers() {
    both_presets(|bed, options| {
        let mut strict = options.clone();
        strict.swarm.firewall = true;
        let (a, b, c) = (bed.add(&strict), bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join_flushed(c, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        bed.run(ms(1_000));
        assert_eq!(bed.connected(b), [bed.key(c)].into(), "others are not held up");
        assert_eq!(questions(bed, a).len(), 1);
        assert!(bed.flush(b), "the dial ends with the deadline");
        bed.run(ms(3_000));
        assert_eq!((bed.connections(a), bans(bed, a), bed.node(a).swarm_stats().banned), (0, 0, 0));
        assert_eq!(questions(bed, a).len(), 1, "not again while it is remembered");
        assert!(!bed.known(a, b).is_some_and(|known| known.banned));
        // An answer that is too late is an error.
        let late = questions(bed, a)[0].id;
        assert!(bed.call(a, |node, now| node.answer(now, late, true)).is_err());
        // Later it is asked about again.
        bed.run(ms(60_000));
        let session = bed.node(b).topics()[0];
        bed.refresh(b, session, setowire::node::Modes::default());
        bed.run(ms(100));
        let again = questions(bed, a).last().expect("asked").id;
        assert!(again > late);
        bed.call(a, |node, now| node.answer(now, again, true)).expect("in time");
        bed.run(ms(100));
        assert_eq!(bed.connections(a), 1);
    });
}

#[test]
fn a_firewall_that_answers_late() {
    both_presets(|bed, options| {
        let mut strict = options.clone();
        strict.swarm.firewall = true;
        let (a, b) = (bed.add(&strict), bed.add(&strict));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        bed.run(ms(4_000));
        // The one that dials asks first; nothing has left.
        let asked = questions(bed, b);
        assert_eq!((asked.len(), asked[0].purpose, asked[0].whom), (1, Purpose::Dial, bed.whom(a)));
        assert!(questions(bed, a).is_empty());
        bed.call(b, |node, now| node.answer(now, asked[0].id, true)).expect("in time");
        bed.run(ms(4_000));
        let asked = questions(bed, a);
        assert_eq!((asked.len(), asked[0].purpose, asked[0].whom), (1, Purpose::Incoming, bed.whom(b)));
        bed.call(a, |node, now| node.answer(now, asked[0].id, true)).expect("in time");
        bed.run(ms(1_000));
        assert_eq!((bed.connections(a), bed.connections(b)), (1, 1));
    });
}

/// Refused for now: not banned, and let in as soon as the firewall is gone.
#[test]
fn lifting_a_ban_lets_it_in_again() {
    both_presets(|bed, options| {
        let mut strict = options.clone();
        strict.swarm.firewall = true;
        let (a, b) = (bed.add(&strict), bed.add(options));
        bed.set_hook(a, |node, now, event| {
            if let Event::Ask(question) = event {
                node.answer(now, question.id, false).expect("open");
            }
        });
        bed.join_flushed(a, topic(1), SERVER);
        let session = bed.join(b, topic(1), CLIENT);
        bed.run(ms(2_000));
        assert_eq!(bans(bed, a), 1);
        let whom = bed.whom(b);
        bed.call(a, |node, now| {
            node.set_firewall(false);
            node.unban(now, &whom)
        })
        .expect("open");
        bed.refresh(b, session, setowire::node::Modes::default());
        bed.run(ms(2_000));
        assert_eq!((bed.connections(a), bed.connections(b)), (1, 1));
    });
}

/// All questions of a queue may be open at once, but dials are as many as may be.
#[test]
fn answers_of_the_firewall_wait_for_a_place() {
    let mut bed = Bed::new(3);
    let options = config(Preset::V4);
    let mut strict = options.clone();
    (strict.swarm.firewall, strict.swarm.max_parallel, strict.swarm.max_peers) = (true, 2, 6);
    for who in bed.add_many(12, &options) {
        bed.join_flushed(who, topic(1), SERVER);
    }
    let b = bed.add(&strict);
    bed.join(b, topic(1), CLIENT);
    bed.run(ms(1_000));
    let asked = questions(&bed, b);
    assert!(asked.len() > 2, "{}", asked.len());
    for question in asked {
        bed.call(b, |node, now| node.answer(now, question.id, true)).expect("in time");
        assert!(bed.node(b).swarm_status().connecting <= 2);
    }
    bed.run(ms(1_000));
    assert_eq!(bed.connected(b).len(), 6, "max_peers holds");
}

/// The ban came while the question was open.
#[test]
fn who_is_banned_meanwhile_is_not_dialled() {
    both_presets(|bed, options| {
        let mut strict = options.clone();
        strict.swarm.firewall = true;
        let (a, b) = (bed.add(options), bed.add(&strict));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        bed.run(ms(500));
        let question = questions(bed, b)[0].id;
        let whom = bed.whom(a);
        bed.call(b, |node, now| node.ban(now, whom, None, false)).expect("room");
        bed.call(b, |node, now| node.answer(now, question, true)).expect("in time");
        bed.run(ms(5_000));
        assert_eq!((bed.connections(a), bed.node(b).swarm_stats().client_attempted), (0, 0));
        assert!(bed.flush(b));
        // Banned twice is banned once.
        bed.call(b, |node, now| node.ban(now, whom, None, false)).expect("room");
        assert_eq!(bed.node(b).swarm_stats().banned, 1);
    });
}

/// Anybody can dial under any number of keys: nothing but the bans is kept, and those are bounded.
#[test]
fn strangers_who_are_banned_leave_no_trace_in_the_table() {
    both_presets(|bed, options| {
        let mut strict = options.clone();
        strict.swarm.firewall = true;
        let a = bed.add(&strict);
        bed.set_hook(a, |node, now, event| {
            if let Event::Ask(question) = event {
                node.answer(now, question.id, false).expect("open");
            }
        });
        bed.join_flushed(a, topic(1), SERVER);
        for who in bed.add_many(20, options) {
            bed.join(who, topic(1), CLIENT);
        }
        bed.run(ms(20_000));
        assert_eq!((bans(bed, a), bed.node(a).swarm_status().known), (20, 0));
        assert_eq!(bed.node(a).known_peers().len(), 20, "those are the bans");
    });
}

#[test]
fn a_limit_of_servers_holds_when_several_dial_at_once() {
    both_presets(|bed, options| {
        let mut small = options.clone();
        small.swarm.max_server_connections = 3;
        let a = bed.add(&small);
        bed.join_flushed(a, topic(1), SERVER);
        let clients = bed.add_many(10, options);
        for who in &clients {
            bed.join(*who, topic(1), CLIENT);
        }
        bed.run(ms(30_000));
        assert_eq!((bed.connections(a), bed.seats[a].open.len()), (3, 3), "never more, not even for a moment");
        let refused = clients.iter().find(|who| bed.seats[**who].open.is_empty()).expect("seven");
        assert_eq!(bed.connections(*refused), 0, "no connection event for who is refused");
        // A place that is free is given to who asks then.
        let first = *clients.iter().find(|who| !bed.seats[**who].open.is_empty()).expect("three");
        bed.destroy(first);
        let session = bed.node(*refused).topics()[0];
        bed.refresh(*refused, session, setowire::node::Modes::default());
        assert!(bed.wait(ms(5_000), |bed| bed.seats[a].open.len() == 3));
        // We may dial others beside them.
        let b = bed.add(options);
        bed.join_flushed(b, topic(2), SERVER);
        bed.join(a, topic(2), CLIENT);
        assert!(bed.wait(ms(5_000), |bed| bed.seats[a].open.len() == 4));
    });
}

/// Who lost its connection, and dials again before we notice, does not need a second place.
#[test]
fn who_dials_again_takes_its_own_place() {
    both_presets(|bed, options| {
        let mut small = options.clone();
        small.swarm.max_server_connections = 1;
        let (a, b) = (bed.add(&small), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(a) == 1));
        bed.run(ms(1_000));
        bed.kill(b);
        bed.restart(b);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(ms(3_000), |bed| bed.connections(b) == 1));
        assert_eq!((bed.connections(a), bed.seats[a].open.len()), (2, 1));
    });
}

#[test]
fn a_limit_of_clients() {
    both_presets(|bed, options| {
        let mut small = options.clone();
        small.swarm.max_client_connections = 2;
        let servers = bed.add_many(5, options);
        for who in &servers {
            bed.join_flushed(*who, topic(1), SERVER);
        }
        let a = bed.add(&small);
        bed.join(a, topic(1), BOTH);
        assert!(bed.flush(a));
        bed.run(ms(10_000));
        assert_eq!((bed.connections(a), bed.node(a).swarm_status().queued), (2, 3));
        // Those who dial us do not count.
        let b = bed.add(options);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(ms(3_000), |bed| bed.seats[a].open.len() == 3));
        // Nor do those joined by key.
        let waiting = *servers.iter().find(|who| bed.peer(a, **who).is_none()).expect("three");
        let whom = bed.whom(waiting);
        bed.call(a, |node, now| node.join_peer(now, whom, None)).expect("join");
        assert!(bed.wait(ms(3_000), |bed| bed.peer(a, waiting).is_some()));
        assert_eq!(bed.node(a).swarm_status().queued, 2);
    });
}

/// `setowire` counts both directions and refuses who comes beyond; `v4` counts both before it dials and takes who dials.
#[test]
fn what_max_peers_means() {
    for preset in [Preset::V4, Preset::Setowire] {
        let mut bed = Bed::new(5);
        let options = config(preset);
        let mut small = options.clone();
        small.swarm.max_peers = 3;
        let a = bed.add(&small);
        bed.join_flushed(a, topic(1), SERVER);
        let clients = bed.add_many(5, &options);
        for who in &clients {
            bed.join(*who, topic(1), CLIENT);
        }
        bed.run(ms(10_000));
        let taken = if preset == Preset::V4 { 5 } else { 3 };
        assert_eq!((bed.connections(a), bed.seats[a].open.len()), (taken, taken), "{}", preset.name());
        assert!(!bed.node(a).swarm_status().open);
        let b = bed.add(&options);
        bed.join_flushed(b, topic(2), SERVER);
        bed.join(a, topic(2), CLIENT);
        assert!(bed.flush(a));
        bed.run(ms(10_000));
        assert_eq!(bed.connections(b), 0, "full: nobody is dialled");
        for who in clients {
            bed.destroy(who);
        }
        assert!(bed.wait(ms(5_000), |bed| bed.connections(b) == 1), "{}: it was queued", preset.name());
    }
}

/// Explicit peers keep places for themselves under `v4`.
#[test]
fn explicit_peers_lessen_max_peers() {
    for (explicit, dialled) in [(0, 12), (1, 5), (2, 2), (3, 1), (4, 0)] {
        let mut bed = Bed::new(7);
        let options = config(Preset::V4);
        let mut small = options.clone();
        small.swarm.max_peers = 12;
        let a = bed.add(&small);
        for who in bed.add_many(explicit, &options) {
            let (whom, addr) = (bed.whom(who), bed.seats[who].addr);
            bed.call(a, |node, now| node.join_peer(now, whom, Some(addr))).expect("join");
        }
        bed.run(ms(1_000));
        for who in bed.add_many(14, &options) {
            bed.join_flushed(who, topic(1), SERVER);
        }
        bed.join(a, topic(1), CLIENT);
        bed.run(ms(5_000));
        // So many times the connections have to be fewer than 12: 1, 2, 3, 3, 4.
        assert_eq!(bed.seats[a].open.len(), explicit + dialled, "{explicit} joined by key");
    }
}

#[test]
fn a_ban_closes_only_what_it_is_told_to() {
    both_presets(|bed, options| {
        let (a, b, c) = (bed.add(options), bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), BOTH);
        bed.join(b, topic(1), CLIENT);
        bed.join(c, topic(1), CLIENT);
        bed.run(ms(1_000));
        let (of_b, of_c): (Whom, Whom) = (bed.whom(b), bed.whom(c));
        bed.call(a, |node, now| node.ban(now, of_b, None, false)).expect("room");
        bed.call(a, |node, now| node.ban(now, of_c, Some(ms(5_000)), true)).expect("room");
        bed.run(ms(2_000));
        assert_eq!(bed.connected(a), [bed.key(b)].into());
        assert_eq!(bed.node(a).swarm_stats().banned, 2);
        // For a time: then it may come back.
        bed.run(ms(5_000));
        let session = bed.node(c).topics()[0];
        bed.refresh(c, session, setowire::node::Modes::default());
        bed.run(ms(2_000));
        assert_eq!(bed.connected(a).len(), 2);
    });
}
