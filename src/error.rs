//! Errors: one number a caller can act on, and one sentence a person can read.
//!
//! The numbers are part of the C ABI (`SETOWIRE_ERR_*`): append only, never
//! renumbered. They are grouped by hundreds: general, network, crypto, protocol.
//! The detail names the parameter or value that was wrong and what to do about it;
//! it never holds a secret.

use std::fmt;

/// What went wrong, as the C ABI numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Code {
    /// A parameter has a value that is not allowed; the detail names it.
    Invalid = -1,
    /// The id names nothing that is alive (a peer that left, an ended operation).
    NotFound = -2,
    /// The swarm, topic or peer is closed.
    Closed = -3,
    /// A bounded queue is full; try again after the `writable` event.
    WouldBlock = -4,
    /// The time that was given ran out.
    TimedOut = -5,
    /// The caller cancelled the operation.
    Cancelled = -6,
    /// The caller's buffer is too small; the needed size is reported.
    TooSmall = -7,
    /// A blocking call inside a callback of the same swarm.
    WouldDeadlock = -8,
    /// The swarm was made before a `fork` and is used in the child.
    Forked = -9,
    /// A bug of the library was caught at the boundary; the swarm is ended.
    Panic = -10,
    /// The operating system refused something the library cannot do without.
    Internal = -11,
    /// The system said no (a port in use, a missing right).
    Permission = -12,
    /// Nobody answered at any known address.
    Unreachable = -100,
    /// The other side, or a limit of ours, refused.
    Refused = -101,
    /// A name could not be resolved to an address.
    Resolve = -102,
    /// A key or id is not what it claims to be.
    BadKey = -200,
    /// The message is larger than this peer can take.
    TooLarge = -300,
    /// The other side broke the protocol, or says that we did.
    Protocol = -301,
    /// The session with this peer has no such thing (datagrams and streams over p2p-v12).
    NotSupported = -302,
}

impl Code {
    /// All codes, for tables and tests.
    pub const ALL: &'static [Code] = &[
        Code::Invalid,
        Code::NotFound,
        Code::Closed,
        Code::WouldBlock,
        Code::TimedOut,
        Code::Cancelled,
        Code::TooSmall,
        Code::WouldDeadlock,
        Code::Forked,
        Code::Panic,
        Code::Internal,
        Code::Permission,
        Code::Unreachable,
        Code::Refused,
        Code::Resolve,
        Code::BadKey,
        Code::TooLarge,
        Code::Protocol,
        Code::NotSupported,
    ];

    /// The constant's name in the C header, without the prefix: `INVALID`, `NOT_FOUND`, ...
    pub const fn name(self) -> &'static str {
        match self {
            Code::Invalid => "INVALID",
            Code::NotFound => "NOT_FOUND",
            Code::Closed => "CLOSED",
            Code::WouldBlock => "WOULD_BLOCK",
            Code::TimedOut => "TIMED_OUT",
            Code::Cancelled => "CANCELLED",
            Code::TooSmall => "TOO_SMALL",
            Code::WouldDeadlock => "WOULD_DEADLOCK",
            Code::Forked => "FORKED",
            Code::Panic => "PANIC",
            Code::Internal => "INTERNAL",
            Code::Permission => "PERMISSION",
            Code::Unreachable => "UNREACHABLE",
            Code::Refused => "REFUSED",
            Code::Resolve => "RESOLVE",
            Code::BadKey => "BAD_KEY",
            Code::TooLarge => "TOO_LARGE",
            Code::Protocol => "PROTOCOL",
            Code::NotSupported => "NOT_SUPPORTED",
        }
    }

    /// One plain sentence for people.
    pub const fn text(self) -> &'static str {
        match self {
            Code::Invalid => "a parameter is not valid",
            Code::NotFound => "no such peer, topic or operation",
            Code::Closed => "already closed",
            Code::WouldBlock => "a queue is full, try again later",
            Code::TimedOut => "timed out",
            Code::Cancelled => "cancelled",
            Code::TooSmall => "the buffer is too small",
            Code::WouldDeadlock => "this call blocks and was made inside a callback",
            Code::Forked => "the swarm belongs to the parent process",
            Code::Panic => "internal error, the swarm was ended",
            Code::Internal => "the system refused a needed resource",
            Code::Permission => "not permitted",
            Code::Unreachable => "nobody answered",
            Code::Refused => "refused",
            Code::Resolve => "the name could not be resolved",
            Code::BadKey => "the key does not match",
            Code::TooLarge => "the message is too large for this peer",
            Code::Protocol => "the protocol was broken",
            Code::NotSupported => "the session with this peer cannot do that",
        }
    }

    /// The code with this number, if there is one.
    pub fn from_number(number: i32) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| *code as i32 == number)
    }
}

/// A failure: its code and what exactly was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub code: Code,
    pub detail: String,
}

impl Error {
    pub fn new(code: Code, detail: impl Into<String>) -> Error {
        Error { code, detail: detail.into() }
    }

    /// A parameter of the caller is wrong; `detail` begins with its name.
    pub fn invalid(detail: impl Into<String>) -> Error {
        Error::new(Code::Invalid, detail)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.detail)
    }
}

impl std::error::Error for Error {}

pub type Result<T> = std::result::Result<T, Error>;
