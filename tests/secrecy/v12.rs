//! Positive control: a recorded p2p-v12 session opens with the two seeds.
//!
//! Its keys follow from the two long-term keys alone. The decryptor is written from docs/protocol.md.

use crate::network::Recorded;
use crate::record::{CANARIES, Pair, SEEDS, said};
use crate::schedule::hash;
use crate::stolen::{agree, legacy_private, public};
use hkdf::Hkdf;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use setowire::config::Cipher;
use setowire::node::Session;
use sha2::Sha256;

const DATA: u8 = 0x01;

/// The messages of one side, from the seeds of both.
fn decrypt(record: &[Recorded], seeds: &[[u8; 32]; 2], side: usize) -> Vec<Vec<u8>> {
    let privates = seeds.map(|seed| legacy_private(&seed));
    let publics = privates.map(|private| public(&private));
    let shared = agree(&privates[0], &publics[1]);
    let mut keys = [0; 68];
    Hkdf::<Sha256>::new(None, &shared).expand(b"p2p-v12-session", &mut keys).expect("short");
    // The side with the smaller id seals with the first key.
    let ids = publics.map(|public| hash(&[&public])[..8].to_vec());
    let key = if ids[side] < ids[1 - side] { &keys[..32] } else { &keys[32..64] };
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("32 bytes"));
    let frames = record.iter().filter(|recorded| recorded.from == side && recorded.bytes[0] == DATA);
    let open = |frame: &Recorded| {
        let nonce = Nonce::try_assume_unique_for_key(&frame.bytes[1..13]).expect("12 bytes");
        let mut body = frame.bytes[13..].to_vec();
        let opened = key.open_in_place(nonce, Aad::empty(), &mut body).expect("it opens with the seeds");
        // After a sequence number.
        opened[4..].to_vec()
    };
    frames.map(open).collect()
}

#[test]
fn a_recorded_v12_session_opens_with_the_two_seeds() {
    let mut pair = Pair::connected(Cipher::ChaCha20, false);
    for side in 0..2 {
        assert_eq!(pair.info(side).session, Session::V12);
        pair.send(side, said(side, 200));
    }
    for (side, canary) in CANARIES.into_iter().enumerate() {
        assert!(decrypt(pair.record(), &SEEDS, side).contains(&said(side, 200)), "the canary of {side}");
        let in_clear = |recorded: &Recorded| recorded.bytes.windows(canary.len()).any(|w| w == canary.as_bytes());
        assert!(!pair.record().iter().any(in_clear), "without the seeds it cannot be read");
    }
}
