//! The mesh stream: broadcasts on their way through a topic, and what keeps the way short.
//!
//! `type varint | length varint | body`; [`next`] takes frames from the beginning of what was
//! received. Whether a topic is shared on the link, a signature right or a message new is for
//! the mesh. Types that a later version adds are skipped.

use super::{
    super::{
        error::{DecodeError, EncodeError},
        reader::Reader,
    },
    frame::{self, Raw, Rule},
};
use crate::config::limits::{MESH_FRAME_BYTES, MESH_IDS_PER_FRAME, MESH_PAYLOAD_BYTES};

const MESSAGE: u64 = 1;
const HAVE: u64 = 2;
const WANT: u64 = 3;
const PRUNE: u64 = 4;

/// Bytes of a MESSAGE before its payload.
pub const MESSAGE_HEADER_BYTES: usize = 130;
/// In [`Message::flags`]: came from v12, where nobody signs; the author is the bridge.
pub const BRIDGED: u8 = 1;

/// Names a topic on a link, to those who joined it.
pub type TopicTag = [u8; 8];
/// The mesh name under which an author sends to a neighbour that shares no topic with it, and what is on the wire of it.
pub const NEIGHBOUR: [u8; 32] = [0; 32];
pub const NEIGHBOUR_TAG: TopicTag = [0; 8];
/// Of a message; a hash that binds it to its author, see `mesh::author`.
pub type MessageId = [u8; 16];

/// One frame of the mesh stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mesh<'a> {
    Message(Message<'a>),
    /// Messages that the sender could send.
    Have(Have<'a>),
    /// Asks for these messages.
    Want(&'a [MessageId]),
    /// A message of this topic was known already: no more of it without being asked.
    Prune(TopicTag),
    /// A type that is not known here; to be passed over.
    Unknown {
        kind: u64,
    },
}

/// A broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub topic: TopicTag,
    /// The public key that signed.
    pub author: [u8; 32],
    pub id: MessageId,
    /// 0 from the author, one more each time it is forwarded; not signed.
    pub hops: u8,
    /// [`BRIDGED`] and bits to come; all are signed.
    pub flags: u8,
    /// The author's clock: microseconds since 1970.
    pub time: u64,
    pub signature: [u8; 64],
    pub payload: &'a [u8],
}

/// Topic and id of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Have<'a> {
    entries: &'a [[u8; 24]],
}

impl<'a> Have<'a> {
    /// At most [`MESH_IDS_PER_FRAME`].
    pub fn iter(self) -> impl Iterator<Item = (TopicTag, MessageId)> + use<'a> {
        self.entries.iter().filter_map(|entry| {
            let (topic, id) = entry.split_first_chunk()?;
            Some((*topic, *id.first_chunk()?))
        })
    }
}

/// The first frame in what was received so far, and how many bytes it takes; none: it is not whole.
pub fn next(buffered: &[u8]) -> Result<Option<(Mesh<'_>, usize)>, DecodeError> {
    let Some(raw) = frame::next(buffered, rule)? else { return Ok(None) };
    Ok(Some((decode(&raw)?, raw.taken)))
}

fn rule(kind: u64) -> Rule {
    let (name, most) = match kind {
        MESSAGE => ("MESSAGE", MESSAGE_HEADER_BYTES + MESH_PAYLOAD_BYTES),
        HAVE => ("mesh HAVE", MESH_IDS_PER_FRAME * 24),
        WANT => ("mesh WANT", MESH_IDS_PER_FRAME * 16),
        PRUNE => ("PRUNE", 8),
        _ => ("mesh", MESH_FRAME_BYTES),
    };
    Rule { name, most }
}

fn decode<'a>(raw: &Raw<'a>) -> Result<Mesh<'a>, DecodeError> {
    Ok(match raw.kind {
        MESSAGE => Mesh::Message(Message::decode(Reader::new(raw.name, raw.body))?),
        HAVE => Mesh::Have(Have { entries: frame::items(raw, "ids")? }),
        WANT => Mesh::Want(frame::items(raw, "ids")?),
        PRUNE => Mesh::Prune(frame::whole(raw, "topic")?),
        kind => Mesh::Unknown { kind },
    })
}

impl<'a> Message<'a> {
    fn decode(mut reader: Reader<'a>) -> Result<Message<'a>, DecodeError> {
        Ok(Message {
            topic: reader.array("topic")?,
            author: reader.array("author")?,
            id: reader.array("id")?,
            hops: reader.u8("hops")?,
            flags: reader.u8("flags")?,
            time: reader.u64("time")?,
            signature: reader.array("signature")?,
            payload: reader.rest(),
        })
    }

    /// Writes a MESSAGE; none if the payload is above [`MESH_PAYLOAD_BYTES`].
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let numbers = [self.hops, self.flags];
        let time = self.time.to_be_bytes();
        let parts: [&[u8]; 7] = [&self.topic, &self.author, &self.id, &numbers, &time, &self.signature, self.payload];
        write(MESSAGE, &parts, out)
    }
}

/// Messages that we could send, at most [`MESH_IDS_PER_FRAME`].
pub fn encode_have(messages: &[(TopicTag, MessageId)], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let parts: Vec<&[u8]> = messages.iter().flat_map(|(topic, id)| [&topic[..], &id[..]]).collect();
    write(HAVE, &parts, out)
}

/// Asks for messages, at most [`MESH_IDS_PER_FRAME`].
pub fn encode_want(ids: &[MessageId], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    write(WANT, &[ids.as_flattened()], out)
}

pub fn encode_prune(topic: &TopicTag, out: &mut Vec<u8>) {
    out.extend([PRUNE as u8, 8]);
    out.extend(topic);
}

fn write(kind: u64, parts: &[&[u8]], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    frame::encode(kind, &rule(kind), parts, out)
}

#[cfg(test)]
#[path = "mesh_tests.rs"]
mod tests;
