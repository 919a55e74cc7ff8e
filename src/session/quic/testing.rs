//! For tests: two connected quinn-proto endpoints and the network between them, in virtual time.
//!
//! Datagrams are delayed, lost and overtake each other as `Network` says; a
//! rate makes a bottleneck with a queue of its own. A step goes to the next
//! thing that happens, lets the test act, and sends what came of it.

use super::transport::transport;
use crate::config::Cipher;
use crate::config::limits::QUIC_PACKET_BYTES;
use crate::crypto::identity::Identity;
use crate::crypto::tls::Tls;
use bytes::BytesMut;
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig, Event, ServerConfig,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a bottleneck queues before it drops.
const QUEUE: Duration = Duration::from_millis(50);

#[derive(Clone, Copy)]
pub struct Network {
    /// One way.
    pub delay: Duration,
    /// At most so much more, for each datagram on its own: they overtake each other.
    pub jitter: Duration,
    pub loss_permille: u64,
    /// Bytes per second; 0: no bottleneck.
    pub rate: u64,
    /// Datagrams of this side are all lost from now on.
    pub mute: Option<usize>,
    /// Larger datagrams are lost, bytes.
    pub mtu: usize,
}

impl Network {
    pub fn clean(delay_ms: u64) -> Network {
        let delay = Duration::from_millis(delay_ms);
        Network { delay, jitter: Duration::ZERO, loss_permille: 0, rate: 0, mute: None, mtu: usize::MAX }
    }

    pub fn lossy(loss_permille: u64) -> Network {
        Network { loss_permille, jitter: Duration::from_millis(8), ..Network::clean(10) }
    }
}

/// One of the two.
pub struct Peer {
    pub connection: Connection,
    handle: ConnectionHandle,
    endpoint: Endpoint,
    /// Not yet looked at by the test.
    pub events: Vec<Event>,
}

/// Both; the first one dialled.
pub struct Pair {
    pub now: Instant,
    pub peers: [Peer; 2],
    pub network: Network,
    flying: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
    free_at: [Instant; 2],
    rng: ChaCha20Rng,
}

fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], if side == 0 { 1_000 } else { 2_000 }))
}

fn endpoint(seed: u8) -> (Endpoint, Tls) {
    let tls = Tls::new(&Identity::from_seed(&[seed; 32]), Cipher::ChaCha20).expect("TLS");
    let mut config = EndpointConfig::default();
    config.rng_seed(Some([seed; 32])).grease_quic_bit(false);
    config.max_udp_payload_size(QUIC_PACKET_BYTES).expect("a size that QUIC allows");
    let mut server = ServerConfig::with_crypto(tls.server());
    server.transport_config(Arc::new(transport()));
    (Endpoint::new(Arc::new(config), Some(Arc::new(server)), true, None), tls)
}

impl Pair {
    /// Two that are connected.
    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    pub fn new(seed: u64, network: Network) -> Pair {
        let now = Instant::now();
        let ((mut dialler, tls), (mut acceptor, _)) = (endpoint(1), endpoint(2));
        let mut config = ClientConfig::new(tls.client(None));
        config.transport_config(Arc::new(transport()));
        let (handle, mut connection) = dialler.connect(now, config, address(1), "setowire").expect("a dial");
        let mut first = Vec::new();
        let sent = connection.poll_transmit(now, 1, &mut first).expect("a first packet").size;
        let mut answer = Vec::new();
        let first = BytesMut::from(&first[..sent]);
        let arrived = acceptor.handle(now, address(0), None, None, first, &mut answer);
        let Some(DatagramEvent::NewConnection(incoming)) = arrived else { panic!("not a first packet") };
        let accepted = acceptor.accept(incoming, now, &mut answer, None).expect("accepted");
        let dialler = Peer { connection, handle, endpoint: dialler, events: Vec::new() };
        let acceptor = Peer { connection: accepted.1, handle: accepted.0, endpoint: acceptor, events: Vec::new() };
        let mut pair = Pair {
            now,
            peers: [dialler, acceptor],
            network: Network { mtu: network.mtu, ..Network::clean(1) },
            flying: BTreeMap::new(),
            sent: 0,
            free_at: [now; 2],
            rng: ChaCha20Rng::seed_from_u64(seed),
        };
        pair.run(Duration::from_secs(1), |pair| pair.peers.iter().all(|peer| !peer.connection.is_handshaking()));
        pair.network = network;
        pair
    }

    /// Goes on until `act` says that it is done. False: the time ran out before.
    pub fn run(&mut self, time: Duration, mut act: impl FnMut(&mut Pair) -> bool) -> bool {
        let end = self.now + time;
        loop {
            self.settle();
            if act(self) {
                return true;
            }
            self.settle();
            let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
            let timers = self.peers.iter_mut().filter_map(|peer| peer.connection.poll_timeout());
            match timers.chain(arrival).min() {
                Some(at) if at <= end => self.now = self.now.max(at),
                _ => {
                    self.now = end;
                    return false;
                }
            }
            while let Some(((at, _), _)) = self.flying.first_key_value()
                && *at <= self.now
            {
                let Some((_, (to, datagram))) = self.flying.pop_first() else { break };
                self.deliver(to, &datagram);
            }
            for peer in &mut self.peers {
                if peer.connection.poll_timeout().is_some_and(|at| at <= self.now) {
                    peer.connection.handle_timeout(self.now);
                }
            }
        }
    }

    fn deliver(&mut self, to: usize, datagram: &[u8]) {
        let mut answer = Vec::new();
        let peer = &mut self.peers[to];
        let from = address(1 - to);
        let data = BytesMut::from(datagram);
        if let Some(DatagramEvent::ConnectionEvent(_, event)) =
            peer.endpoint.handle(self.now, from, None, None, data, &mut answer)
        {
            peer.connection.handle_event(event);
        }
    }

    /// Lets endpoints and connections talk, collects events and sends.
    fn settle(&mut self) {
        for side in 0..2 {
            let peer = &mut self.peers[side];
            while let Some(event) = peer.connection.poll_endpoint_events() {
                if let Some(event) = peer.endpoint.handle_event(peer.handle, event) {
                    peer.connection.handle_event(event);
                }
            }
            while let Some(event) = peer.connection.poll() {
                peer.events.push(event);
            }
            let mut buffer = Vec::new();
            while let Some(transmit) = self.peers[side].connection.poll_transmit(self.now, 10, &mut buffer) {
                let size = transmit.segment_size.unwrap_or(transmit.size);
                for datagram in buffer[..transmit.size].chunks(size) {
                    self.send(side, datagram);
                }
                buffer.clear();
            }
        }
    }

    fn send(&mut self, from: usize, datagram: &[u8]) {
        let lost = self.rng.next_u64() % 1_000 < self.network.loss_permille;
        if lost || self.network.mute == Some(from) || datagram.len() > self.network.mtu {
            return;
        }
        let mut at = self.now;
        let size = datagram.len() as u64 * 1_000_000;
        if let Some(micros) = size.checked_div(self.network.rate) {
            at = at.max(self.free_at[from]);
            if at > self.now + QUEUE {
                return;
            }
            at += Duration::from_micros(micros);
            self.free_at[from] = at;
        }
        let jitter = self.rng.next_u64() % (self.network.jitter.as_micros() as u64 + 1);
        at += self.network.delay + Duration::from_micros(jitter);
        self.sent += 1;
        self.flying.insert((at, self.sent), (1 - from, datagram.to_vec()));
    }
}
