//! The derivations at the end of Part 1 of docs/protocol.md, against our own code.
//!
//! They were computed by a program that shares nothing with the library. A name on the page that
//! is not checked here fails the test, and so does one that is checked and not there.

use ed25519_dalek::{Signer, SigningKey};
use setowire::crypto::announce::{self, Announcement};
use setowire::crypto::cert;
use setowire::crypto::identity::{Identity, V12Keys};
use setowire::crypto::legacy::LegacySecret;
use setowire::crypto::path::PathKey;
use setowire::crypto::probe::probe_target;
use setowire::crypto::topic::{Role, TopicKey};
use setowire::wire::v13::{SessionProbe, Step};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const PAGE: &str = include_str!("../docs/protocol.md");
const INSTANCE: u64 = 1_795_000_000_000_000;

fn run<const N: usize>(first: u8) -> [u8; N] {
    std::array::from_fn(|i| first + i as u8)
}

/// `name:`, then lines of hex.
fn on_the_page() -> BTreeMap<&'static str, String> {
    let section = PAGE.split_once("\n## Test vectors\n").expect("the section").1;
    let block = section.split("```").nth(1).expect("a block");
    let mut values = BTreeMap::new();
    let mut name = "";
    for line in block.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("  ") {
            Some(hex) => *values.entry(name).or_insert_with(String::new) += hex,
            None => name = line.strip_suffix(':').expect("a name"),
        }
    }
    values
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the library keeps to itself, by the formula of the page.
fn derived(salt: &[u8], material: &[u8], info: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    hkdf::Hkdf::<Sha256>::new(Some(salt), material).expand(info, &mut out).expect("one block");
    out
}

/// RFC 8446, section 7.1, for 32 bytes.
fn expand_label(secret: &[u8; 32], label: &str) -> [u8; 32] {
    let empty = <[u8; 32]>::from(Sha256::digest(b""));
    let label = format!("tls13 {label}");
    let info = [&[0, 32, label.len() as u8], label.as_bytes(), &[32], &empty].concat();
    let mut out = [0; 32];
    hkdf::Hkdf::<Sha256>::from_prk(secret).expect("32 bytes").expand(&info, &mut out).expect("one block");
    out
}

fn computed() -> BTreeMap<&'static str, String> {
    let (seed, topic, secret, exported) = (run::<32>(0), run::<32>(0x20), run::<32>(0x40), run::<32>(0x60));
    let identity = Identity::from_seed(&seed);
    let public = TopicKey::public(&topic);
    let mut values = BTreeMap::new();
    let mut put = |name, bytes: &[u8]| assert!(values.insert(name, hex(bytes)).is_none(), "{name}");

    put("Ed25519 public key", &identity.key());
    put("certificate", &cert::certificate(&SigningKey::from_bytes(&seed)));
    put("v12 public key of the seed", identity.v12().public());
    let topic_key = derived(b"setowire/13", &topic, b"public topic");
    put("topic key, public", &topic_key);
    put("topic key, private", &derived(b"setowire/13", &[topic, secret].concat(), b"private topic"));
    put("tag(dialler), public", &public.proof(Role::Dialler, &exported));
    put("tag(dialler), private", &TopicKey::private(&topic, &secret).proof(Role::Dialler, &exported));
    put("tag(acceptor), public", &public.proof(Role::Acceptor, &exported));
    put("mesh name, public", &public.mesh());

    for (name, label) in [
        ("exporter(topic) from ems", "topic"),
        ("exporter(legacy) from ems", "legacy"),
        ("exporter(path-dialler) from ems", "path-dialler"),
        ("exporter(path-acceptor) from ems", "path-acceptor"),
    ] {
        let derived = expand_label(&run(0x80), &format!("EXPORTER-setowire-13-{label}"));
        put(name, &expand_label(&derived, "exporter"));
    }

    put("target of a PROBE", &probe_target(&identity.key(), &run(0xa0)));

    let (day, said) = (20_775u32, Announcement { key: identity.key(), v4: 40_001, v6: 40_002, instance: INSTANCE });
    put("announcement tag, public", &announce::tag(&public, day));
    let sealed = announce::seal(&public, day, run(0xb0), &said).expect("sealed");
    assert_eq!(announce::open(&public, day, run(0xb0), &sealed), Some(said));
    put("announcement sealed", &sealed);
    put("announcement key", &derived(b"", &topic_key, &[&b"setowire/13 seal"[..], &day.to_be_bytes()].concat()));
    let ports = [said.v4.to_be_bytes(), said.v6.to_be_bytes()].concat();
    put("announcement plain", &[&said.key[..], &ports, &said.instance.to_be_bytes()].concat());

    let second = V12Keys::from_seed(&run::<32>(0xc0));
    put(
        "LEGACY_PROOF of a dialler",
        &LegacySecret::new(identity.v12(), second.public()).expect("a secret").proof(Role::Dialler, &exported),
    );

    let time = INSTANCE.to_be_bytes();
    let parts: [&[u8]; 5] = [b"setowire/13 id", &identity.key(), &[0], &time, &Sha256::digest(b"hello")];
    let id = &Sha256::digest(parts.concat())[..16];
    put("mesh id, payload \"hello\", flags 0", id);
    let signed = [b"setowire/13 mesh", &public.mesh()[..], id, &[0], &time, b"hello"].concat();
    put("mesh signature of the same", &SigningKey::from_bytes(&seed).sign(&signed).to_bytes());

    let key = PathKey::new(exported);
    let mut probe = SessionProbe { tag: key.tag(0), step: Step::Challenge, number: 0, nonce: run(0xa0), mac: [0; 16] };
    probe.mac = key.mac(0, &probe.covered());
    put("SESSION_PROBE, challenge 0, n 0", &probe.encode());
    values
}

#[test]
fn the_page_says_what_the_library_computes() {
    assert_eq!(on_the_page(), computed());
}
