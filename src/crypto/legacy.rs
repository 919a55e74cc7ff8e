//! Proof that the holder of a modern key holds a v12 key too.
//!
//! The code is made with the shared secret of the two v12 keys, so only their holders
//! can make it, over material that this one TLS session exports: it can neither be
//! passed on to another connection nor sent back. What it proves is that the peer of
//! the connection is who p2p-v12 knows by that key's hash.

use super::identity::V12Keys;
use super::mac::{Mac, hmac};
use super::topic::Role;
use zeroize::Zeroizing;

/// What our v12 key and that of a peer share. Making it costs far more than the codes, so a session makes it once.
pub struct LegacySecret(Zeroizing<[u8; 32]>);

impl LegacySecret {
    /// None if the other's key is of low order, for then anyone could make the codes.
    pub fn new(own: &V12Keys, their_public: &[u8; 32]) -> Option<LegacySecret> {
        own.agree(their_public).map(LegacySecret)
    }

    /// The code that the side in `role` sends.
    pub fn proof(&self, role: Role, exporter: &[u8; 32]) -> [u8; 32] {
        self.mac(role, exporter).whole()
    }

    /// Whether `claimed` is the proof that the peer in `role` owes us.
    pub fn fits(&self, role: Role, exporter: &[u8; 32], claimed: &[u8; 32]) -> bool {
        self.mac(role, exporter).fits(claimed)
    }

    fn mac(&self, role: Role, exporter: &[u8; 32]) -> Mac {
        hmac(&self.0, &[b"setowire/13 legacy", &[role.byte()], exporter])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(own: &V12Keys, theirs: &V12Keys, role: Role, exporter: [u8; 32]) -> [u8; 32] {
        LegacySecret::new(own, theirs.public()).expect("honest key").proof(role, &exporter)
    }

    #[test]
    fn both_sides_make_the_same_code_and_nobody_else_does() {
        let (a, b, c) = (V12Keys::from_seed(b"a"), V12Keys::from_seed(b"b"), V12Keys::from_seed(b"c"));
        let made = proof(&a, &b, Role::Dialler, [1; 32]);
        assert_eq!(proof(&b, &a, Role::Dialler, [1; 32]), made);
        assert_ne!(proof(&b, &a, Role::Acceptor, [1; 32]), made, "reflected");
        assert_ne!(proof(&b, &a, Role::Dialler, [2; 32]), made, "another connection");
        assert_ne!(proof(&c, &a, Role::Dialler, [1; 32]), made, "another key");
        let secret = LegacySecret::new(&b, a.public()).expect("honest key");
        assert!(secret.fits(Role::Dialler, &[1; 32], &made));
        assert!(!secret.fits(Role::Acceptor, &[1; 32], &made));
    }

    #[test]
    fn a_key_of_low_order_proves_nothing() {
        let own = V12Keys::from_seed(b"a");
        let mut one = [0; 32];
        assert!(LegacySecret::new(&own, &one).is_none());
        one[0] = 1;
        assert!(LegacySecret::new(&own, &one).is_none());
    }
}
