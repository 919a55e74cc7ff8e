//! Announcements: who of a topic can be reached, readable with the topic's key alone.
//!
//! Every source carries the same thing, for public and private topics alike: a tag
//! that changes every day, by which those who know the topic find it, and a sealed
//! text with our key and ports. To others both are random bytes, and two days of one
//! topic cannot be linked. The caller brings day and nonce.

use super::mac::{hkdf, hmac};
use super::topic::TopicKey;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// Bytes of an announcement before it is sealed.
const PLAIN_LEN: usize = 44;
/// Bytes of a sealed announcement.
pub const SEALED_LEN: usize = PLAIN_LEN + 16;

/// Microseconds of a day.
const DAY_US: u64 = 86_400_000_000;

/// What one swarm says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Its Ed25519 key.
    pub key: [u8; 32],
    /// Its port on IPv4; 0: not offered.
    pub v4: u16,
    /// Its port on IPv6; 0: not offered.
    pub v6: u16,
    /// When it was made, in microseconds since 1970.
    pub instance: u64,
}

/// The day that tags and seals are of, since 1970.
pub fn day(unix_us: u64) -> u32 {
    u32::try_from(unix_us / DAY_US).unwrap_or(u32::MAX)
}

/// What an announcement of the topic is known by on one day.
pub fn tag(topic: &TopicKey, day: u32) -> [u8; 16] {
    hmac(topic.bytes(), &[b"setowire/13 announce", &day.to_be_bytes()]).cut()
}

/// The announcement as others of the topic can open it; the nonce must be random. None only if the sealing
/// library refuses, which it has no reason to.
pub fn seal(topic: &TopicKey, day: u32, nonce: [u8; NONCE_LEN], said: &Announcement) -> Option<[u8; SEALED_LEN]> {
    let mut sealed = [0; SEALED_LEN];
    let (plain, seal) = sealed.split_at_mut(PLAIN_LEN);
    let parts: [&[u8]; 4] = [&said.key, &said.v4.to_be_bytes(), &said.v6.to_be_bytes(), &said.instance.to_be_bytes()];
    plain.copy_from_slice(&parts.concat());
    let aad = Aad::from(tag(topic, day));
    let nonce = Nonce::assume_unique_for_key(nonce);
    seal.copy_from_slice(key(topic, day)?.seal_in_place_separate_tag(nonce, aad, plain).ok()?.as_ref());
    Some(sealed)
}

/// The reverse; none if it was not sealed by one who knows the topic, for that day.
pub fn open(topic: &TopicKey, day: u32, nonce: [u8; NONCE_LEN], sealed: &[u8]) -> Option<Announcement> {
    let mut bytes: [u8; SEALED_LEN] = sealed.try_into().ok()?;
    let aad = Aad::from(tag(topic, day));
    let plain = key(topic, day)?.open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut bytes).ok()?;
    let (key, rest) = plain.split_first_chunk()?;
    let (v4, rest) = rest.split_first_chunk()?;
    let (v6, rest) = rest.split_first_chunk()?;
    let instance = rest.try_into().ok()?;
    Some(Announcement {
        key: *key,
        v4: u16::from_be_bytes(*v4),
        v6: u16::from_be_bytes(*v6),
        instance: u64::from_be_bytes(instance),
    })
}

fn key(topic: &TopicKey, day: u32) -> Option<LessSafeKey> {
    let key: Zeroizing<[u8; 32]> = hkdf(b"", topic.bytes(), &[b"setowire/13 seal", &day.to_be_bytes()]);
    UnboundKey::new(&CHACHA20_POLY1305, key.as_slice()).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: Announcement = Announcement { key: [3; 32], v4: 4_000, v6: 0, instance: 1_795_000_000_000_000 };

    #[test]
    fn those_who_know_the_topic_read_it_and_nobody_else() {
        let topic = TopicKey::private(&[1; 32], &[2; 32]);
        let sealed = seal(&topic, 20_777, [9; 12], &SAID).expect("sealed");
        assert_eq!(open(&topic, 20_777, [9; 12], &sealed), Some(SAID));
        assert_eq!(open(&topic, 20_778, [9; 12], &sealed), None, "another day");
        assert_eq!(open(&topic, 20_777, [8; 12], &sealed), None, "another nonce");
        assert_eq!(open(&TopicKey::public(&[1; 32]), 20_777, [9; 12], &sealed), None, "without the secret");
        assert_eq!(open(&topic, 20_777, [9; 12], &sealed[1..]), None, "too short");
        for i in 0..SEALED_LEN {
            let mut changed = sealed;
            changed[i] ^= 1;
            assert_eq!(open(&topic, 20_777, [9; 12], &changed), None, "byte {i}");
        }
    }

    #[test]
    fn the_tag_is_of_the_topic_and_the_day() {
        let topic = TopicKey::public(&[1; 32]);
        assert_eq!(tag(&topic, 5), tag(&topic, 5));
        assert_ne!(tag(&topic, 5), tag(&topic, 6));
        assert_ne!(tag(&topic, 5), tag(&TopicKey::private(&[1; 32], &[0; 32]), 5));
    }

    #[test]
    fn days_begin_at_midnight_and_never_overflow() {
        assert_eq!(day(86_400_000_000 - 1), 0);
        assert_eq!(day(86_400_000_000), 1);
        assert_eq!(day(u64::MAX), 213_503_982);
    }
}
