//! The test matrix of Hyperswarm 2: what is known of one peer.

use crate::bed::ms;
use crate::table::{Table, whom};
use setowire::config::swarm::{Preset, SwarmOptions};
use setowire::node::Source;
use std::net::SocketAddr;

fn v2() -> SwarmOptions {
    SwarmOptions::of(Preset::V2)
}

/// A table where peer 1 was found; it is being dialled.
fn dialling() -> Table {
    let mut table = Table::joined(&v2());
    table.found(1, 1);
    assert!(table.of(1).dialling);
    table
}

#[test]
fn peer_info_default_state() {
    let mut table = Table::joined(&v2());
    table.found(9, 1);
    table.found(1, 1);
    let known = table.of(1);
    assert!(known.reconnecting && known.queued && known.client);
    assert!(!known.proven && !known.banned && !known.waiting && !known.dialling && !known.explicit && !known.duplicate);
    assert_eq!((known.attempts, known.connected, known.priority), (0, None, Some(2)));
}

#[test]
fn peer_info_lan_priority_3() {
    let mut table = Table::joined(&v2());
    table.found(9, 1);
    table.found_at(1, 1, SocketAddr::from(([10, 0, 0, 2], 4_000)), Source::Lan);
    table.found_at(2, 1, SocketAddr::from(([169, 254, 0, 2], 4_000)), Source::Outside);
    assert_eq!((table.of(1).priority, table.of(2).priority), (Some(3), Some(3)));
}

#[test]
fn peer_info_reconnect_flag() {
    let mut table = dialling();
    let peer = table.connect(1, true);
    table.call(|roster, _| roster.set_reconnect(&whom(1), false)).expect("known");
    assert!(!table.of(1).reconnecting);
    table.call(|roster, _| roster.set_reconnect(&whom(1), true)).expect("known");
    table.end(peer);
    assert!(table.of(1).waiting);
    // Also while it waits.
    table.call(|roster, _| roster.set_reconnect(&whom(1), false)).expect("known");
    table.run(ms(10_000));
    assert_eq!((table.dials_of(1), table.is_known(1)), (1, false));
}

/// The flag `active` is the place among the dials in progress.
#[test]
fn peer_info_active_flag() {
    let mut table = dialling();
    assert_eq!(table.roster.status().connecting, 1);
    table.fail(1);
    assert_eq!((table.roster.status().connecting, table.of(1).dialling), (0, false));
    table.next_dial(1).expect("it is dialled again");
    table.connect(1, true);
    assert_eq!((table.roster.status().connecting, table.of(1).dialling), (0, false));
}

#[test]
fn peer_info_connected_sets_proven_and_resets_retries() {
    let mut table = dialling();
    table.fail(1);
    table.next_dial(1).expect("it is dialled again");
    let known = table.of(1);
    assert_eq!((known.attempts, known.proven, known.priority), (1, false, Some(0)), "tried, never connected");
    let peer = table.connect(1, true);
    let known = table.of(1);
    assert_eq!((known.attempts, known.proven, known.connected), (0, true, Some(peer)));
}

#[test]
fn peer_info_priority_after_requeues() {
    let mut table = dialling();
    let mut peer = table.connect(1, true);
    for (attempts, priority) in [(1, 5), (2, 4), (3, 1)] {
        // As many retries as failed since the last connection.
        for _ in 1..attempts {
            assert!(table.call(|roster, _| roster.backoff(&whom(1))).expect("known"));
        }
        table.end(peer);
        let known = table.of(1);
        assert_eq!((known.attempts, known.priority, known.waiting), (attempts, Some(priority), true));
        table.next_dial(1).expect("it is dialled again");
        peer = table.connect(1, true);
    }
    for _ in 0..3 {
        table.call(|roster, _| roster.backoff(&whom(1))).expect("known");
    }
    table.end(peer);
    assert_eq!(table.of(1).priority, None, "the fourth is one too many");
    table.run(ms(60_000));
    assert_eq!((table.dials_of(1), table.is_known(1)), (4, false));
}

#[test]
fn peer_info_priority_of_who_never_connected() {
    let mut table = dialling();
    for attempts in 1..=3 {
        table.fail(1);
        assert_eq!((table.of(1).attempts, table.of(1).priority), (attempts, Some(0)));
        table.next_dial(1).expect("it is dialled again");
    }
    table.fail(1);
    assert_eq!(table.of(1).priority, None);
}

#[test]
fn peer_info_ban_before_connect() {
    let mut table = dialling();
    table.call(|roster, lent| roster.ban(lent, whom(1), None, true)).expect("there is room");
    // The dial runs; who answers is turned away at the door.
    let door = &table.roster.door;
    #[expect(clippy::disallowed_methods, reason = "any time does")]
    let now = std::time::Instant::now();
    assert_eq!(door.enter(&whom(1), false, now), setowire::swarm::door::Entry::Shut("banned"));
    table.fail(1);
    table.run(ms(60_000));
    assert_eq!((table.dials_of(1), table.of(1).banned), (1, true));
}

#[test]
fn peer_info_ban_after_connect() {
    let mut table = dialling();
    let peer = table.connect(1, true);
    for _ in 0..2 {
        table.call(|roster, lent| roster.ban(lent, whom(1), None, true)).expect("there is room");
    }
    assert!(table.closed().iter().all(|end| *end == (peer, "Peer was banned")));
    table.end(peer);
    table.end(peer);
    table.run(ms(60_000));
    assert_eq!((table.dials_of(1), table.roster.status().connections), (1, 0));
}

/// A ban that leaves the connection; it ends when it ends, and does not come back.
#[test]
fn peer_info_soft_ban() {
    let mut table = dialling();
    let peer = table.connect(1, true);
    table.call(|roster, lent| roster.ban(lent, whom(1), None, false)).expect("there is room");
    assert!(table.closed().is_empty());
    table.end(peer);
    table.run(ms(60_000));
    assert_eq!((table.dials_of(1), table.of(1).banned), (1, true));
}

#[test]
fn peer_info_update_refused_while_connected_or_banned() {
    let mut table = dialling();
    table.connect(1, true);
    table.found(1, 1);
    assert!(!table.of(1).queued);
    table.call(|roster, lent| roster.ban(lent, whom(2), None, false)).expect("there is room");
    table.found(2, 1);
    assert!(!table.of(2).queued);
    assert_eq!((table.dials.len(), table.roster.status().queued), (1, 0));
}

#[test]
fn peer_info_requeue_refused_after_ban_or_reconnect_false() {
    let mut table = dialling();
    table.call(|roster, lent| roster.ban(lent, whom(1), None, false)).expect("there is room");
    table.fail(1);
    assert!(!table.of(1).waiting);
    table.found(2, 1);
    table.call(|roster, _| roster.set_reconnect(&whom(2), false)).expect("known");
    table.fail(2);
    assert!(!table.is_known(2));
    table.run(ms(60_000));
    assert_eq!((table.dials_of(1), table.dials_of(2)), (1, 1));
}

#[test]
fn peer_info_backoff_on_client() {
    let mut table = dialling();
    let peer = table.connect(1, true);
    let backoff = |table: &mut Table| table.call(|roster, _| roster.backoff(&whom(1))).expect("known");
    let told: Vec<(bool, u32)> = (0..5).map(|_| (backoff(&mut table), table.of(1).attempts)).collect();
    assert_eq!(told, [(true, 1), (true, 2), (true, 3), (false, 3), (false, 3)]);
    table.end(peer);
    table.run(ms(60_000));
    assert_eq!((table.dials_of(1), table.is_known(1)), (1, false), "what was counted counts when it ends");
}

#[test]
fn peer_info_backoff_lengthens_the_wait() {
    let mut table = dialling();
    let peer = table.connect(1, true);
    assert!(table.call(|roster, _| roster.backoff(&whom(1))).expect("known"));
    table.end(peer);
    let wait = table.next_dial(1).expect("it is dialled again");
    assert!(wait >= ms(3_300) && wait <= ms(6_610), "the second wait, not the first: {wait:?}");
}

#[test]
fn peer_info_backoff_on_server() {
    let mut table = Table::joined(&v2());
    table.connect(1, false);
    assert!(!table.call(|roster, _| roster.backoff(&whom(1))).expect("known"));
    assert_eq!(table.of(1).attempts, 0);
    assert!(table.call(|roster, _| roster.backoff(&whom(2))).is_err(), "nobody knows it");
}

#[test]
fn banned_forgotten_after_forget_banned() {
    let options = SwarmOptions { forget_banned: Some(ms(20_000)), ..v2() };
    let mut table = Table::joined(&options);
    table.found(1, 1);
    let peer = table.connect(1, true);
    table.call(|roster, lent| roster.ban(lent, whom(1), None, true)).expect("there is room");
    table.end(peer);
    table.run(ms(19_000));
    table.found(1, 1);
    assert_eq!((table.is_known(1), table.dials_of(1)), (true, 1));
    table.run(ms(1_001));
    assert!(!table.is_known(1), "no trace is left");
    table.found(1, 1);
    assert_eq!((table.dials_of(1), table.of(1).attempts), (2, 0));
    // Never, by default.
    let mut table = dialling();
    table.call(|roster, lent| roster.ban(lent, whom(1), None, true)).expect("there is room");
    table.fail(1);
    table.run(ms(100_000_000));
    assert!(table.of(1).banned);
}

#[test]
fn explicit_peers_are_never_given_up() {
    let mut table = Table::new(&v2());
    table.call(|roster, lent| roster.join_peer(lent, whom(1), None)).expect("there is room");
    for n in 1..20 {
        assert_eq!(table.dials_of(1), n, "dial {n}");
        table.fail(1);
        for _ in 0..150 {
            table.run(ms(10_000));
            table.call(|roster, lent| roster.handle_timeout(lent));
        }
    }
}
