//! The test matrix of Hyperswarm 4: connections, sessions of topics, suspending.

use crate::bed::*;
use setowire::config::swarm::Preset;
use setowire::node::Event;

/// Long enough for what should not happen to happen.
const A_WHILE: std::time::Duration = ms(3_000);

#[test]
fn first_connection_server_client() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        assert!(bed.join_flushed(a, topic(1), SERVER));
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(b) == 1));
        bed.run(A_WHILE);
        assert_eq!((bed.connections(a), bed.connections(b)), (1, 1));
    });
}

#[test]
fn first_connection_both_servers() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        assert!(bed.join_flushed(a, topic(1), BOTH));
        assert!(bed.join_flushed(b, topic(1), BOTH));
        bed.run(A_WHILE);
        assert_eq!((bed.connections(a), bed.connections(b)), (1, 1));
    });
}

#[test]
fn single_reconnect() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(a) == 1 && bed.connections(b) == 1));
        bed.close_connection(a, b);
        bed.run(A_WHILE);
        assert_eq!((bed.connections(a), bed.connections(b)), (2, 2));
    });
}

#[test]
fn maximum_reconnects() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.set_hook(b, |node, now, event| {
            if let Event::Connection(info) = event {
                node.close_peer(now, info.id).expect("it is connected");
            }
        });
        bed.join(b, topic(1), CLIENT);
        bed.run(ms(4 * 300));
        let soon = bed.connections(b);
        assert!(soon > 1 && soon < 5, "{soon} connections");
        bed.run(ms(30_000));
        let ever = bed.connections(b);
        assert_eq!(ever, 4, "the first and three retries");
        assert!(bed.node(b).known_peers().is_empty(), "given up and forgotten");
    });
}

#[test]
fn simple_dedup() {
    for seed in 0..20 {
        for preset in [Preset::V4, Preset::Setowire] {
            let mut bed = Bed::new(seed);
            let options = config(preset);
            let (a, b) = (bed.add(&options), bed.add(&options));
            // At the same instant: both find each other, and dial at once.
            bed.join(a, topic(1), BOTH);
            bed.join(b, topic(1), BOTH);
            bed.run(A_WHILE);
            assert_eq!((bed.connections(a), bed.connections(b)), (1, 1), "seed {seed}");
        }
    }
}

#[test]
fn topic_multiplexing() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        for n in [1, 2] {
            bed.join_flushed(a, topic(n), SERVER);
        }
        for n in [1, 2] {
            bed.join(b, topic(n), CLIENT);
        }
        assert!(bed.flush(b));
        bed.run(A_WHILE);
        assert_eq!(bed.connections(b), 1);
        let known = bed.known(b, a).expect("it is connected");
        assert_eq!(known.topics.len(), 2);
        let further = bed.told(b, |event| match event {
            Event::PeerTopic { topic, .. } => Some(*topic),
            _ => None,
        });
        assert_eq!(further.len(), 2, "the peer's `topic` event, once for each: {further:?}");
    });
}

#[test]
fn two_clients_one_server() {
    both_presets(|bed, options| {
        let (a, b, c) = (bed.add(options), bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        bed.join(c, topic(1), CLIENT);
        bed.run(A_WHILE);
        assert_eq!((bed.connections(a), bed.connections(b), bed.connections(c)), (2, 1, 1));
        assert_eq!(bed.connected(a), [bed.key(b), bed.key(c)].into());
        assert_eq!((bed.connected(b), bed.connected(c)), ([bed.key(a)].into(), [bed.key(a)].into()));
    });
}

#[test]
fn late_client_after_leave() {
    both_presets(|bed, options| {
        let (a, b, c) = (bed.add(options), bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(b) == 1));
        bed.leave(a, topic(1));
        bed.run(ms(100));
        bed.join(c, topic(1), CLIENT);
        assert!(bed.flush(c));
        bed.run(A_WHILE);
        assert_eq!((bed.connections(b), bed.seats[b].open.len()), (1, 1), "leaving closes nothing");
        assert_eq!(bed.connections(c), 0);
    });
}

#[test]
fn refresh_finds_new_server() {
    both_presets(|bed, options| {
        let (a, b, c) = (bed.add(options), bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        let session = bed.join(c, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(c) == 1));
        bed.join_flushed(b, topic(1), SERVER);
        bed.run(ms(60_000));
        assert_eq!(bed.connections(c), 1, "not before the next round");
        assert!(bed.refresh(c, session, setowire::node::Modes::default()));
        assert!(bed.wait(A_WHILE, |bed| bed.connections(c) == 2));
        assert_eq!(bed.connected(c), [bed.key(a), bed.key(b)].into());
    });
}

#[test]
fn dedup_when_client_conn_destroyed() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        for who in [a, b] {
            bed.set_hook(who, |node, now, event| {
                if let Event::Connection(info) = event {
                    node.send(now, info.id, b"hello".as_slice(), 0).expect("it is connected");
                }
            });
        }
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(b) == 1));
        bed.run(ms(50));
        bed.close_connection(b, a);
        bed.run(A_WHILE);
        assert_eq!((bed.connections(a), bed.connections(b)), (2, 2));
        for (who, other) in [(a, b), (b, a)] {
            let second = bed.peer(who, other).expect("the second connection");
            assert_eq!(bed.seats[who].received.get(&second), Some(&1), "data came over the second");
        }
    });
}

#[test]
fn flush_at_max_peers() {
    both_presets(|bed, options| {
        let mut small = options.clone();
        small.swarm.max_peers = 1;
        let (a, b, c) = (bed.add(options), bed.add(&small), bed.add(&small));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), BOTH);
        bed.join(c, topic(1), BOTH);
        assert!(bed.flush(b) && bed.flush(c));
    });
}

#[test]
fn rejoin_with_other_flags() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join(a, topic(1), CLIENT);
        assert!(bed.join_flushed(a, topic(1), BOTH));
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(A_WHILE, |bed| bed.connected(b) == [bed.key(a)].into()));
    });
}

#[test]
fn topics_iterates_discoveries() {
    both_presets(|bed, options| {
        let a = bed.add(options);
        // The first of a smaller number, too: the order is that of joining.
        for pair in [[1, 2], [9, 3]] {
            let ids = pair.map(|n| bed.join(a, topic(n), BOTH));
            assert_eq!(bed.node(a).topics(), ids);
            let names = bed.node(a).topics().into_iter().map(|id| bed.node(a).topic_info(id).expect("joined").topic);
            assert_eq!(names.collect::<Vec<_>>(), pair.map(topic));
            for n in pair {
                bed.leave(a, topic(n));
            }
        }
    });
}

#[test]
fn sessions_with_different_flags() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        let first = bed.join(b, topic(1), CLIENT);
        let second = bed.join(b, topic(1), SERVER);
        bed.call(b, |node, now| node.close_topic(now, first)).expect("it is joined");
        assert!(bed.flushed(b, second));
        let info = bed.node(b).topic_info(second).expect("joined");
        assert!(!info.client_in_all && info.server_in_all && info.announced);
        bed.join(a, topic(1), CLIENT);
        assert!(bed.wait(A_WHILE, |bed| bed.connected(b) == [bed.key(a)].into()));
    });
}

#[test]
fn sessions_all_closed() {
    both_presets(|bed, options| {
        let a = bed.add(options);
        for n in [1, 2] {
            let session = bed.join(a, topic(n), BOTH);
            assert!(bed.flushed(a, session));
            bed.call(a, |node, now| node.close_topic(now, session)).expect("it is joined");
        }
        bed.run(ms(1_000));
        assert!(bed.node(a).topics().is_empty());
        // What remains is that it can be found by its key.
        assert_eq!(bed.hub.announced(&bed.key(a)), 1);
    });
}

#[test]
fn suspend_resume() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(b) == 1));
        bed.call(b, |node, now| node.suspend(now)).expect("it is open");
        bed.run(ms(2_000));
        assert_eq!((bed.seats[a].open.len(), bed.seats[b].open.len()), (0, 0));
        bed.call(b, |node, now| node.resume(now)).expect("it is open");
        bed.run(A_WHILE);
        assert_eq!((bed.connections(a), bed.connections(b)), (2, 2));
        assert_eq!((bed.seats[a].open.len(), bed.seats[b].open.len()), (1, 1));
    });
}

#[test]
fn many_servers() {
    both_presets(|bed, options| {
        let all = bed.add_many(10, options);
        for who in &all {
            bed.join(*who, topic(1), SERVER);
        }
        for who in &all {
            assert!(bed.flush(*who));
        }
        for who in &all {
            bed.join(*who, topic(1), BOTH);
        }
        assert!(bed.wait(ms(10_000), |bed| all.iter().all(|who| bed.connected(*who).len() == 9)));
        bed.run(A_WHILE);
        assert!(all.iter().all(|who| bed.connections(*who) == 9), "one with each, and no other");
    });
}
