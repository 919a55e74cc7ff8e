//! Why a modern session ends: the close codes of the wire and what they mean to the application.
//!
//! A QUIC CONNECTION_CLOSE of the application carries one of these codes and a short text,
//! which is how both sides learn the same reason. The numbers are part of the protocol
//! (docs/protocol.md): append only, never renumbered.

use crate::config::limits::CLOSE_REASON_BYTES;
use crate::error::Code;
use bytes::Bytes;
use quinn_proto::{ConnectionError, VarInt};

/// The close codes of `setowire/13`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Close {
    /// Closed by the application.
    Closed = 0,
    /// A frame broke the rules.
    Protocol = 1,
    /// No topic is shared, and nobody asked to be accepted without.
    NoTopic = 2,
    /// A newer swarm with the same seed took the place.
    Replaced = 3,
    /// Another connection between the same two is kept.
    Duplicate = 4,
    /// Not taken: full, or not asked for.
    Refused = 5,
    /// A topic proof or legacy proof that cannot be.
    BadProof = 6,
    /// We met ourselves.
    SelfMet = 7,
    /// The first exchange did not finish in time, or a message stood still.
    TimedOut = 8,
    /// A message above what was announced.
    TooLarge = 9,
    /// The whole swarm closes.
    Going = 10,
}

const ALL: [Close; 11] = [
    Close::Closed,
    Close::Protocol,
    Close::NoTopic,
    Close::Replaced,
    Close::Duplicate,
    Close::Refused,
    Close::BadProof,
    Close::SelfMet,
    Close::TimedOut,
    Close::TooLarge,
    Close::Going,
];

impl Close {
    pub fn number(self) -> VarInt {
        VarInt::from_u32(self as u32)
    }

    fn from_number(number: VarInt) -> Option<Close> {
        ALL.into_iter().find(|close| close.number() == number)
    }

    /// What the application is told.
    pub const fn code(self) -> Code {
        match self {
            Close::Closed | Close::Replaced | Close::Duplicate | Close::Going => Code::Closed,
            Close::NoTopic | Close::Refused | Close::SelfMet => Code::Refused,
            Close::Protocol => Code::Protocol,
            Close::BadProof => Code::BadKey,
            Close::TimedOut => Code::TimedOut,
            Close::TooLarge => Code::TooLarge,
        }
    }

    /// One phrase for people.
    pub const fn text(self) -> &'static str {
        match self {
            Close::Closed => "closed by the other side",
            Close::Protocol => "the other side says that we broke the protocol",
            Close::NoTopic => "no topic is shared, and the connection was not asked for by address",
            Close::Replaced => "replaced: a newer swarm with the same seed took the place",
            Close::Duplicate => "duplicate: another connection with this peer is kept",
            Close::Refused => "refused by the other side",
            Close::BadProof => "the other side could not believe a proof of ours",
            Close::SelfMet => "this address is our own",
            Close::TimedOut => "the other side waited too long for us",
            Close::TooLarge => "a message was larger than the other side takes",
            Close::Going => "the other side's swarm was closed",
        }
    }
}

/// An end of a session from our side: what goes over the wire and what the application is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    pub close: Close,
    pub text: String,
}

impl Reason {
    pub fn new(close: Close, text: impl Into<String>) -> Reason {
        Reason { close, text: text.into() }
    }

    pub fn protocol(text: impl Into<String>) -> Reason {
        Reason::new(Close::Protocol, text)
    }

    /// The text as the wire carries it: cut at a bound, between two characters.
    pub fn wire_text(&self) -> Bytes {
        let mut end = self.text.len().min(CLOSE_REASON_BYTES);
        while !self.text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        Bytes::copy_from_slice(self.text.get(..end).unwrap_or_default().as_bytes())
    }
}

/// What a lost connection means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    pub code: Code,
    pub reason: String,
    /// The close code, if either side gave one.
    pub close: Option<Close>,
    /// Nobody closed it: it is worth dialling again.
    pub redial: bool,
}

impl Lost {
    pub fn from_error(error: &ConnectionError) -> Lost {
        let lost = |code, reason: String, redial| Lost { code, reason, close: None, redial };
        match error {
            ConnectionError::ApplicationClosed(frame) => {
                let close = Close::from_number(VarInt::from_u64(frame.error_code.into_inner()).unwrap_or(VarInt::MAX));
                let said = printable(&frame.reason);
                let reason = match (close, said.is_empty()) {
                    (Some(close), true) => close.text().to_owned(),
                    (Some(close), false) => format!("{} ({said})", close.text()),
                    (None, _) => format!("closed with the unknown code {} ({said})", frame.error_code),
                };
                let code = close.map_or(Code::Closed, Close::code);
                // A swarm that goes, or that another connection replaced, is not lost.
                Lost { code, reason, close, redial: false }
            }
            ConnectionError::TimedOut => lost(Code::TimedOut, "nothing came from it any more".to_owned(), true),
            ConnectionError::Reset => lost(Code::Closed, "it restarted and does not know the session".to_owned(), true),
            ConnectionError::TransportError(e) => {
                let tls = (0x100..0x200).contains(&u64::from(e.code));
                let code = if tls { Code::BadKey } else { Code::Protocol };
                lost(code, format!("the session failed: {}", printable(e.reason.as_bytes())), false)
            }
            ConnectionError::ConnectionClosed(frame) => {
                let tls = (0x100..0x200).contains(&u64::from(frame.error_code));
                let code = if tls { Code::BadKey } else { Code::Refused };
                let said = printable(&frame.reason);
                lost(code, format!("the other side's QUIC ended it: {} {said}", frame.error_code), false)
            }
            ConnectionError::LocallyClosed => lost(Code::Closed, "closed by this side".to_owned(), false),
            ConnectionError::VersionMismatch => {
                lost(Code::Protocol, "it speaks another QUIC version".to_owned(), false)
            }
            ConnectionError::CidsExhausted => lost(Code::Internal, "no connection id is free".to_owned(), false),
        }
    }
}

/// Text of a peer, safe to show: bounded, control characters replaced.
fn printable(bytes: &[u8]) -> String {
    let bytes = bytes.get(..bytes.len().min(CLOSE_REASON_BYTES)).unwrap_or_default();
    String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { '.' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_protocols() {
        for (number, close) in ALL.into_iter().enumerate() {
            assert_eq!(close as usize, number);
            assert_eq!(Close::from_number(VarInt::from_u32(number as u32)), Some(close));
        }
        assert_eq!(Close::from_number(VarInt::from_u32(11)), None);
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let reason = Reason::new(Close::Closed, "ä".repeat(CLOSE_REASON_BYTES));
        let text = reason.wire_text();
        assert!(text.len() <= CLOSE_REASON_BYTES && std::str::from_utf8(&text).is_ok());
    }

    #[test]
    fn what_a_peer_says_is_shown_without_control_characters() {
        assert_eq!(printable(b"a\x1b[2Jb\n"), "a.[2Jb.");
    }
}
