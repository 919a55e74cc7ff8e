//! Certificates: an Ed25519 key in the wrapping that TLS asks for.
//!
//! Ours is a fixed X.509 version 3 certificate, self-signed, in which only the key
//! and the signature vary. Of a peer's, the key alone counts: `key_of` walks the DER
//! strictly up to the key and believes nothing else, neither names, nor dates, nor
//! the signature (the peer proves by its TLS signature that it holds the key). No
//! input makes it panic, and it allocates only for the text of a refusal.

use ed25519_dalek::{Signer, SigningKey};
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, Error, OtherError};
use std::sync::Arc;

/// SEQUENCE { OID 1.3.101.112 }: Ed25519, as key and as signature.
const ED25519: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";
/// The signed part up to the key: version 3, serial number 1, Ed25519, issuer
/// CN=setowire, valid from 2000 and with no known end, subject CN=setowire.
const BEFORE_KEY: &[u8] = b"\x30\x81\x87\
    \xa0\x03\x02\x01\x02\
    \x02\x01\x01\
    \x30\x05\x06\x03\x2b\x65\x70\
    \x30\x13\x31\x11\x30\x0f\x06\x03\x55\x04\x03\x0c\x08setowire\
    \x30\x20\x17\x0d000101000000Z\x18\x0f99991231235959Z\
    \x30\x13\x31\x11\x30\x0f\x06\x03\x55\x04\x03\x0c\x08setowire\
    \x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// The certificate around the signed part.
const HEAD: &[u8] = b"\x30\x81\xd4";
const BEFORE_SIGNATURE: &[u8] = b"\x03\x41\x00";

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const VERSION: u8 = 0xa0;

/// The certificate of a key: always the same bytes.
pub fn certificate(key: &SigningKey) -> CertificateDer<'static> {
    let signed = [BEFORE_KEY, key.verifying_key().as_bytes()].concat();
    let signature = key.sign(&signed).to_bytes();
    CertificateDer::from([HEAD, &signed, ED25519, BEFORE_SIGNATURE, &signature].concat())
}

/// The Ed25519 key in a certificate.
pub fn key_of(certificate: &CertificateDer<'_>) -> Result<[u8; 32], Error> {
    let spki = spki(certificate).ok_or_else(|| refused("the certificate is not X.509 in DER".into()))?;
    let (algorithm, key) = split_spki(spki).ok_or_else(|| refused("the certificate's key is not in DER".into()))?;
    if algorithm != ED25519 {
        return Err(refused("the certificate's key is not Ed25519".into()));
    }
    match key.split_first() {
        Some((0, key)) if key.len() == 32 => {
            let mut bytes = [0; 32];
            bytes.copy_from_slice(key);
            Ok(bytes)
        }
        _ => Err(refused(format!("the certificate's Ed25519 key has {} bytes, not 32", key.len().saturating_sub(1)))),
    }
}

/// A TLS error with a reason of ours; its alert is `certificate_unknown`.
pub(super) fn refused(reason: String) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Refused(reason)))))
}

struct Refused(String);

impl std::error::Error for Refused {}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// rustls shows reasons by `Debug`.
impl std::fmt::Debug for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The content of SubjectPublicKeyInfo.
fn spki(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, rest) = expect(SEQUENCE, certificate)?;
    if !rest.is_empty() {
        return None;
    }
    let (mut signed, _) = expect(SEQUENCE, certificate)?;
    if let Some((_, rest)) = expect(VERSION, signed) {
        signed = rest;
    }
    // Serial number, algorithm, issuer, validity, subject.
    for tag in [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
        (_, signed) = expect(tag, signed)?;
    }
    Some(expect(SEQUENCE, signed)?.0)
}

/// The algorithm, with its head, and the content of the bit string.
fn split_spki(spki: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, rest) = expect(SEQUENCE, spki)?;
    let algorithm = spki.get(..spki.len().checked_sub(rest.len())?)?;
    let (key, rest) = expect(BIT_STRING, rest)?;
    rest.is_empty().then_some((algorithm, key))
}

/// The content of the element that `bytes` begin with, if its tag is `tag`, and what follows it.
fn expect(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let (length, rest) = length(rest)?;
    if *first != tag {
        return None;
    }
    rest.split_at_checked(length)
}

/// A definite length in its shortest form, up to 65,535, and what follows it.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match *bytes {
        [short @ 0..=0x7f, ref rest @ ..] => Some((usize::from(short), rest)),
        [0x81, length @ 0x80..=0xff, ref rest @ ..] => Some((usize::from(length), rest)),
        [0x82, high @ 1..=0xff, low, ref rest @ ..] => Some((usize::from(u16::from_be_bytes([high, low])), rest)),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Made by OpenSSL for a P-256 key.
    pub const ECDSA: &str = include_str!("../../tests/fixtures/ecdsa.hex");
    /// Made by OpenSSL for an Ed25519 key: other names, a random serial number, extensions.
    const FOREIGN: &str = include_str!("../../tests/fixtures/ed25519.hex");
    const FOREIGN_KEY: &str = "5432e8c05ec89c72d3029e0ae92da18b9f8d73dbfb2b50fa21c28a67989ffa52";

    pub fn unhex(text: &str) -> Vec<u8> {
        let text = text.trim();
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex")).collect()
    }

    #[test]
    fn a_certificate_of_ours_holds_the_key_and_signs_itself() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let certificate = certificate(&key);
        assert_eq!(certificate.len(), 215);
        assert_eq!(key_of(&certificate), Ok(key.verifying_key().to_bytes()));
        let signature = ed25519_dalek::Signature::from_slice(&certificate[151..]).expect("64 bytes");
        assert!(key.verifying_key().verify_strict(&certificate[3..141], &signature).is_ok());
    }

    #[test]
    fn only_the_key_of_a_foreign_certificate_counts() {
        let mut foreign = unhex(FOREIGN);
        assert_eq!(key_of(&foreign.clone().into()), Ok(unhex(FOREIGN_KEY).try_into().expect("32 bytes")));
        *foreign.last_mut().expect("bytes") ^= 1;
        assert_eq!(key_of(&foreign.into()), Ok(unhex(FOREIGN_KEY).try_into().expect("32 bytes")));
    }

    #[test]
    fn other_kinds_are_refused_with_a_reason() {
        let reason = |bytes: Vec<u8>| key_of(&bytes.into()).expect_err("refused").to_string();
        assert!(reason(unhex(ECDSA)).contains("the certificate's key is not Ed25519"));
        assert!(reason(b"hello".to_vec()).contains("not X.509"));
        assert!(reason(Vec::new()).contains("not X.509"));
        let ours = certificate(&SigningKey::from_bytes(&[7; 32])).to_vec();
        let mut longer = ours.clone();
        longer.push(0);
        assert!(reason(longer).contains("not X.509"), "something follows");
        for cut in 0..ours.len() {
            assert!(key_of(&ours[..cut].to_vec().into()).is_err(), "cut at {cut}");
        }
        let mut unused_bits = ours;
        unused_bits[108] = 1;
        assert!(reason(unused_bits).contains("32"), "a bit string of 255 bits");
    }

    #[test]
    fn only_the_shortest_form_of_a_length_is_read() {
        assert_eq!(length(b"\x7f."), Some((127, &b"."[..])));
        assert_eq!(length(b"\x81\x80."), Some((128, &b"."[..])));
        assert_eq!(length(b"\x82\x01\x00."), Some((256, &b"."[..])));
        for bad in [&b""[..], b"\x80", b"\x81\x7f", b"\x82\x00\xff", b"\x82\x01", b"\x83\x01\x00\x00", b"\xff"] {
            assert_eq!(length(bad), None, "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_certificate_makes_it_panic(at in 0usize..215, byte: u8, cut in 0usize..216) {
            let mut bytes = certificate(&SigningKey::from_bytes(&[7; 32])).to_vec();
            bytes[at] = byte;
            bytes.truncate(cut);
            let _ = key_of(&bytes.into());
        }
    }
}
