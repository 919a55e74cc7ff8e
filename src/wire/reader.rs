//! A cursor over the bytes of one frame.
//!
//! Every read is checked against what is left and either moves forward or fails with
//! the name of the field; nothing indexes, nothing allocates. Integers are big-endian,
//! as everywhere on our wires. Addresses are text and must be exactly what the standard
//! library prints or parses: no leading zeros, no names, no scope, no spaces.

use super::error::{DecodeError, Problem};
use std::net::{IpAddr, SocketAddr};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reader<'a> {
    frame: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// `frame` is only the name for errors; `body` begins after the type byte.
    pub(crate) fn new(frame: &'static str, body: &'a [u8]) -> Reader<'a> {
        Reader { frame, rest: body }
    }

    pub(crate) fn error(&self, field: &'static str, problem: Problem) -> DecodeError {
        DecodeError::new(self.frame, field, problem)
    }

    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    /// Everything that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn bytes(&mut self, field: &'static str, count: usize) -> Result<&'a [u8], DecodeError> {
        let short = self.error(field, Problem::Short { need: count, have: self.rest.len() });
        let (head, tail) = self.rest.split_at_checked(count).ok_or(short)?;
        self.rest = tail;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        self.array_ref(field).copied()
    }

    pub(crate) fn array_ref<const N: usize>(&mut self, field: &'static str) -> Result<&'a [u8; N], DecodeError> {
        let short = self.error(field, Problem::Short { need: N, have: self.rest.len() });
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(short)?;
        self.rest = tail;
        Ok(head)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.array(field).map(u64::from_be_bytes)
    }

    /// A length byte and as many bytes.
    pub(crate) fn short_bytes(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let count = self.u8(field)?;
        self.bytes(field, usize::from(count))
    }

    /// Fails if something is left.
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            have => Err(self.error("end", Problem::Long { have, most: 0 })),
        }
    }
}

/// The address that this text is, if it is one in full.
pub(crate) fn parse_ip(text: &[u8]) -> Option<IpAddr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The same with its port; none also if it cannot be dialled: no port, or the unspecified address.
pub(crate) fn dial_address(ip: &[u8], port: u16) -> Option<SocketAddr> {
    parse_ip(ip).map(|ip| SocketAddr::new(ip, port)).filter(leads_somewhere)
}

/// Neither the port nor the address is unspecified.
pub(crate) fn leads_somewhere(address: &SocketAddr) -> bool {
    !address.ip().is_unspecified() && address.port() != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_in_order_and_names_the_field_that_is_missing() {
        let mut reader = Reader::new("TEST", &[1, 2, 3, 2, 9, 9, 7]);
        assert_eq!(reader.u8("a"), Ok(1));
        assert_eq!(reader.u16("b"), Ok(0x0203));
        assert_eq!(reader.short_bytes("c"), Ok(&[9u8, 9][..]));
        assert!(reader.end().is_err());
        let error = reader.u64("d").unwrap_err();
        assert_eq!(error, DecodeError::new("TEST", "d", Problem::Short { need: 8, have: 1 }));
        assert_eq!(error.to_string(), "TEST frame, d: needs 8 bytes, 1 are left");
        assert_eq!(reader.rest(), &[7], "a failed read must not move the cursor");
    }

    #[test]
    fn addresses_are_read_strictly() {
        assert_eq!(parse_ip(b"10.0.0.1"), Some(IpAddr::from([10, 0, 0, 1])));
        assert_eq!(parse_ip(b"::1"), Some("::1".parse().unwrap()));
        for bad in ["", "10.0.0", "010.0.0.1", "10.0.0.256", " 10.0.0.1", "10.0.0.1\0", "localhost", "fe80::1%1"] {
            assert_eq!(parse_ip(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse_ip(&[0xff, 0xfe]), None);
    }
}
