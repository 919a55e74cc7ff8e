//! `setowire_stream_*`: streams of bytes to and from one peer, over setowire/13.
//!
//! A stream is an id like a peer: one that is done, or whose peer left, is `NOT_FOUND`, but what had
//! come before the peer left can be read. Nothing here waits: what cannot be done now is `WOULD_BLOCK`, and an
//! event tells when to try again. Bytes are copied once each way, between the caller's buffer and those of the session.

use super::constants::{SETOWIRE_END_FINISHED, SETOWIRE_END_NONE, SETOWIRE_END_RESET};
use super::guard::guard;
use super::handle;
use super::pointer::{self, Out, OutList};
use super::setowire_swarm;
use crate::error::Error;
use crate::node::{PeerId, StreamId};

/// Opens a stream to a peer. It is told with a STREAM event, also before anything was written. Both sides may write
/// and read at once, and each direction ends by itself.
///
/// @param swarm   The swarm; not NULL.
/// @param peer    The peer's id.
/// @param stream  Where the stream's id is written, 0 on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (the peer left), SETOWIRE_ERR_NOT_SUPPORTED (its session is
///         p2p-v12), SETOWIRE_ERR_WOULD_BLOCK (too many are open: a WRITABLE event of this peer follows),
///         SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_stream_open(swarm: *mut setowire_swarm, peer: u64, stream: *mut u64) -> i32 {
    guard("setowire_stream_open", || {
        // SAFETY: the header asks for a place for a number.
        let mut stream = unsafe { Out::new(stream, 0, "stream")? };
        stream.set(handle::get(swarm)?.open_stream(PeerId(peer))?.0);
        Ok(0)
    })
}

/// Writes to a stream: takes as much as there is room for. When it took less than all, a STREAM_WRITABLE event follows,
/// once. Several threads may write, but a write is taken in one piece only as far as it is taken.
///
/// @param swarm    The swarm; not NULL.
/// @param stream   The stream's id.
/// @param data     The bytes. NULL only with `len` 0. Copied.
/// @param len      Their number.
/// @param written  Where the number of bytes taken is written, 0 on failure. Not NULL.
/// @return 0 (also if only some were taken), or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_WOULD_BLOCK (none were taken),
///         SETOWIRE_ERR_NOT_FOUND (the stream is done, or its peer left), SETOWIRE_ERR_CLOSED (it was finished or reset
///         here, or the peer stopped reading), SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_stream_write(
    swarm: *mut setowire_swarm,
    stream: u64,
    data: *const u8,
    len: usize,
    written: *mut usize,
) -> i32 {
    guard("setowire_stream_write", || {
        // SAFETY: the header asks for a place for a number, and for `len` readable bytes.
        let (mut written, data) = unsafe { (Out::new(written, 0, "written")?, pointer::bytes(data, len, "data")?) };
        written.set(handle::get(swarm)?.write_stream(StreamId(stream), data)?);
        Ok(0)
    })
}

/// Reads from a stream: copies what is there, as much as fits. When it found less than fits, a STREAM_READABLE event
/// follows, once. What is not read stays with the peer once the stream's window is full: it can write no more.
/// When the peer is gone, what had come before is read in the same way, and the end if it had come; without one the read
/// behind the last byte is SETOWIRE_ERR_NOT_FOUND. Not so when this side ended the connection: that gives up what is
/// unread. Streams left unread count against what all streams may hold, and without room the oldest is given up, with its
/// STREAM_CLOSED event: read streams to the end, or stop them.
///
/// @param swarm   The swarm; not NULL.
/// @param stream  The stream's id.
/// @param buf     Where the bytes are written; not NULL.
/// @param cap     Bytes of `buf`, at least 1.
/// @param read    Where the number of bytes is written, 0 on failure. Not NULL.
/// @param end     Where SETOWIRE_END_NONE, _FINISHED or _RESET is written, NONE on failure. Not NULL. The end is told once,
///                perhaps together with the last bytes; after it there is nothing to read.
/// @param code    Where the code of the peer's reset is written, 0 if there is none. NULL: not wanted.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_WOULD_BLOCK (nothing is there), SETOWIRE_ERR_NOT_FOUND (the stream is
///         done, or its peer left and all that had come was read), SETOWIRE_ERR_CLOSED (the end was told, or reading was
///         stopped here), SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_stream_read(
    swarm: *mut setowire_swarm,
    stream: u64,
    buf: *mut u8,
    cap: usize,
    read: *mut usize,
    end: *mut u32,
    code: *mut u64,
) -> i32 {
    guard("setowire_stream_read", || {
        // SAFETY: the header asks for places for numbers, or NULL for `code`, and for `cap` writable bytes.
        let (read, end, mut code, out) = unsafe {
            let code = Out::new(code, 0, "code").ok();
            (Out::new(read, 0, "read"), Out::new(end, SETOWIRE_END_NONE, "end"), code, OutList::new(buf, cap, "buf"))
        };
        let (mut read, mut end, mut out) = (read?, end?, out?);
        if cap == 0 {
            return Err(Error::invalid("cap: 0 bytes were given; a read needs room for one"));
        }
        let found = handle::get(swarm)?.read_stream(StreamId(stream), cap, |piece| {
            out.append(&piece);
        })?;
        read.set(found.bytes);
        if found.finished {
            end.set(SETOWIRE_END_FINISHED);
        }
        if let Some(reset) = found.reset {
            end.set(SETOWIRE_END_RESET);
            if let Some(code) = &mut code {
                code.set(reset);
            }
        }
        Ok(0)
    })
}

/// Ends our direction of a stream: the peer reads what was written, then the end. Reading goes on.
///
/// @param swarm   The swarm; not NULL.
/// @param stream  The stream's id.
/// @return 0 (also if it was finished before), or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED (it
///         was reset, or the peer stopped reading), SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_stream_finish(swarm: *mut setowire_swarm, stream: u64) -> i32 {
    guard("setowire_stream_finish", || {
        handle::get(swarm)?.finish_stream(StreamId(stream))?;
        Ok(0)
    })
}

/// Gives up our direction of a stream: what was written and not yet read is thrown away, and the peer reads a reset with
/// this code. A peer that has heard nothing of the stream before never does. Reading goes on.
///
/// @param swarm   The swarm; not NULL.
/// @param stream  The stream's id.
/// @param code    What the peer is told; the application gives it a meaning.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
///         SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_stream_reset(swarm: *mut setowire_swarm, stream: u64, code: u32) -> i32 {
    guard("setowire_stream_reset", || {
        handle::get(swarm)?.reset_stream(StreamId(stream), code)?;
        Ok(0)
    })
}

/// Wants nothing more of the peer's direction of a stream: what came and was not read is thrown away, and the peer's
/// writes fail. Writing goes on. A stream whose peer is gone is closed by it.
///
/// @param swarm   The swarm; not NULL.
/// @param stream  The stream's id.
/// @param code    What the peer is told; the application gives it a meaning.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
///         SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_stream_stop(swarm: *mut setowire_swarm, stream: u64, code: u32) -> i32 {
    guard("setowire_stream_stop", || {
        handle::get(swarm)?.stop_stream(StreamId(stream), code)?;
        Ok(0)
    })
}

/// Says which of the streams to a peer goes first when they compete; those of the same priority share.
///
/// @param swarm     The swarm; not NULL.
/// @param stream    The stream's id.
/// @param priority  Higher goes first, 0 at first. Messages have 1, and more than that counts as 1.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED (our direction is done),
///         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_stream_set_priority(swarm: *mut setowire_swarm, stream: u64, priority: i32) -> i32 {
    guard("setowire_stream_set_priority", || {
        handle::get(swarm)?.set_stream_priority(StreamId(stream), priority)?;
        Ok(0)
    })
}

/// Tells the peer at the other end of a stream.
///
/// @param swarm   The swarm; not NULL.
/// @param stream  The stream's id.
/// @param peer    Where the peer's id is written, 0 on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
///         SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_stream_peer(swarm: *mut setowire_swarm, stream: u64, peer: *mut u64) -> i32 {
    guard("setowire_stream_peer", || {
        // SAFETY: the header asks for a place for a number.
        let mut peer = unsafe { Out::new(peer, 0, "peer")? };
        peer.set(handle::get(swarm)?.stream_peer(StreamId(stream))?.0);
        Ok(0)
    })
}
