//! The error codes of the C interface, and the functions that explain them.
//!
//! The numbers are those of `crate::error::Code`, checked below at compile time.
//! Append only, never renumbered; a retired number stays here in a comment.

use super::guard::{guard, guard_value, last_error};
use super::pointer;
use crate::error::Code;
use std::ffi::{CStr, c_char};

/// A parameter has a value that is not allowed; the message names it.
pub const SETOWIRE_ERR_INVALID: i32 = -1;
/// The id names nothing that is alive: a peer that left, an operation that ended.
pub const SETOWIRE_ERR_NOT_FOUND: i32 = -2;
/// The swarm, topic or peer is closed.
pub const SETOWIRE_ERR_CLOSED: i32 = -3;
/// A bounded queue is full: try again after the WRITABLE event, or after reading events.
pub const SETOWIRE_ERR_WOULD_BLOCK: i32 = -4;
/// The time that was given ran out.
pub const SETOWIRE_ERR_TIMED_OUT: i32 = -5;
/// The operation was cancelled.
pub const SETOWIRE_ERR_CANCELLED: i32 = -6;
/// The buffer is too small; the needed size is reported.
pub const SETOWIRE_ERR_TOO_SMALL: i32 = -7;
/// A call that waits was made inside a callback of the same swarm.
pub const SETOWIRE_ERR_WOULD_DEADLOCK: i32 = -8;
/// The swarm was made before a fork and is used in the child: make a new one there.
pub const SETOWIRE_ERR_FORKED: i32 = -9;
/// A bug of the library was caught; the swarm it happened in is ended. Please report it.
pub const SETOWIRE_ERR_PANIC: i32 = -10;
/// The operating system refused something the library cannot do without.
pub const SETOWIRE_ERR_INTERNAL: i32 = -11;
/// The system said no: a port in use, a missing right.
pub const SETOWIRE_ERR_PERMISSION: i32 = -12;
/// Nobody answered at any known address.
pub const SETOWIRE_ERR_UNREACHABLE: i32 = -100;
/// The other side, or a limit of this one, refused.
pub const SETOWIRE_ERR_REFUSED: i32 = -101;
/// A name could not be resolved to an address.
pub const SETOWIRE_ERR_RESOLVE: i32 = -102;
/// A key or id is not what it claims to be.
pub const SETOWIRE_ERR_BAD_KEY: i32 = -200;
/// The message is larger than this peer can take.
pub const SETOWIRE_ERR_TOO_LARGE: i32 = -300;
/// The other side broke the protocol, or says that we did.
pub const SETOWIRE_ERR_PROTOCOL: i32 = -301;
/// The session with this peer has no such thing (datagrams and streams over p2p-v12).
pub const SETOWIRE_ERR_NOT_SUPPORTED: i32 = -302;

const _: () = {
    assert!(SETOWIRE_ERR_INVALID == Code::Invalid as i32);
    assert!(SETOWIRE_ERR_NOT_FOUND == Code::NotFound as i32);
    assert!(SETOWIRE_ERR_CLOSED == Code::Closed as i32);
    assert!(SETOWIRE_ERR_WOULD_BLOCK == Code::WouldBlock as i32);
    assert!(SETOWIRE_ERR_TIMED_OUT == Code::TimedOut as i32);
    assert!(SETOWIRE_ERR_CANCELLED == Code::Cancelled as i32);
    assert!(SETOWIRE_ERR_TOO_SMALL == Code::TooSmall as i32);
    assert!(SETOWIRE_ERR_WOULD_DEADLOCK == Code::WouldDeadlock as i32);
    assert!(SETOWIRE_ERR_FORKED == Code::Forked as i32);
    assert!(SETOWIRE_ERR_PANIC == Code::Panic as i32);
    assert!(SETOWIRE_ERR_INTERNAL == Code::Internal as i32);
    assert!(SETOWIRE_ERR_PERMISSION == Code::Permission as i32);
    assert!(SETOWIRE_ERR_UNREACHABLE == Code::Unreachable as i32);
    assert!(SETOWIRE_ERR_REFUSED == Code::Refused as i32);
    assert!(SETOWIRE_ERR_RESOLVE == Code::Resolve as i32);
    assert!(SETOWIRE_ERR_BAD_KEY == Code::BadKey as i32);
    assert!(SETOWIRE_ERR_TOO_LARGE == Code::TooLarge as i32);
    assert!(SETOWIRE_ERR_PROTOCOL == Code::Protocol as i32);
    assert!(SETOWIRE_ERR_NOT_SUPPORTED == Code::NotSupported as i32);
    assert!(Code::ALL.len() == 19);
};

/// Copies the text of the last call that failed on this thread. A call that succeeds leaves it alone.
///
/// @param buf  Where to; cut to `cap` bytes, and ended with a zero byte if `cap` is not 0. NULL only with `cap` 0.
/// @param cap  Bytes of `buf`.
/// @return The length of the whole text without the zero byte (0: nothing failed yet), or SETOWIRE_ERR_INVALID,
///         SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_last_error_message(buf: *mut c_char, cap: usize) -> i32 {
    guard("setowire_last_error_message", || {
        // SAFETY: the header asks for `cap` writable bytes.
        unsafe { pointer::copy_text(&last_error(), buf, cap) }
    })
}

/// The name of an error code, such as "NOT_FOUND".
///
/// @return Text that is always valid and never NULL: "OK" for 0 and above, "UNKNOWN" for codes this version does
///         not know.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_error_name(code: i32) -> *const c_char {
    let unknown = c"UNKNOWN";
    let name = guard_value("setowire_error_name", unknown, || match Code::from_number(code) {
        _ if code >= 0 => c"OK",
        Some(code) => texts(code).0,
        None => unknown,
    });
    name.as_ptr()
}

/// One sentence that explains an error code.
///
/// @return Text that is always valid and never NULL.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_error_string(code: i32) -> *const c_char {
    let unknown = c"an error that this version does not know";
    let text = guard_value("setowire_error_string", unknown, || match Code::from_number(code) {
        _ if code >= 0 => c"no error",
        Some(code) => texts(code).1,
        None => unknown,
    });
    text.as_ptr()
}

/// Name and sentence of `crate::error::Code` as C wants them; a test compares the two.
const fn texts(code: Code) -> (&'static CStr, &'static CStr) {
    match code {
        Code::Invalid => (c"INVALID", c"a parameter is not valid"),
        Code::NotFound => (c"NOT_FOUND", c"no such peer, topic or operation"),
        Code::Closed => (c"CLOSED", c"already closed"),
        Code::WouldBlock => (c"WOULD_BLOCK", c"a queue is full, try again later"),
        Code::TimedOut => (c"TIMED_OUT", c"timed out"),
        Code::Cancelled => (c"CANCELLED", c"cancelled"),
        Code::TooSmall => (c"TOO_SMALL", c"the buffer is too small"),
        Code::WouldDeadlock => (c"WOULD_DEADLOCK", c"this call blocks and was made inside a callback"),
        Code::Forked => (c"FORKED", c"the swarm belongs to the parent process"),
        Code::Panic => (c"PANIC", c"internal error, the swarm was ended"),
        Code::Internal => (c"INTERNAL", c"the system refused a needed resource"),
        Code::Permission => (c"PERMISSION", c"not permitted"),
        Code::Unreachable => (c"UNREACHABLE", c"nobody answered"),
        Code::Refused => (c"REFUSED", c"refused"),
        Code::Resolve => (c"RESOLVE", c"the name could not be resolved"),
        Code::BadKey => (c"BAD_KEY", c"the key does not match"),
        Code::TooLarge => (c"TOO_LARGE", c"the message is too large for this peer"),
        Code::Protocol => (c"PROTOCOL", c"the protocol was broken"),
        Code::NotSupported => (c"NOT_SUPPORTED", c"the session with this peer cannot do that"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_are_those_of_the_codes() {
        for &code in Code::ALL {
            assert_eq!(texts(code).0.to_str(), Ok(code.name()));
            assert_eq!(texts(code).1.to_str(), Ok(code.text()));
        }
    }
}
