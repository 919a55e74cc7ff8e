//! TLS 1.3 as the QUIC of `setowire/13` uses it.
//!
//! In: the identity and the suites it may use; for a dial, the key that is expected.
//! Out: settings for quinn-proto, and of a connection that is set up the peer's key
//! and exported keys.
//!
//! Invariants: both sides show exactly one certificate, and of it only the Ed25519
//! key and the TLS signature by that key count. A dialler that expects a key ends the
//! handshake at any other one, before it shows its own. One protocol name, X25519,
//! no server name, no resumption, no early data. No clock is read.

use super::cert::{certificate, key_of, refused};
use super::identity::Identity;
use super::session::{Accepting, Dialling};
pub use super::session::{Peer, Suite};
use crate::config::{Cipher, limits};
use crate::error::{Code, Error, Result};
use ed25519_dalek::{Signature, SigningKey, VerifyingKey};
use quinn_proto::Connection;
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, Signer, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, SignatureAlgorithm, SignatureScheme};
use rustls::{ClientConfig, ServerConfig};
use std::sync::Arc;
use zeroize::Zeroizing;

/// The protocol name in every handshake.
pub const ALPN: &[u8] = b"setowire/13";
/// For `quinn_proto::Endpoint::connect`, which wants a name; it is never sent.
pub const SERVER_NAME: &str = "setowire";

/// The TLS side of one swarm.
pub struct Tls {
    client: ClientConfig,
    server: Arc<Accepting>,
    initial: rustls::quic::Suite,
}

impl Tls {
    pub fn new(identity: &Identity, cipher: Cipher) -> Result<Tls> {
        let key = Key(Arc::new(identity.signing().clone()));
        let own = CertifiedKey::new(vec![certificate(&key.0)], Arc::new(key));
        Tls::build(provider(cipher), Arc::new(SingleCertAndKey::from(own))).map_err(|error| {
            Error::new(Code::Internal, format!("cipher: TLS cannot be set up with {}: {error}", cipher.name()))
        })
    }

    fn build(provider: CryptoProvider, own: Arc<SingleCertAndKey>) -> std::result::Result<Tls, rustls::Error> {
        let provider = Arc::new(provider);
        let mut client = ClientConfig::builder_with_details(provider.clone(), Arc::new(NoClock))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { expected: None }))
            .with_client_cert_resolver(own.clone());
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.enable_sni = false;
        client.resumption = Resumption::disabled();

        let mut server = ServerConfig::builder_with_details(provider, Arc::new(NoClock))
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(Verifier { expected: None }))
            .with_cert_resolver(own);
        server.alpn_protocols = vec![ALPN.to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        server.max_early_data_size = 0;
        #[cfg(feature = "key-log")]
        {
            client.key_log = Arc::new(super::key_log::Log);
            server.key_log = Arc::new(super::key_log::Log);
        }

        // Initial packets are sealed with this suite whatever the handshake agrees on (RFC 9001 section 5.2).
        let initial = TLS13_AES_128_GCM_SHA256.tls13().and_then(|suite| suite.quic_suite());
        let initial = initial.ok_or_else(|| rustls::Error::General("no suite for Initial packets".into()))?;
        let wrong_suite = |error| rustls::Error::General(format!("{error}"));
        let server = QuicServerConfig::with_initial(Arc::new(server), initial).map_err(wrong_suite)?;
        Ok(Tls { client, server: Arc::new(Accepting(Arc::new(server))), initial })
    }

    /// For connections that others open.
    pub fn server(&self) -> Arc<dyn quinn_proto::crypto::ServerConfig> {
        self.server.clone()
    }

    /// For a connection that we open: to the holder of `expected`, or to whoever answers.
    pub fn client(&self, expected: Option<[u8; 32]>) -> Arc<dyn quinn_proto::crypto::ClientConfig> {
        let mut client = self.client.clone();
        client.dangerous().set_certificate_verifier(Arc::new(Verifier { expected }));
        let client = QuicClientConfig::with_initial(Arc::new(client), self.initial);
        Arc::new(Dialling(Arc::new(client.expect("the server side took the same suite"))))
    }
}

/// The suites in the order in which a dialler offers them; an acceptor takes the first that it has too.
fn provider(cipher: Cipher) -> CryptoProvider {
    let cipher_suites = match cipher {
        Cipher::ChaCha20 => vec![TLS13_CHACHA20_POLY1305_SHA256],
        Cipher::Fastest => vec![TLS13_AES_128_GCM_SHA256, TLS13_CHACHA20_POLY1305_SHA256],
    };
    CryptoProvider { cipher_suites, kx_groups: vec![ring::kx_group::X25519], ..ring::default_provider() }
}

/// What is exported from a TLS session; the two sides get the same 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// Binds topic proofs to the connection.
    Topic,
    /// Binds the proof of a legacy id to the connection.
    Legacy,
    /// Session probes that the dialler sends.
    PathDialler,
    /// Session probes that the acceptor sends.
    PathAcceptor,
}

impl Export {
    fn label(self) -> &'static [u8] {
        match self {
            Export::Topic => b"EXPORTER-setowire-13-topic",
            Export::Legacy => b"EXPORTER-setowire-13-legacy",
            Export::PathDialler => b"EXPORTER-setowire-13-path-dialler",
            Export::PathAcceptor => b"EXPORTER-setowire-13-path-acceptor",
        }
    }
}

/// Exported keying material; none before the handshake is complete.
pub fn exporter(connection: &Connection, what: Export) -> Option<Zeroizing<[u8; 32]>> {
    let mut out = Zeroizing::new([0; 32]);
    // In TLS 1.3 an empty context and none are the same (RFC 8446 section 7.5).
    connection.crypto_session().export_keying_material(out.as_mut_slice(), what.label(), b"").ok()?;
    Some(out)
}

/// Who the peer is and what was agreed; none before the handshake is complete.
pub fn peer(connection: &Connection) -> Option<Peer> {
    connection.crypto_session().peer_identity()?.downcast().ok().map(|peer| *peer)
}

/// The key that the peer proved to hold; none before the handshake is complete.
pub fn peer_key(connection: &Connection) -> Option<[u8; 32]> {
    peer(connection).map(|peer| peer.key)
}

/// Our key as TLS signs with it; wiped with its last holder.
struct Key(Arc<SigningKey>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl rustls::sign::SigningKey for Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(Key(self.0.clone())) as Box<dyn Signer>)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for Key {
    fn sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, rustls::Error> {
        Ok(ed25519_dalek::Signer::sign(&*self.0, message).to_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// Checks what the other side shows.
#[derive(Debug)]
struct Verifier {
    /// The only key that will do.
    expected: Option<[u8; 32]>,
}

impl Verifier {
    fn check(&self, own: &CertificateDer<'_>, more: &[CertificateDer<'_>]) -> std::result::Result<(), rustls::Error> {
        if !more.is_empty() {
            let count = more.len().saturating_add(1);
            return Err(refused(format!("the peer shows {count} certificates, not one")));
        }
        if own.len() > limits::CERTIFICATE_BYTES {
            let (length, most) = (own.len(), limits::CERTIFICATE_BYTES);
            return Err(refused(format!("the peer's certificate has {length} bytes, more than {most}")));
        }
        let key = key_of(own)?;
        // The reason goes to the peer: it must not learn whom we looked for.
        match self.expected {
            Some(expected) if expected != key => Err(refused("the peer has another key than the one expected".into())),
            _ => Ok(()),
        }
    }

    fn check_signature(
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let bad = || rustls::Error::InvalidCertificate(CertificateError::BadSignature);
        if signed.scheme != SignatureScheme::ED25519 {
            return Err(bad());
        }
        let key = VerifyingKey::from_bytes(&key_of(certificate)?).map_err(|_| bad())?;
        let signature = Signature::from_slice(signed.signature()).map_err(|_| bad())?;
        // Strict: a key of low order would have signatures that anyone can make.
        key.verify_strict(message, &signature).map_err(|_| bad())?;
        Ok(HandshakeSignatureValid::assertion())
    }
}

/// Both sides offer TLS 1.3 alone.
fn no_tls12() -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
    Err(rustls::Error::General("TLS 1.2 is not spoken".into()))
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        self.check(own, more).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Verifier::check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        more: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> std::result::Result<ClientCertVerified, rustls::Error> {
        self.check(own, more).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Verifier::check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// Dates of certificates do not count, so that no clock is needed.
#[derive(Debug)]
struct NoClock;

impl TimeProvider for NoClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(std::time::Duration::ZERO))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests;
