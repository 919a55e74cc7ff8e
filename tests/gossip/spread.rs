//! Everybody gets every broadcast once, at the cost of little more than one copy each.

use crate::network::{MS, Network, S};
use setowire::config::limits::{MESH_HAVE_DELAY, MESH_HOPS, MESH_PULL_DELAY, MESH_STORE_TIME};
use std::time::Duration;

/// Copies of one broadcast per node that gets it, in thousandths.
fn cost(network: &mut Network, author: usize, text: &str, patience: Duration) -> u64 {
    let before = network.sent();
    let (id, _) = network.publish(author, text.as_bytes());
    network.run_for(patience);
    network.assert_everywhere(author, id);
    (network.sent() - before) * 1_000 / (network.nodes.len() as u64 - 1)
}

#[test]
fn everyone_gets_every_broadcast_once_and_copies_become_few() {
    for (nodes, links) in [(2, 16), (5, 16), (20, 16), (300, 16), (1_000, 16), (300, 5)] {
        let mut network = Network::connected(nodes as u64, nodes, links);
        let first = cost(&mut network, 0, "first", S * 5);
        for n in 0..8 {
            let author = network.rng.below(nodes as u64) as usize;
            cost(&mut network, author, &format!("tree {n}"), S * 5);
        }
        let mut later = Vec::new();
        for n in 0..6 {
            let author = network.rng.below(nodes as u64) as usize;
            later.push(cost(&mut network, author, &format!("then {n}"), S * 5));
        }
        later.sort_unstable();
        println!("{nodes:5} nodes, {links:2} links: {first} thousandths of a copy each, then {later:?}");
        assert!(later[later.len() / 2] <= 1_500, "{nodes} nodes: {later:?}");
        assert!(first <= 6_000, "{nodes} nodes: {first}");
        network.run_for(MESH_STORE_TIME);
        assert!(network.nodes.iter().all(|member| member.gossip.held() == (0, 0, 0)), "nothing is kept for ever");
    }
}

#[test]
fn links_and_nodes_go_while_broadcasts_are_under_way() {
    for (seed, nodes, links) in [(1, 20, 6), (2, 300, 16), (3, 60, 8)] {
        let mut network = Network::connected(seed, nodes, links);
        let mut said = Vec::new();
        for n in 0..30 {
            // The first five stay, so that authors live to tell.
            let author = network.rng.below(5) as usize;
            said.push((author, network.publish(author, format!("message {n}").as_bytes()).0));
            network.run_for(MS * 20);
            for _ in 0..nodes / 60 + 1 {
                // A silent loss is the worst: for a while frames go into nothing.
                let noticed = MS * network.rng.range(0, 3_000) as u32;
                let wires = network.wires();
                let wire = *network.rng.pick(&wires);
                let node = 5 + network.rng.below(nodes as u64 - 5) as usize;
                if n % 3 == 0 && network.nodes[node].alive {
                    network.kill(node, noticed);
                } else {
                    network.cut(wire, noticed);
                }
            }
            network.run_for(MS * 100);
        }
        network.run_for(S * 20);
        let gone = network.nodes.iter().filter(|member| !member.alive).count();
        println!("{nodes} nodes: {gone} went, {} links are left", network.wires().len());
        assert!(gone >= 4);
        said.into_iter().for_each(|(author, id)| network.assert_everywhere(author, id));
    }
}

#[test]
fn who_returns_gets_what_it_missed_and_a_newcomer_nothing_of_before() {
    let mut network = Network::new(4);
    let [a, b] = [(); 2].map(|()| network.add(&[crate::network::TOPIC]));
    let wire = network.link(a, b);
    let (there, _) = network.publish(a, b"while b is there");
    network.run_for(S);
    network.lose(wire, S * 30);
    let (lost, reached) = network.publish(a, b"into a dead link");
    assert_eq!(reached, 1, "nobody knows yet");
    network.run_for(S * 31);
    let new = network.add(&[crate::network::TOPIC]);
    network.link(a, new);
    network.link(a, b);
    network.run_for(S * 2);
    network.assert_everywhere_of(&[b], &[there, lost]);
    assert!(network.nodes[new].got.is_empty());
}

#[test]
fn a_full_queue_delays_a_broadcast_and_loses_none() {
    let mut network = Network::new(5);
    let [hub, fast, slow] = [(); 3].map(|()| network.add(&[crate::network::TOPIC]));
    network.link_with(hub, fast, MS * 5, None);
    network.link_with(hub, slow, MS * 5, Some(200_000));
    let said: Vec<_> = (0..60u8).map(|n| network.publish(hub, &vec![n; 30_000]).0).collect();
    let (_, queued, _) = network.nodes[hub].gossip.held();
    assert!((256 << 10..600 << 10).contains(&queued), "{queued} bytes wait, of 1.8 MB");
    network.run_for(MS * 100);
    network.assert_everywhere_of(&[fast], &said);
    network.run_for(S * 20);
    network.assert_everywhere_of(&[slow], &said);
}

#[test]
fn hops_are_bounded() {
    let length = usize::from(MESH_HOPS) + 3;
    let mut network = Network::new(6);
    for node in 0..length {
        network.add(&[crate::network::TOPIC]);
        if node > 0 {
            network.link(node - 1, node);
        }
    }
    network.publish(0, b"along a line");
    network.run_for(S * 10);
    let got = network.nodes.iter().filter(|member| member.got.len() == 1).count();
    assert_eq!(got, usize::from(MESH_HOPS), "one link each");
}

#[test]
fn a_message_that_no_eager_link_brings_is_fetched() {
    let mut network = Network::new(7);
    let [a, b, c] = [(); 3].map(|()| network.add(&[crate::network::TOPIC]));
    let parent = network.link_with(a, b, MS * 5, None);
    network.link_with(a, c, MS * 5, None);
    network.link_with(c, b, MS * 20, None);
    for n in 0..3u8 {
        network.publish(a, &[n]);
        network.run_for(S);
    }
    // The link that b gets everything by is dead, and nobody knows.
    network.cut(parent, S * 60);
    let (id, _) = network.publish(a, b"the long way");
    network.run_for(MESH_HAVE_DELAY + MESH_PULL_DELAY + MS * 100);
    network.assert_everywhere(a, id);
}
