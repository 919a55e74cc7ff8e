//! The p2p-v12 wire: every frame as bytes and as borrowed values, both ways.
//!
//! In: one datagram, or one frame of a BATCH. Out: a [`Frame`] that borrows from it,
//! or a [`DecodeError`] that names the frame, the field and what is wrong with it.
//! Nothing here keeps state, knows the sender or allocates while decoding binary frames;
//! the JSON texts of v12 (`json`, `dht`) are bounded in size and number of values first.
//! Decoding accepts what the existing peers accept, except what is dangerous to keep
//! (an index beyond its total, an impossible address). Encoding writes only the forms
//! that every existing peer survives; the rules are in docs/protocol.md.
//!
//! Not frames of the main socket, but of the same protocol: `stun`, `dht`, `topic`, `json`.
//! The modern protocol, setowire/13, is in `v13` and nowhere else.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

pub mod batch;
pub mod beacon;
pub mod data;
pub mod dht;
pub mod error;
pub mod frag;
pub mod handshake;
pub mod hex;
pub mod ihave;
pub mod json;
pub mod pex;
pub mod ping;
mod reader;
pub mod relay;
pub mod stun;
pub mod topic;
pub mod v13;
pub mod values;

pub use batch::Batch;
pub use beacon::Beacon;
pub use data::Data;
pub use error::{DecodeError, EncodeError, Problem};
pub use frag::Frag;
pub use handshake::Hello;
pub use ihave::IHave;
pub use pex::Pex;
pub use ping::{GOAWAY, Ping, Pong};
pub use relay::{RelayAnn, RelayFwd, RelayReq};
pub use values::{Chunk, ChunkAck, Have, Want};

use reader::Reader;

/// The first byte of every frame.
pub mod kind {
    pub const DATA: u8 = 0x01;
    pub const PING: u8 = 0x03;
    pub const PONG: u8 = 0x04;
    pub const IHAVE: u8 = 0x07;
    pub const LAN: u8 = 0x09;
    pub const GOAWAY: u8 = 0x0A;
    pub const FRAG: u8 = 0x0B;
    pub const HAVE: u8 = 0x10;
    pub const WANT: u8 = 0x11;
    pub const CHUNK: u8 = 0x12;
    pub const BATCH: u8 = 0x13;
    pub const CHUNK_ACK: u8 = 0x14;
    pub const RELAY_ANN: u8 = 0x20;
    pub const RELAY_REQ: u8 = 0x21;
    pub const RELAY_FWD: u8 = 0x22;
    pub const PEX: u8 = 0x30;
    pub const HELLO: u8 = 0xA1;
    pub const HELLO_ACK: u8 = 0xA2;
}

/// One frame, borrowing from the datagram it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    Hello(Hello),
    HelloAck(Hello),
    Data(Data<'a>),
    Ping(Ping),
    Pong(Pong),
    IHave(IHave<'a>),
    Goaway,
    Beacon(Beacon<'a>),
    Frag(Frag<'a>),
    Have(Have<'a>),
    Want(Want<'a>),
    Chunk(Chunk<'a>),
    Batch(Batch<'a>),
    ChunkAck(ChunkAck<'a>),
    RelayAnn(RelayAnn),
    RelayReq(RelayReq),
    RelayFwd(RelayFwd),
    Pex(Pex<'a>),
}

impl<'a> Frame<'a> {
    /// Reads one frame. Unknown first bytes are an error like any other: the caller drops the datagram.
    pub fn decode(bytes: &'a [u8]) -> Result<Frame<'a>, DecodeError> {
        let Some((&first, body)) = bytes.split_first() else {
            return Err(DecodeError::new("datagram", "type", Problem::Short { need: 1, have: 0 }));
        };
        match first {
            kind::HELLO => Hello::decode(Reader::new("HELLO", body)).map(Frame::Hello),
            kind::HELLO_ACK => Hello::decode(Reader::new("HELLO_ACK", body)).map(Frame::HelloAck),
            kind::DATA => Data::decode(body).map(Frame::Data),
            kind::PING => Ping::decode(body).map(Frame::Ping),
            kind::PONG => Pong::decode(body).map(Frame::Pong),
            kind::IHAVE => Ok(Frame::IHave(IHave::decode(body))),
            kind::GOAWAY => Ok(Frame::Goaway),
            kind::LAN => Beacon::decode(body).map(Frame::Beacon),
            kind::FRAG => Frag::decode(body).map(Frame::Frag),
            kind::HAVE => Have::decode(body).map(Frame::Have),
            kind::WANT => Want::decode(body).map(Frame::Want),
            kind::CHUNK => Chunk::decode(body).map(Frame::Chunk),
            kind::CHUNK_ACK => ChunkAck::decode(body).map(Frame::ChunkAck),
            kind::RELAY_ANN => RelayAnn::decode(body).map(Frame::RelayAnn),
            kind::RELAY_REQ => RelayReq::decode(body).map(Frame::RelayReq),
            kind::RELAY_FWD => RelayFwd::decode(body).map(Frame::RelayFwd),
            kind::BATCH => Batch::decode(body).map(Frame::Batch),
            kind::PEX => Pex::decode(body).map(Frame::Pex),
            other => Err(DecodeError::new("datagram", "type", Problem::Unknown(other))),
        }
    }
}
