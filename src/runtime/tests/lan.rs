//! The multicast sockets, on `lo` and on ports of their own, beside each other and
//! beside a peer of the old kind.

use super::run;
use crate::config::limits;
use crate::node::Via;
use crate::runtime::lan::Lan;
use crate::runtime::shared::Io;
use crate::runtime::socket::Received;
use crate::runtime::{clock, interfaces};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::task::Poll;

/// A port that nobody uses: the tests of several processes do not hear each other.
fn free_port() -> u16 {
    UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port()
}

fn lan(port: u16) -> (Lan, u32) {
    let mut lan = Lan::on_port(port, vec!["lo".to_owned()], Arc::new(Io::default()));
    let list = lan.set_interfaces(&interfaces::list().unwrap()).unwrap();
    assert_eq!(list.len(), 1);
    let index = list[0].index;
    (lan, index)
}

fn group(port: u16) -> SocketAddr {
    (limits::LAN_GROUP_V4, port).into()
}

/// Waits for the next beacon.
async fn heard(lan: &mut Lan) -> (u32, SocketAddr, Vec<u8>) {
    let mut received = Received::new();
    let mut got = None;
    while got.is_none() {
        poll_fn(|context| if lan.poll_ready(context) { Poll::Ready(()) } else { Poll::Pending }).await;
        lan.recv(true, &mut received, clock::now().mono, |run| {
            let Via::Lan { interface } = run.via else { panic!("a beacon came by {:?}", run.via) };
            got.get_or_insert_with(|| (interface, run.from, run.bytes.to_vec()));
        });
    }
    got.unwrap()
}

/// A socket as an old peer makes it: the first option only, joined by address.
fn old_peer(port: u16) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into()).unwrap();
    socket.join_multicast_v4_n(&limits::LAN_GROUP_V4, &InterfaceIndexOrAddress::Address(Ipv4Addr::LOCALHOST)).unwrap();
    socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
    socket.set_read_timeout(Some(super::DEADLINE)).unwrap();
    socket
}

fn read(socket: &Socket) -> Vec<u8> {
    let mut buffer = [MaybeUninit::uninit(); 100];
    let length = socket.recv(&mut buffer).expect("the awaited beacon did not come");
    // SAFETY: the kernel wrote that many bytes.
    buffer[..length].iter().map(|byte| unsafe { byte.assume_init() }).collect()
}

#[test]
fn a_beacon_reaches_every_peer_of_the_host_with_interface_and_sender() {
    run(async {
        let port = free_port();
        let ((mut a, index), (mut b, _)) = (lan(port), lan(port));
        a.send(index, group(port), b"beacon");
        for peer in [&mut a, &mut b] {
            let sender = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            assert_eq!(heard(peer).await, (index, sender, b"beacon".to_vec()));
        }
    });
}

#[test]
fn what_was_not_sent_to_the_group_is_not_heard() {
    run(async {
        let port = free_port();
        let (mut a, index) = lan(port);
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        stranger.send_to(b"unicast", (Ipv4Addr::LOCALHOST, port)).unwrap();
        a.send(index, group(port), b"beacon");
        assert_eq!(heard(&mut a).await.2, b"beacon");
    });
}

#[test]
fn only_chosen_interfaces_are_sent_to() {
    run(async {
        let port = free_port();
        let io = Arc::new(Io::default());
        let mut a = Lan::on_port(port, vec!["lo".to_owned()], io.clone());
        let index = a.set_interfaces(&interfaces::list().unwrap()).unwrap()[0].index;
        a.send(index + 1_000, group(port), b"nowhere");
        assert_eq!(io.stats().send_errors, 1);
        assert!(a.set_interfaces(&interfaces::list().unwrap()).is_none(), "an unchanged list is not reported");
    });
}

#[test]
fn without_a_fitting_interface_there_is_no_socket() {
    run(async {
        let io = Arc::new(Io::default());
        let mut none = Lan::on_port(free_port(), vec!["no-such-interface".to_owned()], io.clone());
        assert!(none.set_interfaces(&interfaces::list().unwrap()).is_none());
        assert_eq!(io.take_descriptors().count(), 0);
    });
}

#[test]
fn an_old_peer_may_start_before_us() {
    run(async {
        let port = free_port();
        let old = old_peer(port);
        let (mut ours, index) = lan(port);
        ours.send(index, group(port), b"ours");
        assert_eq!(read(&old), b"ours");
        assert_eq!(heard(&mut ours).await.2, b"ours");
        old.send_to(b"old", &group(port).into()).unwrap();
        assert_eq!(heard(&mut ours).await.2, b"old");
    });
}

#[test]
fn an_old_peer_may_start_after_us() {
    run(async {
        let port = free_port();
        let (mut ours, index) = lan(port);
        let old = old_peer(port);
        old.send_to(b"old", &group(port).into()).unwrap();
        assert_eq!(heard(&mut ours).await.2, b"old");
        assert_eq!(read(&old), b"old");
        ours.send(index, group(port), b"ours");
        assert_eq!(read(&old), b"ours");
    });
}

#[test]
fn a_port_held_by_another_program_leaves_sending_and_is_tried_again() {
    run(async {
        let holder = UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = holder.local_addr().unwrap().port();
        holder.join_multicast_v4(&limits::LAN_GROUP_V4, &Ipv4Addr::LOCALHOST).unwrap();
        holder.set_read_timeout(Some(super::DEADLINE)).unwrap();
        let (mut ours, index) = lan(port);
        ours.send(index, group(port), b"deaf");
        let mut buffer = [0; 100];
        let (length, _) = holder.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"deaf");
        drop(holder);
        ours.set_interfaces(&interfaces::list().unwrap());
        ours.send(index, group(port), b"hearing");
        assert_eq!(heard(&mut ours).await.2, b"hearing");
    });
}
