//! Who wrote a broadcast: its id and its signature.
//!
//! The id is a hash of author, flags, time and payload. So nobody can give
//! the id of somebody's message to another one and by that keep it from those who
//! learn of messages by digest. It does not name the topic: a message to several topics has
//! one id in all of them. The signature does, and so no member of two topics can carry a
//! message from one to the other. Verification is strict (RFC 8032 without small-order keys or
//! points), so that all peers agree about what is forged. Docs: docs/protocol.md.

use crate::crypto::identity::Identity;
use crate::mesh::flood::ContentId;
use crate::wire::v13::mesh::{Message, MessageId};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

type Hash = [u8; 32];

/// What an author says about a payload.
#[derive(Clone, Copy)]
pub struct Envelope {
    pub author: [u8; 32],
    pub flags: u8,
    /// Microseconds since 1970.
    pub time: u64,
}

fn message_id(envelope: &Envelope, payload: &Hash) -> MessageId {
    let mut hash = Sha256::new();
    hash.update(b"setowire/13 id");
    hash.update(envelope.author);
    hash.update([envelope.flags]);
    hash.update(envelope.time.to_be_bytes());
    hash.update(payload);
    first_half(&hash.finalize().into())
}

fn first_half(hash: &Hash) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    half
}

/// The id that a message gets, and the name of its content.
pub fn name(envelope: &Envelope, payload: &[u8]) -> (MessageId, ContentId) {
    let hash = Sha256::digest(payload).into();
    (message_id(envelope, &hash), first_half(&hash))
}

/// Signs a message for one topic; `topic` is all 32 bytes of its name in the mesh.
pub fn sign(identity: &Identity, topic: &[u8; 32], id: &MessageId, envelope: &Envelope, payload: &[u8]) -> [u8; 64] {
    identity.sign(&signed(topic, id, envelope, payload))
}

/// The content of a message that its author signed for this topic; none: it is forged.
pub fn verify(topic: &[u8; 32], message: &Message<'_>) -> Option<ContentId> {
    let envelope = Envelope { author: message.author, flags: message.flags, time: message.time };
    let (id, content) = name(&envelope, message.payload);
    if id != message.id {
        return None;
    }
    let key = VerifyingKey::from_bytes(&message.author).ok()?;
    let signature = Signature::from_bytes(&message.signature);
    key.verify_strict(&signed(topic, &message.id, &envelope, message.payload), &signature).ok()?;
    Some(content)
}

fn signed(topic: &[u8; 32], id: &MessageId, envelope: &Envelope, payload: &[u8]) -> Vec<u8> {
    let time = envelope.time.to_be_bytes();
    [b"setowire/13 mesh", &topic[..], id, &[envelope.flags], &time, payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: [u8; 32] = [7; 32];

    fn message<'a>(identity: &Identity, payload: &'a [u8]) -> Message<'a> {
        let envelope = Envelope { author: identity.key(), flags: 0, time: 5 };
        let (id, _) = name(&envelope, payload);
        Message {
            topic: [7; 8],
            author: envelope.author,
            id,
            hops: 0,
            flags: 0,
            time: 5,
            signature: sign(identity, &TOPIC, &id, &envelope, payload),
            payload,
        }
    }

    #[test]
    fn what_is_signed_cannot_be_changed() {
        let identity = Identity::from_seed(&[1; 32]);
        let good = message(&identity, b"hello");
        assert_eq!(verify(&TOPIC, &good), Some(crate::mesh::flood::content_id(b"hello")));
        assert!(verify(&TOPIC, &Message { hops: 9, ..good }).is_some(), "hops change on the way");
        assert!(verify(&[8; 32], &good).is_none(), "another topic");
        // With the id made right again only the signature is left to object.
        let right = |changed: Message<'static>| {
            let envelope = Envelope { author: changed.author, flags: changed.flags, time: changed.time };
            Message { id: name(&envelope, changed.payload).0, ..changed }
        };
        let good = message(&identity, b"hello");
        for changed in [
            Message { payload: b"hellp", ..good },
            Message { payload: b"", ..good },
            Message { flags: 1, ..good },
            Message { time: 6, ..good },
            Message { author: Identity::from_seed(&[2; 32]).key(), ..good },
        ] {
            assert!(verify(&TOPIC, &changed).is_none(), "the id does not fit");
            assert!(verify(&TOPIC, &right(changed)).is_none(), "the signature does not fit");
        }
        assert!(verify(&TOPIC, &Message { id: [0; 16], ..good }).is_none());
        assert!(verify(&TOPIC, &Message { signature: [0; 64], ..good }).is_none());
    }

    #[test]
    fn a_small_order_key_signs_nothing() {
        // The neutral point verifies any message under lax rules, with R = S = its encoding.
        let mut author = [0; 32];
        author[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        let envelope = Envelope { author, flags: 0, time: 5 };
        let (id, _) = name(&envelope, b"");
        let forged = Message { topic: [7; 8], author, id, hops: 0, flags: 0, time: 5, signature, payload: b"" };
        assert!(verify(&TOPIC, &forged).is_none());
    }
}
