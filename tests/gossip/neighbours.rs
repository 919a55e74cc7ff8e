//! Broadcasts to neighbours that share no topic with their author.

use crate::network::{MS, Network, S, TAG, TOPIC};
use setowire::config::limits::{MESH_EAGER, MESH_QUEUE_BYTES};
use setowire::mesh::author::{Envelope, name, sign};
use setowire::wire::v13::mesh::{BRIDGED, Message, NEIGHBOUR, NEIGHBOUR_TAG};

#[test]
fn all_get_it_at_once_and_none_passes_it_on() {
    let mut network = Network::new(50);
    let author = network.add(&[]);
    let others = [(); 3 * MESH_EAGER].map(|()| network.add(&[]));
    for (n, other) in others.into_iter().enumerate() {
        network.link_with(author, other, MS, None);
        if n > 0 {
            network.link_with(others[n - 1], other, MS, None);
        }
    }
    let far = network.add(&[]);
    network.link_with(others[0], far, MS, None);
    let (id, reached) = network.publish_to(author, &[TAG, NEIGHBOUR_TAG], b"to all who are there");
    assert_eq!(reached, others.len());
    network.run_for(MS * 2);
    network.assert_everywhere_of(&others, &[id]);
    network.run_for(S * 5);
    network.assert_everywhere_of(&others, &[id]);
    assert!(network.nodes[far].got.is_empty() && network.sent() == others.len() as u64);
}

/// The author does not know yet that it shares the topic with `late`, which gets the message from `member` too.
#[test]
fn a_copy_from_the_author_and_one_over_a_topic_are_one_message() {
    for (direct, around) in [(1, 100), (100, 1)] {
        let mut network = Network::new(51);
        let [author, member, late] = [(); 3].map(|()| network.add(&[TOPIC]));
        network.link_with(author, member, MS, None);
        network.link_with(author, late, MS * direct, None);
        network.link_with(member, late, MS * around, None);
        network.share(author, late, &[]);
        let (id, reached) = network.publish_to(author, &[TAG, NEIGHBOUR_TAG], b"once");
        assert_eq!(reached, 2);
        network.run_for(S * 5);
        network.assert_everywhere_of(&[member, late], &[id]);
        let from = if direct < around { NEIGHBOUR_TAG } else { TAG };
        assert_eq!(network.nodes[late].got[0].topic, from, "whichever is faster");
        assert_eq!(network.nodes[late].gossip.stats().received, 2, "both copies came");
    }
}

#[test]
fn only_the_author_himself_is_believed() {
    let mut network = Network::new(52);
    let [near, liar] = [(); 2].map(|()| network.add(&[TOPIC]));
    network.link_with(liar, near, MS, None);
    let other = network.add(&[]);
    let message = |author: usize, time, flags| {
        let identity = &network.nodes[author].identity;
        let envelope = Envelope { author: identity.key(), flags, time };
        let (id, _) = name(&envelope, b"hello");
        let signature = sign(identity, &NEIGHBOUR, &id, &envelope, b"hello");
        let (topic, author, payload) = (NEIGHBOUR_TAG, identity.key(), &b"hello"[..]);
        Message { topic, author, id, hops: 0, flags, time, signature, payload }
    };
    let time = network.now().unix_us;
    let own = message(liar, time, 0);
    let ignored = [message(other, time, 0), Message { hops: 1, ..own }, message(liar, time, BRIDGED)];
    let frames = ignored.into_iter().chain([own, own]).map(|message| {
        let mut out = Vec::new();
        message.encode(&mut out).expect("small");
        out
    });
    frames.collect::<Vec<_>>().iter().for_each(|frame| network.inject(liar, near, frame));
    network.run_for(S);
    let stats = network.nodes[near].gossip.stats();
    assert_eq!((stats.ignored, stats.received, stats.duplicates, network.nodes[near].got.len()), (3, 1, 1, 1));
}

#[test]
fn what_finds_no_room_follows_when_it_is_asked_for() {
    let mut network = Network::new(53);
    let [author, slow] = [(); 2].map(|()| network.add(&[]));
    network.link_with(author, slow, MS * 10, Some(1 << 20));
    let large = vec![7; MESH_QUEUE_BYTES / 2];
    let said: Vec<_> = (0..8).map(|_| network.publish_to(author, &[NEIGHBOUR_TAG], &large).0).collect();
    // What it shares since then makes no difference.
    network.share(author, slow, &[TAG]);
    network.share(slow, author, &[TAG]);
    network.run_for(S * 20);
    network.assert_everywhere_of(&[slow], &said);
    assert!(network.nodes[slow].gossip.stats().pulled > 0);
}
