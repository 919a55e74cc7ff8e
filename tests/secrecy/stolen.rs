//! Who recorded a modern session and has stolen both seeds later: all that he can try.
//!
//! He has the private keys of both sides in each form there is, the topic with its key, and what of the
//! handshake was in clear. Each shared secret that these give is put into the key schedule of
//! TLS in the place of the (EC)DHE secret, and of the pre-shared key, over the recorded transcript.

use crate::capture::{CLIENT, Capture, SERVER};
use crate::frames::Content;
use crate::packets::Space;
use crate::schedule::{Secret, ZEROS, expand, extract, handshake, hash, master, traffic};
use ed25519_dalek::SigningKey;
use x25519_dalek::{PublicKey, StaticSecret};

pub fn agree(private: &Secret, public: &Secret) -> Secret {
    StaticSecret::from(*private).diffie_hellman(&PublicKey::from(*public)).to_bytes()
}

pub fn public(private: &Secret) -> Secret {
    PublicKey::from(&StaticSecret::from(*private)).to_bytes()
}

/// The X25519 private key of p2p-v12.
pub fn legacy_private(seed: &Secret) -> Secret {
    hash(&[seed])
}

/// A secret, and where it is from.
pub type Candidate = (String, Secret);

/// Everything that two seeds, a topic and the HELLOs give.
pub fn candidates(seeds: &[Secret; 2], topic: &Secret, capture: &Capture) -> Vec<Candidate> {
    let (mut privates, mut publics) = (Vec::new(), Vec::new());
    let mut all = vec![("the topic".to_owned(), *topic), ("zeros".to_owned(), ZEROS)];
    for (name, seed) in ["a", "b"].into_iter().zip(seeds) {
        let signing = SigningKey::from_bytes(seed);
        let legacy = legacy_private(seed);
        privates.push((format!("{name} legacy"), legacy));
        privates.push((format!("{name} Ed25519 as X25519"), signing.to_scalar_bytes()));
        privates.push((format!("{name} seed"), *seed));
        publics.push((format!("{name} legacy"), public(&legacy)));
        publics.push((format!("{name} Ed25519 as X25519"), signing.verifying_key().to_montgomery().to_bytes()));
        publics.push((format!("{name} seed"), public(seed)));
        all.push((format!("{name} Ed25519, public"), signing.verifying_key().to_bytes()));
    }
    publics.push(("ClientHello".to_owned(), capture.client.share));
    publics.push(("ServerHello".to_owned(), capture.server.share));
    // The key of a public topic: HKDF with a salt (RFC 5869), one block.
    let topic_key = extract(&extract(b"setowire/13", topic), b"public topic\x01");
    all.push(("the topic's key".to_owned(), topic_key));
    for (private_name, private) in &privates {
        for (public_name, public) in &publics {
            all.push((format!("{private_name} with {public_name}"), agree(private, public)));
        }
    }
    // And all of them once more as p2p-v12 would have them: derived, not as they are.
    let keys: Vec<Candidate> = all
        .iter()
        .map(|(name, secret)| {
            (format!("{name}, as in p2p-v12"), extract(&extract(&ZEROS, secret), b"p2p-v12-session\x01"))
        })
        .collect();
    all.extend(privates);
    all.extend(publics);
    all.extend(keys);
    all
}

/// What one candidate opened.
#[derive(Debug)]
pub struct Broken {
    pub with: String,
    pub handshake: usize,
    pub application: [Vec<Vec<u8>>; 2],
}

/// Tries each candidate in every place. `flight`: what the server said in the handshake, if somebody gave it away; else
/// only who opens the handshake has it.
pub fn attack(capture: &Capture, candidates: &[Candidate], flight: Option<&[u8]>) -> Vec<Broken> {
    let mut broken = Vec::new();
    for (name, candidate) in candidates {
        for (place, secret) in
            [("key exchange", handshake(&ZEROS, candidate)), ("pre-shared key", handshake(candidate, &ZEROS))]
        {
            let secrets = traffic(&secret, "hs", &capture.transcript(&[]));
            let opened = opened(capture, Space::Handshake, &secrets);
            let own = Content::of(opened[SERVER].iter().map(Vec::as_slice)).crypto();
            let flight = flight.unwrap_or(&own);
            let secrets = traffic(&master(&secret), "ap", &capture.transcript(flight));
            push(
                &mut broken,
                format!("{name} as {place}"),
                opened,
                self::opened(capture, Space::Application, &secrets),
            );
        }
        // Not even TLS: the secret itself, or the next simplest thing.
        for (place, secrets) in [
            ("traffic secret", [*candidate; 2]),
            ("handshake secret", traffic(candidate, "hs", &capture.transcript(&[]))),
            ("master secret", traffic(candidate, "ap", &capture.transcript(flight.unwrap_or_default()))),
            ("traffic secret before a key update", [expand(candidate, "quic ku", b""); 2]),
        ] {
            let [handshake, application] =
                [Space::Handshake, Space::Application].map(|space| opened(capture, space, &secrets));
            push(&mut broken, format!("{name} as {place}"), handshake, application);
        }
    }
    broken
}

fn opened(capture: &Capture, space: Space, secrets: &[Secret; 2]) -> [Vec<Vec<u8>>; 2] {
    [CLIENT, SERVER].map(|side| capture.payloads(side, space, &secrets[side]).into_iter().flatten().collect())
}

fn push(broken: &mut Vec<Broken>, with: String, handshake: [Vec<Vec<u8>>; 2], application: [Vec<Vec<u8>>; 2]) {
    let handshake = handshake.iter().map(Vec::len).sum();
    if handshake > 0 || application.iter().any(|payloads| !payloads.is_empty()) {
        broken.push(Broken { with, handshake, application });
    }
}
