//! Why bytes are not a frame, and why values cannot become one.
//!
//! Both errors name the frame and the field. They are small plain values, made
//! without allocation: a hostile sender must not be able to make us work for his errors.
//! Neither holds bytes of the datagram.

use std::fmt;

/// Bytes that are not the frame they claim to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    pub frame: &'static str,
    pub field: &'static str,
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The bytes end before the field does.
    Short { need: usize, have: usize },
    /// More bytes than the field or frame may have.
    Long { have: usize, most: usize },
    /// No frame begins with this byte.
    Unknown(u8),
    /// A number outside its range.
    Range(u64),
    /// Text that does not say what it should (an address, hex digits, a number, JSON).
    Text,
    /// Neither of the layouts this frame exists in.
    Layout,
    /// An answer to something that was not asked.
    Mismatch,
}

impl DecodeError {
    pub(crate) const fn new(frame: &'static str, field: &'static str, problem: Problem) -> DecodeError {
        DecodeError { frame, field, problem }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} frame, {}: ", self.frame, self.field)?;
        match self.problem {
            Problem::Short { need, have } => write!(f, "needs {need} bytes, {have} are left"),
            Problem::Long { have, most } => write!(f, "{have} bytes, at most {most} are allowed"),
            Problem::Unknown(byte) => write!(f, "no frame has type 0x{byte:02x}"),
            Problem::Range(value) => write!(f, "{value} is out of range"),
            Problem::Text => f.write_str("the text does not parse"),
            Problem::Layout => f.write_str("not a known layout"),
            Problem::Mismatch => f.write_str("answers something that was not asked"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Values that have no safe form on the wire. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeError {
    pub frame: &'static str,
    pub field: &'static str,
    /// The length or number that does not fit.
    pub value: usize,
}

impl EncodeError {
    pub(crate) const fn new(frame: &'static str, field: &'static str, value: usize) -> EncodeError {
        EncodeError { frame, field, value }
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} frame cannot carry {} = {}", self.frame, self.field, self.value)
    }
}

impl std::error::Error for EncodeError {}
