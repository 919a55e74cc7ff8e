//! The test matrix of Hyperswarm 4: bans and the firewall.

use crate::bed::*;
use setowire::node::{Event, Node, Now, Whom};
use setowire::swarm::door::Purpose;
use std::cell::RefCell;
use std::rc::Rc;

/// Whom the application was asked about.
type Asked = Rc<RefCell<Vec<(Whom, Purpose)>>>;

/// An application that answers every question at once.
fn firewall(allows: impl Fn(&Whom) -> bool + 'static) -> (Asked, impl FnMut(&mut Node, Now, &Event) + 'static) {
    let asked = Asked::default();
    let seen = asked.clone();
    let hook = move |node: &mut Node, now: Now, event: &Event| {
        if let Event::Ask(question) = event {
            seen.borrow_mut().push((question.whom, question.purpose));
            node.answer(now, question.id, allows(&question.whom)).expect("it is open");
        }
    };
    (asked, hook)
}

#[test]
fn banned_peer_not_retried() {
    both_presets(|bed, options| {
        let (a, b) = (bed.add(options), bed.add(options));
        bed.join_flushed(a, topic(1), SERVER);
        bed.set_hook(b, |node, now, event| {
            if let Event::Connection(info) = event {
                let whom = node.whom_of(info.id).expect("it is connected");
                node.ban(now, whom, None, false).expect("there is room");
                node.close_peer(now, info.id).expect("it is connected");
            }
        });
        bed.join(b, topic(1), CLIENT);
        assert!(bed.wait(PATIENCE, |bed| bed.connections(b) == 1));
        bed.run(ms(2 * 300));
        assert_eq!(bed.connections(b), 1);
        bed.run(ms(30_000));
        assert_eq!(bed.connections(b), 1);
        assert!(bed.known(b, a).expect("banned peers are kept").banned);
    });
}

#[test]
fn firewall_server_bans() {
    both_presets(|bed, options| {
        let mut strict = options.clone();
        strict.swarm.firewall = true;
        strict.swarm.handshake_clear_wait = ms(100);
        let (a, b) = (bed.add(&strict), bed.add(options));
        let (asked, hook) = firewall(|_| false);
        bed.set_hook(a, hook);
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        bed.run(ms(500));
        assert_eq!((bed.connections(a), bed.connections(b)), (0, 0));
        assert_eq!(bed.node(a).swarm_stats().banned, 1);
        bed.run(ms(5_000));
        assert_eq!(asked.borrow().len(), 1, "who is banned is not asked about");
        // A firewall that is gone lifts no ban, in neither role.
        bed.call(a, |node, _| node.set_firewall(false));
        bed.join_flushed(a, topic(2), SERVER);
        bed.join_flushed(b, topic(2), CLIENT);
        bed.join_flushed(b, topic(3), SERVER);
        bed.join_flushed(a, topic(3), CLIENT);
        bed.run(ms(5_000));
        assert_eq!((bed.connections(a), bed.connections(b)), (0, 0));
        assert_eq!(bed.node(a).swarm_stats().banned, 1);
    });
}

#[test]
fn ban_event_and_stat() {
    both_presets(|bed, options| {
        let mut strict = options.clone();
        strict.swarm.firewall = true;
        let (a, b) = (bed.add(options), bed.add(&strict));
        let (_, hook) = firewall(|_| false);
        bed.set_hook(b, hook);
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        bed.run(ms(3_000));
        let bans = bed.told(b, |event| match event {
            Event::Banned { whom, reason } => Some((*whom, reason.as_str())),
            _ => None,
        });
        assert_eq!(bans, [(bed.whom(a), "Peer is firewalled")]);
        assert_eq!(bed.node(b).swarm_stats().banned, 1);
    });
}

#[test]
fn firewall_bad_client() {
    both_presets(|bed, options| {
        let mut strict = options.clone();
        strict.swarm.firewall = true;
        let (a, b, c) = (bed.add(&strict), bed.add(options), bed.add(options));
        let bad = bed.whom(b);
        let (asked, hook) = firewall(move |whom| *whom != bad);
        bed.set_hook(a, hook);
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.flush(b));
        bed.run(ms(3_000));
        assert_eq!((bed.connections(a), bed.connections(b)), (0, 0), "neither side hears of a connection");
        bed.join(c, topic(1), CLIENT);
        assert!(bed.wait(ms(3_000), |bed| bed.connected(a) == [bed.key(c)].into()), "others are let in");
        assert_eq!(*asked.borrow(), [(bad, Purpose::Incoming), (bed.whom(c), Purpose::Incoming)]);
    });
}

#[test]
fn firewall_bad_server() {
    both_presets(|bed, options| {
        let mut strict = options.clone();
        strict.swarm.firewall = true;
        let (a, b) = (bed.add(options), bed.add(&strict));
        let (asked, hook) = firewall(|_| false);
        bed.set_hook(b, hook);
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        assert!(bed.flush(b));
        bed.run(ms(3_000));
        assert_eq!(*asked.borrow(), [(bed.whom(a), Purpose::Dial)]);
        assert_eq!((bed.connections(a), bed.connections(b)), (0, 0));
        assert_eq!(bed.node(b).swarm_stats().client_attempted, 0, "it was not even dialled");
    });
}

#[test]
fn firewall_no_retry_cascade() {
    both_presets(|bed, options| {
        let mut strict = options.clone();
        strict.swarm.firewall = true;
        let (a, b) = (bed.add(&strict), bed.add(options));
        let (asked, hook) = firewall(|_| false);
        bed.set_hook(a, hook);
        bed.join_flushed(a, topic(1), SERVER);
        bed.join(b, topic(1), CLIENT);
        bed.run(ms(5 * 300));
        assert_eq!((bed.connections(a), asked.borrow().len()), (0, 1));
        bed.run(ms(60_000));
        assert_eq!((bed.connections(a), asked.borrow().len()), (0, 1));
        assert!(bed.node(b).swarm_stats().client_attempted <= 4);
        assert!(bed.node(b).known_peers().is_empty(), "the client gave up");
    });
}
