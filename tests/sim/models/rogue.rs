//! A modern peer that plays by its own rules: QUIC and TLS as they should be, all above them as a scenario wants.
//!
//! It answers PROBEs, takes every connection, dials without a PROBE (so it has to take a Retry), reads control
//! streams and keeps what it reads. Nothing else happens by itself. It can stop to send, and so
//! to acknowledge.

use crate::io::Io;
use bytes::BytesMut;
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig, Event, ServerConfig,
    StreamId, TransportConfig, VarInt, crypto,
};
use setowire::config::Cipher;
use setowire::crypto::identity::Identity;
use setowire::crypto::tls::{Export, SERVER_NAME, Tls, exporter};
use setowire::crypto::topic::{Role, TopicKey};
use setowire::wire::v13::control::{self, Control, Hello, Tag};
use setowire::wire::v13::{self, Probe, ProbeAck};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

/// One of its connections.
pub struct Conn {
    pub quic: Connection,
    to: SocketAddr,
    pub role: Role,
    pub established: bool,
    /// The code of the close and what was said.
    pub closed: Option<(u64, String)>,
    pub control: Option<StreamId>,
    /// What came on the control stream.
    pub heard: Vec<u8>,
}

pub struct Rogue {
    pub identity: Identity,
    endpoint: Endpoint,
    client: Arc<dyn crypto::ClientConfig>,
    transport: Arc<TransportConfig>,
    pub conns: BTreeMap<ConnectionHandle, Conn>,
    /// It sends nothing any more.
    pub mute: bool,
}

impl Rogue {
    pub fn new(seed: [u8; 32], chance: [u8; 32]) -> Rogue {
        let identity = Identity::from_seed(&seed);
        let tls = Tls::new(&identity, Cipher::Fastest).expect("the suites exist");
        let client = tls.client(None);
        Rogue::with_tls(identity, chance, client, tls.server())
    }

    pub fn with_tls(
        identity: Identity,
        chance: [u8; 32],
        client: Arc<dyn crypto::ClientConfig>,
        server: Arc<dyn crypto::ServerConfig>,
    ) -> Rogue {
        let mut transport = TransportConfig::default();
        transport.datagram_receive_buffer_size(Some(1 << 20)).max_idle_timeout(None);
        let transport = Arc::new(transport);
        let mut config = EndpointConfig::default();
        config.rng_seed(Some(chance)).grease_quic_bit(false);
        let mut accept = ServerConfig::with_crypto(server);
        accept.transport_config(transport.clone());
        Rogue {
            identity,
            endpoint: Endpoint::new(Arc::new(config), Some(Arc::new(accept)), true, None),
            client,
            transport,
            conns: BTreeMap::new(),
            mute: false,
        }
    }

    pub fn dial(&mut self, io: &mut Io, to: SocketAddr) -> ConnectionHandle {
        let mut config = ClientConfig::new(self.client.clone());
        config.transport_config(self.transport.clone());
        let (handle, quic) = self.endpoint.connect(io.mono, config, to, SERVER_NAME).expect("an address");
        self.adopt(handle, quic, to, Role::Dialler);
        self.drive(io);
        handle
    }

    fn adopt(&mut self, handle: ConnectionHandle, quic: Connection, to: SocketAddr, role: Role) {
        let conn = Conn { quic, to, role, established: false, closed: None, control: None, heard: Vec::new() };
        self.conns.insert(handle, conn);
    }

    pub fn datagram(&mut self, io: &mut Io, from: SocketAddr, bytes: &[u8]) {
        match bytes.first() {
            Some(0xa3) => {
                if let Ok(v13::Datagram::Probe(Probe { nonce, .. })) = v13::Datagram::decode(bytes) {
                    io.send(from, ProbeAck { nonce, cookie: nonce, observed: from }.encode().to_vec());
                }
            }
            Some(first) if first & 0x40 != 0 => {
                let mut answer = Vec::new();
                match self.endpoint.handle(io.mono, from, None, None, BytesMut::from(bytes), &mut answer) {
                    Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                        if let Some(conn) = self.conns.get_mut(&handle) {
                            conn.quic.handle_event(event);
                        }
                    }
                    Some(DatagramEvent::NewConnection(incoming)) => {
                        if let Ok((handle, quic)) = self.endpoint.accept(incoming, io.mono, &mut answer, None) {
                            self.adopt(handle, quic, from, Role::Acceptor);
                        }
                    }
                    Some(DatagramEvent::Response(transmit)) => io.send(from, answer[..transmit.size].to_vec()),
                    None => {}
                }
                self.drive(io);
            }
            _ => {}
        }
    }

    pub fn timeout(&mut self, io: &mut Io) {
        for conn in self.conns.values_mut() {
            if conn.quic.poll_timeout().is_some_and(|at| at <= io.mono) {
                conn.quic.handle_timeout(io.mono);
            }
        }
        self.drive(io);
    }

    pub fn deadline(&mut self) -> Option<Instant> {
        self.conns.values_mut().filter_map(|conn| conn.quic.poll_timeout()).min()
    }

    /// Lets QUIC do what is to be done.
    pub fn drive(&mut self, io: &mut Io) {
        for (handle, conn) in &mut self.conns {
            while let Some(event) = conn.quic.poll_endpoint_events() {
                if let Some(answer) = self.endpoint.handle_event(*handle, event) {
                    conn.quic.handle_event(answer);
                }
            }
            while let Some(event) = conn.quic.poll() {
                match event {
                    Event::Connected => conn.established = true,
                    Event::ConnectionLost { reason } => {
                        let code = match &reason {
                            quinn_proto::ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
                            _ => u64::MAX,
                        };
                        conn.closed = Some((code, reason.to_string()));
                    }
                    _ => {}
                }
            }
            conn.listen();
            let mut bytes = Vec::new();
            while let Some(transmit) = conn.quic.poll_transmit(io.mono, 1, &mut bytes) {
                if !self.mute {
                    io.send(conn.to, bytes[..transmit.size].to_vec());
                }
                bytes.clear();
            }
        }
    }
}

impl Conn {
    fn listen(&mut self) {
        if self.control.is_none() && self.role == Role::Acceptor {
            self.control = self.quic.streams().accept(Dir::Bi);
        }
        let Some(id) = self.control else { return };
        let mut stream = self.quic.recv_stream(id);
        let Ok(mut chunks) = stream.read(true) else { return };
        while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
            self.heard.extend_from_slice(&chunk.bytes);
        }
        let _ = chunks.finalize();
    }

    /// The tags of the first TOPICS or SHARED that came.
    pub fn tags(&self) -> Vec<Tag> {
        let mut rest = &self.heard[usize::from(self.role == Role::Acceptor).min(self.heard.len())..];
        while let Ok(Some((frame, used))) = control::next(rest) {
            match frame {
                Control::Topics(tags) | Control::Shared(tags) => return tags.to_vec(),
                _ => rest = &rest[used..],
            }
        }
        Vec::new()
    }

    /// Writes to the control stream, which the dialler opens; how much was taken.
    pub fn say(&mut self, frames: &[u8]) -> usize {
        let mut bytes = Vec::new();
        if self.control.is_none() {
            self.control = self.quic.streams().open(Dir::Bi);
            bytes.push(0);
        }
        bytes.extend_from_slice(frames);
        self.write(self.control.expect("the control stream"), &bytes)
    }

    pub fn write(&mut self, id: StreamId, bytes: &[u8]) -> usize {
        // Blocked, stopped and closed are all the same to it.
        self.quic.send_stream(id).write(bytes).unwrap_or(0)
    }

    /// A HELLO of ours, and the proof of this topic in its role.
    pub fn greet(&mut self, explicit: bool, topic: Option<&[u8; 32]>) {
        let tags: Vec<Tag> = topic.iter().map(|topic| self.proof(topic)).collect();
        self.greet_with(explicit, &tags);
    }

    /// The same with these tags for proofs.
    pub fn greet_with(&mut self, explicit: bool, tags: &[Tag]) {
        let version = control::VERSION;
        let hello = Hello { version, instance: 1, max_message: 1 << 24, explicit, continues: false };
        let mut frames = Vec::new();
        hello.encode(&mut frames).expect("small numbers");
        match self.role {
            Role::Dialler => control::encode_topics(tags, &mut frames).expect("few tags"),
            Role::Acceptor => control::encode_shared(tags, &mut frames).expect("few tags"),
        }
        self.say(&frames);
    }

    pub fn proof(&self, topic: &[u8; 32]) -> Tag {
        let binding = exporter(&self.quic, Export::Topic).expect("a finished handshake");
        TopicKey::public(topic).proof(self.role, &binding)
    }

    pub fn close(&mut self, now: Instant) {
        self.quic.close(now, VarInt::from_u32(0), bytes::Bytes::new());
    }
}

impl Rogue {
    /// One that has no certificate when it dials.
    pub fn without_certificate(seed: [u8; 32], chance: [u8; 32]) -> Rogue {
        use quinn_proto::crypto::rustls::QuicClientConfig;
        use rustls::crypto::ring;
        let provider =
            rustls::crypto::CryptoProvider { kx_groups: vec![ring::kx_group::X25519], ..ring::default_provider() };
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_no_client_auth();
        config.alpn_protocols = vec![setowire::crypto::tls::ALPN.to_vec()];
        config.enable_sni = false;
        let client = Arc::new(QuicClientConfig::try_from(config).expect("a suite for Initial packets"));
        let identity = Identity::from_seed(&seed);
        let server = Tls::new(&identity, Cipher::ChaCha20).expect("the suites exist").server();
        Rogue::with_tls(identity, chance, client, server)
    }
}

/// Takes any certificate.
#[derive(Debug)]
struct Anybody;

impl rustls::client::danger::ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![rustls::SignatureScheme::ED25519]
    }
}
