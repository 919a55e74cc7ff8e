//! Where a swarm binds: an address, and a port or a range of ports.

use crate::error::{Error, Result};
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// An address with its first port, and the last one that may be taken instead. Port 0: any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bind {
    pub addr: SocketAddr,
    pub last_port: u16,
}

impl Bind {
    /// The ports in the order in which they are tried.
    pub fn ports(&self) -> RangeInclusive<u16> {
        self.addr.port()..=self.last_port
    }

    pub fn is_range(&self) -> bool {
        self.addr.port() != self.last_port
    }
}

impl From<SocketAddr> for Bind {
    fn from(addr: SocketAddr) -> Bind {
        Bind { addr, last_port: addr.port() }
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_range() {
            true => write!(f, "{}-{}", self.addr, self.last_port),
            false => write!(f, "{}", self.addr),
        }
    }
}

impl FromStr for Bind {
    type Err = Error;

    /// `0.0.0.0:0`, or `[::]:10000-10100`.
    fn from_str(text: &str) -> Result<Bind> {
        let wrong = || {
            Error::invalid(format!("bind: {text:?} is not an address like 0.0.0.0:0, [::]:0 or 0.0.0.0:10000-10100"))
        };
        if let Ok(addr) = text.parse::<SocketAddr>() {
            return Ok(addr.into());
        }
        let (addr, last) = text.rsplit_once('-').ok_or_else(wrong)?;
        let addr: SocketAddr = addr.parse().map_err(|_| wrong())?;
        // A sign is no part of a port.
        let last_port =
            last.parse().ok().filter(|_| last.starts_with(|c: char| c.is_ascii_digit())).ok_or_else(wrong)?;
        if addr.port() == 0 || last_port < addr.port() {
            return Err(Error::invalid(format!("bind: {text:?} is not a range of ports from 1 to 65535 upwards")));
        }
        Ok(Bind { addr, last_port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_port_or_a_range() {
        let bind: Bind = "[::1]:10000-10100".parse().unwrap();
        assert_eq!((bind.addr, bind.last_port), ("[::1]:10000".parse().unwrap(), 10_100));
        assert_eq!(bind.to_string(), "[::1]:10000-10100");
        assert_eq!(bind.ports(), 10_000..=10_100);
        let bind: Bind = "0.0.0.0:0".parse().unwrap();
        assert_eq!((bind.ports(), bind.is_range(), bind.to_string()), (0..=0, false, "0.0.0.0:0".to_owned()));
        let bind: Bind = "127.0.0.1:7-7".parse().unwrap();
        assert_eq!((bind.ports(), bind.is_range()), (7..=7, false));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for wrong in ["", "0.0.0.0", "0.0.0.0:1-", "0.0.0.0:-1", "0.0.0.0:2-1", "0.0.0.0:0-9", "0.0.0.0:1-65536"] {
            assert!(wrong.parse::<Bind>().unwrap_err().detail.starts_with("bind:"), "{wrong}");
        }
        for wrong in ["0.0.0.0:1-+2", "0.0.0.0:1- 2", "0.0.0.0:1-2-3", "localhost:1-2"] {
            assert!(wrong.parse::<Bind>().is_err(), "{wrong}");
        }
    }
}
