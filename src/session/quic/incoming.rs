//! Streams the peer opened: what each of them is for.
//!
//! Every stream begins with its type. In: the connection. Out: streams whose type was read, with nothing read beyond
//! it; from then on they belong to whoever carries that type. Types we do not know are refused
//! with a code, and nothing else happens. Streams whose type has not come are bounded by
//! what QUIC lets the peer open. Not to be used before the session is ready: until then
//! everything waits in QUIC.

use super::fault::Fault;
use super::outbox::MESSAGE_STREAM;
use quinn_proto::coding::Codec;
use quinn_proto::{Connection, Dir, StreamId, VarInt};
use std::collections::BTreeMap;

/// The type of the application's streams.
pub const APPLICATION_STREAM: u8 = 1;
/// The type of the mesh stream.
pub const MESH_STREAM: u8 = 3;
/// With which streams of an unknown type are refused.
const UNKNOWN_TYPE: VarInt = VarInt::from_u32(1);

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bidirectional, for `streams::Streams`.
    Application,
    /// Unidirectional, for an `inbox::Inbox`.
    Messages,
    /// Unidirectional, frames of the mesh.
    Mesh,
}

/// Streams of the peer whose type is not known yet.
#[derive(Default)]
pub struct Incoming {
    /// What of the type has arrived.
    untyped: BTreeMap<StreamId, Vec<u8>>,
    messages: bool,
    mesh: bool,
}

impl Incoming {
    /// Takes what the peer opened and returns the streams whose type is whole now. To be called when the session is
    /// ready, and then after every datagram.
    pub fn accept(&mut self, connection: &mut Connection) -> Result<Vec<(StreamId, Kind)>, Fault> {
        for dir in [Dir::Uni, Dir::Bi] {
            while let Some(id) = connection.streams().accept(dir) {
                self.untyped.insert(id, Vec::new());
            }
        }
        let mut typed = Vec::new();
        for (id, mut known) in std::mem::take(&mut self.untyped) {
            match read_type(connection, id, &mut known) {
                Read::More => {
                    self.untyped.insert(id, known);
                }
                Read::Type(number) => typed.extend(self.kind(connection, id, number)?.map(|kind| (id, kind))),
                Read::Ended => refuse(connection, id),
            }
        }
        Ok(typed)
    }

    fn kind(&mut self, connection: &mut Connection, id: StreamId, number: u64) -> Result<Option<Kind>, Fault> {
        let (kind, opened, name) = match (u8::try_from(number).ok(), id.dir()) {
            (Some(APPLICATION_STREAM), Dir::Bi) => return Ok(Some(Kind::Application)),
            (Some(MESSAGE_STREAM), Dir::Uni) => (Kind::Messages, &mut self.messages, "message"),
            (Some(MESH_STREAM), Dir::Uni) => (Kind::Mesh, &mut self.mesh, "mesh"),
            _ => {
                refuse(connection, id);
                return Ok(None);
            }
        };
        if std::mem::replace(opened, true) {
            return Err(Fault::SecondStream { kind: name });
        }
        Ok(Some(kind))
    }
}

enum Read {
    More,
    /// Finished or reset before its type was whole.
    Ended,
    Type(u64),
}

fn read_type(connection: &mut Connection, id: StreamId, known: &mut Vec<u8>) -> Read {
    let mut stream = connection.recv_stream(id);
    let Ok(mut chunks) = stream.read(true) else { return Read::Ended };
    loop {
        // The first byte says how many there are: not one more may be taken.
        let len = known.first().map_or(1, |first| 1usize << (first >> 6));
        if let Ok(number) = VarInt::decode(&mut known.as_slice()) {
            return Read::Type(number.into_inner());
        }
        match chunks.next(len.saturating_sub(known.len())) {
            Ok(Some(chunk)) => known.extend_from_slice(&chunk.bytes),
            Err(quinn_proto::ReadError::Blocked) => return Read::More,
            Ok(None) | Err(quinn_proto::ReadError::Reset(_)) => return Read::Ended,
        }
    }
}

/// Wants nothing of this stream. Both calls fail where that half has ended already.
fn refuse(connection: &mut Connection, id: StreamId) {
    let _ = connection.recv_stream(id).stop(UNKNOWN_TYPE);
    if id.dir() == Dir::Bi {
        let _ = connection.send_stream(id).reset(UNKNOWN_TYPE);
    }
}
