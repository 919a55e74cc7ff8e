//! The test matrix of Hyperswarm 2: limits, and which of the found peers are wanted.

use crate::bed::*;
use setowire::Config;
use setowire::config::swarm::{Preset, SwarmOptions};
use setowire::node::{Event, Modes, Node, Now, Whom};
use setowire::swarm::door::Purpose;
use std::net::SocketAddr;

fn v2() -> Config {
    Config { lan: false, swarm: SwarmOptions::of(Preset::V2), ..Config::default() }
}

fn with(change: impl Fn(&mut SwarmOptions)) -> Config {
    let mut config = v2();
    change(&mut config.swarm);
    config
}

/// A bed with one node of these options, and others that are connected with it: it joins `ours`, they `theirs`.
fn star(options: &Config, count: usize, ours: Modes, theirs: Modes) -> (Bed, usize, Vec<usize>) {
    let mut bed = Bed::new(5);
    let hub = bed.add(options);
    let others = bed.add_many(count, &v2());
    if ours.server == Some(true) {
        bed.join_flushed(hub, topic(1), ours);
    }
    for other in &others {
        bed.join_flushed(*other, topic(1), theirs);
    }
    if ours.server != Some(true) {
        bed.join(hub, topic(1), ours);
    }
    (bed, hub, others)
}

/// Connections and dials in progress, and whether there is room for more.
fn peers(bed: &Bed, who: usize) -> (usize, bool) {
    let status = bed.node(who).swarm_status();
    (status.connections + status.connecting, status.open)
}

#[test]
fn max_peers_default_24() {
    assert_eq!((v2().swarm.max_peers, v2().swarm.max_parallel, v2().swarm.places()), (24, 1, 24));
    let (mut bed, a, _) = star(&v2(), 25, CLIENT, SERVER);
    bed.run(ms(10_000));
    assert_eq!((bed.seats[a].open.len(), peers(&bed, a)), (24, (24, false)));
    bed.run(ms(60_000));
    assert_eq!((bed.connections(a), bed.node(a).swarm_status().queued), (24, 1));
}

#[test]
fn max_peers_reached_by_clients_only() {
    let (mut bed, a, _) = star(&with(|options| options.max_peers = 4), 5, CLIENT, SERVER);
    bed.run(ms(10_000));
    assert_eq!((peers(&bed, a), bed.connections(a)), ((4, false), 4));
    assert_eq!(bed.node(a).swarm_stats().client_attempted, 4, "no dial begins");
}

#[test]
fn max_peers_reached_by_servers_only() {
    let (mut bed, a, others) = star(&with(|options| options.max_peers = 4), 5, SERVER, CLIENT);
    bed.run(ms(10_000));
    assert_eq!((peers(&bed, a), bed.connections(a)), ((4, false), 4));
    let without = others.iter().filter(|other| bed.connections(**other) == 0).count();
    assert_eq!(without, 1, "a further peer causes no connection on either side");
}

#[test]
fn max_peers_reached_by_both() {
    let mut bed = Bed::new(6);
    let a = bed.add(&with(|options| options.max_peers = 4));
    let (servers, clients) = (bed.add_many(2, &v2()), bed.add_many(3, &v2()));
    for server in servers {
        bed.join_flushed(server, topic(1), SERVER);
    }
    bed.join_flushed(a, topic(1), BOTH);
    bed.run(ms(3_000));
    assert_eq!(peers(&bed, a), (2, true));
    for client in clients {
        bed.join(client, topic(1), CLIENT);
    }
    bed.run(ms(10_000));
    assert_eq!((peers(&bed, a), bed.connections(a)), ((4, false), 4));
    let stats = bed.node(a).swarm_stats();
    assert_eq!((stats.client_opened, stats.server_opened), (2, 2));
}

#[test]
fn max_peers_below_the_limit_again() {
    let (mut bed, a, others) = star(&with(|options| options.max_peers = 3), 4, CLIENT, SERVER);
    bed.run(ms(10_000));
    let left_out = *others.iter().find(|other| bed.peer(a, **other).is_none()).expect("one is left out");
    let gone = *others.iter().find(|other| bed.peer(a, **other).is_some()).expect("three are in");
    bed.destroy(gone);
    bed.run(ms(500));
    assert!(bed.peer(a, left_out).is_some(), "who waited is dialled");
    assert_eq!(peers(&bed, a), (3, false));
}

#[test]
fn max_client_sockets_default_unlimited() {
    assert_eq!(v2().swarm.max_client_connections, usize::MAX);
}

#[test]
fn max_client_sockets_limit() {
    let (mut bed, a, _) = star(&with(|options| options.max_client_connections = 9), 10, CLIENT, SERVER);
    bed.run(ms(30_000));
    assert_eq!((bed.connections(a), bed.node(a).swarm_status().queued), (9, 1));
    let most = bed.told(a, |event| match event {
        Event::Changed { connecting, connections, .. } => Some(connecting + connections),
        _ => None,
    });
    assert_eq!(most.into_iter().max(), Some(9));
    assert!(bed.flush(a), "nobody else will be dialled");
}

#[test]
fn max_client_sockets_resume_after_close() {
    let (mut bed, a, others) = star(&with(|options| options.max_client_connections = 9), 10, CLIENT, SERVER);
    bed.run(ms(10_000));
    let left_out = *others.iter().find(|other| bed.peer(a, **other).is_none()).expect("one is left out");
    let one = *others.iter().find(|other| bed.peer(a, **other).is_some()).expect("nine are in");
    bed.close_connection(a, one);
    bed.run(ms(500));
    assert!(bed.peer(a, left_out).is_some() && bed.peer(a, one).is_none());
    // It waits for its place now.
    bed.run(ms(30_000));
    assert_eq!((bed.seats[a].open.len(), bed.node(a).swarm_status().queued), (9, 1));
}

#[test]
fn max_server_sockets_default_unlimited() {
    assert_eq!(v2().swarm.max_server_connections, usize::MAX);
}

#[test]
fn max_server_sockets_limit() {
    let (mut bed, a, others) = star(&with(|options| options.max_server_connections = 9), 10, SERVER, CLIENT);
    bed.run(ms(10_000));
    assert_eq!((bed.connections(a), bed.node(a).swarm_stats().server_opened), (9, 9));
    assert_eq!(others.iter().filter(|other| bed.connections(**other) == 0).count(), 1);
    assert!(bed.node(a).swarm_status().open, "it may dial as before");
}

#[test]
fn max_server_sockets_below_again() {
    let (mut bed, a, others) = star(&with(|options| options.max_server_connections = 2), 3, SERVER, CLIENT);
    bed.run(ms(1_000));
    let left_out = *others.iter().find(|other| bed.peer(a, **other).is_none()).expect("one is left out");
    let one = *others.iter().find(|other| bed.peer(a, **other).is_some()).expect("two are in");
    bed.destroy(one);
    // It tries three times, and again with each round that finds us.
    assert!(bed.wait(ms(700_000), |bed| bed.peer(a, left_out).is_some()));
    assert_eq!(bed.seats[a].open.len(), 2);
}

/// 0 and -1 of version 2 are `unlimited` and 0 here.
#[test]
fn max_server_sockets_none_at_all() {
    let mut config = v2();
    config.set("max_server_connections", "unlimited").expect("it is a limit");
    assert_eq!(config.swarm.max_server_connections, usize::MAX);
    config.set("max_server_connections", "0").expect("it is a limit");
    let (mut bed, a, _) = star(&config, 2, SERVER, CLIENT);
    bed.run(ms(60_000));
    assert_eq!((bed.connections(a), bed.node(a).swarm_stats().server_opened), (0, 0));
}

#[test]
fn dials_in_progress_count() {
    let mut bed = Bed::new(4);
    let options = with(|options| options.max_peers = 1);
    let (a, dead, b) = (bed.add(&options), bed.add(&v2()), bed.add(&v2()));
    bed.join_flushed(dead, topic(1), SERVER);
    bed.kill(dead);
    bed.join_flushed(a, topic(1), BOTH);
    assert_eq!(peers(&bed, a), (1, false), "one dial, which nobody answers");
    bed.join(b, topic(1), CLIENT);
    bed.run(ms(1_000));
    assert_eq!((bed.connections(a), bed.connections(b)), (0, 0), "who dials us meanwhile is refused");
    assert!(bed.wait(ms(30_000), |bed| bed.connections(b) == 1), "its next try finds the place");
    assert_eq!(peers(&bed, a), (1, false));
}

#[test]
fn two_full_swarms_that_dial_each_other_connect() {
    for seed in 0..20 {
        let mut bed = Bed::new(seed);
        let options = with(|options| options.max_peers = 1);
        let (a, b) = (bed.add(&options), bed.add(&options));
        bed.join(a, topic(1), BOTH);
        bed.join(b, topic(1), BOTH);
        bed.run(ms(3_000));
        assert_eq!((bed.connections(a), bed.connections(b)), (1, 1), "seed {seed}");
    }
}

#[test]
fn one_dial_at_a_time() {
    let (mut bed, a, _) = star(&v2(), 6, CLIENT, SERVER);
    bed.run(ms(10_000));
    let dials = bed.told(a, |event| match event {
        Event::Changed { connecting, .. } => Some(*connecting),
        _ => None,
    });
    assert_eq!((dials.into_iter().max(), bed.connections(a)), (Some(1), 6));
}

/// A peer that answers, and then thinks for longer.
#[test]
fn dial_timeout_10_s() {
    let mut bed = Bed::new(1);
    let slow = with(|options| (options.firewall, options.firewall_deadline) = (true, ms(60_000)));
    let (a, b) = (bed.add(&slow), bed.add(&v2()));
    bed.join_flushed(a, topic(1), SERVER);
    bed.join(b, topic(1), CLIENT);
    assert!(bed.wait(PATIENCE, |bed| bed.node(b).swarm_status().connecting == 1));
    let begun = bed.now;
    assert!(bed.wait(PATIENCE, |bed| bed.node(b).swarm_status().connecting == 0));
    assert_eq!((bed.now - begun, bed.connections(b)), (ms(10_000), 0));
    assert!(bed.known(b, a).expect("known").waiting);
}

/// An application that says which candidates it wants.
fn validator(wants: impl Fn(Whom, Option<SocketAddr>) -> bool + 'static) -> impl FnMut(&mut Node, Now, &Event) {
    move |node, now, event| {
        if let Event::Ask(question) = event {
            assert_eq!(question.purpose, Purpose::Candidate);
            node.answer(now, question.id, wants(question.whom, question.address)).expect("it is open");
        }
    }
}

/// Peers that were told, and whether they were taken.
fn judged(bed: &Bed, who: usize) -> Vec<(Whom, bool)> {
    let mut all = bed.told(who, |event| match event {
        Event::Candidate { candidate, accepted } => Some((candidate.whom, *accepted)),
        _ => None,
    });
    all.sort_unstable();
    all
}

#[test]
fn validate_peer_default() {
    let (mut bed, a, others) = star(&v2(), 2, CLIENT, SERVER);
    bed.run(ms(3_000));
    assert!(judged(&bed, a).iter().all(|(_, accepted)| *accepted) && bed.connections(a) == others.len());
    assert!(bed.told(a, |event| matches!(event, Event::Ask(_)).then_some(())).is_empty(), "nobody is asked");
}

#[test]
fn validate_peer_host_filter() {
    let (mut bed, a, others) = star(&with(|options| options.validate = true), 3, CLIENT, SERVER);
    let unwanted = bed.seats[others[1]].addr.ip();
    bed.set_hook(a, validator(move |_, addr| addr.is_some_and(|addr| addr.ip() != unwanted)));
    bed.run(ms(3_000));
    assert_eq!(bed.connected(a), [bed.key(others[0]), bed.key(others[2])].into());
    let mut expected: Vec<(Whom, bool)> = others.iter().map(|n| (bed.whom(*n), *n != others[1])).collect();
    expected.sort_unstable();
    assert_eq!(judged(&bed, a), expected, "who is refused is told as that");
    assert_eq!(bed.node(a).swarm_status().known, 2, "and forgotten");
}

#[test]
fn validate_peer_local_only() {
    let (mut bed, a, others) = star(&with(|options| options.validate = true), 2, CLIENT, SERVER);
    // All of the bed have private addresses.
    bed.set_hook(
        a,
        validator(|_, addr| addr.is_some_and(|addr| matches!(addr, SocketAddr::V4(v4) if v4.ip().is_private()))),
    );
    bed.run(ms(3_000));
    assert_eq!(bed.connections(a), others.len());
    let local = bed.told(a, |event| match event {
        Event::Candidate { candidate, .. } => Some(candidate.local),
        _ => None,
    });
    assert_eq!(local, [true, true]);
}

/// No answer in time is none: the peer is not dialled, and may be found again.
#[test]
fn validate_peer_without_an_answer() {
    let (mut bed, a, _) = star(&with(|options| options.validate = true), 1, CLIENT, SERVER);
    bed.run(ms(30_000));
    assert_eq!((bed.connections(a), bed.node(a).swarm_status().known), (0, 0));
}
