//! Full handshakes, each connection closed as soon as it is there.

use super::tls::{self, Setup};
use super::{listen, local};
use setowire_benches::{Counted, percentiles, report};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::spawn;
use std::time::{Duration, Instant};
use tokio::task::spawn_local;

/// Connections per second with so many in flight; counted where they are accepted.
pub fn measure(setup: Setup, in_flight: usize, seconds: f64) -> ! {
    let accepted = Arc::new(AtomicU64::new(0));
    let times = Arc::new(Mutex::new(Vec::new()));
    let (address, to) = mpsc::channel();
    let counter = accepted.clone();
    spawn(move || {
        local(async move {
            let endpoint = listen(setup, &address);
            while let Some(incoming) = endpoint.accept().await {
                let counter = counter.clone();
                spawn_local(async move {
                    if let Ok(connection) = incoming.await {
                        counter.fetch_add(1, Relaxed);
                        connection.closed().await;
                    }
                });
            }
        });
    });
    let taken = times.clone();
    spawn(move || local(dial(setup, to.recv().expect("an acceptor"), in_flight, &taken)));
    let counted = Counted::watch(&accepted, seconds);
    let times: Vec<Duration> = times.lock().expect("a dialler that runs").clone();
    report(&[counted.each(), percentiles(times)].concat())
}

async fn dial(setup: Setup, to: std::net::SocketAddr, in_flight: usize, times: &Arc<Mutex<Vec<Duration>>>) {
    let endpoint = Rc::new(tls::endpoint(setup));
    for _ in 0..in_flight {
        let (endpoint, times) = (endpoint.clone(), times.clone());
        spawn_local(async move {
            loop {
                let begin = Instant::now();
                let connection = endpoint.connect(to, "bench").expect("a valid address").await.expect("a handshake");
                times.lock().expect("a main thread that runs").push(begin.elapsed());
                connection.close(0_u32.into(), b"");
            }
        });
    }
    std::future::pending().await
}
