//! Codes of the frames that come before a connection: whom a PROBE is meant for, and
//! the cookie that its answer brings.
//!
//! A cookie shows that its bearer received a packet at an address a minute or two ago.
//! Nothing is kept to check it: it is a code over the address and a part of the PROBE's nonce, under a secret that
//! one swarm draws and never shows. The nonce makes it another one for each PROBE, because QUIC takes it for the name
//! of a connection attempt.

use super::mac::{Mac, hmac};
use crate::node::api::Now;
use std::net::{IpAddr, SocketAddr};
use zeroize::Zeroizing;

/// Bytes of a cookie.
pub const COOKIE_LEN: usize = 16;
/// Half of it names the attempt, half is the code: nobody guesses 64 bits within its two minutes.
const HALF: usize = 8;

/// How long a cookie is of one epoch, in microseconds; it is accepted in its own and in the next.
const EPOCH_US: u64 = 60_000_000;

/// What a PROBE says to the one peer it is meant for: to those who know the peer's key already, who that is;
/// to others, nothing.
pub fn probe_target(key: &[u8; 32], nonce: &[u8; 16]) -> [u8; 16] {
    hmac(key, &[b"setowire/13 probe", nonce]).cut()
}

/// Whether a PROBE with this target means the peer with this key.
pub fn is_meant(key: &[u8; 32], nonce: &[u8; 16], target: &[u8; 16]) -> bool {
    hmac(key, &[b"setowire/13 probe", nonce]).fits(target)
}

/// Makes and checks cookies.
pub struct Cookies {
    secret: Zeroizing<[u8; 32]>,
}

impl Cookies {
    /// The secret must be random, and new for every swarm.
    pub fn new(secret: [u8; 32]) -> Cookies {
        Cookies { secret: Zeroizing::new(secret) }
    }

    /// The cookie for a PROBE with this nonce from this address.
    pub fn issue(&self, now: Now, from: SocketAddr, nonce: &[u8; 16]) -> [u8; COOKIE_LEN] {
        let [mut name, mut code] = [[0; HALF]; 2];
        name.copy_from_slice(&nonce[..HALF]);
        code.copy_from_slice(&self.code(epoch(now), from, &name).cut::<HALF>());
        let mut cookie = [0; COOKIE_LEN];
        cookie[..HALF].copy_from_slice(&name);
        cookie[HALF..].copy_from_slice(&code);
        cookie
    }

    /// Whether `cookie` was made for this address in this epoch or the one before.
    pub fn check(&self, now: Now, from: SocketAddr, cookie: &[u8]) -> bool {
        let epoch = epoch(now);
        let Some((name, code)) = cookie.split_first_chunk::<HALF>().filter(|(_, code)| code.len() == HALF) else {
            return false;
        };
        self.code(epoch, from, name).fits(code) || self.code(epoch.wrapping_sub(1), from, name).fits(code)
    }

    fn code(&self, epoch: u32, from: SocketAddr, name: &[u8; HALF]) -> Mac {
        // As a dual-stack socket would have it, so that no address has two forms.
        let ip = match from.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        hmac(&self.secret, &[&epoch.to_be_bytes(), &ip.octets(), &from.port().to_be_bytes(), name])
    }
}

/// Enough bits for half a million years, and only ever compared with its neighbour.
fn epoch(now: Now) -> u32 {
    (now.unix_us / EPOCH_US) as u32
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base for virtual time")]
mod tests {
    use super::*;
    use std::time::Instant;

    fn at(seconds: u64) -> Now {
        Now { mono: Instant::now(), unix_us: seconds * 1_000_000 }
    }

    #[test]
    fn a_cookie_is_of_one_address_and_lasts_a_minute_or_two() {
        let cookies = Cookies::new([5; 32]);
        let from: SocketAddr = "192.0.2.1:4000".parse().expect("address");
        let cookie = cookies.issue(at(59), from, &[9; 16]);
        assert_ne!(cookie, cookies.issue(at(59), from, &[8; 16]), "another one for each PROBE");
        for (seconds, good) in [(0, true), (59, true), (60, true), (119, true), (120, false), (180, false)] {
            assert_eq!(cookies.check(at(seconds), from, &cookie), good, "after {seconds} s");
        }
        for other in ["192.0.2.2:4000", "192.0.2.1:4001", "[2001:db8::1]:4000"] {
            assert!(!cookies.check(at(59), other.parse().expect("address"), &cookie), "{other}");
        }
        assert!(!Cookies::new([6; 32]).check(at(59), from, &cookie), "of another swarm");
        assert!(!cookies.check(at(59), from, &cookie[..8]), "a beginning is not enough");
        assert!(!cookies.check(at(59), from, &[]));
        let mapped = "[::ffff:192.0.2.1]:4000".parse().expect("address");
        assert!(cookies.check(at(59), mapped, &cookie), "the same address in its other form");
    }

    #[test]
    fn a_target_is_of_one_key_and_one_probe() {
        let target = probe_target(&[1; 32], &[2; 16]);
        assert_eq!(target, probe_target(&[1; 32], &[2; 16]));
        assert_ne!(target, probe_target(&[2; 32], &[2; 16]));
        assert_ne!(target, probe_target(&[1; 32], &[3; 16]));
    }
}
