//! `setowire_event_*`: reading the queue, and looking at an event.
//!
//! Three ways to read: `next` gives an event as an object, `drain` copies many as bytes, and
//! `wait` or the descriptor tells when there is something. None of them with a callback.

use super::guard::{guard, guard_value};
use super::handle;
use super::pointer::{self, Out, OutList};
use super::types::EventObject;
use super::{SETOWIRE_NO_TIMEOUT, setowire_event, setowire_swarm};
use crate::error::{Code, Error};
use crate::event::kind;
use std::time::Duration;

/// Takes the next event out of the queue.
///
/// @param swarm  The swarm; not NULL.
/// @param out    Where the event is written, owned by the caller: to be freed with setowire_event_free(), also after
///               the swarm was freed. NULL is written if there is none. Not NULL.
/// @return 1: an event; 0: none is waiting; or SETOWIRE_ERR_INVALID (also: the swarm has a callback),
///         SETOWIRE_ERR_CLOSED (it was freed), SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_event_next(swarm: *mut setowire_swarm, out: *mut *mut setowire_event) -> i32 {
    guard("setowire_event_next", || {
        // SAFETY: the header asks for a place for a pointer.
        let mut out = unsafe { Out::new(out, std::ptr::null_mut(), "out")? };
        Ok(match handle::get(swarm)?.events().next()? {
            Some(record) => {
                out.set(pointer::into_raw(EventObject::new(record, true)));
                1
            }
            None => 0,
        })
    })
}

/// Frees an event and its data.
///
/// @param event  From setowire_event_next(). NULL, and an event that a callback was given, are ignored.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_event_free(event: *mut setowire_event) {
    guard_value("setowire_event_free", (), || {
        // SAFETY: the header asks for a live event.
        if unsafe { pointer::get(event, "event") }.is_ok_and(|event| event.owned) {
            // SAFETY: it was made by `setowire_event_next` and not freed before.
            drop(unsafe { pointer::take(event) });
        }
    });
}

/// The kind of an event: SETOWIRE_EVENT_*. Ignore kinds you do not know.
///
/// @param event  The event. NULL: 0 is returned.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_event_kind(event: *const setowire_event) -> u16 {
    // SAFETY: the header asks for a live event.
    guard_value("setowire_event_kind", 0, || unsafe { read(event, |event| event.record.kind) })
}

/// The number of an event: it grows by one with each event of a swarm.
///
/// @param event  The event. NULL: 0 is returned.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_event_seq(event: *const setowire_event) -> u64 {
    // SAFETY: the header asks for a live event.
    guard_value("setowire_event_seq", 0, || unsafe { read(event, |event| event.record.seq) })
}

/// The id of the peer an event is about; 0: none.
///
/// @param event  The event. NULL: 0 is returned.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_event_peer(event: *const setowire_event) -> u64 {
    // SAFETY: the header asks for a live event.
    guard_value("setowire_event_peer", 0, || unsafe { read(event, |event| event.record.peer) })
}

/// The id of the topic session an event is about: that of a MESSAGE with SETOWIRE_MESSAGE_BROADCAST, a TOPIC_UPDATED or
/// PEER_TOPIC, and, if a topic led to the peer, of a PEER, PEER_REJECTED or ASK; 0: none.
///
/// @param event  The event. NULL: 0 is returned.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_event_topic(event: *const setowire_event) -> u64 {
    // SAFETY: the header asks for a live event.
    guard_value("setowire_event_topic", 0, || unsafe { read(event, |event| event.topic()) })
}

/// The number of the question that an ASK event asks, for setowire_swarm_answer(); 0: another kind.
///
/// @param event  The event. NULL: 0 is returned.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_event_question(event: *const setowire_event) -> u64 {
    // SAFETY: the header asks for a live event.
    guard_value("setowire_event_question", 0, || unsafe { read(event, |event| event.question()) })
}

/// The round that a ROUND event asks for, or that a ROUND_CANCELLED event ends, for setowire_swarm_found() and
/// setowire_swarm_round_done(); 0: another kind.
///
/// @param event  The event. NULL: 0 is returned.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_event_query(event: *const setowire_event) -> u64 {
    // SAFETY: the header asks for a live event.
    guard_value("setowire_event_query", 0, || unsafe { read(event, |event| event.query()) })
}

/// The id of the stream that a STREAM, STREAM_READABLE, STREAM_WRITABLE or STREAM_CLOSED event is about; 0: another kind.
///
/// @param event  The event. NULL: 0 is returned.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_event_stream(event: *const setowire_event) -> u64 {
    // SAFETY: the header asks for a live event.
    guard_value("setowire_event_stream", 0, || unsafe { read(event, |event| event.stream()) })
}

/// The id of the operation that an OP_DONE event ends, or that a FOUND event belongs to; 0: another kind, or a send.
///
/// @param event  The event. NULL: 0 is returned.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_event_op(event: *const setowire_event) -> u64 {
    // SAFETY: the header asks for a live event.
    guard_value("setowire_event_op", 0, || unsafe { read(event, |event| event.operation()) })
}

/// The tag that the caller gave to the operation of an OP_DONE or FOUND event, or the code of the reset of a STREAM_CLOSED
/// event with SETOWIRE_STREAM_RESET; 0: none, or another kind.
///
/// @param event  The event. NULL: 0 is returned.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_event_tag(event: *const setowire_event) -> u64 {
    // SAFETY: the header asks for a live event.
    guard_value("setowire_event_tag", 0, || unsafe { read(event, |event| event.tag()) })
}

/// The code of an OP_DONE, DISCONNECTION, TOPIC_UPDATED or CLOSED event: 0, or SETOWIRE_ERR_*.
///
/// @param event  The event. NULL: 0 is returned.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_event_code(event: *const setowire_event) -> i32 {
    // SAFETY: the header asks for a live event.
    guard_value("setowire_event_code", 0, || unsafe { read(event, |event| event.record.code) })
}

/// The flags of an event: SETOWIRE_MESSAGE_CLEAR, SETOWIRE_MESSAGE_BROADCAST, SETOWIRE_STREAM_RESET. Ignore bits you do
/// not know.
///
/// @param event  The event. NULL: 0 is returned.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_event_flags(event: *const setowire_event) -> u32 {
    // SAFETY: the header asks for a live event.
    guard_value("setowire_event_flags", 0, || unsafe { read(event, |event| event.record.flags.into()) })
}

/// The key of who wrote a MESSAGE with SETOWIRE_MESSAGE_BROADCAST, and signed it.
///
/// @param event  The event. NULL: NULL is returned.
/// @return 32 bytes, valid until the event is freed or the callback returns. NULL: nobody signed it, so anyone may have
///         written it; or it is another event.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_event_author(event: *const setowire_event) -> *const u8 {
    guard_value("setowire_event_author", std::ptr::null(), || {
        // SAFETY: the header asks for a live event.
        let event = unsafe { pointer::get(event, "event") };
        let author = event.ok().and_then(|event| event.record.author.as_ref());
        author.map_or(std::ptr::null(), |author| author.as_ptr())
    })
}

/// The data of an event: the bytes of a message or datagram, or UTF-8 text (JSON, or what went wrong), which a zero byte follows that
/// does not count.
///
/// @param event  The event. NULL: NULL is returned.
/// @param len    Where the number of bytes is written. NULL: not wanted.
/// @return The bytes, valid until the event is freed or the callback returns. Not NULL for a live event.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_event_data(event: *const setowire_event, len: *mut usize) -> *const u8 {
    guard_value("setowire_event_data", std::ptr::null(), || {
        // SAFETY: the header asks for a place for a number, or NULL.
        let len = unsafe { Out::new(len, 0, "len") };
        // SAFETY: the header asks for a live event.
        let Ok(event) = (unsafe { pointer::get(event, "event") }) else { return std::ptr::null() };
        if let Ok(mut len) = len {
            len.set(event.len);
        }
        event.record.data.as_ptr()
    })
}

/// Gives a descriptor that is readable while events wait, for poll, epoll and event loops. Only poll it: never read,
/// write or close it. It is closed with the swarm.
///
/// @param swarm  The swarm; not NULL.
/// @param fd     Where the descriptor is written, -1 on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID (also: the swarm has a callback), SETOWIRE_ERR_INTERNAL (no descriptor is left),
///         SETOWIRE_ERR_CLOSED (it was freed), SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_event_fd(swarm: *mut setowire_swarm, fd: *mut isize) -> i32 {
    guard("setowire_event_fd", || {
        // SAFETY: the header asks for a place for a number.
        let mut fd = unsafe { Out::new(fd, -1, "fd")? };
        fd.set(handle::get(swarm)?.events().descriptor()? as isize);
        Ok(0)
    })
}

/// Takes events out of the queue as bytes, as many whole ones as fit. Each record, little-endian and padded with
/// zeros to a multiple of 8 bytes, has these fields at these offsets: u32 record_len at 0 (padding included), u16 kind
/// at 4, u16 flags at 6, u64 seq at 8, u64 subject at 16 (the peer; of the STREAM events the stream; of OP_DONE the
/// operation, 0 for a send; of FOUND the operation; of ASK the question; of ROUND and ROUND_CANCELLED the round; of TOPIC_UPDATED the topic; else 0), u64 tag at 24
/// (of OP_DONE and FOUND the caller's; of a broadcast, PEER, PEER_REJECTED, PEER_TOPIC and ASK the topic; of STREAM the
/// peer that opened it; of STREAM_CLOSED the code of the peer's reset), i32 code at 32, u32 data_len at 36, the data at 40; in a MESSAGE with
/// SETOWIRE_MESSAGE_BROADCAST the author's 32 bytes (zeros: nobody signed it) are at 40 and the data at 72. Skip by
/// record_len what you do not know.
///
/// @param swarm    The swarm; not NULL.
/// @param buf      Where the records are written. NULL only with `cap` 0.
/// @param cap      Bytes of `buf`; with 128 KiB nearly every event fits.
/// @param written  Where the number of bytes is written; with SETOWIRE_ERR_TOO_SMALL the size that the next record
///                 needs, else 0 on failure. Not NULL.
/// @return The number of records, 0: none is waiting; or SETOWIRE_ERR_TOO_SMALL (not even one fits),
///         SETOWIRE_ERR_INVALID (also: the swarm has a callback), SETOWIRE_ERR_CLOSED (it was freed),
///         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_event_drain(
    swarm: *mut setowire_swarm,
    buf: *mut u8,
    cap: usize,
    written: *mut usize,
) -> i32 {
    guard("setowire_event_drain", || {
        // SAFETY: the header asks for a place for a number, and for `cap` writable bytes.
        let (mut written, mut out) = unsafe { (Out::new(written, 0, "written")?, OutList::new(buf, cap, "buf")?) };
        let drained = handle::get(swarm)?.events().drain(cap, &mut |piece| {
            out.append(piece);
        })?;
        if drained.records == 0 && drained.needed > 0 {
            written.set(drained.needed);
            let detail = format!("cap: {cap} bytes were given; the next record needs {}", drained.needed);
            return Err(Error::new(Code::TooSmall, detail));
        }
        written.set(drained.bytes);
        Ok(i32::try_from(drained.records).unwrap_or(i32::MAX))
    })
}

/// Waits until an event is in the queue.
///
/// Threading: any thread; waits. Inside a callback it returns SETOWIRE_ERR_WOULD_DEADLOCK.
///
/// @param swarm       The swarm; not NULL.
/// @param timeout_ms  Milliseconds to wait at most; 0: only look; SETOWIRE_NO_TIMEOUT: as long as it takes.
/// @return 1: events are waiting; 0: the time is over, or setowire_event_wake() was called; or SETOWIRE_ERR_CLOSED (the
///         CLOSED event was read, or the swarm was freed), SETOWIRE_ERR_INVALID (also: the swarm has a callback),
///         SETOWIRE_ERR_WOULD_DEADLOCK, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_event_wait(swarm: *mut setowire_swarm, timeout_ms: u32) -> i32 {
    guard("setowire_event_wait", || {
        let timeout = match timeout_ms {
            SETOWIRE_NO_TIMEOUT => None,
            ms => Some(Duration::from_millis(ms.into())),
        };
        Ok(handle::get(swarm)?.events().wait(timeout)?.into())
    })
}

/// Makes one setowire_event_wait() return: a pending one, or else the next.
///
/// @param swarm  The swarm. What is not a live swarm is ignored.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_event_wake(swarm: *mut setowire_swarm) {
    guard_value("setowire_event_wake", (), || {
        if let Ok(swarm) = handle::get(swarm) {
            swarm.events().wake();
        }
    });
}

impl EventObject {
    fn operation(&self) -> u64 {
        if matches!(self.record.kind, kind::OP_DONE | kind::FOUND) { self.record.subject } else { 0 }
    }

    fn topic(&self) -> u64 {
        match self.record.kind {
            kind::MESSAGE | kind::PEER | kind::PEER_REJECTED | kind::PEER_TOPIC | kind::ASK => self.record.tag,
            kind::TOPIC_UPDATED => self.record.subject,
            _ => 0,
        }
    }

    fn question(&self) -> u64 {
        if self.record.kind == kind::ASK { self.record.subject } else { 0 }
    }

    fn query(&self) -> u64 {
        if matches!(self.record.kind, kind::ROUND | kind::ROUND_CANCELLED) { self.record.subject } else { 0 }
    }

    fn stream(&self) -> u64 {
        let streams = kind::STREAM..=kind::STREAM_CLOSED;
        if streams.contains(&self.record.kind) { self.record.subject } else { 0 }
    }

    fn tag(&self) -> u64 {
        if matches!(self.record.kind, kind::OP_DONE | kind::FOUND | kind::STREAM_CLOSED) { self.record.tag } else { 0 }
    }
}

/// # Safety
/// `event` is NULL or a live event.
unsafe fn read<T: Default>(event: *const setowire_event, field: impl FnOnce(&EventObject) -> T) -> T {
    // SAFETY: the caller's promise.
    unsafe { pointer::get(event, "event") }.map(field).unwrap_or_default()
}
