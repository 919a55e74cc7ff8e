//! One recorded QUIC connection: its packets, what everybody can read of them, and what opens with given secrets.

use crate::frames::Content;
use crate::network::Recorded;
use crate::packets::{Keys, Packet, Space, Suite, split};
use crate::schedule::{Secret, hash};

pub const CLIENT: usize = 0;
pub const SERVER: usize = 1;

/// The packets of both sides, in the order in which they left, and both HELLOs.
pub struct Capture {
    packets: [Vec<Packet>; 2],
    /// Which of the two that were recorded dialled.
    pub dialler: usize,
    pub client: ClientHello,
    pub server: ServerHello,
}

/// What of ClientHello and ServerHello matters.
pub struct ClientHello {
    bytes: Vec<u8>,
    pub random: Vec<u8>,
    pub share: Secret,
}

pub struct ServerHello {
    bytes: Vec<u8>,
    pub suite: Suite,
    pub share: Secret,
}

impl Capture {
    /// There must be one connection in it, with a whole handshake.
    pub fn of(record: &[Recorded]) -> Capture {
        let all: Vec<(usize, Packet)> = record
            .iter()
            .flat_map(|recorded| split(&recorded.bytes).into_iter().map(|packet| (recorded.from, packet)))
            .collect();
        let (dialler, first) = all.first().expect("a QUIC packet");
        assert_eq!(first.space, Space::Initial);
        let of = |side| all.iter().filter(|(from, _)| *from == side).map(|(_, packet)| packet.clone()).collect();
        let packets: [Vec<Packet>; 2] = [of(*dialler), of(1 - dialler)];
        let keys = Keys::initial(&first.to);
        let [client, server] = [CLIENT, SERVER].map(|side| {
            let opened = open(packets[side].iter().filter(|packet| packet.space == Space::Initial), &keys[side]);
            let payloads: Vec<Vec<u8>> = opened.into_iter().map(|payload| payload.expect("anyone's keys")).collect();
            Content::of(payloads.iter().map(Vec::as_slice)).crypto()
        });
        let (client, server) = (ClientHello::read(client), ServerHello::read(server));
        Capture { dialler: *dialler, packets, client, server }
    }

    /// How many packets there are.
    pub fn count(&self, side: usize, space: Space) -> usize {
        self.of_space(side, space).count()
    }

    /// The content of each packet that opens with this traffic secret, in their order.
    pub fn payloads(&self, side: usize, space: Space, secret: &Secret) -> Vec<Option<Vec<u8>>> {
        open(self.of_space(side, space), &Keys::new(self.server.suite, secret))
    }

    /// All of one side and space in clear; every packet must open.
    pub fn content(&self, side: usize, space: Space, secret: &Secret) -> Content {
        let payloads = self.payloads(side, space, secret);
        assert!(!payloads.is_empty(), "nothing was recorded");
        let payloads: Vec<Vec<u8>> = payloads.into_iter().map(|payload| payload.expect("it opens")).collect();
        Content::of(payloads.iter().map(Vec::as_slice))
    }

    /// Hash of the transcript up to ServerHello, or up to the server's Finished if what it sent is given.
    pub fn transcript(&self, flight: &[u8]) -> Secret {
        hash(&[&self.client.bytes, &self.server.bytes, flight])
    }

    fn of_space(&self, side: usize, space: Space) -> impl Iterator<Item = &Packet> {
        self.packets[side].iter().filter(move |packet| packet.space == space)
    }
}

/// Opens packets of one direction. Keys may be updated on the way.
fn open<'a>(packets: impl Iterator<Item = &'a Packet>, keys: &Keys) -> Vec<Option<Vec<u8>>> {
    let (mut keys, mut expected) = (keys.clone(), 0);
    let mut read = |packet: &Packet| {
        let opened = match keys.open(packet, expected) {
            None if packet.space == Space::Application => {
                let next = keys.next();
                let opened = next.open(packet, expected)?;
                keys = next;
                opened
            }
            opened => opened?,
        };
        expected = expected.max(opened.number + 1);
        Some(opened.payload)
    };
    packets.map(&mut read).collect()
}

impl ClientHello {
    fn read(bytes: Vec<u8>) -> ClientHello {
        assert_eq!(bytes[0], 1, "ClientHello");
        let random = bytes[6..38].to_vec();
        let rest = skip(&bytes[38..], 1);
        let extensions = skip(skip(rest, 2), 1);
        // The list of shares has a length; ours has one share.
        let shares = extension(extensions, 51);
        ClientHello { random, share: share(&shares[2..]), bytes }
    }
}

impl ServerHello {
    fn read(bytes: Vec<u8>) -> ServerHello {
        assert_eq!(bytes[0], 2, "ServerHello");
        let rest = skip(&bytes[38..], 1);
        let suite = match rest[..2] {
            [0x13, 0x01] => Suite::Aes128Gcm,
            [0x13, 0x03] => Suite::ChaCha20Poly1305,
            ref other => panic!("suite {other:x?}"),
        };
        let share = share(extension(&rest[3..], 51));
        ServerHello { suite, share, bytes }
    }
}

/// What follows a field with a length of so many bytes.
fn skip(bytes: &[u8], size: usize) -> &[u8] {
    let length = bytes[..size].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    &bytes[size + length..]
}

fn extension(list: &[u8], wanted: u16) -> &[u8] {
    let mut rest = &list[2..];
    loop {
        let (kind, length) =
            (u16::from_be_bytes([rest[0], rest[1]]), usize::from(u16::from_be_bytes([rest[2], rest[3]])));
        if kind == wanted {
            return &rest[4..4 + length];
        }
        rest = &rest[4 + length..];
    }
}

/// The key of a share, which must be of X25519.
fn share(bytes: &[u8]) -> Secret {
    assert_eq!(bytes[..4], [0x00, 0x1d, 0x00, 0x20], "X25519 and its 32 bytes");
    bytes[4..36].try_into().expect("32 bytes")
}
