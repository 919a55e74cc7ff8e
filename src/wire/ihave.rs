//! IHAVE: hashes of messages that its sender has seen.
//!
//! Type and any number of 8-byte hashes. Old peers send it each second and none of them
//! reads it, so we do not send it either; it is read only so that a model
//! of an old peer and a capture can be checked. C++ peers append hex digits and key
//! names to it, so the number of bytes need not be a multiple of eight.

use super::kind;

/// The hashes of an IHAVE frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IHave<'a> {
    body: &'a [u8],
}

impl<'a> IHave<'a> {
    pub(super) fn decode(body: &'a [u8]) -> IHave<'a> {
        IHave { body }
    }

    /// The whole hashes in it.
    pub fn hashes(self) -> impl Iterator<Item = [u8; 8]> + use<'a> {
        self.body.as_chunks::<8>().0.iter().copied()
    }
}

/// Writes an IHAVE, as the old peers do.
pub fn encode(hashes: &[[u8; 8]], out: &mut Vec<u8>) {
    out.push(kind::IHAVE);
    out.extend(hashes.as_flattened());
}

#[cfg(test)]
mod tests {
    use super::super::Frame;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_part_of_a_hash_is_left_out() {
        let Ok(Frame::IHave(ihave)) = Frame::decode(&[kind::IHAVE; 12]) else { panic!() };
        assert_eq!(ihave.hashes().collect::<Vec<_>>(), [[kind::IHAVE; 8]]);
    }

    proptest! {
        #[test]
        fn round_trip(hashes: Vec<[u8; 8]>) {
            let mut frame = Vec::new();
            encode(&hashes, &mut frame);
            let Ok(Frame::IHave(ihave)) = Frame::decode(&frame) else { panic!() };
            prop_assert_eq!(ihave.hashes().collect::<Vec<_>>(), hashes);
        }
    }
}
