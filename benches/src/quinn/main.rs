//! `bench-quinn MEASURE CIPHER PACKET SECONDS`: two bare quinn endpoints on loopback, which look for packets of up to
//! PACKET bytes.
//!
//! Each side has one thread with a current-thread runtime, as a swarm has one network thread.
//! In the measures whose name ends in `-app` the application of each side has a thread of its own and
//! talks to that runtime through a bounded channel, as a program with blocking calls would.

mod apart;
mod connects;
mod inside;
mod memory;
mod tls;

use quinn::{Connection, Endpoint};
use setowire_benches::{Counted, percentiles, report};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, mpsc};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;
use tls::Setup;

/// Bytes of one write of a bulk transfer, and of gathered messages.
pub const BULK_WRITE: usize = 65_536;
pub const GATHERED_WRITE: usize = 16_384;
/// Bytes of a small message, and of its length before it.
pub const MESSAGE: usize = 100;
pub const LENGTH: usize = 2;
pub const ECHO: usize = 32;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let usage = "usage: bench-quinn MEASURE chacha20|fastest PACKET SECONDS";
    let [_, measure, cipher, packet, seconds] = arguments.as_slice() else { panic!("{usage}") };
    let setup = Setup { suite: tls::suite(cipher), packet_bytes: packet.parse().expect(usage) };
    let seconds: f64 = seconds.parse().expect(usage);
    let count = |apart: bool, streams: usize| {
        let counter = Arc::new(AtomicU64::new(0));
        let _sides = if apart { apart::bulk(setup, streams, &counter) } else { inside::bulk(setup, streams, &counter) };
        Counted::watch(&counter, seconds)
    };
    let counted = |sides: fn(Setup, &Arc<AtomicU64>) -> Sides| {
        let counter = Arc::new(AtomicU64::new(0));
        let _sides = sides(setup, &counter);
        Counted::watch(&counter, seconds)
    };
    match measure.as_str() {
        "bulk1" => report(&count(false, 1).bulk()),
        "bulk16" => report(&count(false, 16).bulk()),
        "bulk1-app" => report(&count(true, 1).bulk()),
        "bulk16-app" => report(&count(true, 16).bulk()),
        "messages" => report(&counted(inside::messages).each()),
        "messages-app" => report(&counted(apart::messages).each()),
        "datagrams100" => report(&counted(|setup, counter| inside::datagrams(setup, 100, counter)).each()),
        "datagrams1100" => report(&counted(|setup, counter| inside::datagrams(setup, 1_100, counter)).each()),
        "echo" => report(&percentiles(inside::echo(setup, Duration::from_secs_f64(seconds)))),
        "echo-app" => report(&percentiles(apart::echo(setup, Duration::from_secs_f64(seconds)))),
        "connects1" => connects::measure(setup, 1, seconds),
        "connects32" => connects::measure(setup, 32, seconds),
        "memory" => memory::measure(setup, cipher, packet),
        "memory-acceptor" => memory::acceptor(setup),
        _ => panic!("measure {measure} is not known"),
    }
}

/// The threads of both endpoints; they run until the program ends.
pub type Sides = [JoinHandle<()>; 2];

/// Runs an acceptor and a dialler with one connection between them, each on a thread and runtime of its own.
pub fn connected<A, D>(
    setup: Setup,
    acceptor: impl FnOnce(Connection) -> A + Send + 'static,
    dialler: impl FnOnce(Connection) -> D + Send + 'static,
) -> Sides
where
    A: Future<Output = ()>,
    D: Future<Output = ()>,
{
    let (address, to) = mpsc::channel();
    let accepting = spawn(move || {
        local(async move {
            let endpoint = listen(setup, &address);
            let incoming = endpoint.accept().await.expect("an endpoint that is open");
            acceptor(incoming.await.expect("a handshake")).await;
        });
    });
    let dialling = spawn(move || {
        local(async move {
            let endpoint = tls::endpoint(setup);
            let connecting = endpoint.connect(to.recv().expect("an acceptor"), "bench").expect("a valid address");
            dialler(connecting.await.expect("a handshake")).await;
        });
    });
    [accepting, dialling]
}

/// An endpoint whose address is told.
pub fn listen(setup: Setup, address: &mpsc::Sender<SocketAddr>) -> Endpoint {
    let endpoint = tls::endpoint(setup);
    address.send(endpoint.local_addr().expect("a bound socket")).expect("somebody who dials");
    endpoint
}

/// Runs a future on a runtime of this thread alone.
pub fn local<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

/// Walks over messages with a length before each and counts those that are complete.
#[derive(Default)]
pub struct Reader {
    head: Vec<u8>,
    missing: usize,
}

impl Reader {
    /// Calls `each` with the length of every message that ends in `data`.
    pub fn read(&mut self, mut data: &[u8], mut each: impl FnMut(&[u8])) {
        while !data.is_empty() {
            if self.missing == 0 {
                let take = (LENGTH - self.head.len()).min(data.len());
                self.head.extend_from_slice(&data[..take]);
                data = &data[take..];
                if self.head.len() == LENGTH {
                    self.missing = usize::from(u16::from_be_bytes([self.head[0], self.head[1]]));
                    self.head.clear();
                }
            } else {
                let take = self.missing.min(data.len());
                self.missing -= take;
                if self.missing == 0 {
                    each(&data[..take]);
                }
                data = &data[take..];
            }
        }
    }
}
