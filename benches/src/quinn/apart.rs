//! The application of each side on a thread of its own, behind bounded channels.

use super::tls::Setup;
use super::{BULK_WRITE, ECHO, GATHERED_WRITE, LENGTH, MESSAGE, Reader, Sides, connected};
use bytes::Bytes;
use quinn::{RecvStream, SendStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::spawn;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::spawn_local;

/// Places of a channel: of big pieces, and of messages.
const PIECES: usize = 16;
const MESSAGES: usize = 4_096;

pub fn bulk(setup: Setup, streams: usize, counter: &Arc<AtomicU64>) -> Sides {
    let counter = counter.clone();
    let (arrived, mut application) = channel::<Bytes>(PIECES);
    spawn(move || {
        let mut buffer = Vec::new();
        while let Some(piece) = application.blocking_recv() {
            buffer.clear();
            buffer.extend_from_slice(&piece);
            counter.fetch_add(buffer.len() as u64, Relaxed);
        }
    });
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..streams).map(|_| channel::<Bytes>(PIECES)).unzip();
    spawn(move || {
        let data = vec![7; BULK_WRITE];
        for sender in senders.iter().cycle() {
            if sender.blocking_send(Bytes::copy_from_slice(&data)).is_err() {
                return;
            }
        }
    });
    connected(
        setup,
        async move |connection| {
            while let Ok(mut stream) = connection.accept_uni().await {
                let arrived = arrived.clone();
                spawn_local(async move {
                    while let Ok(Some(chunk)) = stream.read_chunk(usize::MAX, true).await {
                        arrived.send(chunk.bytes).await.expect("an application that reads");
                    }
                });
            }
        },
        async move |connection| {
            for mut pieces in receivers {
                let mut stream = connection.open_uni().await.expect("a stream");
                spawn_local(async move {
                    while let Some(piece) = pieces.recv().await {
                        stream.write_chunk(piece).await.expect("an open stream");
                    }
                });
            }
            connection.closed().await;
        },
    )
}

pub fn messages(setup: Setup, counter: &Arc<AtomicU64>) -> Sides {
    let counter = counter.clone();
    let (arrived, mut application) = channel::<Bytes>(MESSAGES);
    spawn(move || {
        while application.blocking_recv().is_some() {
            counter.fetch_add(1, Relaxed);
        }
    });
    let (send, messages) = channel::<Bytes>(MESSAGES);
    spawn(move || while send.blocking_send(Bytes::copy_from_slice(&[7; MESSAGE])).is_ok() {});
    connected(
        setup,
        async move |connection| {
            let stream = connection.accept_uni().await.expect("a stream");
            receive(stream, arrived).await;
        },
        async move |connection| {
            let stream = connection.open_uni().await.expect("a stream");
            gather(stream, messages).await;
        },
    )
}

pub fn echo(setup: Setup, length: Duration) -> Vec<Duration> {
    let (request, requests) = channel::<Bytes>(MESSAGES);
    let (answered, mut answers) = channel::<Bytes>(MESSAGES);
    let (asked, mut questions) = channel::<Bytes>(MESSAGES);
    let (answer, answering) = channel::<Bytes>(MESSAGES);
    spawn(move || {
        while let Some(question) = questions.blocking_recv() {
            answer.blocking_send(question).expect("an endpoint that runs");
        }
    });
    let _sides = connected(
        setup,
        async move |connection| {
            let (send, receiving) = connection.accept_bi().await.expect("a stream");
            spawn_local(gather(send, answering));
            receive(receiving, asked).await;
        },
        async move |connection| {
            let (send, receiving) = connection.open_bi().await.expect("a stream");
            spawn_local(gather(send, requests));
            receive(receiving, answered).await;
        },
    );
    let (data, mut times, begin) = ([7; ECHO], Vec::new(), Instant::now());
    while begin.elapsed() < length {
        let sent = Instant::now();
        request.blocking_send(Bytes::copy_from_slice(&data)).expect("an endpoint that runs");
        answers.blocking_recv().expect("an answer");
        times.push(sent.elapsed());
    }
    times
}

/// Writes what waits in a channel, each message with its length before it, in writes of 16 KiB at most.
async fn gather(mut stream: SendStream, mut messages: Receiver<Bytes>) {
    let (mut waiting, mut gathered) = (Vec::new(), Vec::with_capacity(GATHERED_WRITE));
    while messages.recv_many(&mut waiting, GATHERED_WRITE / (LENGTH + MESSAGE)).await > 0 {
        gathered.clear();
        for message in waiting.drain(..) {
            gathered.extend_from_slice(&(message.len() as u16).to_be_bytes());
            gathered.extend_from_slice(&message);
        }
        stream.write_all(&gathered).await.expect("an open stream");
    }
}

/// Hands each message of a stream to the application, in memory of its own.
async fn receive(mut stream: RecvStream, arrived: Sender<Bytes>) {
    let (mut reader, mut buffer, mut complete) = (Reader::default(), vec![0; BULK_WRITE], Vec::new());
    while let Ok(Some(length)) = stream.read(&mut buffer).await {
        reader.read(&buffer[..length], |message| complete.push(Bytes::copy_from_slice(message)));
        for message in complete.drain(..) {
            arrived.send(message).await.expect("an application that reads");
        }
    }
}
