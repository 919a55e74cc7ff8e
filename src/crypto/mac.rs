//! HMAC-SHA256 over parts, its comparison in constant time, and HKDF made of it.
//!
//! Every tag and key of `setowire/13` outside TLS is one of these, whole or cut.
//! What a peer sent is compared by `Mac::fits` or `equal`, many tags by `topic::Shown`, so that the time it takes
//! tells nothing. Nothing here can fail.

use hkdf::hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// A finished authentication code.
pub(super) struct Mac(Hmac<Sha256>);

/// The code of `parts`, one after the other.
pub(super) fn hmac<const N: usize>(key: &[u8; N], parts: &[&[u8]]) -> Mac {
    // HMAC fills a key up with zeros to a block of the hash, and shortens only longer ones.
    const { assert!(N <= 64) };
    let mut block = [0; 64];
    block[..N].copy_from_slice(key);
    let mut hmac = Hmac::new(&block.into());
    block.zeroize();
    for part in parts {
        hmac.update(part);
    }
    Mac(hmac)
}

/// HKDF-SHA256 (RFC 5869) for 32 bytes, which is one block: two codes.
pub(super) fn hkdf<const N: usize>(salt: &[u8; N], material: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let extracted = Zeroizing::new(hmac(salt, &[material]).whole());
    Zeroizing::new(hmac(&extracted, &[&info.concat(), &[1]]).whole())
}

/// Whether two secrets are the same, in a time that does not tell where they differ.
pub fn equal<const N: usize>(a: &[u8; N], b: &[u8; N]) -> bool {
    let difference = a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b));
    std::hint::black_box(difference) == 0
}

impl Mac {
    pub fn whole(self) -> [u8; 32] {
        self.0.finalize().into_bytes().into()
    }

    /// The first `N` bytes, at most 32.
    pub fn cut<const N: usize>(self) -> [u8; N] {
        const { assert!(N <= 32) };
        let whole = self.whole();
        std::array::from_fn(|i| whole[i])
    }

    /// Whether `claimed` is the beginning of this code; of nothing, it is not.
    pub fn fits(self, claimed: &[u8]) -> bool {
        self.0.verify_truncated_left(claimed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::hex::encode as hex;

    #[test]
    fn a_code_fits_its_beginning_and_nothing_else() {
        let code = || hmac(&[7; 32], &[b"ab", b"c"]);
        assert_eq!(code().whole(), hmac(&[7; 32], &[b"abc"]).whole());
        let cut: [u8; 16] = code().cut();
        assert!(code().fits(&cut));
        assert!(code().fits(&code().whole()));
        assert!(!code().fits(&[]));
        for i in 0..16 {
            let mut wrong = cut;
            wrong[i] ^= 1;
            assert!(!code().fits(&wrong), "byte {i}");
        }
        assert!(!hmac(&[8; 32], &[b"abc"]).fits(&cut));
        assert!(!code().fits(&[0; 33]), "longer than a code");
    }

    #[test]
    fn equal_is_equal_in_every_byte() {
        let a = [5; 32];
        assert!(equal(&a, &a.clone()));
        for i in 0..32 {
            let mut b = a;
            b[i] ^= 0x80;
            assert!(!equal(&a, &b), "byte {i}");
        }
    }

    #[test]
    fn the_first_block_of_the_rfc_s_examples() {
        let salt: [u8; 13] = std::array::from_fn(|i| i as u8);
        let info: [u8; 10] = std::array::from_fn(|i| 0xf0 + i as u8);
        let first = hkdf(&salt, &[0x0b; 22], &[&info[..4], &info[4..]]);
        assert_eq!(hex(&*first), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
        let third = hkdf(b"", &[0x0b; 22], &[]);
        assert_eq!(hex(&*third), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
    }
}
