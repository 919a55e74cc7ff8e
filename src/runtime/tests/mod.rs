//! The runtime against the real kernel, on the loopback interface only.
//!
//! Every wait has a deadline and ends with the awaited event; no test looks at how
//! long something took.

use crate::config::{Config, limits};
use crate::error::Code;
use crate::node::{Transmit, Via};
use crate::runtime::resolver::Resolver;
use crate::runtime::shared::{Io, IoStats};
use crate::runtime::socket::{Received, Socket};
use crate::runtime::swarm::Swarm;
use crate::runtime::{clock, thread, udp};
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

mod lan;
mod readiness;
mod watch;

const DEADLINE: Duration = Duration::from_secs(20);

/// Runs on an event loop like that of a swarm; panics when it takes too long.
fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = thread::runtime().unwrap();
    let result = runtime.block_on(async { tokio::time::timeout(DEADLINE, work).await });
    runtime.shutdown_background();
    result.expect("the awaited event did not come")
}

fn socket(ip: IpAddr) -> (Socket, SocketAddr, Arc<Io>) {
    let bound = udp::bind(&[SocketAddr::from((ip, 0)).into()]).unwrap();
    let std = bound.v4.or(bound.v6).unwrap();
    let address = std.local_addr().unwrap();
    let io = Arc::new(Io::default());
    (Socket::new(std, io.clone()).unwrap(), address, io)
}

/// Sends what waits and receives until `count` datagrams are there.
async fn exchange(from: &mut Socket, to: &mut Socket, count: usize) -> Vec<(SocketAddr, Vec<u8>)> {
    let (mut received, mut scratch, mut got) = (Received::new(), Vec::new(), Vec::new());
    while got.len() < count {
        poll_fn(|context| {
            let ready = from.poll_ready(context) | to.poll_ready(context);
            if ready { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        from.flush(&mut scratch);
        while to.recv(&mut received, clock::now().mono) > 0 {
            let runs = received.runs().map(|(_, datagrams)| datagrams);
            got.extend(runs.flat_map(|run| run.clone().map(move |bytes| (run.from, bytes.to_vec()))));
        }
        tokio::task::yield_now().await;
    }
    got
}

fn single(to: SocketAddr, bytes: Vec<u8>) -> Transmit {
    Transmit::new(Via::Main, to, bytes)
}

/// Bytes that show where they were cut or mixed up.
fn pattern(size: usize, seed: usize) -> Vec<u8> {
    (0..size).map(|i| ((i * 31 + seed * 7) % 251) as u8).collect()
}

#[test]
fn datagrams_of_both_families_arrive_with_their_sender() {
    for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        run(async {
            let ((mut a, a_addr, _), (mut b, b_addr, _)) = (socket(ip), socket(ip));
            a.queue(single(b_addr, b"there".to_vec()));
            assert_eq!(exchange(&mut a, &mut b, 1).await, [(a_addr, b"there".to_vec())]);
            b.queue(single(a_addr, b"and back".to_vec()));
            assert_eq!(exchange(&mut b, &mut a, 1).await, [(b_addr, b"and back".to_vec())]);
        });
    }
}

#[test]
fn datagrams_joined_for_sending_arrive_one_by_one_in_order() {
    run(async {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ((mut a, _, io), (mut b, b_addr, _)) = (socket(ip), socket(ip));
        // Runs of equal size, each ended by a shorter one, then sizes that never repeat.
        let mut sizes = Vec::new();
        for run in 0..4 {
            sizes.extend(std::iter::repeat_n(1_200 - run, 20));
            sizes.push(7 + run);
        }
        sizes.extend(100..120);
        let sent: Vec<Vec<u8>> = sizes.iter().enumerate().map(|(i, &size)| pattern(size, i)).collect();
        sent.iter().for_each(|bytes| a.queue(single(b_addr, bytes.clone())));
        let got: Vec<Vec<u8>> =
            exchange(&mut a, &mut b, sent.len()).await.into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(got, sent);
        assert_eq!(io.stats(), IoStats { sent: sent.len() as u64, ..IoStats::default() });
    });
}

#[test]
fn a_run_leaves_as_it_is_and_arrives_datagram_by_datagram() {
    for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        run(async {
            let ((mut a, _, io), (mut b, b_addr, _)) = (socket(ip), socket(ip));
            let mut bytes = Vec::with_capacity(limits::TRANSMIT_BYTES);
            bytes.extend(pattern(40 * 1_452 + 7, 1));
            let run = Transmit { segment: Some(1_452), ecn: 2, whole: true, ..single(b_addr, bytes) };
            let mut sent: Vec<Vec<u8>> = run.datagrams().map(<[u8]>::to_vec).collect();
            sent.push(b"and one more".to_vec());
            a.queue(run);
            a.queue(single(b_addr, sent[41].clone()));
            let got: Vec<Vec<u8>> =
                exchange(&mut a, &mut b, sent.len()).await.into_iter().map(|(_, bytes)| bytes).collect();
            assert_eq!(got, sent);
            assert_eq!(io.stats(), IoStats { sent: 42, ..IoStats::default() });
            let buffers: Vec<Vec<u8>> = a.take_spent().collect();
            assert!(buffers.len() == 1 && buffers[0].capacity() >= limits::TRANSMIT_BYTES);
        });
    }
}

#[test]
fn a_run_that_cannot_leave_at_once_leaves_in_pieces() {
    run(async {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ((mut a, _, io), (mut b, b_addr, _)) = (socket(ip), socket(ip));
        // More datagrams than the system takes in one call.
        let run = Transmit { segment: Some(10), ..single(b_addr, pattern(1_503, 1)) };
        let sent: Vec<Vec<u8>> = run.datagrams().map(<[u8]>::to_vec).collect();
        a.queue(run);
        a.queue(single(b_addr, sent[0].clone()));
        let got: Vec<Vec<u8>> = exchange(&mut a, &mut b, 152).await.into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!((&got[..151], &got[151]), (&sent[..], &sent[0]));
        assert_eq!(io.stats(), IoStats { sent: 152, ..IoStats::default() });
    });
}

#[test]
fn the_bits_of_congestion_arrive() {
    for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        run(async {
            let ((mut a, _, _), (mut b, b_addr, _)) = (socket(ip), socket(ip));
            a.queue(Transmit { ecn: 2, ..single(b_addr, vec![1]) });
            let mut received = Received::new();
            let mut scratch = Vec::new();
            poll_fn(|context| {
                if a.poll_ready(context) {
                    a.flush(&mut scratch);
                }
                if b.poll_ready(context) && b.recv(&mut received, clock::now().mono) > 0 {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            assert!(received.runs().all(|(_, run)| run.ecn == 2 && run.bytes == [1][..]));
        });
    }
}

#[test]
fn a_whole_datagram_is_lost_rather_than_cut() {
    run(async {
        let ip = IpAddr::V6(Ipv6Addr::LOCALHOST);
        let ((mut a, _, io), (mut b, b_addr, _)) = (socket(ip), socket(ip));
        // Above the MTU of the loopback interface with its headers.
        let large = single(b_addr, vec![7; 65_507]);
        a.queue(Transmit { whole: true, ..large.clone() });
        a.queue(large);
        assert_eq!(exchange(&mut a, &mut b, 1).await.len(), 1);
        assert_eq!(io.stats(), IoStats { sent: 1, send_errors: 1, ..IoStats::default() });
    });
}

#[test]
fn the_largest_datagrams_arrive_whole_and_small_ones_after_them() {
    for (ip, largest) in [(IpAddr::V4(Ipv4Addr::LOCALHOST), 65_507), (IpAddr::V6(Ipv6Addr::LOCALHOST), 65_507)] {
        run(async {
            let ((mut a, _, _), (mut b, b_addr, _)) = (socket(ip), socket(ip));
            let sizes = [60_000, 5_000, 1_233, 100, largest, 1_452, 1];
            let sent: Vec<Vec<u8>> = sizes.iter().map(|&size| pattern(size, size)).collect();
            sent.iter().for_each(|bytes| a.queue(single(b_addr, bytes.clone())));
            let got = exchange(&mut a, &mut b, sent.len()).await;
            assert!(got.iter().map(|(_, bytes)| bytes).eq(&sent));
        });
    }
}

#[test]
fn a_blocked_socket_keeps_a_bounded_number_and_counts_the_rest() {
    run(async {
        let (mut a, _, io) = socket(Ipv4Addr::LOCALHOST.into());
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        // Nothing is sent before `flush`: to what is queued that is the same as a full send buffer.
        for _ in 0..limits::SEND_QUEUE_DATAGRAMS + 3 {
            a.queue(single(to, vec![1]));
        }
        a.flush(&mut Vec::new());
        assert_eq!(io.stats().send_dropped, 3);
        let (mut b, _, io) = socket(Ipv4Addr::LOCALHOST.into());
        for _ in 0..=limits::SEND_QUEUE_BYTES / 60_000 {
            b.queue(single(to, vec![0; 60_000]));
        }
        assert_eq!(io.stats().send_dropped, 1);
    });
}

#[test]
fn a_refused_datagram_is_counted_and_the_next_one_leaves() {
    run(async {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ((mut a, _, io), (mut b, b_addr, _)) = (socket(ip), socket(ip));
        // A broadcast is not permitted on this socket, and no datagram is so large.
        a.queue(single(SocketAddr::from((Ipv4Addr::BROADCAST, 9)), b"no".to_vec()));
        a.queue(single(b_addr, vec![0; 65_508]));
        a.queue(single(b_addr, b"yes".to_vec()));
        let got = exchange(&mut a, &mut b, 1).await;
        assert_eq!(got[0].1, b"yes");
        assert_eq!(io.stats().send_errors, 2);
    });
}

#[test]
fn a_receive_error_is_survived() {
    run(async {
        let (mut a, a_addr, io) = socket(Ipv4Addr::LOCALHOST.into());
        let b = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let b_addr = b.local_addr().unwrap();
        // A connected socket is told when nobody listens any more, before it is given what came earlier.
        socket2::SockRef::from(a.io()).connect(&b_addr.into()).unwrap();
        b.send_to(b"earlier", a_addr).unwrap();
        drop(b);
        a.send_now(b_addr, b"anybody?").unwrap();
        let mut received = Received::new();
        poll_fn(|context| if a.poll_ready(context) { Poll::Ready(()) } else { Poll::Pending }).await;
        assert_eq!(a.recv(&mut received, clock::now().mono), 1);
        assert!(received.runs().all(|(_, datagrams)| datagrams.bytes == b"earlier"[..]));
        assert_eq!(io.stats().recv_errors, 1);
    });
}

#[test]
fn names_resolve_or_fail_with_their_number() {
    run(async {
        let mut resolver = Resolver::new();
        resolver.start(7, "localhost".to_owned(), 4_000);
        let answer = poll_fn(|context| resolver.poll_answer(context)).await;
        assert_eq!(answer.query, 7);
        let addresses = answer.result.unwrap();
        assert!(addresses.iter().any(|address| address.ip().is_loopback() && address.port() == 4_000));
        // Not a name by any standard: refused without asking a server.
        resolver.start(8, "no..such..name".to_owned(), 1);
        let answer = poll_fn(|context| resolver.poll_answer(context)).await;
        assert_eq!(answer.query, 8);
        assert!(answer.result.unwrap_err().contains("no..such..name"));
    });
}

#[test]
fn every_look_up_is_answered_once_and_too_many_are_refused() {
    run(async {
        let mut resolver = Resolver::new();
        let total = limits::RESOLVER_CONCURRENT + limits::RESOLVER_WAITING + 5;
        for query in 0..total {
            resolver.start(query as u64, "127.0.0.1".to_owned(), 1);
        }
        let (mut queries, mut refused) = (Vec::new(), 0);
        for _ in 0..total {
            let answer = poll_fn(|context| resolver.poll_answer(context)).await;
            refused += usize::from(answer.result.is_err());
            queries.push(answer.query);
        }
        queries.sort_unstable();
        assert!(queries.into_iter().eq(0..total as u64));
        assert_eq!(refused, 5);
        let nothing_left = poll_fn(|context| Poll::Ready(resolver.poll_answer(context).is_pending())).await;
        assert!(nothing_left);
    });
}

fn quiet() -> Config {
    Config { lan: false, bind: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() }
}

/// The code of the last event; waits for it.
fn last_code(swarm: &Swarm) -> i32 {
    loop {
        assert!(swarm.events().wait(Some(DEADLINE)).unwrap(), "no event came");
        while let Some(record) = swarm.events().next().unwrap() {
            if record.kind == crate::event::kind::CLOSED {
                return record.code;
            }
        }
    }
}

#[test]
fn a_panic_under_a_call_ends_the_swarm_and_nothing_else() {
    let (broken, other) = (Swarm::new(quiet()).unwrap(), Swarm::new(quiet()).unwrap());
    let shared = broken.shared().clone();
    let call = std::panic::AssertUnwindSafe(|| shared.with_node(|_, _| panic!("for a test")));
    assert!(std::panic::catch_unwind(call).is_err());
    assert_eq!(last_code(&broken), Code::Panic as i32);
    assert_eq!(broken.broadcast(b"x").unwrap_err().code, Code::Closed);
    assert_eq!(broken.peers(), []);
    broken.shutdown();
    assert!(!other.events().closed());
    other.shutdown();
    assert_eq!(last_code(&other), 0);
}

#[test]
fn a_panic_on_the_network_thread_is_caught() {
    let swarm = Swarm::new(quiet()).unwrap();
    let shared = swarm.shared().clone();
    let broken = async { panic!("for a test") };
    thread::spawn(thread::runtime().unwrap(), shared, broken).unwrap().join().unwrap();
    assert_eq!(last_code(&swarm), Code::Panic as i32);
    swarm.shutdown();
    assert!(swarm.events().next().unwrap().is_none(), "nothing follows the last event");
}

#[test]
fn a_node_that_does_not_close_is_ended() {
    let swarm = Swarm::new(quiet()).unwrap();
    // As `close` would, had the node missed the call.
    swarm.shared().closing.store(true, std::sync::atomic::Ordering::Release);
    swarm.shutdown();
    assert_eq!(last_code(&swarm), Code::Internal as i32);
}
