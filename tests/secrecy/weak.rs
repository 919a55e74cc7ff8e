//! Positive control of the thief: a session that uses long-term keys for its key exchange does open.
//!
//! QUIC and TLS as the library uses them, with one thing changed: X25519 with a fixed private key on one
//! side or on both. Then what `stolen` tries must find the canary, which shows that it looks in
//! the right places and would notice such a mistake.

use crate::capture::{Capture, SERVER};
use crate::network::Recorded;
use crate::record::{CANARIES, SEEDS, TOPIC};
use crate::schedule::Secret;
use crate::stolen::{agree, attack, candidates, legacy_private, public};
use bytes::BytesMut;
use ed25519_dalek::SigningKey;
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::{ActiveKeyExchange, CryptoProvider, SharedSecret, SupportedKxGroup, ring};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, NamedGroup, ServerConfig, SignatureScheme};
use setowire::crypto::cert::certificate;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// X25519 with the same private key each time.
#[derive(Clone, Debug)]
struct Fixed {
    private: Secret,
    public: Secret,
}

impl SupportedKxGroup for Fixed {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(self.clone()))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for Fixed {
    fn complete(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, Error> {
        let theirs = theirs.try_into().map_err(|_| Error::General("32 bytes".into()))?;
        Ok(SharedSecret::from(&agree(&self.private, theirs)[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// Takes any certificate: who the server is does not matter here.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::InvalidCertificate(CertificateError::BadSignature))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// X25519 as it should be, or with a fixed key.
fn provider(fixed: Option<Secret>) -> Arc<CryptoProvider> {
    let group: &'static dyn SupportedKxGroup = match fixed {
        None => ring::kx_group::X25519,
        Some(private) => Box::leak(Box::new(Fixed { private, public: public(&private) })),
    };
    let cipher_suites = vec![TLS13_AES_128_GCM_SHA256];
    Arc::new(CryptoProvider { cipher_suites, kx_groups: vec![group], ..ring::default_provider() })
}

struct Side {
    endpoint: Endpoint,
    connection: Option<(ConnectionHandle, Connection)>,
}

/// A session in which the client sends the canary, recorded.
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
fn record(client_key: Option<Secret>, server_key: Option<Secret>) -> Vec<Recorded> {
    let signing = SigningKey::from_bytes(&SEEDS[1]);
    let der = [&b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"[..], &SEEDS[1]].concat();
    let server = ServerConfig::builder_with_provider(provider(server_key))
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![certificate(&signing)], PrivatePkcs8KeyDer::from(der).into())
        .expect("the key of the certificate");
    let client = ClientConfig::builder_with_provider(provider(client_key))
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    let server = Arc::new(QuicServerConfig::try_from(server).expect("a suite of QUIC"));
    let client = Arc::new(QuicClientConfig::try_from(client).expect("a suite of QUIC"));

    let mut now = Instant::now();
    let addrs: [SocketAddr; 2] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(|ip| (ip, 4_000).into());
    let mut settings = EndpointConfig::default();
    settings.grease_quic_bit(false);
    let settings = Arc::new(settings);
    let endpoint = |server| Endpoint::new(settings.clone(), server, true, Some([1; 32]));
    let mut sides = [
        Side { endpoint: endpoint(None), connection: None },
        Side { endpoint: endpoint(Some(Arc::new(quinn_proto::ServerConfig::with_crypto(server)))), connection: None },
    ];
    let config = quinn_proto::ClientConfig::new(client);
    sides[0].connection = Some(sides[0].endpoint.connect(now, config, addrs[1], "weak").expect("dials"));
    let (mut record, mut said) = (Vec::new(), false);
    for _ in 0..20 {
        for n in 0..2 {
            let Some((handle, connection)) = &mut sides[n].connection else { continue };
            if n == 0 && !connection.is_handshaking() && !std::mem::replace(&mut said, true) {
                let stream = connection.streams().open(Dir::Uni).expect("a stream");
                connection.send_stream(stream).write(CANARIES[0].as_bytes()).expect("room");
            }
            while let Some(event) = connection.poll_endpoint_events() {
                if let Some(event) = sides[n].endpoint.handle_event(*handle, event) {
                    connection.handle_event(event);
                }
            }
            while connection.poll().is_some() {}
            let (mut datagrams, mut bytes) = (Vec::new(), Vec::new());
            while connection.poll_transmit(now, 1, &mut bytes).is_some() {
                datagrams.push(std::mem::take(&mut bytes));
            }
            for bytes in datagrams {
                receive(&mut sides[1 - n], now, addrs[n], &bytes);
                record.push(Recorded { from: n, bytes });
            }
        }
        now += Duration::from_millis(10);
    }
    record
}

fn receive(side: &mut Side, now: Instant, from: SocketAddr, datagram: &[u8]) {
    let mut answer = Vec::new();
    match side.endpoint.handle(now, from, None, None, BytesMut::from(datagram), &mut answer) {
        Some(DatagramEvent::ConnectionEvent(_, event)) => {
            side.connection.as_mut().expect("a connection").1.handle_event(event);
        }
        Some(DatagramEvent::NewConnection(incoming)) => {
            side.connection = Some(side.endpoint.accept(incoming, now, &mut answer, None).expect("accepted"));
        }
        _ => {}
    }
}

#[test]
fn a_session_without_forward_secrecy_opens_with_the_seeds() {
    let [a, b] = SEEDS.map(|seed| legacy_private(&seed));
    for (client, server, with) in [
        (Some(a), Some(b), "a legacy with b legacy as key exchange"),
        (None, Some(b), "b legacy with ClientHello as key exchange"),
        (
            Some(SigningKey::from_bytes(&SEEDS[0]).to_scalar_bytes()),
            None,
            "a Ed25519 as X25519 with ServerHello as key exchange",
        ),
        (None, None, ""),
    ] {
        let record = record(client, server);
        let capture = Capture::of(&record);
        let broken = attack(&capture, &candidates(&SEEDS, &TOPIC, &capture), None);
        if with.is_empty() {
            assert!(broken.is_empty(), "both keys were fresh: {broken:?}");
            continue;
        }
        let broken = broken.iter().find(|broken| broken.with == with).expect(with);
        assert!(broken.handshake > 0 && !broken.application[SERVER].is_empty(), "{with}");
        let canary = CANARIES[0].as_bytes();
        let found = |payload: &Vec<u8>| payload.windows(canary.len()).any(|window| window == canary);
        assert!(broken.application.iter().flatten().any(found), "the canary, {with}");
    }
}
