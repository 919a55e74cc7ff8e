//! The key of a topic, and what is derived from it.
//!
//! A public topic's key follows from the topic alone, a private topic's from topic
//! and secret together: to one who lacks the secret, tags of a private topic are
//! random bytes. Who shows `proof` over the exporter of a TLS session proves that it
//! knows the key, on this connection and in this role, and reveals nothing else: it
//! can be neither replayed on another connection nor reflected to its maker.

use super::mac::{hkdf, hmac};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// The secret of a topic; wiped when dropped.
#[derive(Clone)]
pub struct TopicKey(Zeroizing<[u8; 32]>);

/// The part of a side in one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    Dialler = 0,
    Acceptor = 1,
}

impl Role {
    pub fn other(self) -> Role {
        match self {
            Role::Dialler => Role::Acceptor,
            Role::Acceptor => Role::Dialler,
        }
    }

    /// The byte that stands for it in what is authenticated.
    pub fn byte(self) -> u8 {
        self as u8
    }
}

impl TopicKey {
    /// Of a topic that everybody may join who knows its 32 bytes.
    pub fn public(topic: &[u8; 32]) -> TopicKey {
        TopicKey::derive(topic, b"public topic")
    }

    /// Of a topic that only those join who know the secret too.
    pub fn private(topic: &[u8; 32], secret: &[u8; 32]) -> TopicKey {
        let mut both = Zeroizing::new([0; 64]);
        both[..32].copy_from_slice(topic);
        both[32..].copy_from_slice(secret);
        TopicKey::derive(both.as_slice(), b"private topic")
    }

    /// Under which a peer is looked for by who knows its key. Nobody joins it.
    pub fn peer(key: &[u8; 32]) -> TopicKey {
        TopicKey::derive(key, b"peer")
    }

    fn derive(material: &[u8], info: &[u8]) -> TopicKey {
        TopicKey(hkdf(b"setowire/13", material, &[info]))
    }

    /// The tag by which `role` shows on one connection that it joined the topic.
    pub fn proof(&self, role: Role, exporter: &[u8; 32]) -> [u8; 32] {
        hmac(&self.0, &[b"setowire/13 topic", &[role.byte()], exporter]).whole()
    }

    /// What mesh frames call the topic: the first 8 bytes of it; authors sign all of it.
    pub fn mesh(&self) -> [u8; 32] {
        hmac(&self.0, &[b"setowire/13 mesh"]).whole()
    }

    /// What everything else of the topic is derived from; a secret if the topic is private.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Tags that somebody showed us. Who guesses may try often on one connection: he chooses what is in here, but not its
/// order, so the time of a look-up does not tell how near he was.
pub struct Shown {
    blind: Zeroizing<[u8; 32]>,
    codes: BTreeSet<[u8; 32]>,
}

impl Shown {
    /// `blind` must be random and new.
    pub fn new(blind: [u8; 32], tags: &[[u8; 32]]) -> Shown {
        let codes = tags.iter().map(|tag| hmac(&blind, &[tag]).whole()).collect();
        Shown { blind: Zeroizing::new(blind), codes }
    }

    /// Whether this one is among them.
    pub fn holds(&self, tag: &[u8; 32]) -> bool {
        self.codes.contains(&hmac(&self.blind, &[tag]).whole())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_shown_is_held_whatever_blinds_it() {
        for blind in [[0; 32], [7; 32]] {
            let shown = Shown::new(blind, &[[1; 32], [2; 32], [1; 32]]);
            assert!(shown.holds(&[1; 32]) && shown.holds(&[2; 32]));
            assert!(!shown.holds(&[3; 32]) && !shown.holds(&[0; 32]));
            assert!(!Shown::new(blind, &[]).holds(&[0; 32]));
        }
    }

    #[test]
    fn a_proof_is_of_one_topic_one_role_and_one_connection() {
        let topic = [1; 32];
        let public = TopicKey::public(&topic);
        let proof = public.proof(Role::Dialler, &[9; 32]);
        assert_eq!(proof, TopicKey::public(&topic).proof(Role::Dialler, &[9; 32]));
        let others = [
            public.proof(Role::Acceptor, &[9; 32]),
            public.proof(Role::Dialler, &[8; 32]),
            TopicKey::public(&[2; 32]).proof(Role::Dialler, &[9; 32]),
            TopicKey::private(&topic, &[0; 32]).proof(Role::Dialler, &[9; 32]),
            TopicKey::private(&topic, &[3; 32]).proof(Role::Dialler, &[9; 32]),
            public.mesh(),
        ];
        for (i, other) in others.iter().enumerate() {
            assert_ne!(*other, proof);
            assert!(!others[..i].contains(other));
        }
        assert_eq!(Role::Dialler.other(), Role::Acceptor);
        assert_eq!(Role::Acceptor.other(), Role::Dialler);
    }
}
