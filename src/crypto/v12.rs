//! Session keys of p2p-v12 and the sealing of its DATA frames.
//!
//! Both keys follow from the two static key pairs alone, so they never change
//! while both sides keep their identity: the nonce is all that keeps two frames
//! apart. Our side puts a random session prefix where old peers put a derived
//! session id (they read the nonce from the frame and never check that part) and
//! begins the counter at the wall clock, so that neither a restart, nor a clock
//! that steps back, nor a second process with the same seed repeats a nonce.

use crate::crypto::identity::{V12Keys, WireId, legacy_id, wire_id};
use hkdf::Hkdf;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of a nonce: four of session prefix, eight of counter.
pub const NONCE_LEN: usize = 12;
/// Bytes of an authentication tag.
pub const TAG_LEN: usize = 16;
/// Bytes of the sequence number in front of every payload.
pub const SEQUENCE_LEN: usize = 4;

const INFO: &[u8] = b"p2p-v12-session";

/// The key material of a session, before it becomes usable keys.
pub struct SessionSecrets {
    pub send: Zeroizing<[u8; 32]>,
    pub recv: Zeroizing<[u8; 32]>,
    /// What old peers put in front of the counter.
    pub session_id: u32,
}

impl SessionSecrets {
    /// None if the peer's key is of low order: the shared secret would be known to everyone.
    pub fn derive(ours: &V12Keys, their_public: &[u8; 32]) -> Option<SessionSecrets> {
        let shared = ours.agree(their_public)?;
        let mut okm = Zeroizing::new([0u8; 68]);
        Hkdf::<Sha256>::new(None, shared.as_slice()).expand(INFO, okm.as_mut_slice()).ok()?;
        let (mut low, mut high) = (Zeroizing::new([0u8; 32]), Zeroizing::new([0u8; 32]));
        low.copy_from_slice(&okm[..32]);
        high.copy_from_slice(&okm[32..64]);
        let session_id = u32::from_be_bytes([okm[64], okm[65], okm[66], okm[67]]);
        let we_are_low = ours.wire_id() < wire_id(&legacy_id(their_public));
        let (send, recv) = if we_are_low { (low, high) } else { (high, low) };
        Some(SessionSecrets { send, recv, session_id })
    }
}

/// The two directions of one session.
pub struct SessionKeys {
    send: LessSafeKey,
    recv: LessSafeKey,
    session_id: u32,
}

impl SessionKeys {
    pub fn derive(ours: &V12Keys, their_public: &[u8; 32]) -> Option<SessionKeys> {
        let secrets = SessionSecrets::derive(ours, their_public)?;
        let key = |bytes: &[u8; 32]| UnboundKey::new(&CHACHA20_POLY1305, bytes).ok().map(LessSafeKey::new);
        Some(SessionKeys { send: key(&secrets.send)?, recv: key(&secrets.recv)?, session_id: secrets.session_id })
    }

    /// The prefix an old peer uses; a frame with another one is from our own kind.
    pub fn session_id(&self) -> u32 {
        self.session_id
    }

    /// Seals `sequence || payload`: ciphertext and tag as they follow the nonce in a DATA frame.
    pub fn seal(&self, nonce: [u8; NONCE_LEN], sequence: u32, payload: &[u8]) -> Option<Vec<u8>> {
        let mut body = Vec::with_capacity(payload.len().checked_add(SEQUENCE_LEN + TAG_LEN)?);
        body.extend_from_slice(&sequence.to_be_bytes());
        body.extend_from_slice(payload);
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.send.seal_in_place_append_tag(nonce, Aad::empty(), &mut body).ok()?;
        Some(body)
    }

    /// Opens ciphertext and tag; none if they are not from the holder of the peer's key.
    pub fn open(&self, nonce: [u8; NONCE_LEN], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut body = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let len = self.recv.open_in_place(nonce, Aad::empty(), &mut body).ok()?.len();
        body.truncate(len);
        Some(body)
    }
}

/// Our nonces of one session: never the same twice, whatever the clock does.
pub struct NonceCounter {
    prefix: u32,
    next: u64,
}

impl NonceCounter {
    /// `prefix` is random per session; `unix_us` is the wall clock now.
    pub fn new(prefix: u32, unix_us: u64) -> NonceCounter {
        NonceCounter { prefix, next: unix_us.saturating_mul(16) }
    }

    /// None once the counter is used up (it is not, in the life of the universe's clocks).
    pub fn advance(&mut self) -> Option<[u8; NONCE_LEN]> {
        let nonce = join_nonce(self.prefix, self.next);
        self.next = self.next.checked_add(1)?;
        Some(nonce)
    }
}

/// Prefix and counter as they stand in a frame.
pub fn join_nonce(prefix: u32, counter: u64) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[..4].copy_from_slice(&prefix.to_be_bytes());
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    nonce
}

/// The reverse of `join_nonce`.
pub fn split_nonce(nonce: &[u8; NONCE_LEN]) -> (u32, u64) {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *nonce;
    (u32::from_be_bytes([a, b, c, d]), u64::from_be_bytes([e, f, g, h, i, j, k, l]))
}

/// A v12 peer's public identity, checked: the wire id is the hash of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerKey {
    pub public: [u8; 32],
    pub id: [u8; 20],
}

impl PeerKey {
    /// None if the claimed id is not the hash of the key.
    pub fn checked(claimed: WireId, public: &[u8; 32]) -> Option<PeerKey> {
        let id = legacy_id(public);
        (wire_id(&id) == claimed).then_some(PeerKey { public: *public, id })
    }

    pub fn wire_id(&self) -> WireId {
        wire_id(&self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (SessionKeys, SessionKeys) {
        let (a, b) = (V12Keys::from_seed(b"a"), V12Keys::from_seed(b"b"));
        (
            SessionKeys::derive(&a, b.public()).expect("honest key"),
            SessionKeys::derive(&b, a.public()).expect("honest key"),
        )
    }

    #[test]
    fn what_one_side_seals_the_other_opens() {
        let (a, b) = pair();
        let nonce = join_nonce(7, 9);
        let sealed = a.seal(nonce, 5, b"hello").expect("sealed");
        assert_eq!(b.open(nonce, &sealed).expect("opened"), b"\0\0\0\x05hello");
        assert!(b.open(join_nonce(7, 10), &sealed).is_none());
        assert!(a.open(nonce, &sealed).is_none(), "a frame reflected to its sender must not open");
    }

    #[test]
    fn a_low_order_key_is_refused() {
        let ours = V12Keys::from_seed(b"a");
        assert!(SessionKeys::derive(&ours, &[0; 32]).is_none());
        let mut one = [0; 32];
        one[0] = 1;
        assert!(SessionKeys::derive(&ours, &one).is_none());
    }

    #[test]
    fn an_id_that_is_not_the_hash_of_the_key_is_refused() {
        let keys = V12Keys::from_seed(b"a");
        assert!(PeerKey::checked(keys.wire_id(), keys.public()).is_some());
        let mut other = keys.wire_id();
        other[0] ^= 1;
        assert!(PeerKey::checked(other, keys.public()).is_none());
    }

    #[test]
    fn nonces_count_up_and_survive_a_clock_that_stands_still() {
        let (mut a, mut b) = (NonceCounter::new(1, 1_000), NonceCounter::new(2, 1_000));
        let first = a.advance().expect("counter");
        assert_eq!(split_nonce(&first), (1, 16_000));
        assert_eq!(split_nonce(&a.advance().expect("counter")), (1, 16_001));
        assert_ne!(first, b.advance().expect("counter"));
        assert_eq!(NonceCounter::new(0, u64::MAX).advance(), None);
    }
}
