//! `bench-limits udp|chacha20|aes128`: what the machine allows below any protocol.
//!
//! `udp`: one thread sends 1,200-byte datagrams over loopback with segmentation offload, another
//! receives them joined. The ciphers: ring seals and opens 1,200 bytes on one thread.

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use ring::aead;
use setowire_benches::{Counted, SOCKET_BUFFER, report};
use socket2::{Domain, Socket, Type};
use std::hint::black_box;
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::spawn;
use std::time::{Duration, Instant};

const PACKET: usize = 1_200;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let seconds = arguments.get(2).and_then(|text| text.parse().ok()).unwrap_or(1.0);
    match arguments.get(1).map(String::as_str) {
        Some("udp") => udp(seconds),
        Some("chacha20") => cipher(&aead::CHACHA20_POLY1305, seconds),
        Some("aes128") => cipher(&aead::AES_128_GCM, seconds),
        _ => panic!("usage: bench-limits udp|chacha20|aes128 [seconds]"),
    }
}

fn udp(seconds: f64) {
    let (sender, receiver) = (socket(), socket());
    let to = receiver.local_addr().expect("a bound socket");
    let received = Arc::new(AtomicU64::new(0));
    let counter = received.clone();
    spawn(move || receive(&receiver, &counter));
    spawn(move || send(&sender, to));
    report(&Counted::watch(&received, seconds).bulk())
}

fn socket() -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).expect("a socket");
    socket.set_recv_buffer_size(SOCKET_BUFFER).expect("a receive buffer");
    socket.set_send_buffer_size(SOCKET_BUFFER).expect("a send buffer");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port on loopback");
    socket.into()
}

fn send(socket: &UdpSocket, destination: SocketAddr) {
    let state = UdpSocketState::new(socket.into()).expect("socket options");
    socket.set_nonblocking(false).expect("a blocking socket");
    let segments = state.max_gso_segments().min(65_000 / PACKET);
    let contents = vec![7; segments * PACKET];
    let transmit = Transmit { destination, ecn: None, contents: &contents, segment_size: Some(PACKET), src_ip: None };
    loop {
        state.try_send(socket.into(), &transmit).expect("sending on loopback");
    }
}

fn receive(socket: &UdpSocket, counter: &AtomicU64) {
    let state = UdpSocketState::new(socket.into()).expect("socket options");
    socket.set_nonblocking(false).expect("a blocking socket");
    let mut buffers = vec![vec![0; 65_536]; BATCH_SIZE];
    let mut meta = [RecvMeta::default(); BATCH_SIZE];
    loop {
        let mut slices: Vec<IoSliceMut> = buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer)).collect();
        let count = state.recv(socket.into(), &mut slices, &mut meta).expect("receiving on loopback");
        let bytes: usize = meta.iter().take(count).map(|one| one.len).sum();
        counter.fetch_add(bytes as u64, Relaxed);
    }
}

fn cipher(algorithm: &'static aead::Algorithm, seconds: f64) {
    let key = aead::LessSafeKey::new(aead::UnboundKey::new(algorithm, &vec![1; algorithm.key_len()]).expect("a key"));
    let nonce = || aead::Nonce::assume_unique_for_key([2; aead::NONCE_LEN]);
    let mut data = vec![3; PACKET];
    let sealed = rate(seconds / 2.0, || {
        let tag = key.seal_in_place_separate_tag(nonce(), aead::Aad::from([4; 16]), black_box(&mut data));
        let _ = black_box(tag.expect("sealing"));
    });
    let mut packet = data.clone();
    key.seal_in_place_append_tag(nonce(), aead::Aad::from([4; 16]), &mut packet).expect("sealing");
    let mut copy = packet.clone();
    let opened = rate(seconds / 2.0, || {
        copy.copy_from_slice(&packet);
        black_box(key.open_in_place(nonce(), aead::Aad::from([4; 16]), black_box(&mut copy)).expect("opening").len());
    });
    report(&[("seal_mb_per_s", sealed), ("open_mb_per_s", opened)])
}

/// MB/s of `packet`, which works on one packet.
fn rate(seconds: f64, mut packet: impl FnMut()) -> f64 {
    let (begin, length, mut packets) = (Instant::now(), Duration::from_secs_f64(seconds), 0_u64);
    while begin.elapsed() < length {
        for _ in 0..100 {
            packet();
        }
        packets += 100;
    }
    (packets * PACKET as u64) as f64 / begin.elapsed().as_secs_f64() / 1e6
}
