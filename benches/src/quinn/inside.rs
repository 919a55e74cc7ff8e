//! The application as tasks of the runtime that drives the endpoint: the least quinn can cost.

use super::tls::Setup;
use super::{BULK_WRITE, ECHO, GATHERED_WRITE, LENGTH, MESSAGE, Reader, Sides, connected};
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio::task::spawn_local;

pub fn bulk(setup: Setup, streams: usize, counter: &Arc<AtomicU64>) -> Sides {
    let counter = counter.clone();
    connected(
        setup,
        async move |connection| {
            while let Ok(mut stream) = connection.accept_uni().await {
                let counter = counter.clone();
                spawn_local(async move {
                    let mut buffer = vec![0; BULK_WRITE];
                    while let Ok(Some(length)) = stream.read(&mut buffer).await {
                        counter.fetch_add(length as u64, Relaxed);
                    }
                });
            }
        },
        async move |connection| {
            for _ in 0..streams {
                let mut stream = connection.open_uni().await.expect("a stream");
                spawn_local(async move {
                    let data = vec![7; BULK_WRITE];
                    while stream.write_all(&data).await.is_ok() {}
                });
            }
            connection.closed().await;
        },
    )
}

pub fn messages(setup: Setup, counter: &Arc<AtomicU64>) -> Sides {
    let counter = counter.clone();
    connected(
        setup,
        async move |connection| {
            let mut stream = connection.accept_uni().await.expect("a stream");
            let (mut reader, mut buffer) = (Reader::default(), vec![0; BULK_WRITE]);
            while let Ok(Some(length)) = stream.read(&mut buffer).await {
                let mut messages = 0;
                reader.read(&buffer[..length], |_| messages += 1);
                counter.fetch_add(messages, Relaxed);
            }
        },
        async move |connection| {
            let mut stream = connection.open_uni().await.expect("a stream");
            let message = [7; MESSAGE];
            let mut gathered = Vec::with_capacity(GATHERED_WRITE);
            loop {
                gathered.clear();
                while gathered.len() + LENGTH + MESSAGE <= GATHERED_WRITE {
                    gathered.extend_from_slice(&(MESSAGE as u16).to_be_bytes());
                    gathered.extend_from_slice(&message);
                }
                stream.write_all(&gathered).await.expect("an open stream");
            }
        },
    )
}

pub fn datagrams(setup: Setup, size: usize, counter: &Arc<AtomicU64>) -> Sides {
    let counter = counter.clone();
    connected(
        setup,
        async move |connection| {
            while connection.read_datagram().await.is_ok() {
                counter.fetch_add(1, Relaxed);
            }
        },
        async move |connection| {
            let data = vec![7; size];
            loop {
                connection.send_datagram_wait(Bytes::copy_from_slice(&data)).await.expect("room in a datagram");
            }
        },
    )
}

pub fn echo(setup: Setup, length: Duration) -> Vec<Duration> {
    let (done, result) = mpsc::channel();
    let _sides = connected(
        setup,
        async move |connection| {
            let (mut send, mut receive) = connection.accept_bi().await.expect("a stream");
            let mut data = [0; ECHO];
            while receive.read_exact(&mut data).await.is_ok() {
                send.write_all(&data).await.expect("an open stream");
            }
        },
        async move |connection| {
            let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
            let (mut data, mut times, begin) = ([7; ECHO], Vec::new(), Instant::now());
            while begin.elapsed() < length {
                let sent = Instant::now();
                send.write_all(&data).await.expect("an open stream");
                receive.read_exact(&mut data).await.expect("an answer");
                times.push(sent.elapsed());
            }
            done.send(times).expect("a main thread that waits");
        },
    );
    result.recv().expect("a dialler that ends")
}
