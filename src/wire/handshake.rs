//! HELLO and HELLO_ACK: who a peer says it is.
//!
//! Both are the type byte, the 8-byte id and the 32-byte X25519 key. Old Rust peers
//! ignore any other length, so exactly 41 bytes are written; the others ignore what
//! follows, so it is ignored here. Whether the id belongs to the key is for the
//! session to check: nothing in this frame is proven.

use super::{error::DecodeError, kind, reader::Reader};
use crate::crypto::identity::WireId;

/// Bytes of a HELLO or HELLO_ACK.
pub const HELLO_BYTES: usize = 41;

/// The content of HELLO and of HELLO_ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    pub id: WireId,
    pub key: [u8; 32],
}

impl Hello {
    pub(super) fn decode(mut reader: Reader<'_>) -> Result<Hello, DecodeError> {
        Ok(Hello { id: reader.array("id")?, key: reader.array("key")? })
    }

    /// As HELLO.
    pub fn hello(&self) -> [u8; HELLO_BYTES] {
        self.encode(kind::HELLO)
    }

    /// As HELLO_ACK.
    pub fn hello_ack(&self) -> [u8; HELLO_BYTES] {
        self.encode(kind::HELLO_ACK)
    }

    fn encode(&self, kind: u8) -> [u8; HELLO_BYTES] {
        let mut frame = [kind; HELLO_BYTES];
        let content = self.id.iter().chain(&self.key);
        for (byte, value) in frame.iter_mut().skip(1).zip(content) {
            *byte = *value;
        }
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DecodeError, Frame, Problem};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forty_one_bytes_or_more() {
        let hello = Hello { id: [1; 8], key: [2; 32] };
        let frame = hello.hello();
        assert_eq!(Frame::decode(&frame), Ok(Frame::Hello(hello)));
        assert_eq!(
            Frame::decode(&frame[..40]),
            Err(DecodeError::new("HELLO", "key", Problem::Short { need: 32, have: 31 }))
        );
        let mut long = frame.to_vec();
        long.extend([9; 16]);
        assert_eq!(Frame::decode(&long), Ok(Frame::Hello(hello)));
    }

    proptest! {
        #[test]
        fn round_trip(id: [u8; 8], key: [u8; 32]) {
            let hello = Hello { id, key };
            let (first, answer) = (hello.hello(), hello.hello_ack());
            prop_assert_eq!(Frame::decode(&first), Ok(Frame::Hello(hello)));
            prop_assert_eq!(Frame::decode(&answer), Ok(Frame::HelloAck(hello)));
        }
    }
}
