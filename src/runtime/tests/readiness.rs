//! A blocked socket and its room.

use super::run;
use crate::runtime::readiness::Watched;
use crate::runtime::shared::Io;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::task::Poll;

/// The descriptors that a forked child would close, put back as they were.
fn listed(io: &Io) -> usize {
    let all: Vec<_> = io.take_descriptors().collect();
    all.iter().for_each(|descriptor| io.opened(*descriptor));
    all.len()
}

#[test]
fn who_waits_for_room_is_woken_and_nobody_else() {
    run(async {
        // UDP on loopback never blocks; a socket of the same kind within the host does.
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let io = Arc::new(Io::default());
        let mut watched = Watched::new(UdpSocket::from(OwnedFd::from(ours)), io.clone()).unwrap();
        let send = |socket: &UdpSocket| socket.send(&[7; 1_000]);
        let mut sent = 0;
        let error = loop {
            match watched.send(send) {
                Ok(_) => sent += 1,
                Err(e) => break e,
            }
            assert_eq!(listed(&io), 1, "not watched while there is room");
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert_eq!(listed(&io), 2);
        assert!(!poll_fn(|context| Poll::Ready(watched.poll_send(context))).await);
        assert_eq!(watched.send(send).unwrap_err().kind(), ErrorKind::WouldBlock);
        for _ in 0..sent {
            assert_eq!(theirs.recv(&mut [0; 1_000]).unwrap(), 1_000);
        }
        poll_fn(|context| if watched.poll_send(context) { Poll::Ready(()) } else { Poll::Pending }).await;
        assert_eq!(watched.send(send).unwrap(), 1_000);
        watched.forget_room();
        assert_eq!(listed(&io), 1);
        drop(watched);
        assert_eq!(listed(&io), 0);
    });
}
