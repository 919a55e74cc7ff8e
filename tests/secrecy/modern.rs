//! A recorded modern session: opens with its key log, does not open with the seeds.

use crate::capture::{CLIENT, Capture, SERVER};
use crate::frames::Content;
use crate::network::Recorded;
use crate::packets::{Space, Suite};
use crate::record::{CANARIES, Pair, SEEDS, TOPIC, said};
use crate::schedule::Secret;
use crate::stolen::{attack, candidates};
use setowire::config::Cipher;
use setowire::crypto::key_log;
use setowire::node::Session;
use std::collections::HashSet;
use std::time::Duration;

const LABELS: [[&str; 2]; 2] = [
    ["CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET"],
    ["CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"],
];
const SIZES: [usize; 8] = [1, 2, 7, 35, 1_000, 1_500, 70_000, 1 << 20];

/// Two that said everything that can be said, in these sizes.
fn talk(cipher: Cipher, sizes: &[usize]) -> Pair {
    let mut pair = Pair::connected(cipher, true);
    for side in 0..2 {
        assert_eq!(pair.info(side).session, Session::Quic);
        for size in sizes {
            pair.send(side, said(side, *size));
        }
        for size in [1, 35, 1_150] {
            pair.send_datagram(side, said(side, size));
        }
        pair.send_stream(side, said(side, 90_001));
        pair.broadcast(side, said(side, 3_000));
    }
    // Session probes too.
    pair.rest(Duration::from_secs(90));
    pair
}

/// Secrets of client and server from the key log, for a space.
fn logged(capture: &Capture, space: Space) -> [Secret; 2] {
    let log = key_log::secrets(&capture.client.random).expect("the session is in the key log");
    let labels = if space == Space::Handshake { LABELS[0] } else { LABELS[1] };
    labels.map(|label| log[label].clone().try_into().expect("32 bytes"))
}

/// Pieces of eight bytes.
fn eights(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.windows(8).map(|window| u64::from_ne_bytes(window.try_into().expect("8 bytes")))
}

/// All that both sides said in the application's space, after checking that the canaries are among it.
fn opens_with_the_key_log(capture: &Capture, sizes: &[usize]) -> [Content; 2] {
    let secrets = logged(capture, Space::Application);
    [CLIENT, SERVER].map(|side| {
        let content = capture.content(side, Space::Application, &secrets[side]);
        let who = if side == CLIENT { capture.dialler } else { 1 - capture.dialler };
        let streams = content.streams();
        let messages = streams.values().find(|stream| stream.first() == Some(&2)).expect("a message stream");
        // Its type, then each message behind its length.
        let mut expected = vec![2];
        for size in sizes.iter().copied() {
            match size {
                0..64 => expected.push(size as u8),
                64..16_384 => expected.extend((0x4000 | size as u16).to_be_bytes()),
                _ => expected.extend((0x8000_0000 | size as u32).to_be_bytes()),
            }
            expected.extend(said(who, size));
        }
        assert!(*messages == expected, "the message stream of {who} has {} bytes", messages.len());
        for size in [1, 35, 1_150] {
            assert!(content.datagrams.contains(&said(who, size)), "a datagram of {size} bytes");
        }
        let application = [&[1][..], &said(who, 90_001)].concat();
        assert!(streams.values().any(|stream| *stream == application), "a stream of the application");
        let broadcast = said(who, 3_000);
        assert!(streams.values().any(|stream| stream.ends_with(&broadcast)), "a broadcast");
        content
    })
}

/// What the server said in the handshake: with it the transcript is complete.
fn flight(capture: &Capture) -> Vec<u8> {
    capture.content(SERVER, Space::Handshake, &logged(capture, Space::Handshake)[SERVER]).crypto()
}

/// Of all that was said, no eight bytes in a row were in clear.
fn nothing_is_in_clear(record: &[Recorded], contents: &[Content; 2]) {
    let mut said: HashSet<u64> = CANARIES.iter().flat_map(|canary| eights(canary.as_bytes())).collect();
    for content in contents {
        // What is short is looked for with what stands around it in the stream.
        for stream in content.streams().values().chain(&content.datagrams) {
            said.extend(eights(stream));
        }
    }
    for recorded in record {
        assert!(!eights(&recorded.bytes).any(|eight| said.contains(&eight)), "in clear: {:02x?}", recorded.bytes);
    }
}

fn with_its_key_log(cipher: Cipher, suite: Suite) {
    let pair = talk(cipher, &SIZES);
    let capture = Capture::of(pair.record());
    assert_eq!(capture.server.suite, suite);
    nothing_is_in_clear(pair.record(), &opens_with_the_key_log(&capture, &SIZES));
}

fn not_with_the_seeds(cipher: Cipher, suite: Suite) {
    let pair = talk(cipher, &SIZES[..5]);
    let capture = Capture::of(pair.record());
    assert_eq!(capture.server.suite, suite);
    opens_with_the_key_log(&capture, &SIZES[..5]);

    // The thief even gets the plain text of the handshake as a present.
    let flight = flight(&capture);
    let candidates = candidates(&SEEDS, &TOPIC, &capture);
    assert!(capture.count(CLIENT, Space::Handshake) > 0 && capture.count(SERVER, Space::Handshake) > 0);
    let broken = attack(&capture, &candidates, Some(&flight));
    assert!(broken.is_empty(), "opened with {:?}", broken.iter().map(|broken| &broken.with).collect::<Vec<_>>());

    // And what he tries would do, had he one secret of this session.
    let [client, _] = logged(&capture, Space::Application);
    let broken = attack(&capture, &[("the key log".to_owned(), client)], Some(&flight));
    assert_eq!(broken.len(), 1, "as traffic secret, and in no other place");
}

#[test]
fn chacha20_opens_with_its_key_log() {
    with_its_key_log(Cipher::ChaCha20, Suite::ChaCha20Poly1305);
}

#[test]
fn aes_opens_with_its_key_log() {
    with_its_key_log(Cipher::Fastest, Suite::Aes128Gcm);
}

#[test]
fn chacha20_does_not_open_with_the_seeds() {
    not_with_the_seeds(Cipher::ChaCha20, Suite::ChaCha20Poly1305);
}

#[test]
fn aes_does_not_open_with_the_seeds() {
    not_with_the_seeds(Cipher::Fastest, Suite::Aes128Gcm);
}

#[test]
fn two_sessions_of_the_same_seeds_have_nothing_in_common() {
    let mut seen = HashSet::new();
    for _ in 0..2 {
        let pair = Pair::connected(Cipher::ChaCha20, true);
        let capture = Capture::of(pair.record());
        let log = key_log::secrets(&capture.client.random).expect("the session is in the key log");
        assert_eq!(log.len(), 5, "two for the handshake, two for data, one for the exporter: {:?}", log.keys());
        for secret in log.into_values().chain([capture.client.share.to_vec(), capture.server.share.to_vec()]) {
            assert!(seen.insert(secret), "the same secret twice");
        }
    }
}
