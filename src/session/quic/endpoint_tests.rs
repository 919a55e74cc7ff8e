//! First packets as they are not meant to be: borrowed, kept, forged, of another QUIC.

use super::endpoint::{Arrival, Endpoint};
use super::transport::transport;
use crate::config::Cipher;
use crate::crypto::identity::Identity;
use crate::crypto::probe::Cookies;
use crate::crypto::tls::Tls;
use crate::node::api::Now;
use bytes::BytesMut;
use quinn_proto::{Connection, ConnectionHandle};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const DIALLER: &str = "192.0.2.1:1000";
const ACCEPTOR: &str = "192.0.2.2:2000";
const OTHERS: [&str; 3] = ["192.0.2.1:1001", "192.0.2.3:1000", "[2001:db8::1]:1000"];

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// An acceptor, and a dialler with a connection that it begins.
struct Bed {
    now: Now,
    acceptor: Endpoint,
    cookies: Cookies,
    dialler: Endpoint,
    connection: (ConnectionHandle, Connection),
}

impl Bed {
    /// The dialler's cookie is the one it got for `from`, or another.
    #[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
    fn new(cookie: Option<[u8; 16]>) -> Bed {
        let now = Now { mono: Instant::now(), unix_us: 1_795_000_000_000_000 };
        let cookies = Cookies::new([7; 32]);
        let tls = [1, 2].map(|n| Tls::new(&Identity::from_seed(&[n; 32]), Cipher::ChaCha20).expect("TLS"));
        let [mut dialler, acceptor] = [0, 1].map(|n: usize| {
            let mut rng = ChaCha20Rng::from_seed([n as u8; 32]);
            Endpoint::new(tls[n].server(), transport(), &mut rng, now)
        });
        let cookie = cookie.unwrap_or_else(|| cookies.issue(now, addr(DIALLER), &[9; 16]));
        let connection = dialler.connect(now, addr(ACCEPTOR), tls[0].client(None), cookie).expect("dials");
        Bed { now, acceptor, cookies, dialler, connection }
    }

    /// What the dialler sends next.
    fn said(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let sent = self.connection.1.poll_transmit(self.now.mono, 1, &mut bytes).expect("a datagram").size;
        bytes.truncate(sent);
        bytes
    }

    /// The acceptor gets it from there.
    fn arrives(&mut self, from: &str, datagram: &[u8]) -> Arrival {
        self.acceptor.receive(self.now, addr(from), None, BytesMut::from(datagram), &self.cookies, || true)
    }

    /// The dialler takes the acceptor's answer, and says what follows.
    fn answered(&mut self, answer: &[u8]) -> Vec<u8> {
        match self.dialler.receive(self.now, addr(ACCEPTOR), None, BytesMut::from(answer), &self.cookies, || true) {
            Arrival::Event(_, event) => self.connection.1.handle_event(event),
            _ => panic!("not for the connection"),
        }
        self.said()
    }

    fn wait(&mut self, seconds: u64) {
        self.now.mono += Duration::from_secs(seconds);
        self.now.unix_us += seconds * 1_000_000;
    }
}

/// It must be a Retry, smaller than what caused it.
fn retry(arrival: Arrival) -> Vec<u8> {
    match arrival {
        Arrival::Answer(answer) => {
            assert_eq!(answer[0] & 0xf0, 0xf0, "a Retry");
            assert!(answer.len() < 200, "{} bytes", answer.len());
            answer
        }
        Arrival::New(..) => panic!("it was let in"),
        _ => panic!("no answer"),
    }
}

#[test]
fn a_cookie_lets_in_from_its_address_and_from_no_other() {
    let mut bed = Bed::new(None);
    let first = bed.said();
    for other in OTHERS {
        retry(bed.arrives(other, &first));
        assert_eq!(bed.acceptor.held(), (0, 0), "{other}");
    }
    assert!(matches!(bed.arrives(DIALLER, &first), Arrival::New(..)));
    assert!(matches!(bed.arrives(DIALLER, &first), Arrival::Event(..)), "the same packet again makes no second one");
    assert_eq!(bed.acceptor.held().0, 1);
}

#[test]
fn a_cookie_that_is_forged_or_old_lets_nobody_in() {
    let good = Bed::new(None);
    let cookie = good.cookies.issue(good.now, addr(DIALLER), &[9; 16]);
    for i in 0..cookie.len() {
        let mut forged = cookie;
        forged[i] ^= 1;
        let mut bed = Bed::new(Some(forged));
        let first = bed.said();
        retry(bed.arrives(DIALLER, &first));
        assert_eq!(bed.acceptor.held(), (0, 0), "byte {i}");
    }
    let mut bed = Bed::new(None);
    let first = bed.said();
    bed.wait(121);
    retry(bed.arrives(DIALLER, &first));
}

#[test]
fn the_token_of_a_retry_lets_in_from_its_address_for_a_while_and_once() {
    let begin = || {
        let mut bed = Bed::new(Some([3; 16]));
        let first = bed.said();
        let retry = retry(bed.arrives(DIALLER, &first));
        let second = bed.answered(&retry);
        (bed, second)
    };
    let (mut bed, second) = begin();
    for other in OTHERS {
        let Arrival::Answer(refused) = bed.arrives(other, &second) else { panic!("a stolen token from {other}") };
        assert!(refused.len() < second.len());
        assert_eq!(bed.acceptor.held(), (0, 0), "{other}");
    }
    assert!(matches!(bed.arrives(DIALLER, &second), Arrival::New(..)));
    assert!(matches!(bed.arrives(DIALLER, &second), Arrival::Event(..)), "the same packet again makes no second one");
    assert_eq!(bed.acceptor.held().0, 1);

    let (mut bed, second) = begin();
    bed.wait(60);
    assert!(matches!(bed.arrives(DIALLER, &second), Arrival::Answer(_)), "too late");
    assert_eq!(bed.acceptor.held(), (0, 0));
}

/// Drafts of QUIC have other keys for their first packets; they are not spoken.
#[test]
fn another_version_of_quic_is_not_spoken() {
    for version in [0xff00_001d_u32, 0xff00_0022, 0x6b33_43cf, 0x0a1a_2a3a] {
        let mut bed = Bed::new(None);
        let mut first = bed.said();
        first[1..5].copy_from_slice(&version.to_be_bytes());
        let Arrival::Answer(answer) = bed.arrives(DIALLER, &first) else { panic!("no answer to {version:x}") };
        assert_eq!(answer[1..5], [0; 4], "version negotiation");
        let ids = 2 + usize::from(answer[5]) + usize::from(answer[6 + usize::from(answer[5])]);
        let versions: Vec<&[u8]> = answer[5 + ids..].chunks(4).filter(|v| v[0] & 0x0f != 0x0a).collect();
        assert_eq!(versions, [[0, 0, 0, 1]], "QUIC 1 alone");
        assert!(matches!(bed.arrives(DIALLER, &first[..1_199]), Arrival::Nothing), "what is small gets no answer");
        assert_eq!(bed.acceptor.held(), (0, 0));
    }
}

#[test]
fn small_first_packets_get_no_answer() {
    let mut bed = Bed::new(Some([3; 16]));
    let first = bed.said();
    for size in [0, 1, 30, 1_199] {
        assert!(matches!(bed.arrives(DIALLER, &first[..size]), Arrival::Nothing), "{size} bytes");
    }
}
