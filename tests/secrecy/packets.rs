//! QUIC packets (RFC 9000, section 17) and what protects them (RFC 9001, section 5), and the checks against its appendix A.

use crate::schedule::{Secret, expand, extract};
use ring::aead::quic::{self, HeaderProtectionKey};
use ring::aead::{AES_128_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use std::rc::Rc;

/// Connection ids of ours, which packets with a short header begin with.
const CID: usize = 8;
const INITIAL_SALT: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f,
    0x0a,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    Aes128Gcm,
    ChaCha20Poly1305,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    Initial,
    Handshake,
    Application,
}

/// A packet as it was on the wire.
#[derive(Clone, Debug)]
pub struct Packet {
    pub space: Space,
    /// The destination's connection id.
    pub to: Vec<u8>,
    bytes: Vec<u8>,
    number_at: usize,
}

/// A packet of which the number is known and the content in clear.
#[derive(Clone, Debug)]
pub struct Opened {
    pub number: u64,
    pub payload: Vec<u8>,
}

/// Reads a variable-length integer and moves on.
pub fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let (first, _) = bytes.split_first()?;
    let size = 1 << (first >> 6);
    let (number, rest) = bytes.split_at_checked(size)?;
    *bytes = rest;
    let number = number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    // The first two bits tell the size.
    Some(number & ((1 << (8 * size - 2)) - 1))
}

/// The packets of a datagram; none of a Retry, of Version Negotiation or of what is no QUIC.
pub fn split(mut datagram: &[u8]) -> Vec<Packet> {
    let mut packets = Vec::new();
    while let Some((packet, length)) = first(datagram) {
        packets.push(packet);
        datagram = &datagram[length..];
    }
    packets
}

fn first(bytes: &[u8]) -> Option<(Packet, usize)> {
    let kind = *bytes.first()?;
    if kind & 0x40 == 0 {
        return None;
    }
    if kind & 0x80 == 0 {
        let to = bytes.get(1..1 + CID)?.to_vec();
        let packet = Packet { space: Space::Application, to, bytes: bytes.to_vec(), number_at: 1 + CID };
        return Some((packet, bytes.len()));
    }
    let space = match kind >> 4 & 3 {
        0 => Space::Initial,
        2 => Space::Handshake,
        _ => return None,
    };
    let mut rest = bytes.get(5..).filter(|_| bytes[1..5] == [0, 0, 0, 1])?;
    let [to, _from] = [(); 2].map(|()| {
        let (length, after) = rest.split_first()?;
        let (id, after) = after.split_at_checked(usize::from(*length))?;
        rest = after;
        Some(id)
    });
    if space == Space::Initial {
        let token = varint(&mut rest)?;
        rest = rest.get(token as usize..)?;
    }
    let length = varint(&mut rest)? as usize;
    let number_at = bytes.len() - rest.len();
    let whole = bytes.get(..number_at + length)?.to_vec();
    Some((Packet { space, to: to?.to_vec(), bytes: whole, number_at }, number_at + length))
}

/// The keys of one direction in one space.
#[derive(Clone)]
pub struct Keys {
    suite: Suite,
    secret: Secret,
    packet: Rc<LessSafeKey>,
    iv: [u8; 12],
    header: Rc<HeaderProtectionKey>,
}

impl Keys {
    pub fn new(suite: Suite, secret: &Secret) -> Keys {
        let header = match suite {
            Suite::Aes128Gcm => HeaderProtectionKey::new(&quic::AES_128, &expand::<16>(secret, "quic hp", b"")),
            Suite::ChaCha20Poly1305 => HeaderProtectionKey::new(&quic::CHACHA20, &expand::<32>(secret, "quic hp", b"")),
        };
        Keys::with_header(suite, secret, Rc::new(header.expect("the right length")))
    }

    fn with_header(suite: Suite, secret: &Secret, header: Rc<HeaderProtectionKey>) -> Keys {
        let key = match suite {
            Suite::Aes128Gcm => UnboundKey::new(&AES_128_GCM, &expand::<16>(secret, "quic key", b"")),
            Suite::ChaCha20Poly1305 => UnboundKey::new(&CHACHA20_POLY1305, &expand::<32>(secret, "quic key", b"")),
        };
        let packet = Rc::new(LessSafeKey::new(key.expect("the right length")));
        Keys { suite, secret: *secret, packet, iv: expand(secret, "quic iv", b""), header }
    }

    /// Those after a key update.
    pub fn next(&self) -> Keys {
        Keys::with_header(self.suite, &expand(&self.secret, "quic ku", b""), self.header.clone())
    }

    /// Keys of the client's and the server's Initial packets, which everybody has.
    pub fn initial(first_id: &[u8]) -> [Keys; 2] {
        let secret = extract(&INITIAL_SALT, first_id);
        ["client in", "server in"].map(|label| Keys::new(Suite::Aes128Gcm, &expand(&secret, label, b"")))
    }

    /// Opens a packet; `expected` is the number after the highest one so far.
    pub fn open(&self, packet: &Packet, expected: u64) -> Option<Opened> {
        let mut bytes = packet.bytes.clone();
        let at = packet.number_at;
        let mask = self.header.new_mask(bytes.get(at + 4..at + 20)?).ok()?;
        bytes[0] ^= mask[0] & if packet.space == Space::Application { 0x1f } else { 0x0f };
        let length = usize::from(bytes[0] & 3) + 1;
        bytes[at..at + length].iter_mut().zip(&mask[1..]).for_each(|(byte, mask)| *byte ^= mask);
        let cut = bytes[at..at + length].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let number = whole_number(cut, 8 * length as u32, expected);

        let (header, body) = bytes.split_at_mut(at + length);
        let mut nonce = self.iv;
        nonce[4..].iter_mut().zip(number.to_be_bytes()).for_each(|(byte, number)| *byte ^= number);
        let opened = self.packet.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(&*header), body).ok()?;
        Some(Opened { number, payload: opened.to_vec() })
    }
}

/// The number that ends in these bits and is nearest to the expected one (RFC 9000, appendix A.3).
fn whole_number(cut: u64, bits: u32, expected: u64) -> u64 {
    let window = 1u64 << bits;
    let near = expected & !(window - 1) | cut;
    if near + window / 2 <= expected {
        near + window
    } else if near > expected + window / 2 && near >= window {
        near - window
    } else {
        near
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unhex;

    #[test]
    fn variable_length_integers_are_those_of_rfc_9000() {
        for (bytes, number) in [
            ("c2197c5eff14e88c", 151_288_809_941_952_652),
            ("9d7f3e7d", 494_878_333),
            ("7bbd", 15_293),
            ("25", 37),
            ("4025", 37),
        ] {
            assert_eq!(varint(&mut unhex(bytes).as_slice()), Some(number));
        }
    }

    #[test]
    fn packet_numbers_are_those_of_rfc_9000() {
        assert_eq!(whole_number(0x9b32, 16, 0xa82f_30ea + 1), 0xa82f_9b32);
    }

    #[test]
    fn keys_of_initial_packets_are_those_of_rfc_9001() {
        let [client, server] = Keys::initial(&unhex("8394c8f03e515708"));
        let secrets = [
            (client, "c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea", "fa044b2f42a3fd3b46fb255c"),
            (server, "3c199828fd139efd216c155ad844cc81fb82fa8d7446fa7d78be803acdda951b", "0ac1493ca1905853b0bba03e"),
        ];
        for (keys, secret, iv) in secrets {
            assert_eq!(keys.secret.to_vec(), unhex(secret));
            assert_eq!(keys.iv.to_vec(), unhex(iv));
        }
    }

    /// Appendix A.5, where the destination has an id without bytes.
    #[test]
    fn a_packet_of_rfc_9001_opens() {
        let secret = unhex("9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b");
        let keys = Keys::new(Suite::ChaCha20Poly1305, &secret.try_into().expect("32 bytes"));
        let bytes = unhex("4cfe4189655e5cd55c41f69080575d7999c25a5bfb");
        let packet = Packet { space: Space::Application, to: Vec::new(), bytes, number_at: 1 };
        let opened = keys.open(&packet, 654_360_564).expect("opened");
        assert_eq!((opened.number, &opened.payload[..]), (654_360_564, &[1][..]));
        let next = "1223504755036d556342ee9361d253421a826c9ecdf3c7148684b36b714881f9";
        assert_eq!(keys.next().secret.to_vec(), unhex(next));
        assert!(keys.next().open(&packet, 654_360_564).is_none());
    }
}
