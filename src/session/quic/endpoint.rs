//! The QUIC endpoint of a swarm: which connection a datagram belongs to, and who may begin one.
//!
//! Wraps `quinn_proto::Endpoint`. The address QUIC knows of a connection is a label, the one
//! it began on; datagrams that carry one of our connection ids are handed in under
//! the label, wherever they came from, so that a path may change below QUIC
//! (docs/adr/0006). A first packet is only accepted from an address that is proven by a
//! cookie of ours as destination id, or by a Retry token; until then nothing is kept for it.
//! Inputs: datagrams, dials. Outputs: `Arrival`s. Randomness comes from one seed, time as argument.

use crate::bucket::Bucket;
use crate::config::limits::{
    QUIC_ACCEPTS_PER_SECOND, QUIC_CID_BYTES, QUIC_CIDS_PER_CONNECTION, QUIC_FIRST_PACKETS_PER_SECOND, QUIC_PACKET_BYTES,
};
use crate::crypto::probe::Cookies;
use crate::crypto::tls::SERVER_NAME;
use crate::node::api::Now;
use bytes::BytesMut;
use parking_lot::Mutex;
use quinn_proto::{
    ClientConfig, Connection, ConnectionEvent, ConnectionHandle, ConnectionId, ConnectionIdGenerator, DatagramEvent,
    EcnCodepoint, EndpointConfig, EndpointEvent, NoneTokenStore, ServerConfig, TimeSource, TransportConfig,
    ValidationTokenConfig, crypto,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

type Cid = [u8; QUIC_CID_BYTES];

/// What a datagram turned out to be.
pub enum Arrival {
    /// Something for a connection.
    Event(ConnectionHandle, ConnectionEvent),
    /// A new connection, from an address that is proven.
    New(ConnectionHandle, Box<Connection>),
    /// An answer of the endpoint itself: Retry, reset, version negotiation, refusal.
    Answer(Vec<u8>),
    Nothing,
}

/// The endpoint and its connection ids.
pub struct Endpoint {
    inner: quinn_proto::Endpoint,
    transport: Arc<TransportConfig>,
    /// Ids made since they were last taken, in the order they were made.
    fresh: Arc<Mutex<Vec<ConnectionId>>>,
    cids: HashMap<Cid, ConnectionHandle>,
    labels: HashMap<ConnectionHandle, Label>,
    clock: Arc<AtomicU64>,
    accepts: Bucket,
    first_packets: Bucket,
    scratch: Vec<u8>,
}

struct Label {
    addr: SocketAddr,
    cids: Vec<Cid>,
}

impl Endpoint {
    pub fn new(
        server: Arc<dyn crypto::ServerConfig>,
        transport: TransportConfig,
        rng: &mut ChaCha20Rng,
        now: Now,
    ) -> Endpoint {
        let transport = Arc::new(transport);
        let fresh = Arc::new(Mutex::new(Vec::new()));
        let clock = Arc::new(AtomicU64::new(now.unix_us));
        let mut seeds = [[0; 32]; 3];
        seeds.iter_mut().for_each(|seed| rng.fill_bytes(seed));
        let [endpoint_seed, cid_seed, reset_seed] = seeds;

        let mut config = EndpointConfig::new(Arc::new(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &reset_seed)));
        let made = fresh.clone();
        config
            .cid_generator(move || Box::new(Cids { rng: ChaCha20Rng::from_seed(cid_seed), made: made.clone() }))
            .rng_seed(Some(endpoint_seed))
            // Not the drafts, which quinn-proto speaks too.
            .supported_versions(vec![1])
            .grease_quic_bit(false);
        // The limit is one that QUIC allows.
        let _ = config.max_udp_payload_size(QUIC_PACKET_BYTES);

        let mut accept = ServerConfig::with_crypto(server);
        let mut no_tokens = ValidationTokenConfig::default();
        no_tokens.sent(0);
        accept
            .transport_config(transport.clone())
            .migration(false)
            .validation_token_config(no_tokens)
            .time_source(Arc::new(Clock(clock.clone())));
        Endpoint {
            inner: quinn_proto::Endpoint::new(Arc::new(config), Some(Arc::new(accept)), true, None),
            transport,
            fresh,
            cids: HashMap::new(),
            labels: HashMap::new(),
            clock,
            accepts: Bucket::new(QUIC_ACCEPTS_PER_SECOND / 4, QUIC_ACCEPTS_PER_SECOND, now.mono),
            first_packets: Bucket::new(QUIC_FIRST_PACKETS_PER_SECOND / 10, QUIC_FIRST_PACKETS_PER_SECOND, now.mono),
            scratch: Vec::new(),
        }
    }

    /// The connection that a datagram names by one of our ids. It need not be authentic.
    pub fn owner(&self, datagram: &[u8]) -> Option<ConnectionHandle> {
        let long = datagram.first()? & 0x80 != 0;
        let cid = match long {
            false => datagram.get(1..)?,
            true => {
                datagram.get(5).filter(|len| usize::from(**len) == QUIC_CID_BYTES).and_then(|_| datagram.get(6..))?
            }
        };
        self.cids.get(cid.first_chunk::<QUIC_CID_BYTES>()?).copied()
    }

    /// Takes a datagram. `room`: whether one more connection may begin.
    pub fn receive(
        &mut self,
        now: Now,
        from: SocketAddr,
        ecn: Option<EcnCodepoint>,
        datagram: BytesMut,
        cookies: &Cookies,
        room: impl FnOnce() -> bool,
    ) -> Arrival {
        self.clock.store(now.unix_us, Ordering::Relaxed);
        let owner = self.owner(&datagram);
        let label = owner.and_then(|handle| self.labels.get(&handle)).map_or(from, |label| label.addr);
        // Who is nobody's costs a key derivation: so many per second, whatever comes.
        if owner.is_none() && (is_late(&datagram) || !self.first_packets.take(1, now.mono)) {
            return Arrival::Nothing;
        }
        self.scratch.clear();
        match self.inner.handle(now.mono, label, None, ecn, datagram, &mut self.scratch) {
            None => Arrival::Nothing,
            Some(DatagramEvent::ConnectionEvent(handle, event)) => Arrival::Event(handle, event),
            Some(DatagramEvent::Response(transmit)) => self.answer(transmit.size),
            Some(DatagramEvent::NewConnection(incoming)) => {
                let proven = incoming.remote_address_validated() || cookies.check(now, from, incoming.orig_dst_cid());
                if !proven {
                    let size = self.inner.retry(incoming, &mut self.scratch).map(|transmit| transmit.size);
                    // The id of a Retry belongs to no connection.
                    self.fresh.lock().clear();
                    return match size {
                        Ok(size) => self.answer(size),
                        Err(error) => {
                            self.inner.ignore(error.into_incoming());
                            Arrival::Nothing
                        }
                    };
                }
                if !room() || !self.accepts.take(1, now.mono) {
                    let size = self.inner.refuse(incoming, &mut self.scratch).size;
                    return self.answer(size);
                }
                match self.inner.accept(incoming, now.mono, &mut self.scratch, None) {
                    Ok((handle, connection)) => {
                        self.adopt(handle, from);
                        Arrival::New(handle, Box::new(connection))
                    }
                    Err(error) => {
                        self.fresh.lock().clear();
                        error.response.map_or(Arrival::Nothing, |transmit| self.answer(transmit.size))
                    }
                }
            }
        }
    }

    /// Begins a connection. The cookie, if the other side gave one, proves our address.
    pub fn connect(
        &mut self,
        now: Now,
        to: SocketAddr,
        crypto: Arc<dyn crypto::ClientConfig>,
        cookie: [u8; 16],
    ) -> Result<(ConnectionHandle, Connection), String> {
        self.clock.store(now.unix_us, Ordering::Relaxed);
        let mut config = ClientConfig::new(crypto);
        config
            .transport_config(self.transport.clone())
            .token_store(Arc::new(NoneTokenStore))
            .initial_dst_cid_provider(Arc::new(move || ConnectionId::new(&cookie)));
        // The name is never sent and never checked; the key is.
        let made = self.inner.connect(now.mono, config, to, SERVER_NAME).map_err(|e| e.to_string())?;
        self.adopt(made.0, to);
        Ok(made)
    }

    /// Passes on what a connection told the endpoint.
    pub fn handle_event(&mut self, handle: ConnectionHandle, event: EndpointEvent) -> Option<ConnectionEvent> {
        let answer = self.inner.handle_event(handle, event);
        self.claim(handle);
        answer
    }

    /// Forgets a connection that is drained.
    pub fn forget(&mut self, handle: ConnectionHandle) {
        if let Some(label) = self.labels.remove(&handle) {
            label.cids.iter().for_each(|cid| {
                self.cids.remove(cid);
            });
        }
    }

    /// Connections and their ids, for tests of what is left.
    pub fn held(&self) -> (usize, usize) {
        (self.labels.len().max(self.inner.open_connections()), self.cids.len())
    }

    fn adopt(&mut self, handle: ConnectionHandle, addr: SocketAddr) {
        self.labels.insert(handle, Label { addr, cids: Vec::new() });
        self.claim(handle);
    }

    /// Ids made during a call belong to the connection it was about.
    fn claim(&mut self, handle: ConnectionHandle) {
        let mut fresh = self.fresh.lock();
        let Some(label) = self.labels.get_mut(&handle) else { return fresh.clear() };
        for id in fresh.drain(..) {
            if let Ok(cid) = Cid::try_from(&id[..]) {
                self.cids.insert(cid, handle);
                label.cids.push(cid);
                // The peer decides when an id is given up and replaced: who does so for ever only loses old ones.
                if label.cids.len() > QUIC_CIDS_PER_CONNECTION {
                    self.cids.remove(&label.cids.remove(0));
                }
            }
        }
    }

    fn answer(&self, size: usize) -> Arrival {
        self.scratch.get(..size).map_or(Arrival::Nothing, |bytes| Arrival::Answer(bytes.to_vec()))
    }
}

/// An Initial for an id of our length and without a token: not the first packet of anybody, but one of a connection that
/// is over. QUIC cannot tell, and would answer one in four with a Retry, as chance has it.
fn is_late(datagram: &[u8]) -> bool {
    let token = || {
        let (dst, rest) = datagram.get(5..)?.split_first()?;
        let (src, rest) = rest.get(usize::from(*dst)..)?.split_first()?;
        let token = *rest.get(usize::from(*src)..)?.first()?;
        Some(usize::from(*dst) == QUIC_CID_BYTES && token == 0)
    };
    datagram.first().is_some_and(|first| first & 0xf0 == 0xc0) && token() == Some(true)
}

/// Makes our connection ids and keeps a list of them, because the endpoint does not tell whose they are.
struct Cids {
    rng: ChaCha20Rng,
    made: Arc<Mutex<Vec<ConnectionId>>>,
}

impl ConnectionIdGenerator for Cids {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut cid = [0; QUIC_CID_BYTES];
        self.rng.fill_bytes(&mut cid);
        let cid = ConnectionId::new(&cid);
        self.made.lock().push(cid);
        cid
    }

    fn cid_len(&self) -> usize {
        QUIC_CID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// The node's wall clock, for the age of Retry tokens.
struct Clock(Arc<AtomicU64>);

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_packets_are_told_from_first_ones() {
        let initial = |dst: usize, token: &[u8]| {
            [&[0xc3, 0, 0, 0, 1, dst as u8][..], &vec![7; dst], &[8], &[9; 8], &[token.len() as u8], token, &[1; 40]]
                .concat()
        };
        assert!(is_late(&initial(8, &[])));
        assert!(!is_late(&initial(8, b"token")), "after a Retry");
        assert!(!is_late(&initial(16, &[])), "a cookie");
        let mut handshake = initial(8, &[]);
        handshake[0] = 0xe3;
        assert!(!is_late(&handshake));
        let whole = initial(8, &[]);
        assert!((0..24).all(|len| !is_late(&whole[..len])), "cut short");
    }
}
