//! STUN binding: asks a server which address our datagrams come from (RFC 8489).
//!
//! Out: a request with the caller's random transaction id. In: a datagram and that id; the
//! answer is believed only if type, magic cookie and transaction id are right, because
//! anyone can send one. The caller also checks that it came from the server asked.
//! XOR-MAPPED-ADDRESS is preferred; MAPPED-ADDRESS is what servers of the old kind send.

use super::{
    error::{DecodeError, Problem},
    reader::{Reader, leads_somewhere},
};
use std::net::{IpAddr, SocketAddr};

/// Bytes of a request, and of the header of an answer.
pub const STUN_HEADER: usize = 20;
/// Chosen by the caller at random, returned by the server.
pub type TransactionId = [u8; 12];

const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: u16 = 0x0101;
const MAPPED_ADDRESS: u16 = 0x0001;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// A binding request without attributes.
pub fn encode_request(transaction: &TransactionId) -> [u8; STUN_HEADER] {
    let mut request = [0; STUN_HEADER];
    let content = BINDING_REQUEST.iter().chain(&[0, 0]).chain(&COOKIE).chain(transaction);
    for (byte, value) in request.iter_mut().zip(content) {
        *byte = *value;
    }
    request
}

/// The address in the answer to the request with this transaction id.
pub fn decode_response(datagram: &[u8], transaction: &TransactionId) -> Result<SocketAddr, DecodeError> {
    let mut reader = Reader::new("STUN", datagram);
    let kind = reader.u16("type")?;
    if kind != BINDING_SUCCESS {
        return Err(reader.error("type", Problem::Range(u64::from(kind))));
    }
    let length = reader.u16("length")?;
    if reader.array("cookie")? != COOKIE {
        return Err(reader.error("cookie", Problem::Mismatch));
    }
    if reader.array::<12>("transaction id")? != *transaction {
        return Err(reader.error("transaction id", Problem::Mismatch));
    }
    let mut attributes = Reader::new("STUN", reader.bytes("attributes", usize::from(length))?);
    let mut plain = None;
    while attributes.len() > 0 {
        let kind = attributes.u16("attribute type")?;
        let length = usize::from(attributes.u16("attribute length")?);
        let value = Reader::new("STUN", attributes.bytes("attribute", length)?);
        // Attributes begin at multiples of four; servers may leave out the padding of the last one.
        let padding = length.next_multiple_of(4).saturating_sub(length).min(attributes.len());
        attributes.bytes("padding", padding)?;
        match kind {
            XOR_MAPPED_ADDRESS => return address(value, Some(transaction)),
            MAPPED_ADDRESS if plain.is_none() => plain = Some(address(value, None)?),
            _ => {}
        }
    }
    plain.ok_or(reader.error("mapped address", Problem::Short { need: 8, have: 0 }))
}

/// The address in an attribute; `mask`: it is hidden from address-rewriting routers.
fn address(mut value: Reader<'_>, mask: Option<&TransactionId>) -> Result<SocketAddr, DecodeError> {
    let mut pad = [0; 16];
    if let Some(transaction) = mask {
        for (byte, value) in pad.iter_mut().zip(COOKIE.iter().chain(transaction)) {
            *byte = *value;
        }
    }
    let [high, low, ..] = pad;
    let family = value.u16("family")? & 0xFF;
    let port = value.u16("port")? ^ u16::from_be_bytes([high, low]);
    let ip = match family {
        1 => IpAddr::from(unmask::<4>(value.array("address")?, &pad)),
        2 => IpAddr::from(unmask::<16>(value.array("address")?, &pad)),
        other => return Err(value.error("family", Problem::Range(u64::from(other)))),
    };
    let address = SocketAddr::new(ip, port);
    if !leads_somewhere(&address) {
        return Err(value.error("address", Problem::Range(u64::from(port))));
    }
    Ok(address)
}

fn unmask<const N: usize>(mut bytes: [u8; N], pad: &[u8; 16]) -> [u8; N] {
    for (byte, mask) in bytes.iter_mut().zip(pad) {
        *byte ^= mask;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An answer with these attributes, each with its padding.
    fn response(transaction: &TransactionId, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, value) in attributes {
            body.extend(kind.to_be_bytes());
            body.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut datagram = vec![1, 1];
        datagram.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        datagram.extend(COOKIE);
        datagram.extend(transaction);
        datagram.extend(body);
        datagram
    }

    fn attribute(address: SocketAddr, mask: Option<&TransactionId>) -> Vec<u8> {
        let mut pad = [0; 16];
        if let Some(transaction) = mask {
            pad[..4].copy_from_slice(&COOKIE);
            pad[4..].copy_from_slice(transaction);
        }
        let (family, octets) = match address.ip() {
            IpAddr::V4(ip) => (1, ip.octets().to_vec()),
            IpAddr::V6(ip) => (2, ip.octets().to_vec()),
        };
        let port = address.port().to_be_bytes();
        let mut value = vec![0, family, port[0] ^ pad[0], port[1] ^ pad[1]];
        value.extend(octets.iter().zip(pad).map(|(octet, mask)| octet ^ mask));
        value
    }

    #[test]
    fn only_the_answer_to_our_own_question_is_believed() {
        let ours = [7; 12];
        let value = attribute("192.0.2.1:5".parse().unwrap(), Some(&ours));
        let good = response(&ours, &[(0x8022, b"name"), (XOR_MAPPED_ADDRESS, &value)]);
        assert_eq!(decode_response(&good, &ours), Ok("192.0.2.1:5".parse().unwrap()));
        assert_eq!(decode_response(&good, &[8; 12]).unwrap_err().field, "transaction id");
        for (offset, field) in [(0, "type"), (4, "cookie"), (8, "transaction id"), (3, "attributes")] {
            let mut bad = good.clone();
            bad[offset] ^= 0x40;
            assert_eq!(decode_response(&bad, &ours).unwrap_err().field, field);
        }
        for length in 0..good.len() {
            assert!(decode_response(&good[..length], &ours).is_err(), "{length}");
        }
    }

    #[test]
    fn odd_attributes() {
        let id = [7; 12];
        let plain = attribute("192.0.2.1:5".parse().unwrap(), None);
        let other = attribute("192.0.2.2:5".parse().unwrap(), None);
        let hidden = attribute("192.0.2.3:5".parse().unwrap(), Some(&id));
        let read = |attributes: &[(u16, &[u8])]| decode_response(&response(&id, attributes), &id);
        assert_eq!(read(&[(1, &plain), (1, &other)]), Ok("192.0.2.1:5".parse().unwrap()));
        assert_eq!(read(&[(1, &plain), (0x20, &hidden)]), Ok("192.0.2.3:5".parse().unwrap()));
        assert_eq!(read(&[]).unwrap_err().field, "mapped address");
        assert_eq!(read(&[(1, &[0, 9, 0, 5, 1, 2, 3, 4])]).unwrap_err().field, "family");
        assert_eq!(read(&[(1, &[0, 1, 0, 0, 1, 2, 3, 4])]).unwrap_err().field, "address");
        assert_eq!(read(&[(1, &[0, 2, 0, 5, 1, 2, 3, 4])]).unwrap_err().field, "address");
        // The last attribute may come without its padding.
        let mut unpadded = response(&id, &[(1, &plain), (0x8022, b"abc")]);
        unpadded.pop();
        unpadded[3] -= 1;
        assert_eq!(decode_response(&unpadded, &id), Ok("192.0.2.1:5".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn round_trip(id: [u8; 12], ip: IpAddr, port in 1u16..) {
            prop_assume!(!ip.is_unspecified());
            let address = SocketAddr::new(ip, port);
            let hidden = response(&id, &[(XOR_MAPPED_ADDRESS, &attribute(address, Some(&id)))]);
            prop_assert_eq!(decode_response(&hidden, &id), Ok(address));
            let plain = response(&id, &[(MAPPED_ADDRESS, &attribute(address, None))]);
            prop_assert_eq!(decode_response(&plain, &id), Ok(address));
        }
    }
}
