//! LAN beacon: a peer says on the local network that it is there.
//!
//! Type, then text: `id:address:port:topic hash`, 40 hex digits for the id. Old peers send
//! 12 digits of the topic hash, C++ 24; before a topic is joined there are none. Fields after the
//! hash are ignored here, as JavaScript and Python do. Our own IPv6 beacon leaves
//! the address empty, because `:` separates fields: the receiver takes the sender's.
//! A port that is 0 or above 65,535 is no beacon: forwarding it kills old peers.

use super::{
    error::{DecodeError, Problem},
    hex, kind,
    topic::{LONG_DIGITS, SHORT_DIGITS},
};
use crate::{config::limits::LAN_MAX_BEACON, crypto::identity::LegacyId};
use std::net::Ipv4Addr;

/// The content of a beacon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beacon<'a> {
    pub id: LegacyId,
    /// What the sender believes its address is; often wrong. None in our IPv6 beacons.
    pub ip: Option<Ipv4Addr>,
    /// Port of the sender's main socket, not 0.
    pub port: u16,
    /// 12 or 24 hex digits, or empty: no topic. Compare without regard to case.
    pub topic_hash: &'a str,
}

impl<'a> Beacon<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Beacon<'a>, DecodeError> {
        let error = |field, problem| DecodeError::new("LAN", field, problem);
        if body.len() >= LAN_MAX_BEACON {
            return Err(error("text", Problem::Long { have: body.len(), most: LAN_MAX_BEACON }));
        }
        let mut fields = body.split(|byte| *byte == b':');
        let mut text = |field| {
            let bytes = fields.next().unwrap_or_default();
            std::str::from_utf8(bytes).map_err(|_| error(field, Problem::Text))
        };
        let id = hex::decode(text("id")?.as_bytes()).ok_or(error("id", Problem::Text))?;
        let ip = match text("address")? {
            "" => None,
            ip => Some(ip.parse().map_err(|_| error("address", Problem::Text))?),
        };
        let port = match parse_port(text("port")?) {
            Some(0) | None => return Err(error("port", Problem::Text)),
            Some(port) => port,
        };
        let topic_hash = text("topic hash")?;
        if !is_topic_hash(topic_hash) {
            return Err(error("topic hash", Problem::Text));
        }
        Ok(Beacon { id, ip, port, topic_hash })
    }

    /// Writes the beacon: four fields, as C++ peers want it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let ip = self.ip.map(|ip| ip.to_string()).unwrap_or_default();
        out.push(kind::LAN);
        out.extend(format!("{}:{ip}:{}:{}", hex::encode(&self.id), self.port, self.topic_hash).as_bytes());
    }
}

/// Digits only: the number parser of the standard library would take a sign.
fn parse_port(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn is_topic_hash(text: &str) -> bool {
    matches!(text.len(), 0 | SHORT_DIGITS | LONG_DIGITS) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::super::Frame;
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "6e46eb890d7b6ca5204178b3432f1dd6c06bc5f4";

    fn frame(text: &str) -> Vec<u8> {
        let mut frame = vec![kind::LAN];
        frame.extend(text.as_bytes());
        frame
    }

    fn read(text: &str) -> Result<(Option<Ipv4Addr>, u16, String), &'static str> {
        match Frame::decode(&frame(text)) {
            Ok(Frame::Beacon(beacon)) => Ok((beacon.ip, beacon.port, beacon.topic_hash.to_owned())),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.field),
        }
    }

    #[test]
    fn the_forms_in_use_are_read() {
        let ip = Some(Ipv4Addr::new(10, 0, 0, 9));
        let short = "0123456789ab".to_owned();
        assert_eq!(read(&format!("{ID}:10.0.0.9:1:")), Ok((ip, 1, String::new())));
        assert_eq!(read(&format!("{ID}:10.0.0.9:1")), Ok((ip, 1, String::new())));
        assert_eq!(read(&format!("{ID}:10.0.0.9:65535:{short}")), Ok((ip, 65_535, short.clone())));
        assert_eq!(read(&format!("{ID}:10.0.0.9:7:{short}{short}")), Ok((ip, 7, short.repeat(2))));
        assert_eq!(read(&format!("{ID}::7:{short}")), Ok((None, 7, short.clone())));
        assert_eq!(read(&format!("{ID}::7:{short}:x=1:y")), Ok((None, 7, short.clone())));
        let mut odd_tail = frame(&format!("{ID}::7:{short}:"));
        odd_tail.extend([0xff, 0xfe]);
        assert!(Frame::decode(&odd_tail).is_ok());
    }

    #[test]
    fn what_would_harm_somebody_is_not_read() {
        for (text, field) in [
            (String::new(), "id"),
            (format!("{}:10.0.0.9:1:", &ID[1..]), "id"),
            (format!("{ID}0:10.0.0.9:1:"), "id"),
            (format!("{ID}:host:1:"), "address"),
            (format!("{ID}:10.0.0.09:1:"), "address"),
            (format!("{ID}:10.0.0.9:0:"), "port"),
            (format!("{ID}:10.0.0.9:65536:"), "port"),
            (format!("{ID}:10.0.0.9:+7:"), "port"),
            (format!("{ID}:10.0.0.9::"), "port"),
            (format!("{ID}:10.0.0.9"), "port"),
            (format!("{ID}:10.0.0.9:1:0123456789a"), "topic hash"),
            (format!("{ID}:10.0.0.9:1:0123456789ag"), "topic hash"),
            (format!("{ID}:10.0.0.9:1::{}", "x".repeat(LAN_MAX_BEACON)), "text"),
        ] {
            assert_eq!(read(&text), Err(field), "{text}");
        }
        let mut not_text = frame(&format!("{ID}:10.0.0.9:1:"));
        not_text.push(0xff);
        assert!(Frame::decode(&not_text).is_err());
    }

    proptest! {
        #[test]
        fn round_trip(id: [u8; 20], ip: Option<[u8; 4]>, port in 1u16.., hash in "([0-9a-f]{12}|[0-9a-f]{24}|)") {
            let beacon = Beacon { id, ip: ip.map(Ipv4Addr::from), port, topic_hash: &hash };
            let mut frame = Vec::new();
            beacon.encode(&mut frame);
            prop_assert_eq!(Frame::decode(&frame), Ok(Frame::Beacon(beacon)));
        }
    }
}
