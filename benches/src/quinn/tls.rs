//! Endpoints as Setowire's: one suite, X25519, Ed25519 certificates on both sides, no tickets.

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Endpoint, EndpointConfig, MtuDiscoveryConfig, ServerConfig, TokioRuntime, TransportConfig};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme, SupportedCipherSuite};
use setowire_benches::SOCKET_BUFFER;
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// In what the endpoints of two runs may differ.
#[derive(Clone, Copy)]
pub struct Setup {
    pub suite: SupportedCipherSuite,
    /// The largest packet that is looked for.
    pub packet_bytes: u16,
}

/// The suite by the name that Setowire's option `cipher` has for it.
pub fn suite(name: &str) -> SupportedCipherSuite {
    match name {
        "chacha20" => cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        "fastest" => cipher_suite::TLS13_AES_128_GCM_SHA256,
        _ => panic!("cipher {name}: chacha20 and fastest are known"),
    }
}

/// An endpoint on a port of loopback that takes connections and makes them.
pub fn endpoint(setup: Setup) -> Endpoint {
    let identity = Identity::new(setup.suite);
    let transport = transport(setup);
    let mut config = EndpointConfig::default();
    // The peer looks for nothing larger.
    config.max_udp_payload_size(setup.packet_bytes).expect("a size that QUIC allows");
    let server = identity.server(transport.clone());
    let mut endpoint =
        Endpoint::new(config, Some(server), socket(), Arc::new(TokioRuntime)).expect("an endpoint on loopback");
    endpoint.set_default_client_config(identity.client(transport));
    endpoint
}

fn transport(setup: Setup) -> Arc<TransportConfig> {
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.upper_bound(setup.packet_bytes);
    let mut transport = TransportConfig::default();
    transport.mtu_discovery_config(Some(mtu));
    Arc::new(transport)
}

fn socket() -> std::net::UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
    socket.set_recv_buffer_size(SOCKET_BUFFER).expect("a receive buffer");
    socket.set_send_buffer_size(SOCKET_BUFFER).expect("a send buffer");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port on loopback");
    socket.into()
}

struct Identity {
    provider: Arc<CryptoProvider>,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    fn new(suite: SupportedCipherSuite) -> Identity {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let certificate = rcgen::CertificateParams::default().self_signed(&key).expect("a certificate");
        Identity {
            provider: Arc::new(CryptoProvider {
                cipher_suites: vec![suite],
                kx_groups: vec![kx_group::X25519],
                ..default_provider()
            }),
            certificate: certificate.der().clone(),
            key: PrivateKeyDer::try_from(key.serialize_der()).expect("a PKCS#8 key"),
        }
    }

    fn server(&self, transport: Arc<TransportConfig>) -> ServerConfig {
        let mut tls = rustls::ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_client_cert_verifier(Arc::new(AnyKey(self.provider.clone())))
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())
            .expect("a certificate of our own");
        tls.alpn_protocols = vec![b"bench".to_vec()];
        tls.send_tls13_tickets = 0;
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        let tls = QuicServerConfig::with_initial(Arc::new(tls), initial()).expect("a suite for Initial packets");
        let mut config = ServerConfig::with_crypto(Arc::new(tls));
        config.transport_config(transport);
        config
    }

    fn client(&self, transport: Arc<TransportConfig>) -> ClientConfig {
        let mut tls = rustls::ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyKey(self.provider.clone())))
            .with_client_auth_cert(vec![self.certificate.clone()], self.key.clone_key())
            .expect("a certificate of our own");
        tls.alpn_protocols = vec![b"bench".to_vec()];
        tls.resumption = Resumption::disabled();
        tls.enable_sni = false;
        let tls = QuicClientConfig::with_initial(Arc::new(tls), initial()).expect("a suite for Initial packets");
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(transport);
        config
    }
}

/// QUIC v1 protects Initial packets with AES-128-GCM, whatever comes later.
fn initial() -> rustls::quic::Suite {
    let suite = cipher_suite::TLS13_AES_128_GCM_SHA256.tls13();
    suite.and_then(|suite| suite.quic_suite()).expect("a suite with QUIC")
}

/// Takes every certificate whose Ed25519 key signed the handshake, as Setowire does.
#[derive(Debug)]
struct AnyKey(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyKey {
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
        Err(Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for AnyKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
