//! Proof that the holder of a modern key holds a v12 key too.
//!
//! The code is made with the shared secret of the two v12 keys, so only their holders
//! can make it, over material that this one TLS session exports: it can neither be
//! passed on to another connection nor sent back. What it proves is that the peer of
//! the connection is who p2p-v12 knows by that key's hash.

use super::identity::V12Keys;
use super::mac::hmac;
use super::topic::Role;

/// The code that the side in `role` sends; none if the other's key is of low order, for then anyone could make it.
pub fn legacy_proof(own: &V12Keys, their_public: &[u8; 32], role: Role, exporter: &[u8; 32]) -> Option<[u8; 32]> {
    let shared = own.agree(their_public)?;
    Some(hmac(&shared, &[b"setowire/13 legacy", &[role.byte()], exporter]).whole())
}

/// Whether `claimed` is the proof that the peer in `role` owes us.
pub fn legacy_fits(own: &V12Keys, theirs: &[u8; 32], role: Role, exporter: &[u8; 32], claimed: &[u8; 32]) -> bool {
    own.agree(theirs)
        .is_some_and(|shared| hmac(&shared, &[b"setowire/13 legacy", &[role.byte()], exporter]).fits(claimed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_make_the_same_code_and_nobody_else_does() {
        let (a, b, c) = (V12Keys::from_seed(b"a"), V12Keys::from_seed(b"b"), V12Keys::from_seed(b"c"));
        let proof = legacy_proof(&a, b.public(), Role::Dialler, &[1; 32]).expect("honest key");
        assert_eq!(legacy_proof(&b, a.public(), Role::Dialler, &[1; 32]), Some(proof));
        assert_ne!(legacy_proof(&b, a.public(), Role::Acceptor, &[1; 32]), Some(proof), "reflected");
        assert_ne!(legacy_proof(&b, a.public(), Role::Dialler, &[2; 32]), Some(proof), "another connection");
        assert_ne!(legacy_proof(&c, a.public(), Role::Dialler, &[1; 32]), Some(proof), "another key");
    }

    #[test]
    fn a_key_of_low_order_proves_nothing() {
        let own = V12Keys::from_seed(b"a");
        let mut one = [0; 32];
        assert_eq!(legacy_proof(&own, &one, Role::Dialler, &[1; 32]), None);
        one[0] = 1;
        assert_eq!(legacy_proof(&own, &one, Role::Dialler, &[1; 32]), None);
    }
}
