//! What a peer did on its streams that ends the connection.
//!
//! Each has the close code of the wire that tells the peer so, and a sentence with the
//! value that was wrong.

use std::fmt;

/// Why the connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A message longer than we announced to take.
    TooLarge { len: u64, max: usize },
    /// A large message that came too slowly to keep room for it.
    Stalled { have: usize, len: usize },
    /// The message stream ended inside a message.
    CutOff,
    /// The message stream was reset or stopped, with this code; it lives as long as the connection.
    Aborted { code: u64 },
    /// A second stream of a kind of which each side opens one.
    SecondStream { kind: &'static str },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::TooLarge { len, max } => write!(f, "a message of {len} bytes; at most {max} are taken"),
            Fault::Stalled { have, len } => {
                write!(f, "a message of {len} bytes came too slowly; {have} bytes of it arrived")
            }
            Fault::CutOff => f.write_str("the message stream ended inside a message"),
            Fault::Aborted { code } => write!(f, "the message stream was aborted with code {code}"),
            Fault::SecondStream { kind } => write!(f, "a second {kind} stream; each side opens one"),
        }
    }
}
