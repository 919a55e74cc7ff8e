//! The test matrix of Hyperswarm 4: the table of peers, peers joined by key, counters, what is told.

use crate::bed::*;
use setowire::Config;
use setowire::config::swarm::Preset;
use setowire::node::{Event, SwarmStats, Whom};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

#[test]
fn peer_gc_server_side() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(a) == 1));
        assert_eq!(bed.node(a).known_peers(), [bed.whom(b)]);
        bed.destroy(b);
        bed.run(ms(1_000));
        assert!(bed.node(a).known_peers().is_empty());
    });
}

#[test]
fn peer_gc_client_side() {
    both_presets(|bed, options| {
        let mut eager = options.clone();
        eager.swarm.backoffs = Some([Duration::ZERO; 4]);
        let (a, b) = (bed.add(options), bed.add(&eager));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(b) == 1));
        bed.destroy(a);
        bed.run(ms(1_000));
        assert_eq!(bed.node(b).known_peers(), [bed.whom(a)], "it is dialled again");
        assert!(bed.wait(PATIENCE, |bed| bed.node(b).known_peers().is_empty()));
        bed.run(PATIENCE);
        assert_eq!(bed.node(b).swarm_status().known, 0);
    });
}

/// Our connections have no stream whose errors somebody could handle in the application's place: why one ended is told,
/// once, to both.
#[test]
fn no_default_error_handler() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(b) == 1));
        bed.cut.insert((a, b));
        bed.run(ms(200_000));
        for who in [a, b] {
            let ends = bed.told(who, |event| match event {
                Event::Disconnection { code, reason, .. } => Some((*code, reason.clone())),
                _ => None,
            });
            assert_eq!(ends.len(), 1, "{ends:?}");
            assert!(ends[0].0 == setowire::Code::TimedOut && !ends[0].1.is_empty(), "{ends:?}");
        }
    });
}

/// Keys and topics are arrays here, not views of buffers: they say the same after the buffers were used again.
#[test]
fn buffers_owned() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        let session = bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(b) == 1));
        let before = bed.known(b, a).expect("known");
        for _ in 0..100 {
            bed.send(a, b, &[0xee; 1_000]);
            bed.run(ms(10));
        }
        assert_eq!(bed.known(b, a).expect("known"), before);
        let Whom::Key(key) = before.whom else { panic!("a key") };
        assert_eq!((key.len(), key, before.topics), (32, bed.key(a), vec![session]));
    });
}

/// The range is given to what binds the sockets.
#[test]
fn port_range_option() {
    let mut config = Config::default();
    config.set("bind", "127.0.0.1:10000-10100").expect("a range");
    assert!(config.set("bind", "[::1]:10100-10000").is_err(), "the wrong way round");
}

#[test]
fn join_peer_direct() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.call(b, |node, now| node.listen(now)).expect("it is open");
        bed.run(ms(100));
        let whom = bed.whom(b);
        bed.call(a, |node, now| node.join_peer(now, whom, None)).expect("join");
        assert!(bed.flush(a), "a flush waits for dials of peers joined by key, too");
        assert!(bed.wait(PATIENCE, |bed| bed.connections(a) == 1 && bed.connections(b) == 1));
        bed.close_connection(a, b);
        bed.close_connection(b, a);
        assert!(bed.wait(ms(5_000), |bed| bed.connections(a) == 2 && bed.connections(b) == 2));
        bed.run(ms(5_000));
        assert_eq!((bed.connections(a), bed.connections(b)), (2, 2));
    });
}

#[test]
fn join_peer_self() {
    both_presets(|bed, options| {
        let a = bed.add(options);
        let whom = bed.whom(a);
        bed.call(a, |node, now| node.join_peer(now, whom, None)).expect("nothing happens");
        let status = bed.node(a).swarm_status();
        assert_eq!((status.queued, status.explicit, status.known, status.connecting), (0, 0, 0, 0));
    });
}

#[test]
fn leave_peer_keeps_connection() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.call(b, |node, now| node.listen(now)).expect("it is open");
        let (whom, addr) = (bed.whom(b), bed.seats[b].addr);
        bed.call(a, |node, now| node.join_peer(now, whom, Some(addr))).expect("join");
        assert!(bed.wait(PATIENCE, |bed| bed.connections(a) == 1 && bed.connections(b) == 1));
        bed.call(a, |node, now| node.leave_peer(now, &whom)).expect("it is open");
        bed.run(ms(2_000));
        assert_eq!((bed.seats[a].open.len(), bed.node(a).swarm_status().explicit), (1, 0));
        bed.close_connection(a, b);
        bed.run(ms(30_000));
        assert_eq!((bed.connections(a), bed.connections(b)), (1, 1), "nobody brings it back");
        assert!(bed.node(a).known_peers().is_empty());
    });
}

#[test]
fn leave_peer_no_leak() {
    both_presets(|bed, options| {
        let mut eager = options.clone();
        eager.swarm.backoffs = Some([Duration::ZERO; 4]);
        let (a, b) = (bed.add(&eager), bed.add(options));
        bed.call(b, |node, now| node.listen(now)).expect("it is open");
        let (whom, addr) = (bed.whom(b), bed.seats[b].addr);
        bed.call(a, |node, now| node.join_peer(now, whom, Some(addr))).expect("join");
        assert!(bed.wait(PATIENCE, |bed| bed.connections(a) == 1));
        bed.destroy(b);
        bed.run(ms(500));
        let status = bed.node(a).swarm_status();
        assert_eq!((status.known, status.explicit, status.connections), (1, 1, 0));
        bed.call(a, |node, now| node.leave_peer(now, &whom)).expect("it is open");
        bed.run(ms(30_000));
        let status = bed.node(a).swarm_status();
        assert_eq!((status.known, status.explicit, status.connections), (0, 0, 0));
    });
}

#[test]
fn update_event_connecting() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        assert_eq!(bed.node(b).swarm_status().connecting, 0);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(b) == 1));
        let seen = bed.told(b, |event| match event {
            Event::Changed { connecting, connections, .. } => Some((*connecting, *connections)),
            _ => None,
        });
        assert_eq!(seen, [(1, 0), (0, 1)]);
        bed.destroy(b);
        bed.destroy(a);
    });
}

#[test]
fn stats_open_close() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        let seen: Rc<RefCell<Vec<(usize, SwarmStats)>>> = Rc::default();
        for who in [a, b] {
            let seen = seen.clone();
            bed.set_hook(who, move |node, _, event| {
                if matches!(event, Event::Connection(_)) {
                    seen.borrow_mut().push((who, node.swarm_stats()));
                }
            });
        }
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(a) == 1 && bed.connections(b) == 1));
        for (who, stats) in seen.borrow().iter() {
            let client = (stats.client_attempted, stats.client_opened, stats.client_closed);
            let server = (stats.server_opened, stats.server_closed);
            match *who == b {
                true => assert_eq!((client, server), ((1, 1, 0), (0, 0)), "of the client"),
                false => assert_eq!((client, server), ((0, 0, 0), (1, 0)), "of the server"),
            }
        }
        assert_eq!(seen.borrow().len(), 2);
        bed.close_connection(b, a);
        assert!(bed.wait(ms(60), |bed| bed.seats[a].open.is_empty() && bed.seats[b].open.is_empty()));
        assert_eq!(bed.node(b).swarm_stats().client_closed, 1);
        assert_eq!(bed.node(a).swarm_stats().server_closed, 1);
    });
}

/// A preset of its own where it matters that limits are those of version 4.
#[test]
fn limits_of_the_presets() {
    let of = |preset| config(preset).swarm;
    assert_eq!((of(Preset::V4).max_peers, of(Preset::V4).max_parallel, of(Preset::V4).places()), (64, 3, 1_024));
    assert_eq!((of(Preset::Setowire).max_peers, of(Preset::Setowire).places()), (100, 100));
}
