//! Peers: what is told in which order, who is dialled again and when, what is kept and what is forgotten.

use crate::bed::*;
use setowire::config::limits::{KNOWN_MAX, KNOWN_PER_IP};
use setowire::config::swarm::Preset;
use setowire::node::{Event, PeerId, Whom};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

/// State first, then the event of it, then the update.
#[test]
fn the_order_of_events() {
    both_presets(|bed, options| {
        let all = bed.add_many(6, options);
        for who in &all {
            // What the node says when it tells is what it tells.
            bed.set_hook(*who, |node, _, event| match event {
                Event::Connection(info) => assert!(node.peers().contains(&info.id)),
                Event::Disconnection { peer, .. } => assert!(!node.peers().contains(peer)),
                _ => {}
            });
            bed.join(*who, topic(1), BOTH);
        }
        bed.run(ms(3_000));
        for _ in 0..20 {
            let who = all[bed.below(6)];
            let open: Vec<PeerId> = bed.seats[who].open.keys().copied().collect();
            if let Some(peer) = open.first().copied() {
                bed.call(who, |node, now| node.close_peer(now, peer)).expect("connected");
            }
            bed.run(ms(150));
        }
        for who in all {
            let (mut open, mut owed): (BTreeSet<PeerId>, Option<usize>) = (BTreeSet::new(), None);
            for (_, event) in &bed.seats[who].events {
                match event {
                    Event::Connection(info) => {
                        assert!(open.insert(info.id), "once for each connection");
                        assert_eq!(owed.replace(open.len()), None, "an update for each change");
                    }
                    Event::Disconnection { peer, .. } => {
                        assert!(open.remove(peer));
                        assert_eq!(owed.replace(open.len()), None, "an update for each change");
                    }
                    Event::Changed { connections, .. } => {
                        assert_eq!(*connections, open.len(), "after the change, not before");
                        owed = None;
                    }
                    Event::Message { peer, .. } => assert!(open.contains(peer)),
                    _ => {}
                }
            }
            assert_eq!(owed, None);
            let changes = bed.told(who, |event| matches!(event, Event::Changed { .. }).then_some(())).len() as u64;
            assert_eq!(bed.node(who).swarm_stats().updates, changes);
        }
    });
}

/// Every dial that began opened, failed, or goes on.
#[test]
fn counters_add_up() {
    for seed in 0..10 {
        let mut bed = Bed::new(seed);
        let options = config(if seed % 2 == 0 { Preset::V4 } else { Preset::Setowire });
        let all = bed.add_many(5, &options);
        for who in &all {
            bed.join(*who, topic(1), BOTH);
        }
        for _ in 0..10 {
            let who = all[bed.below(5)];
            if let Some(peer) = bed.seats[who].open.keys().next().copied() {
                bed.call(who, |node, now| node.close_peer(now, peer)).expect("connected");
            }
            bed.run(ms(77));
        }
        bed.run(ms(30_000));
        for who in all {
            let stats = bed.node(who).swarm_stats();
            let (clients, servers) = (bed.held(who, "dialled") as u64, bed.held(who, "accepted") as u64);
            assert_eq!(stats.client_attempted, stats.client_closed + clients, "seed {seed}: {stats:?}");
            assert_eq!(stats.server_opened, stats.server_closed + servers, "seed {seed}: {stats:?}");
        }
    }
}

/// Joined by key and not there: fast at first, then in the slow timer, for ever.
#[test]
fn explicit_peers_are_never_given_up() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.kill(b);
        let (whom, addr) = (bed.whom(b), bed.seats[b].addr);
        let mut slow = options.clone();
        slow.swarm.backoffs = Some([ms(1_000), ms(5_000), ms(15_000), ms(600_000)]);
        let c = bed.add(&slow);
        for who in [a, c] {
            bed.call(who, |node, now| node.join_peer(now, whom, Some(addr))).expect("join");
        }
        bed.run(Duration::from_secs(120));
        let fast = bed.node(c).swarm_stats().client_attempted;
        assert!((3..=6).contains(&fast), "{fast}");
        let (mut before, mut last) = (bed.now, bed.now);
        for n in 0..4 {
            let dials = bed.node(c).swarm_stats().client_attempted;
            assert!(bed.wait(Duration::from_secs(900), |bed| bed.node(c).swarm_stats().client_attempted > dials));
            if n == 0 {
                before = bed.now;
            }
            last = bed.now;
            bed.run(Duration::from_secs(60));
        }
        let each = (last - before) / 3;
        assert!(each >= Duration::from_secs(396) && each < Duration::from_secs(860), "about ten minutes: {each:?}");
        assert_eq!(bed.node(c).swarm_status().explicit, 1);
        // It comes, and is dialled by both within their time.
        bed.restart(b);
        assert!(bed.wait(Duration::from_secs(900), |bed| bed.connected(b).len() == 2));
    });
}

/// A firewall that does not answer ends a dial, not the wish.
#[test]
fn an_explicit_peer_is_asked_about_again() {
    both_presets(|bed, options| {
        let mut strict = options.clone();
        (strict.swarm.firewall, strict.swarm.handshake_clear_wait) = (true, ms(100));
        let (a, b) = (bed.add(&strict), bed.add(options));
        let (whom, addr) = (bed.whom(b), bed.seats[b].addr);
        bed.call(a, |node, now| node.join_peer(now, whom, Some(addr))).expect("join");
        bed.run(ms(30_000));
        let asked = bed.told(a, |event| matches!(event, Event::Ask(_)).then_some(())).len();
        assert!(asked > 2, "{asked}");
        assert_eq!(bed.node(a).swarm_stats().banned, 0);
        bed.set_hook(a, |node, now, event| {
            if let Event::Ask(question) = event {
                node.answer(now, question.id, true).expect("open");
            }
        });
        assert!(bed.wait(ms(10_000), |bed| bed.connections(a) == 1));
    });
}

#[test]
fn an_explicit_peer_needs_no_topic_unless_that_is_refused() {
    both_presets(|bed, options| {
        let mut closed = options.clone();
        closed.accept_explicit = false;
        let (a, b, c) = (bed.add(options), bed.add(options), bed.add(&closed));
        for who in [b, c] {
            let (whom, addr) = (bed.whom(who), bed.seats[who].addr);
            bed.call(a, |node, now| node.join_peer(now, whom, Some(addr))).expect("join");
        }
        bed.run(ms(3_000));
        assert_eq!((bed.connections(b), bed.connections(c)), (1, 0));
        assert_eq!(bed.connected(a), [bed.key(b)].into());
        // Of a connected peer it is only noted.
        let d = bed.add(options);
        bed.join_flushed(d, topic(1), SERVER);
        bed.join(a, topic(1), CLIENT);
        assert!(bed.wait(ms(3_000), |bed| bed.peer(a, d).is_some()));
        let whom = bed.whom(d);
        bed.call(a, |node, now| node.join_peer(now, whom, None)).expect("join");
        assert!(bed.known(a, d).expect("known").explicit);
        bed.leave(a, topic(1));
        bed.run(ms(100));
        bed.close_connection(d, a);
        assert!(bed.wait(ms(3_000), |bed| bed.connections(d) == 2), "it is dialled without the topic");
    });
}

/// Nobody closed it: both sides look for the other.
#[test]
fn a_lost_connection_is_brought_back_by_either_side() {
    both_presets(|bed, options| {
        for dead in [0, 1] {
            let (a, b) = (bed.add(options), bed.add(options));
            bed.join_flushed(a, topic(dead), SERVER);
            bed.join(b, topic(dead), CLIENT);
            assert!(bed.wait(PATIENCE, |bed| bed.connections(a) == 1));
            bed.run(ms(20_000));
            bed.cut.insert((a, b));
            assert!(bed.wait(PATIENCE, |bed| bed.seats[a].open.is_empty() && bed.seats[b].open.is_empty()));
            // One of them is not able to dial: the other does it.
            let (dials, other) = if dead == 0 { (b, a) } else { (a, b) };
            let whom = bed.whom(dials);
            bed.call(other, |node, _| node.set_reconnect(&whom, false)).expect("known");
            bed.cut.clear();
            assert!(bed.wait(PATIENCE, |bed| bed.connections(a) == 2 && bed.connections(b) == 2), "{dead}");
        }
    });
}

#[test]
fn a_peer_that_is_not_to_be_dialled_again() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(b) == 1));
        let whom = bed.whom(a);
        bed.call(b, |node, _| node.set_reconnect(&whom, false)).expect("known");
        bed.close_connection(a, b);
        bed.run(ms(30_000));
        assert_eq!(bed.connections(b), 1);
        assert!(bed.node(b).known_peers().is_empty());
    });
}

/// Who dialled us and closed is not dialled by us.
#[test]
fn the_accepting_side_waits() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(a) == 1));
        bed.close_connection(a, b);
        bed.run(ms(20));
        assert!(bed.node(a).known_peers().is_empty());
        assert!(bed.wait(ms(1_000), |bed| bed.connections(a) == 2));
        assert_eq!(bed.node(a).swarm_stats().client_attempted, 0);
    });
}

/// Whatever a source invents, the table is bounded, and a peer that exists gets its place.
#[test]
fn forged_peers_fill_nothing() {
    let mut bed = Bed::new(11);
    let options = config(Preset::V4);
    let (a, b) = (bed.add(&options), bed.add(&options));
    bed.join_flushed(b, topic(1), SERVER);
    bed.careful = false;
    bed.hub.delay = ms(20_000);
    bed.join(a, topic(1), CLIENT);
    let query = 1;
    let forged = |n: u32| {
        let mut key = [0xf0; 32];
        key[..4].copy_from_slice(&n.to_be_bytes());
        key
    };
    // Many at one address.
    for n in 0..3_000u32 {
        let addr = SocketAddr::from(([192, 0, 2, 1], 1_000 + n as u16));
        bed.call(a, |node, now| node.handle_found(now, query, forged(n), addr));
        assert!(bed.node(a).swarm_status().known <= KNOWN_PER_IP + 1);
    }
    // Many addresses.
    for n in 0..KNOWN_MAX as u32 + 3_000 {
        let [_, x, y, z] = n.to_be_bytes();
        let addr = SocketAddr::from(([100, x, y, z], 1_000));
        bed.call(a, |node, now| node.handle_found(now, query, forged(10_000 + n), addr));
    }
    assert!(bed.node(a).swarm_status().known <= KNOWN_MAX);
    // The dials fail one by one and wait; a real peer comes.
    bed.run(ms(9_000));
    let (key, addr) = (bed.key(b), bed.seats[b].addr);
    bed.call(a, |node, now| node.handle_found(now, query, key, addr));
    assert!(bed.known(a, b).is_some(), "the oldest of those that were merely heard of gave way");
    assert!(bed.node(a).swarm_status().known <= KNOWN_MAX);
    // All of it goes with the topic.
    bed.leave(a, topic(1));
    bed.run(ms(30_000));
    assert!(bed.node(a).swarm_status().known <= 1, "{:?}", bed.node(a).swarm_status());
}

/// When all have gone, what is held is what was held at the beginning.
#[test]
fn everything_returns_to_its_baseline() {
    both_presets(|bed, options| {
        let all = bed.add_many(6, options);
        let mut baseline = bed.node(all[0]).held();
        for round in 0..3 {
            for who in &all {
                for n in 0..3 {
                    bed.join(*who, topic(n), BOTH);
                }
            }
            bed.run(ms(2_000));
            for pair in all.windows(2) {
                if bed.peer(pair[0], pair[1]).is_some() {
                    bed.close_connection(pair[0], pair[1]);
                }
            }
            bed.run(ms(500));
            let whom = bed.whom(all[1]);
            bed.call(all[0], |node, now| node.join_peer(now, whom, None)).expect("join");
            bed.run(ms(500));
            bed.call(all[0], |node, now| node.leave_peer(now, &whom)).expect("open");
            for who in &all {
                for n in 0..3 {
                    bed.leave(*who, topic(n));
                }
            }
            for who in &all {
                for peer in bed.node(*who).peers() {
                    bed.call(*who, |node, now| node.close_peer(now, peer)).expect("connected");
                }
                bed.run(ms(100));
            }
            bed.run(Duration::from_secs(200));
            let held = bed.node(all[0]).held();
            if round == 0 {
                // What is learnt about addresses stays for a while.
                baseline = held;
                let zero = [
                    "dialled",
                    "accepted",
                    "attempts",
                    "queued",
                    "rounds",
                    "rounds of the swarm",
                    "operations",
                    "flushes",
                    "questions",
                ];
                assert!(baseline.iter().all(|(name, n)| !zero.contains(name) || *n == 0), "{baseline:?}");
            } else {
                assert_eq!(held, baseline, "round {round}");
            }
            assert!(bed.node(all[0]).known_peers().is_empty());
        }
    });
}

/// Found by both at once, again and again: one connection, whoever dialled.
#[test]
fn simultaneous_dials_converge() {
    for seed in 0..40 {
        let mut bed = Bed::new(seed);
        let options = config(if seed % 2 == 0 { Preset::V4 } else { Preset::Setowire });
        bed.hub.gap = ms(seed % 4);
        bed.loss = if seed % 5 == 4 { 100 } else { 0 };
        let all = bed.add_many(4, &options);
        for who in &all {
            let id = bed.join(*who, topic(1), BOTH);
            let _ = id;
            let pause = ms(bed.below(30) as u64);
            bed.run(pause);
        }
        assert!(bed.wait(ms(20_000), |bed| all.iter().all(|who| bed.connected(*who).len() == 3)), "seed {seed}");
        bed.run(ms(5_000));
        for who in &all {
            assert_eq!(bed.connected(*who).len(), 3);
            let most = if bed.loss > 0 { 9 } else { 3 };
            assert!(bed.connections(*who) <= most, "seed {seed}: {} connections", bed.connections(*who));
            assert_eq!(bed.held(*who, "attempts"), 0, "seed {seed}: no dial waits for nothing");
        }
    }
}

/// A key that dials itself through a source is not dialled.
#[test]
fn our_own_key_is_ignored() {
    both_presets(|bed, options| {
        let a = bed.add(options);
        assert!(bed.join_flushed(a, topic(1), BOTH));
        let session = bed.node(a).topics()[0];
        assert!(bed.refresh(a, session, setowire::node::Modes::default()));
        assert_eq!(bed.node(a).swarm_status().known, 0);
        assert_eq!(bed.node(a).known_peer(bed.time(), &Whom::Key(bed.key(a))), None);
    });
}

/// Of who is dialled by its address or its key alone, too, it is known where it is.
#[test]
fn where_a_peer_answered_is_known() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        let (addr, key) = (bed.seats[b].addr, bed.key(b));
        let tag = bed.begin(a, |node, now, tag| node.connect(now, &addr.to_string(), None, None, tag));
        assert_eq!(bed.finish(a, tag), None);
        assert_eq!(bed.known(a, b).expect("connected").addresses, [addr]);
        bed.close_connection(a, b);
        bed.run(ms(100));
        bed.join_flushed(b, topic(1), SERVER);
        let tag = bed.begin(a, |node, now, tag| node.connect_peer(now, key, None, tag));
        assert_eq!(bed.finish(a, tag), None);
        assert_eq!(bed.known(a, b).expect("connected").addresses, [addr]);
    });
}
