//! A TLS session as quinn-proto drives it, which also tells who the peer is and what was agreed.
//!
//! rustls knows the agreed suite, quinn-proto's trait does not pass it on. This one
//! passes every call to the session of quinn-proto, unchanged, and looks only at the
//! keys that come out of the handshake. `peer_identity` gives a `Peer`.

use super::cert::key_of;
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::crypto::{ClientConfig, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey};
use quinn_proto::crypto::{ServerConfig, Session, UnsupportedVersion};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectError, ConnectionId, Side, TransportError};
use rustls::pki_types::CertificateDer;
use std::any::Any;
use std::sync::Arc;

/// The TLS 1.3 suite of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    ChaCha20Poly1305,
    Aes128Gcm,
}

impl Suite {
    /// As RFC 8446 calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Suite::ChaCha20Poly1305 => "TLS_CHACHA20_POLY1305_SHA256",
            Suite::Aes128Gcm => "TLS_AES_128_GCM_SHA256",
        }
    }

    /// Of the two, only AES has a bound on the packets under one key that can be reached (RFC 9001 section 6.6).
    fn of(keys: &Keys) -> Suite {
        match keys.packet.local.confidentiality_limit() {
            u64::MAX => Suite::ChaCha20Poly1305,
            _ => Suite::Aes128Gcm,
        }
    }
}

/// What a complete handshake proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The Ed25519 key that the peer holds.
    pub key: [u8; 32],
    pub suite: Suite,
}

/// Settings for connections that we open.
pub(super) struct Dialling(pub Arc<QuicClientConfig>);

/// Settings for connections that others open.
pub(super) struct Accepting(pub Arc<QuicServerConfig>);

struct Watched {
    inner: Box<dyn Session>,
    suite: Option<Suite>,
}

impl Watched {
    fn boxed(inner: Box<dyn Session>) -> Box<dyn Session> {
        Box::new(Watched { inner, suite: None })
    }
}

impl ClientConfig for Dialling {
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        self.0.clone().start_session(version, server_name, params).map(Watched::boxed)
    }
}

impl ServerConfig for Accepting {
    fn initial_keys(&self, version: u32, dst_cid: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.0.initial_keys(version, dst_cid)
    }

    fn retry_tag(&self, version: u32, orig_dst_cid: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.0.retry_tag(version, orig_dst_cid, packet)
    }

    fn start_session(self: Arc<Self>, version: u32, params: &TransportParameters) -> Box<dyn Session> {
        Watched::boxed(self.0.clone().start_session(version, params))
    }
}

impl Session for Watched {
    fn initial_keys(&self, dst_cid: &ConnectionId, side: Side) -> Keys {
        self.inner.initial_keys(dst_cid, side)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        self.inner.handshake_data()
    }

    /// A `Peer`; none before the handshake is complete.
    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        if self.inner.is_handshaking() {
            return None;
        }
        let certificates = self.inner.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        let key = key_of(certificates.first()?).ok()?;
        Some(Box::new(Peer { key, suite: self.suite? }))
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        self.inner.early_crypto()
    }

    fn early_data_accepted(&self) -> Option<bool> {
        self.inner.early_data_accepted()
    }

    fn is_handshaking(&self) -> bool {
        self.inner.is_handshaking()
    }

    fn read_handshake(&mut self, buf: &[u8]) -> Result<bool, TransportError> {
        self.inner.read_handshake(buf)
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        self.inner.transport_parameters()
    }

    fn write_handshake(&mut self, buf: &mut Vec<u8>) -> Option<Keys> {
        let keys = self.inner.write_handshake(buf)?;
        self.suite = Some(Suite::of(&keys));
        Some(keys)
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        self.inner.next_1rtt_keys()
    }

    fn is_valid_retry(&self, orig_dst_cid: &ConnectionId, header: &[u8], payload: &[u8]) -> bool {
        self.inner.is_valid_retry(orig_dst_cid, header, payload)
    }

    fn export_keying_material(
        &self,
        output: &mut [u8],
        label: &[u8],
        context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        self.inner.export_keying_material(output, label, context)
    }
}
