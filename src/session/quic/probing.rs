//! PROBE and PROBE_ACK: finding our own kind at an address before anything is built up.
//!
//! An answer costs no state: the cookie in it proves the address to us when the first QUIC packet
//! carries it. Answers are smaller than questions and bounded per address and in all. A PROBE
//! that names a key is answered by that peer alone.
//! In: decoded frames. Out: datagrams, and for an awaited answer the cookie to dial with.

use crate::bucket::PerSource;
use crate::config::limits::{HELLO_SOURCES, PROBE_ACKS_PER_IP, PROBE_ACKS_PER_SECOND};
use crate::crypto::probe::{Cookies, is_meant, probe_target};
use crate::session::Env;
use crate::wire::v13::{Probe, ProbeAck};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use std::net::SocketAddr;
use std::time::Instant;

/// Answers to PROBEs, and the cookies in them.
pub struct Probing {
    cookies: Cookies,
    answers: PerSource,
}

impl Probing {
    pub fn new(rng: &mut ChaCha20Rng, now: Instant) -> Probing {
        let mut secret = [0; 32];
        rng.fill_bytes(&mut secret);
        let answers = PerSource::new(PROBE_ACKS_PER_SECOND, PROBE_ACKS_PER_IP, HELLO_SOURCES, now);
        Probing { cookies: Cookies::new(secret), answers }
    }

    pub fn cookies(&self) -> &Cookies {
        &self.cookies
    }

    /// Answers a PROBE that is meant for us, or for anybody.
    pub fn answer(&mut self, env: &mut Env<'_>, from: SocketAddr, probe: &Probe) {
        let meant = probe.target == [0; 16] || is_meant(&env.identity.key(), &probe.nonce, &probe.target);
        if !meant || !self.answers.take(from.ip(), env.now.mono) {
            env.out.stats.datagrams_rejected += 1;
            return;
        }
        let ack =
            ProbeAck { nonce: probe.nonce, cookie: self.cookies.issue(env.now, from, &probe.nonce), observed: from };
        env.out.send(from, ack.encode().to_vec());
    }
}

/// Sends a PROBE and returns its nonce.
pub fn send_probe(env: &mut Env<'_>, to: SocketAddr, key: Option<[u8; 32]>) -> [u8; 16] {
    let mut nonce = [0; 16];
    env.rng.fill_bytes(&mut nonce);
    let target = key.map_or([0; 16], |key| probe_target(&key, &nonce));
    env.out.send(to, Probe { nonce, target }.encode().to_vec());
    nonce
}
