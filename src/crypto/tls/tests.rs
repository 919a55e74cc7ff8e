//! Two endpoints of quinn-proto, joined in memory under virtual time.

use super::*;
use crate::crypto::cert::tests::{ECDSA, unhex};
use bytes::BytesMut;
use quinn_proto::{ConnectionError, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig, Event};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const CLIENT: &str = "192.0.2.1:1000";
const SERVER: &str = "192.0.2.2:2000";

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("address")
}

/// One endpoint with at most one connection.
struct Side {
    endpoint: Endpoint,
    connection: Option<(ConnectionHandle, Connection)>,
    connected: bool,
    lost: Option<ConnectionError>,
    out: Vec<Vec<u8>>,
}

impl Side {
    fn new(server: Option<Arc<dyn quinn_proto::crypto::ServerConfig>>) -> Side {
        let server = server.map(|crypto| Arc::new(quinn_proto::ServerConfig::with_crypto(crypto)));
        let endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), server, true, Some([1; 32]));
        Side { endpoint, connection: None, connected: false, lost: None, out: Vec::new() }
    }

    fn connection(&self) -> &Connection {
        &self.connection.as_ref().expect("a connection").1
    }

    fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        let mut answer = Vec::new();
        match self.endpoint.handle(now, from, None, None, BytesMut::from(datagram), &mut answer) {
            Some(DatagramEvent::ConnectionEvent(_, event)) => {
                self.connection.as_mut().expect("a connection").1.handle_event(event);
            }
            Some(DatagramEvent::NewConnection(incoming)) => {
                match self.endpoint.accept(incoming, now, &mut answer, None) {
                    Ok(accepted) => self.connection = Some(accepted),
                    Err(error) => {
                        self.lost = Some(error.cause);
                        let response = error.response.expect("the reason for the other side");
                        self.out.push(answer[..response.size].to_vec());
                    }
                }
            }
            Some(DatagramEvent::Response(response)) => self.out.push(answer[..response.size].to_vec()),
            None => {}
        }
    }

    fn drive(&mut self, now: Instant) {
        let Some((handle, connection)) = &mut self.connection else { return };
        if connection.poll_timeout().is_some_and(|at| at <= now) {
            connection.handle_timeout(now);
        }
        loop {
            while let Some(event) = connection.poll_endpoint_events() {
                if let Some(event) = self.endpoint.handle_event(*handle, event) {
                    connection.handle_event(event);
                }
            }
            while let Some(event) = connection.poll() {
                match event {
                    Event::Connected => self.connected = true,
                    Event::ConnectionLost { reason } => self.lost = Some(reason),
                    _ => {}
                }
            }
            let mut datagram = Vec::new();
            match connection.poll_transmit(now, 1, &mut datagram) {
                Some(transmit) => self.out.push(datagram[..transmit.size].to_vec()),
                None => break,
            }
        }
    }
}

/// Lets one side dial the other until both know how it went.
fn meet(
    client: Arc<dyn quinn_proto::crypto::ClientConfig>,
    server: Arc<dyn quinn_proto::crypto::ServerConfig>,
) -> (Side, Side) {
    let (mut now, mut a, mut b) = (Instant::now(), Side::new(None), Side::new(Some(server)));
    let config = quinn_proto::ClientConfig::new(client);
    a.connection = Some(a.endpoint.connect(now, config, addr(SERVER), SERVER_NAME).expect("dials"));
    assert!(exporter(a.connection(), Export::Topic).is_none(), "before the handshake");
    assert!(peer(a.connection()).is_none(), "before the handshake");
    for _ in 0..100 {
        a.drive(now);
        now += Duration::from_millis(10);
        for datagram in std::mem::take(&mut a.out) {
            b.receive(now, addr(CLIENT), &datagram);
        }
        b.drive(now);
        now += Duration::from_millis(10);
        for datagram in std::mem::take(&mut b.out) {
            a.receive(now, addr(SERVER), &datagram);
        }
    }
    (a, b)
}

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

fn tls(seed: u8, cipher: Cipher) -> Tls {
    Tls::new(&identity(seed), cipher).expect("TLS")
}

/// A peer that shows `chain` and signs with the key of `seed`, whatever is in the chain.
fn shows(seed: u8, chain: Vec<CertificateDer<'static>>) -> Tls {
    let key = Key(Arc::new(identity(seed).signing().clone()));
    let own = SingleCertAndKey::from(CertifiedKey::new(chain, Arc::new(key)));
    Tls::build(provider(Cipher::ChaCha20), Arc::new(own)).expect("TLS")
}

fn own_certificate(seed: u8) -> CertificateDer<'static> {
    certificate(identity(seed).signing())
}

/// How a side ended that found the fault itself.
fn fault(side: &Side) -> (u64, String) {
    match &side.lost {
        Some(ConnectionError::TransportError(error)) => (error.code.into(), error.reason.clone()),
        other => panic!("not its own fault: {other:?}"),
    }
}

/// What a side heard from the other that found the fault.
fn told(side: &Side) -> u64 {
    match &side.lost {
        Some(ConnectionError::ConnectionClosed(close)) => close.error_code.into(),
        other => panic!("not closed by the other side: {other:?}"),
    }
}

/// TLS alerts as QUIC carries them.
const CERTIFICATE_UNKNOWN: u64 = 0x100 + 46;
const DECRYPT_ERROR: u64 = 0x100 + 51;
const CERTIFICATE_REQUIRED: u64 = 0x100 + 116;
const HANDSHAKE_FAILURE: u64 = 0x100 + 40;
const NO_APPLICATION_PROTOCOL: u64 = 0x100 + 120;

#[test]
fn the_suite_is_what_both_allow_and_the_dialler_likes_best() {
    use Cipher::{ChaCha20, Fastest};
    for (dials, accepts, agreed) in [
        (ChaCha20, ChaCha20, Suite::ChaCha20Poly1305),
        (ChaCha20, Fastest, Suite::ChaCha20Poly1305),
        (Fastest, ChaCha20, Suite::ChaCha20Poly1305),
        (Fastest, Fastest, Suite::Aes128Gcm),
    ] {
        let (a, b) = meet(tls(1, dials).client(Some(identity(2).key())), tls(2, accepts).server());
        assert!(a.connected && b.connected, "{dials:?} {accepts:?}: {:?} {:?}", a.lost, b.lost);
        assert_eq!(peer(a.connection()), Some(Peer { key: identity(2).key(), suite: agreed }));
        assert_eq!(peer(b.connection()), Some(Peer { key: identity(1).key(), suite: agreed }));
    }
}

#[test]
fn without_an_expected_key_whoever_answers_is_told() {
    let (a, b) = meet(tls(1, Cipher::ChaCha20).client(None), tls(2, Cipher::ChaCha20).server());
    assert_eq!(peer_key(a.connection()), Some(identity(2).key()));
    assert_eq!(peer_key(b.connection()), Some(identity(1).key()));
}

#[test]
fn exported_keys_are_the_same_on_both_sides_and_differ_otherwise() {
    let meet = || meet(tls(1, Cipher::ChaCha20).client(None), tls(2, Cipher::ChaCha20).server());
    let mut seen = Vec::new();
    for (a, b) in [meet(), meet()] {
        for what in [Export::Topic, Export::Legacy, Export::PathDialler, Export::PathAcceptor] {
            let ours = exporter(a.connection(), what).expect("complete");
            assert_eq!(exporter(b.connection(), what), Some(ours.clone()), "{what:?}");
            assert!(!seen.contains(&ours), "{what:?}");
            seen.push(ours);
        }
    }
}

/// Counts the client certificates that a server is shown.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl ClientCertVerifier for Counting {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> std::result::Result<ClientCertVerified, rustls::Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        no_tls12()
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// The server of seed 2, made by hand so that its verifier can be watched.
fn counting_server(seen: Arc<Counting>) -> Arc<dyn quinn_proto::crypto::ServerConfig> {
    let key = Key(Arc::new(identity(2).signing().clone()));
    let own = SingleCertAndKey::from(CertifiedKey::new(vec![own_certificate(2)], Arc::new(key)));
    let mut config = ServerConfig::builder_with_details(Arc::new(provider(Cipher::Fastest)), Arc::new(NoClock))
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_client_cert_verifier(seen)
        .with_cert_resolver(Arc::new(own));
    config.alpn_protocols = vec![ALPN.to_vec()];
    Arc::new(QuicServerConfig::try_from(config).expect("has the suite"))
}

#[test]
fn a_dialler_shows_itself_to_nobody_but_the_holder_of_the_expected_key() {
    let seen = Arc::new(Counting::default());
    let (a, _) = meet(tls(1, Cipher::ChaCha20).client(Some(identity(2).key())), counting_server(seen.clone()));
    assert!(a.connected);
    assert_eq!(seen.0.swap(0, Ordering::Relaxed), 1, "the right key is shown our certificate");

    let (a, b) = meet(tls(1, Cipher::ChaCha20).client(Some(identity(3).key())), counting_server(seen.clone()));
    assert!(!a.connected && !b.connected);
    let (code, reason) = fault(&a);
    assert_eq!(code, CERTIFICATE_UNKNOWN);
    assert!(reason.contains("another key than the one expected"), "{reason}");
    assert_eq!(told(&b), CERTIFICATE_UNKNOWN);
    assert_eq!(seen.0.load(Ordering::Relaxed), 0, "nothing of us was shown");
}

#[test]
fn foreign_certificates_are_refused_with_the_reason() {
    let ecdsa = || CertificateDer::from(unhex(ECDSA));
    for (chain, why) in [
        (vec![ecdsa()], "the certificate's key is not Ed25519"),
        (vec![CertificateDer::from(b"junk".to_vec())], "not X.509"),
        (vec![own_certificate(2), own_certificate(2)], "2 certificates, not one"),
        (vec![CertificateDer::from(vec![0x30; 4_097])], "4097 bytes, more than 4096"),
    ] {
        let honest = || tls(1, Cipher::ChaCha20);
        let (a, b) = meet(honest().client(None), shows(2, chain.clone()).server());
        assert!(!a.connected && !b.connected);
        let (code, reason) = fault(&a);
        assert_eq!(code, CERTIFICATE_UNKNOWN);
        assert!(reason.contains(why), "{reason}");
        assert_eq!(told(&b), CERTIFICATE_UNKNOWN);

        let (a, b) = meet(shows(2, chain).client(None), honest().server());
        assert!(!b.connected);
        let (code, reason) = fault(&b);
        assert_eq!(code, CERTIFICATE_UNKNOWN);
        assert!(reason.contains(why), "{reason}");
        assert_eq!(told(&a), CERTIFICATE_UNKNOWN);
        assert_eq!(peer(b.connection()), None);
    }
}

#[test]
fn a_certificate_of_a_key_that_one_does_not_hold_is_of_no_use() {
    let (a, b) =
        meet(tls(1, Cipher::ChaCha20).client(Some(identity(3).key())), shows(2, vec![own_certificate(3)]).server());
    assert!(!a.connected && !b.connected);
    assert_eq!(fault(&a).0, DECRYPT_ERROR);

    let (_, b) = meet(shows(2, vec![own_certificate(3)]).client(None), tls(1, Cipher::ChaCha20).server());
    assert!(!b.connected);
    assert_eq!(fault(&b).0, DECRYPT_ERROR);
}

#[test]
fn a_key_of_low_order_is_nobody() {
    // The neutral point: R = neutral, s = 0 is a signature by it over anything, for those who check carelessly.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    assert!(VerifyingKey::from_bytes(&neutral).expect("a point").is_weak());

    #[derive(Debug)]
    struct Forger(Vec<u8>);
    impl rustls::sign::SigningKey for Forger {
        fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
            Some(Box::new(Forger(self.0.clone())))
        }
        fn algorithm(&self) -> SignatureAlgorithm {
            SignatureAlgorithm::ED25519
        }
    }
    impl Signer for Forger {
        fn sign(&self, _: &[u8]) -> std::result::Result<Vec<u8>, rustls::Error> {
            Ok(self.0.clone())
        }
        fn scheme(&self) -> SignatureScheme {
            SignatureScheme::ED25519
        }
    }
    let mut chain = own_certificate(2).to_vec();
    chain[109..141].copy_from_slice(&neutral);
    let chain = CertificateDer::from(chain);
    assert_eq!(key_of(&chain), Ok(neutral));
    let own = CertifiedKey::new(vec![chain], Arc::new(Forger(signature.to_vec())));
    let forger = Tls::build(provider(Cipher::ChaCha20), Arc::new(SingleCertAndKey::from(own))).expect("TLS");
    let (a, _) = meet(tls(1, Cipher::ChaCha20).client(Some(neutral)), forger.server());
    assert!(!a.connected);
    assert_eq!(fault(&a).0, DECRYPT_ERROR);
}

#[test]
fn who_shows_no_certificate_or_speaks_another_protocol_is_refused() {
    let client = |alpn: &[u8]| {
        let mut config = ClientConfig::builder_with_details(Arc::new(provider(Cipher::Fastest)), Arc::new(NoClock))
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { expected: None }))
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        Arc::new(QuicClientConfig::try_from(config).expect("has the suite"))
    };
    let (_, b) = meet(client(ALPN), tls(2, Cipher::ChaCha20).server());
    assert!(!b.connected);
    assert_eq!(fault(&b).0, CERTIFICATE_REQUIRED);
    let (a, b) = meet(client(b"h3"), tls(2, Cipher::ChaCha20).server());
    assert!(!a.connected && !b.connected);
    assert_eq!(told(&a), NO_APPLICATION_PROTOCOL);
}

#[test]
fn suites_and_groups_that_are_not_ours_are_not_spoken() {
    let client = |change: fn(&mut CryptoProvider)| {
        let mut provider = ring::default_provider();
        change(&mut provider);
        let mut config = ClientConfig::builder_with_details(Arc::new(provider), Arc::new(NoClock))
            .with_protocol_versions(&[&TLS13])
            .expect("TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { expected: None }))
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        let initial = TLS13_AES_128_GCM_SHA256.tls13().and_then(|suite| suite.quic_suite()).expect("for QUIC");
        Arc::new(QuicClientConfig::with_initial(Arc::new(config), initial).expect("the right one"))
    };
    let aes_only = client(|provider| provider.cipher_suites = vec![TLS13_AES_128_GCM_SHA256]);
    let p256_only = client(|provider| provider.kx_groups = vec![ring::kx_group::SECP256R1]);
    for (client, what) in [(aes_only, "AES"), (p256_only, "P-256")] {
        let (a, b) = meet(client, tls(2, Cipher::ChaCha20).server());
        assert!(!a.connected && !b.connected, "{what}");
        assert_eq!(told(&a), HANDSHAKE_FAILURE, "{what}");
    }
}

#[test]
fn nothing_of_a_session_is_kept_for_the_next() {
    let (client, server) = (tls(1, Cipher::ChaCha20), tls(2, Cipher::ChaCha20));
    for _ in 0..2 {
        let (mut a, _) = meet(client.client(Some(identity(2).key())), server.server());
        let (_, connection) = a.connection.as_mut().expect("a connection");
        assert!(!connection.has_0rtt() && !connection.accepted_0rtt());
    }
    let config = quinn_proto::ClientConfig::new(client.client(None));
    let mut again = Side::new(None);
    let (_, connection) = again.endpoint.connect(Instant::now(), config, addr(SERVER), SERVER_NAME).expect("dials");
    assert!(!connection.has_0rtt());
}
