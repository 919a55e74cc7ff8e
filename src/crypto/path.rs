//! Keys of session probes: who may say, of one connection, that a path carries it.
//!
//! Each side has a key of its own, exported from the TLS session. Under it a probe
//! carries a tag, by which the other side finds the connection and which changes with
//! the address (`n`) so that nobody links two paths by it, and a code over the frame.

use super::mac::{Mac, hmac};
use zeroize::Zeroizing;

/// Both directions of one connection.
pub struct PathKeys {
    /// Of the probes that we send.
    pub own: PathKey,
    /// Of the probes that the peer sends.
    pub their: PathKey,
}

/// One direction; wiped when dropped.
pub struct PathKey(Zeroizing<[u8; 32]>);

impl PathKeys {
    /// Of the keys that the TLS session exports for the two roles.
    pub fn new(own: [u8; 32], their: [u8; 32]) -> PathKeys {
        PathKeys { own: PathKey::new(own), their: PathKey::new(their) }
    }
}

impl PathKey {
    /// Of an exported key.
    pub fn new(exported: [u8; 32]) -> PathKey {
        PathKey(Zeroizing::new(exported))
    }

    /// What a probe is found by.
    pub fn tag(&self, n: u32) -> [u8; 8] {
        hmac(&self.0, &[b"tag", &n.to_be_bytes()]).cut()
    }

    /// The code of a probe over all that stands before it.
    pub fn mac(&self, n: u32, covered: &[u8]) -> [u8; 16] {
        self.code(n, covered).cut()
    }

    /// Whether the code of a probe is right.
    pub fn fits(&self, n: u32, covered: &[u8], mac: &[u8; 16]) -> bool {
        self.code(n, covered).fits(mac)
    }

    fn code(&self, n: u32, covered: &[u8]) -> Mac {
        hmac(&self.0, &[b"probe", &n.to_be_bytes(), covered])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_and_code_are_of_one_key_one_address_and_one_frame() {
        let (key, other) = (PathKey::new([1; 32]), PathKey::new([2; 32]));
        assert_ne!(key.tag(0), key.tag(1));
        assert_ne!(key.tag(0), other.tag(0));
        let mac = key.mac(3, b"frame");
        assert!(key.fits(3, b"frame", &mac));
        assert!(!key.fits(4, b"frame", &mac));
        assert!(!key.fits(3, b"Frame", &mac));
        assert!(!other.fits(3, b"frame", &mac));
    }
}
