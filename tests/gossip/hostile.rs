//! Members that lie, repeat, flood and ask for everything.

use crate::network::{MS, Network, S, TAG, TOPIC};
use setowire::config::limits::*;
use setowire::crypto::identity::Identity;
use setowire::mesh::author::{Envelope, name, sign};
use setowire::wire::v13::mesh::{Message, MessageId, TopicTag, encode_have, encode_prune, encode_want};

/// The time of the first message of a hostile author.
const TIME: u64 = 1_795_000_000_000_000;

/// A message as its author signs it.
fn message<'a>(author: &Identity, time: u64, payload: &'a [u8]) -> Message<'a> {
    let envelope = Envelope { author: author.key(), flags: 0, time };
    let (id, _) = name(&envelope, payload);
    let signature = sign(author, &TOPIC, &id, &envelope, payload);
    Message { topic: TAG, author: author.key(), id, hops: 0, flags: 0, time, signature, payload }
}

fn frame(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out).expect("small");
    out
}

/// A hostile node, the one it is linked to, and one behind that. The hostile node's own machine stays silent.
fn three(seed: u64) -> (Network, [usize; 3]) {
    let mut network = Network::new(seed);
    let nodes = [(); 3].map(|()| network.add(&[TOPIC]));
    network.link_with(nodes[0], nodes[1], MS, None);
    network.link_with(nodes[1], nodes[2], MS, None);
    (network, nodes)
}

#[test]
fn what_is_forged_goes_nowhere_and_ends_the_connection() {
    let (mut network, [bad, near, far]) = three(40);
    let victim = Identity::from_seed(&[9; 32]);
    let liar = Identity::from_seed(&[8; 32]);
    let good = message(&victim, TIME, b"transfer 1");
    let mut forged = vec![
        Message { payload: b"transfer 9", ..good },
        Message { author: liar.key(), ..good },
        Message { time: TIME + 1, ..good },
        Message { flags: 1, ..good },
        Message { signature: [7; 64], ..good },
        Message { signature: message(&liar, TIME, b"transfer 1").signature, ..good },
    ];
    let mine = message(&liar, TIME, b"transfer 9");
    forged.push(Message { author: victim.key(), ..mine });
    forged.iter().for_each(|message| network.inject(bad, near, &frame(message)));
    network.inject(bad, near, &frame(&good));
    network.run_for(S);
    for node in [near, far] {
        assert_eq!(network.nodes[node].got.len(), 1, "only what was signed");
        assert_eq!(&network.nodes[node].got[0].payload[..], b"transfer 1");
    }
    assert!(network.closed.is_empty());
    network.inject(bad, near, &frame(&Message { id: [1; 16], ..good }));
    network.run_for(S);
    let stats = network.nodes[near].gossip.stats();
    assert_eq!((stats.forged, network.closed.as_slice()), (u64::from(MESH_FORGED), &[(near, bad)][..]));
    assert_eq!(network.nodes[far].gossip.stats().forged, 0, "nobody passes it on");
}

#[test]
fn the_id_of_another_message_cannot_be_taken() {
    let (mut network, [bad, near, far]) = three(41);
    let good = message(&Identity::from_seed(&[9; 32]), TIME, b"wanted");
    let squatter = Identity::from_seed(&[8; 32]);
    let envelope = Envelope { author: squatter.key(), flags: 0, time: TIME };
    let signature = sign(&squatter, &TOPIC, &good.id, &envelope, b"noise");
    let squat = Message { author: squatter.key(), signature, payload: b"noise", ..good };
    network.inject(bad, near, &frame(&squat));
    network.inject(bad, near, &frame(&good));
    network.run_for(S);
    assert_eq!(network.nodes[far].got.iter().map(|got| &got.payload[..]).collect::<Vec<_>>(), [b"wanted"]);
}

#[test]
fn a_replay_is_no_news() {
    let (mut network, [bad, near, far]) = three(42);
    let author = Identity::from_seed(&[9; 32]);
    let old = frame(&message(&author, TIME, b"once"));
    for _ in 0..5 {
        network.inject(bad, near, &old);
    }
    network.run_for(S);
    // The id is forgotten; the author's newer message is not.
    network.run_for(MESH_MEMORY);
    let later = TIME + 1_000_000 * MESH_MEMORY.as_secs();
    network.inject(bad, near, &frame(&message(&author, later, b"later")));
    network.run_for(S);
    network.inject(bad, near, &old);
    network.inject(bad, near, &frame(&message(&author, TIME - 1, b"of before")));
    network.run_for(S);
    for node in [near, far] {
        let got: Vec<&[u8]> = network.nodes[node].got.iter().map(|got| &got.payload[..]).collect();
        assert_eq!(got, [&b"once"[..], b"later"]);
    }
    assert_eq!(network.nodes[near].gossip.stats().ignored, 2);
}

#[test]
fn our_own_words_do_not_come_back() {
    let (mut network, [bad, near, _]) = three(43);
    let (id, _) = network.publish(near, b"mine");
    network.run_for(S);
    let mine = network.nodes[bad].got[0].clone();
    assert_eq!(mine.id, id);
    let again = message(&Identity::from_seed(&[0; 32]), TIME, b"mine");
    network.inject(bad, near, &frame(&Message { author: mine.author, ..again }));
    network.run_for(S);
    assert!(network.nodes[near].got.is_empty());
    assert_eq!(network.nodes[near].gossip.stats().forged, 0, "not even looked at");
}

#[test]
fn a_flood_is_held_to_its_rate_and_others_get_through() {
    let (mut network, [bad, near, far]) = three(44);
    let honest = network.add(&[TOPIC]);
    network.link_with(honest, near, MS, None);
    let flooder = Identity::from_seed(&[8; 32]);
    let messages = u64::from(MESH_AUTHOR_BURST) + 500;
    for n in 0..messages {
        network.inject(bad, near, &frame(&message(&flooder, TIME + n, &n.to_be_bytes())));
    }
    let (id, _) = network.publish(honest, b"excuse me");
    network.run_for(MS * 50);
    assert!(network.nodes[far].got.iter().any(|got| got.id == id), "the flood is not in its way");
    network.run_for(S * 5);
    let stats = network.nodes[near].gossip.stats();
    println!("flood of {messages}: {stats:?}");
    assert!(stats.delayed > 0, "the link waits, nothing is lost by that");
    assert_eq!(stats.received + stats.over_rate, messages + 1);
    // The author's rate goes on while the link waits for its own.
    assert!(stats.received <= u64::from(MESH_AUTHOR_BURST) + u64::from(MESH_AUTHOR_PER_SECOND), "{stats:?}");
    let (bytes, _, missing) = network.nodes[near].gossip.held();
    assert!(bytes <= MESH_STORE_BYTES && missing == 0);
    let (ids, authors) = network.nodes[near].gossip.remembered();
    assert!(ids <= MESH_SEEN && authors == 2, "{ids} {authors}");
}

#[test]
fn many_authors_cost_a_bounded_number_of_checks() {
    let (mut network, [bad, near, _]) = three(45);
    let checks = u64::from(MESH_LINK_CHECKS);
    for n in 0..checks + 300 {
        let author = Identity::from_seed(&[&n.to_be_bytes()[..], &[1; 24]].concat().try_into().expect("32 bytes"));
        network.inject(bad, near, &frame(&message(&author, TIME, b"who am I")));
    }
    network.run_for(MS * 100);
    let received = network.nodes[near].gossip.stats().received;
    assert!((checks..=checks + checks / 10).contains(&received), "{received} in a tenth of a second");
    network.run_for(S);
    assert_eq!(network.nodes[near].gossip.stats().received, checks + 300, "the rest came when its time had come");
}

#[test]
fn wants_for_everything_get_each_message_once() {
    let (mut network, [bad, near, far]) = three(46);
    // The hostile node is lazy to its neighbour, so that nothing goes there by itself.
    let mut prune = Vec::new();
    encode_prune(&TAG, &mut prune);
    network.inject(bad, near, &prune);
    network.run_for(S);
    let ids: Vec<MessageId> = (0..100u8).map(|n| network.publish(far, &[n; 1_000]).0).collect();
    network.run_for(MS * 50);
    let before = network.nodes[near].gossip.stats().sent;
    let mut want = Vec::new();
    let unknown: Vec<MessageId> = (0..100).map(|_| network.rng.bytes()).collect();
    encode_want(&[&ids[..], &unknown[..]].concat(), &mut want).expect("200 ids");
    for _ in 0..50 {
        network.inject(bad, near, &want);
    }
    network.run_for(S * 3);
    assert_eq!(network.nodes[near].gossip.stats().sent - before, 100, "each once, whoever asks how often");
}

#[test]
fn ids_that_do_not_exist_cost_one_question_each_and_are_forgotten() {
    let (mut network, [bad, near, far]) = three(47);
    for _ in 0..40 {
        let ids: Vec<(TopicTag, MessageId)> = (0..256).map(|_| (TAG, network.rng.bytes())).collect();
        let mut have = Vec::new();
        encode_have(&ids, &mut have).expect("256 ids");
        network.inject(bad, near, &have);
    }
    let mut have = Vec::new();
    encode_have(&[([1; 8], [1; 16]); 256], &mut have).expect("256 ids");
    network.inject(bad, near, &have);
    network.run_for(MS * 2);
    assert_eq!(network.nodes[near].gossip.held().2, MESH_MISSING_PER_LINK);
    // A message is not kept away by that.
    let (id, _) = network.publish(far, b"real");
    network.run_for(S * 5);
    assert!(network.nodes[near].got.iter().any(|got| got.id == id));
    let stats = network.nodes[near].gossip.stats();
    assert_eq!((stats.pulled, network.nodes[near].gossip.held().2), (MESH_MISSING_PER_LINK as u64, 0));
    assert_eq!(stats.ignored, 256, "a topic that is not shared");
}

#[test]
fn who_announces_and_does_not_send_only_delays() {
    let mut network = Network::new(48);
    let [bad, us, honest, author] = [(); 4].map(|()| network.add(&[TOPIC]));
    network.link_with(bad, us, MS, None);
    network.link_with(honest, us, MS, None);
    network.link_with(author, honest, MS, None);
    // The honest node knows us as lazy, and is the second to announce.
    let mut prune = Vec::new();
    encode_prune(&TAG, &mut prune);
    network.inject(us, honest, &prune);
    network.run_for(S);
    let (id, _) = network.publish(author, b"held back");
    let mut have = Vec::new();
    encode_have(&[(TAG, id)], &mut have).expect("one id");
    network.inject(bad, us, &have);
    network.run_for(MESH_PULL_DELAY + MESH_HAVE_DELAY + MS * 20);
    assert!(network.nodes[us].got.is_empty(), "the first was asked and is silent");
    network.run_for(MESH_PULL_RETRY);
    assert_eq!(network.nodes[us].got.len(), 1);
}

#[test]
fn everybody_but_the_hostile_gets_everything_in_a_large_network() {
    let mut network = Network::connected(49, 200, 12);
    // Each tenth node throws away what it gets and tells lies instead.
    let hostile: Vec<usize> = (0..20).map(|n| n * 10 + 5).collect();
    hostile.iter().for_each(|bad| network.nodes[*bad].mute = true);
    for round in 0..6u64 {
        for bad in hostile.iter().copied() {
            let neighbours: Vec<usize> = network.nodes[bad].links.values().copied().collect();
            let liar = Identity::from_seed(&[bad as u8; 32]);
            let honest = message(&liar, TIME + round, b"spam");
            for to in neighbours {
                network.inject(bad, to, &frame(&Message { payload: b"sqam", ..honest }));
                let ids: Vec<(TopicTag, MessageId)> = (0..200).map(|_| (TAG, network.rng.bytes())).collect();
                let mut have = Vec::new();
                encode_have(&ids, &mut have).expect("200 ids");
                network.inject(bad, to, &have);
            }
        }
        network.run_for(MS * 300);
        let author = 10 * network.rng.below(20) as usize;
        let (id, _) = network.publish(author, format!("round {round}").as_bytes());
        network.run_for(S * 6);
        network.assert_everywhere(author, id);
    }
}
