//! The key schedule of TLS 1.3 with SHA-256 (RFC 8446, section 7), and its check against RFC 8448.
//!
//! Written from the RFC, with nothing of the library or of rustls in it.

use hkdf::Hkdf;
use sha2::{Digest, Sha256};

pub type Secret = [u8; 32];

pub const ZEROS: Secret = [0; 32];

pub fn hash(parts: &[&[u8]]) -> Secret {
    Sha256::digest(parts.concat()).into()
}

pub fn extract(salt: &[u8], material: &[u8]) -> Secret {
    Hkdf::<Sha256>::extract(Some(salt), material).0.into()
}

/// HKDF-Expand-Label.
pub fn expand<const N: usize>(secret: &Secret, label: &str, context: &[u8]) -> [u8; N] {
    let length = u16::try_from(N).expect("short").to_be_bytes();
    let label = format!("tls13 {label}");
    let sizes = [label.len(), context.len()].map(|size| u8::try_from(size).expect("short"));
    let info = [&length[..], &sizes[..1], label.as_bytes(), &sizes[1..], context].concat();
    let mut out = [0; N];
    Hkdf::<Sha256>::from_prk(secret).expect("32 bytes").expand(&info, &mut out).expect("short");
    out
}

fn derived(secret: &Secret) -> Secret {
    expand(secret, "derived", &hash(&[]))
}

/// The handshake secret.
pub fn handshake(psk: &Secret, shared: &Secret) -> Secret {
    extract(&derived(&extract(&ZEROS, psk)), shared)
}

/// The master secret.
pub fn master(handshake: &Secret) -> Secret {
    extract(&derived(handshake), &ZEROS)
}

/// Traffic secrets of client and server: of the handshake secret with the hash of both HELLOs, or of the master secret
/// with the hash up to the server's Finished.
pub fn traffic(secret: &Secret, stage: &str, transcript: &Secret) -> [Secret; 2] {
    ["c", "s"].map(|side| expand(secret, &format!("{side} {stage} traffic"), transcript))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unhex;

    fn secret(text: &str) -> Secret {
        unhex(text).try_into().expect("32 bytes")
    }

    /// Section 3 of RFC 8448: a handshake with X25519 and SHA-256.
    #[test]
    fn the_key_schedule_is_that_of_rfc_8448() {
        let client = secret("49af42ba7f7994852d713ef2784bcbcaa7911de26adc5642cb634540e7ea5005");
        let server = secret("c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f");
        let shared = crate::stolen::agree(&client, &server);
        assert_eq!(shared, secret("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d"));

        let of_handshake = handshake(&ZEROS, &shared);
        assert_eq!(of_handshake, secret("1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac"));
        let hellos = secret("860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8");
        let [client, server] = traffic(&of_handshake, "hs", &hellos);
        assert_eq!(client, secret("b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21"));
        assert_eq!(server, secret("b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38"));
        assert_eq!(expand::<16>(&server, "key", b"").to_vec(), unhex("3fce516009c21727d0f2e4e86ee403bc"));
        assert_eq!(expand::<12>(&server, "iv", b"").to_vec(), unhex("5d313eb2671276ee13000b30"));

        let master = master(&of_handshake);
        assert_eq!(master, secret("18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919"));
        let finished = secret("9608102a0f1ccc6db6250b7b7e417b1a000eaada3daae4777a7686c9ff83df13");
        let [client, server] = traffic(&master, "ap", &finished);
        assert_eq!(client, secret("9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5"));
        assert_eq!(server, secret("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"));
    }
}
