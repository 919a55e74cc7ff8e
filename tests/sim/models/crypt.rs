//! Keys, frames of DATA and the hashes of the old peers, written a second time.

use hkdf::Hkdf;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use setowire::crypto::identity::{V12Keys, WireId};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The keys towards one peer and the send counter.
#[derive(Clone)]
pub struct Session {
    send: LessSafeKey,
    recv: LessSafeKey,
    id: [u8; 4],
    pub counter: u64,
}

impl Session {
    /// `lower`: whether we are the side that sends with the first key. None: the shared secret is all zero.
    pub fn new(keys: &V12Keys, theirs: &[u8; 32], lower: bool) -> Option<Session> {
        keys.agree(theirs).map(|shared| Session::derive(&shared, lower))
    }

    /// What C++ and Rust do with a low-order key: go on with a secret of zeros.
    pub fn of_zeros(lower: bool) -> Session {
        Session::derive(&[0; 32], lower)
    }

    fn derive(shared: &[u8; 32], lower: bool) -> Session {
        let mut okm = [0; 68];
        Hkdf::<Sha256>::new(None, shared).expand(b"p2p-v12-session", &mut okm).expect("68 bytes are allowed");
        let key =
            |bytes: &[u8]| LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, bytes).expect("a key of 32 bytes"));
        let (first, second) = (key(&okm[..32]), key(&okm[32..64]));
        let (send, recv) = if lower { (first, second) } else { (second, first) };
        Session { send, recv, id: [okm[64], okm[65], okm[66], okm[67]], counter: 0 }
    }

    /// A DATA frame.
    pub fn seal(&mut self, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.id);
        nonce[4..].copy_from_slice(&self.counter.to_be_bytes());
        self.counter += 1;
        let mut body = sequence.to_be_bytes().to_vec();
        body.extend_from_slice(payload);
        let nonce_for_ring = Nonce::assume_unique_for_key(nonce);
        self.send.seal_in_place_append_tag(nonce_for_ring, Aad::empty(), &mut body).expect("sealing works");
        [&[0x01][..], &nonce, &body].concat()
    }

    /// The plaintext of a body (nonce, ciphertext, tag), with the nonce as it came.
    pub fn open(&self, body: &[u8]) -> Option<Vec<u8>> {
        if body.len() < 28 {
            return None;
        }
        let nonce = Nonce::assume_unique_for_key(body[..12].try_into().expect("12 bytes"));
        let mut text = body[12..].to_vec();
        let len = self.recv.open_in_place(nonce, Aad::empty(), &mut text).ok()?.len();
        text.truncate(len);
        Some(text)
    }
}

/// Which side of a session an old peer takes to be lower.
pub fn is_lower(breaks_ties: bool, my: &V12Keys, id8: &WireId, theirs: &[u8; 32]) -> bool {
    match my.wire_id().cmp(id8) {
        std::cmp::Ordering::Equal => breaks_ties && my.public() < theirs,
        order => order.is_lt(),
    }
}

/// The content hash of the old peers' duplicate filter.
pub fn xor_hash(bytes: &[u8]) -> u64 {
    let mut lanes = [0x811c_9dc5_u32; 2];
    for (i, byte) in bytes.iter().enumerate() {
        let lane = &mut lanes[i & 1];
        *lane = (*lane ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    }
    u64::from(lanes[0]) << 32 | u64::from(lanes[1])
}

/// The hash of a topic in beacons, cut to this many digits.
pub fn beacon_hash(topic: &[u8; 32], digits: usize) -> String {
    let mut text = hex(&Sha1::digest(hex(topic).as_bytes()));
    text.truncate(digits);
    text
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
