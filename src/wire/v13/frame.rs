//! `type varint | length varint | body`: the framing of the control and the mesh stream.
//!
//! In: what was received so far and not taken yet. Out: one frame that is whole, or `None`. The
//! stream says for each type how long its body may be; a longer one is an error as soon as
//! its length is known, so nobody waits for bytes that would be refused.

use super::{
    super::{
        error::{DecodeError, EncodeError, Problem},
        reader::Reader,
    },
    varint,
};

/// A type of frame: its name for errors, and the most bytes of its body.
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) most: usize,
}

/// A frame that is whole.
pub(super) struct Raw<'a> {
    pub(super) kind: u64,
    pub(super) name: &'static str,
    pub(super) body: &'a [u8],
    /// Bytes from the beginning of its type to the end of its body.
    pub(super) taken: usize,
}

pub(super) fn next(buffered: &[u8], rule: impl FnOnce(u64) -> Rule) -> Result<Option<Raw<'_>>, DecodeError> {
    let mut reader = Reader::new("stream", buffered);
    let Ok(kind) = varint::read(&mut reader, "type") else { return Ok(None) };
    let Ok(length) = varint::read(&mut reader, "length") else { return Ok(None) };
    let Rule { name, most } = rule(kind);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > most {
        return Err(DecodeError::new(name, "length", Problem::Long { have: length, most }));
    }
    let Ok(body) = reader.bytes("body", length) else { return Ok(None) };
    Ok(Some(Raw { kind, name, body, taken: buffered.len().saturating_sub(reader.len()) }))
}

/// Writes type and length of a frame whose body, of these parts, follows them.
pub(super) fn encode(kind: u64, rule: &Rule, parts: &[&[u8]], out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let length = parts.iter().map(|part| part.len()).fold(0, usize::saturating_add);
    if length > rule.most {
        return Err(EncodeError::new(rule.name, "length", length));
    }
    varint::encode(kind, out)?;
    varint::encode(length as u64, out)?;
    parts.iter().for_each(|part| out.extend(*part));
    Ok(())
}

/// The body as items of one size.
pub(super) fn items<'a, const N: usize>(raw: &Raw<'a>, field: &'static str) -> Result<&'a [[u8; N]], DecodeError> {
    match raw.body.as_chunks() {
        (items, []) => Ok(items),
        (_, rest) => Err(DecodeError::new(raw.name, field, Problem::Short { need: N, have: rest.len() })),
    }
}

/// The body as one value.
pub(super) fn whole<const N: usize>(raw: &Raw<'_>, field: &'static str) -> Result<[u8; N], DecodeError> {
    let mut reader = Reader::new(raw.name, raw.body);
    let value = reader.array(field)?;
    reader.end()?;
    Ok(value)
}
