//! Topics do not mix; a broadcast to several is delivered once. That nothing of a topic crosses a link that
//! does not share it is checked by the network, for every frame.

use crate::network::{MS, Network, S, TAG, TOPIC};
use setowire::wire::v13::mesh::TopicTag;

const OTHER: [u8; 32] = [0xA7; 32];
const OTHER_TAG: TopicTag = [0xA7; 8];

#[test]
fn a_broadcast_stays_in_its_topic() {
    let mut network = Network::new(20);
    let topics: [&[[u8; 32]]; 3] = [&[TOPIC], &[OTHER], &[TOPIC, OTHER]];
    for node in 0..60 {
        network.add(topics[node % 3]);
    }
    for node in 0..60 {
        for step in [1, 2, 3, 7, 11] {
            let other = (node + step) % 60;
            if !network.linked(node, other) {
                network.link(node, other);
            }
        }
    }
    for n in 0..10u8 {
        let (public, _) = network.publish_to(2, &[TAG], &[n]);
        let (private, _) = network.publish_to(5, &[OTHER_TAG], &[n]);
        let (both, _) = network.publish_to(8, &[TAG, OTHER_TAG], &[n]);
        network.run_for(S * 3);
        for (node, member) in network.nodes.iter().enumerate() {
            let count = |id, author| (member.got.iter().filter(|got| got.id == id).count(), node == author);
            let expected = |joined: bool, author| (usize::from(joined && node != author), node == author);
            assert_eq!(count(public, 2), expected(member.topics.contains_key(&TAG), 2), "node {node}");
            assert_eq!(count(private, 5), expected(member.topics.contains_key(&OTHER_TAG), 5), "node {node}");
            assert_eq!(count(both, 8), expected(true, 8), "node {node}: in two topics, delivered once");
            assert!(member.got.iter().all(|got| member.topics.contains_key(&got.topic)));
        }
    }
}

#[test]
fn what_was_left_is_forgotten_and_not_served() {
    let mut network = Network::new(21);
    let [a, b, c] = [(); 3].map(|()| network.add(&[TOPIC, OTHER]));
    network.link(a, b);
    let (id, _) = network.publish_to(a, &[OTHER_TAG], b"of a topic that b leaves");
    network.run_for(S);
    assert!(network.nodes[b].gossip.held().0 > 0);
    network.nodes[b].topics.remove(&OTHER_TAG);
    network.nodes[b].gossip.leave(OTHER_TAG);
    network.share(a, b, &[TAG]);
    assert_eq!(network.nodes[b].gossip.held().0, 0);
    network.link(b, c);
    let mut want = Vec::new();
    setowire::wire::v13::mesh::encode_want(&[id], &mut want).expect("one id");
    network.inject(c, b, &want);
    network.publish_to(a, &[OTHER_TAG], b"and another one");
    network.run_for(S);
    assert!(network.nodes[c].got.is_empty());
    assert_eq!(network.nodes[b].got.len(), 1, "only the first");
}

#[test]
fn topics_of_a_link_may_change() {
    let mut network = Network::new(22);
    let a = network.add(&[TOPIC, OTHER]);
    let b = network.add(&[TOPIC]);
    network.link_with(a, b, MS, None);
    let (_, reached) = network.publish_to(a, &[OTHER_TAG], b"too early");
    assert_eq!(reached, 0);
    network.nodes[b].topics.insert(OTHER_TAG, OTHER);
    network.nodes[b].gossip.join(OTHER);
    network.share(a, b, &[OTHER_TAG]);
    network.share(b, a, &[OTHER_TAG]);
    let (_, reached) = network.publish_to(a, &[TAG], b"not shared any more");
    assert_eq!(reached, 0);
    let (id, reached) = network.publish_to(a, &[TAG, OTHER_TAG], b"in time");
    assert_eq!(reached, 1);
    network.run_for(S);
    assert_eq!(network.nodes[b].got.iter().map(|got| got.id).collect::<Vec<_>>(), [id]);
}
