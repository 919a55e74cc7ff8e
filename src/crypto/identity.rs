//! Who a swarm is: one 32-byte seed, two key pairs.
//!
//! Ed25519 from the seed names the peer in the API. X25519 with SHA-256(seed)
//! as private key is only for p2p-v12 and gives its 20-byte and 8-byte ids.
//! Secrets are wiped when dropped and never printed.

use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// The 20-byte id of a v12 key; its first 8 bytes are the id on the wire.
pub type LegacyId = [u8; 20];
/// The 8-byte id of the v12 wire.
pub type WireId = [u8; 8];

/// The keys of one swarm.
pub struct Identity {
    signing: SigningKey,
    v12: V12Keys,
}

/// The X25519 half, for p2p-v12.
pub struct V12Keys {
    secret: StaticSecret,
    public: [u8; 32],
    id: LegacyId,
}

impl Identity {
    pub fn from_seed(seed: &[u8; 32]) -> Identity {
        Identity { signing: SigningKey::from_bytes(seed), v12: V12Keys::from_seed(seed) }
    }

    /// The Ed25519 public key.
    pub fn key(&self) -> [u8; 32] {
        self.signing.verifying_key().to_bytes()
    }

    pub fn v12(&self) -> &V12Keys {
        &self.v12
    }

    /// Signs with the Ed25519 key. What is signed begins with words that name its purpose.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }

    /// For the certificate and the TLS signature.
    pub(super) fn signing(&self) -> &SigningKey {
        &self.signing
    }
}

impl V12Keys {
    /// Old peers take seeds of any length, so this does too.
    pub fn from_seed(seed: &[u8]) -> V12Keys {
        let private: Zeroizing<[u8; 32]> = Zeroizing::new(Sha256::digest(seed).into());
        let secret = StaticSecret::from(*private);
        let public = PublicKey::from(&secret).to_bytes();
        V12Keys { secret, public, id: legacy_id(&public) }
    }

    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    pub fn id(&self) -> &LegacyId {
        &self.id
    }

    pub fn wire_id(&self) -> WireId {
        wire_id(&self.id)
    }

    /// The shared secret with a peer's key; none if it is all zero (a low-order key).
    pub fn agree(&self, their_public: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        let shared = self.secret.diffie_hellman(&PublicKey::from(*their_public));
        shared.was_contributory().then(|| Zeroizing::new(shared.to_bytes()))
    }
}

/// The id that belongs to a v12 public key.
pub fn legacy_id(public: &[u8; 32]) -> LegacyId {
    let hash: [u8; 32] = Sha256::digest(public).into();
    let mut id = [0; 20];
    id.copy_from_slice(&hash[..20]);
    id
}

/// The part of an id that the wire carries.
pub fn wire_id(id: &LegacyId) -> WireId {
    let mut short = [0; 8];
    short.copy_from_slice(&id[..8]);
    short
}
