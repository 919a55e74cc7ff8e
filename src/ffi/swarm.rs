//! `setowire_swarm_*`: making, closing and freeing swarms, callbacks, connects, and what a
//! swarm tells about itself.
//!
//! Closing has two steps: `close` begins the end and returns, `free` waits for it. Inside a
//! callback of the same swarm `free` cannot wait: the swarm's thread does the rest.

use super::guard::{guard, guard_value};
use super::handle::{self, Handle};
use super::pointer::{self, Out, OutList};
use super::types::EventObject;
use super::user_data::UserData;
use super::{
    SETOWIRE_NO_TIMEOUT, setowire_config, setowire_destroy_cb, setowire_event_cb, setowire_swarm,
    setowire_swarm_counters, setowire_swarm_details,
};
use crate::config::{Config, limits};
use crate::error::{Code, Error, Result};
use crate::node::OpId;
use crate::queue::Callback;
use crate::runtime::Swarm;
use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

/// The longest message that any peer may say it takes.
pub(super) const MAX_MESSAGE: usize = limits::MAX_MESSAGE_HIGH;

/// Makes a swarm and starts it. Its events wait until somebody reads them.
///
/// @param config  Copied. NULL: all defaults.
/// @param out     Where the swarm is written, owned by the caller: to be freed with setowire_swarm_free(). NULL is
///                written on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PERMISSION (an address cannot be bound), SETOWIRE_ERR_INTERNAL
///         (the system refused sockets or a thread), SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_new(config: *const setowire_config, out: *mut *mut setowire_swarm) -> i32 {
    guard("setowire_swarm_new", || {
        // SAFETY: the header asks for a place for a pointer.
        let mut out = unsafe { Out::new(out, std::ptr::null_mut(), "out")? };
        let config = match config.is_null() {
            true => Config::default(),
            // SAFETY: the header asks for a live config that no other thread changes.
            false => unsafe { pointer::get(config, "config")?.clone() },
        };
        out.set(handle::insert(Swarm::new(config)?));
        Ok(0)
    })
}

/// Begins the end of a swarm and returns at once. No work is accepted any more, what is queued has half a second to leave
/// (over setowire/13: to be acknowledged, so that a program may close after its last message), operations complete, and
/// exactly one CLOSED event is the last. Calling it again changes nothing.
///
/// @param swarm  The swarm; not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED (it was freed), SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_swarm_close(swarm: *mut setowire_swarm) -> i32 {
    guard("setowire_swarm_close", || {
        handle::get(swarm)?.close();
        Ok(0)
    })
}

/// Closes a swarm if that was not done, waits for its threads, and frees it. A callback still gets the completions
/// and disconnections that are left, PEERS, and CLOSED, but no messages. When this returns no callback is running, none
/// will run, and `destroy` was called. Calls of other threads that use the swarm now or later return
/// SETOWIRE_ERR_CLOSED.
///
/// Inside a callback of this swarm it returns at once, nothing more is handed over, and the rest happens when the
/// callback returns. Outside, do not hold a lock that the callback takes; two swarms must not free each other in their
/// callbacks.
///
/// Threading: any thread; waits for less than two seconds, and for the callback.
///
/// @param swarm  NULL, and a swarm that was freed before, are ignored. In the child of a fork nothing is waited
///               for; the sockets that the child inherited are closed.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_swarm_free(swarm: *mut setowire_swarm) {
    guard_value("setowire_swarm_free", (), || {
        if let Some(handle) = handle::remove(swarm) {
            free(handle);
        }
    });
}

fn free(handle: Arc<Handle>) {
    if handle.is_inherited() {
        handle.swarm.events().abandon();
        handle.swarm.abandon();
        // Its threads and locks belong to the parent: nothing of it is touched again.
        std::mem::forget(handle);
        return;
    }
    handle.swarm.close();
    let events = handle.swarm.events().clone();
    if events.in_callback() {
        events.finish_later(Box::new(move || handle.swarm.shutdown()));
    } else {
        handle.swarm.shutdown();
        events.finish();
    }
}

/// Has events handed to a function, on a thread of the swarm. The first use decides: a swarm whose events are read
/// with setowire_event_next(), _drain(), _wait() or _fd() takes no callback, and the other way round.
///
/// A later call replaces the function. When it returns, the old one is not running and its `destroy` was called;
/// inside the old one itself, that happens when it returns. Events that come while there is no function wait.
///
/// Threading: any thread; waits for a running callback, unless called by it. Do not hold a lock that it takes.
///
/// @param swarm      The swarm; not NULL.
/// @param kind_mask  SETOWIRE_EVENT_BIT() of each kind, or SETOWIRE_EVENTS_ALL. CLOSED always comes, other kinds
///                   outside the mask are thrown away.
/// @param cb         The function. NULL: none any more; `user_data` is destroyed at once.
/// @param user_data  Passed to `cb`, never looked at. It must be usable on any thread.
/// @param destroy    Called exactly once with `user_data` when it is not used any more, also if this call fails. May
///                   be NULL.
/// @return 0, or SETOWIRE_ERR_INVALID (also: events are read from the queue), SETOWIRE_ERR_CLOSED (it is being
///         freed), SETOWIRE_ERR_FORKED, SETOWIRE_ERR_INTERNAL (the system refused a thread), SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_set_callback(
    swarm: *mut setowire_swarm,
    kind_mask: u64,
    cb: setowire_event_cb,
    user_data: *mut c_void,
    destroy: setowire_destroy_cb,
) -> i32 {
    let user_data = UserData::new(user_data, destroy);
    guard("setowire_swarm_set_callback", move || {
        let used = handle::get(swarm)?;
        let name = used.handle().name();
        let callback = cb.map(|cb| -> Callback {
            Box::new(move |record| {
                let event = EventObject::new(record, false);
                // SAFETY: the header asks for a function of this type that may be called on any thread with this
                // `user_data`, which lives as long as this closure. The event is lent for the call.
                unsafe { cb(pointer::name_only(name), pointer::lend(&event), user_data.pointer()) }
            })
        });
        used.events().set_callback(kind_mask, callback)?;
        Ok(0)
    })
}

/// Dials an address. A peer of this library that answers there is taken without a topic in common, if it accepts that.
/// Returns at once; exactly one OP_DONE event with the operation's id and the tag follows, also when the swarm is closed.
/// It may come before this call returns.
///
/// @param swarm       The swarm; not NULL.
/// @param addr        `host:port` or `[IPv6]:port`; not NULL. Copied.
/// @param timeout_ms  Milliseconds until it fails with SETOWIRE_ERR_TIMED_OUT; 0: the default (10 s),
///                    SETOWIRE_NO_TIMEOUT: none.
/// @param tag         A number of the caller's that the event repeats.
/// @param op          Where the operation's id is written, 0 on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_WOULD_BLOCK (too many operations, or too many completions not
///         read), SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC. The event's code: 0,
///         SETOWIRE_ERR_UNREACHABLE, _TIMED_OUT, _RESOLVE, _REFUSED, _PROTOCOL, _CANCELLED, _CLOSED or _PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_connect(
    swarm: *mut setowire_swarm,
    addr: *const c_char,
    timeout_ms: u32,
    tag: u64,
    op: *mut u64,
) -> i32 {
    guard("setowire_swarm_connect", || {
        // SAFETY: the header asks for a place for a number.
        let mut op = unsafe { Out::new(op, 0, "op")? };
        let swarm = handle::get(swarm)?;
        // SAFETY: the header asks for text that ends with a zero byte.
        let addr = unsafe { pointer::text(addr, "addr")? };
        op.set(swarm.connect(addr, None, time_limit(timeout_ms), tag)?.0);
        Ok(0)
    })
}

/// Dials the peer with this key at an address, over setowire/13 alone. Another peer there does not answer, and learns
/// nothing of this swarm. Otherwise as setowire_swarm_connect().
///
/// @param swarm       The swarm; not NULL.
/// @param addr        `host:port` or `[IPv6]:port`; not NULL. Copied.
/// @param key         The 32 bytes of its Ed25519 key; not NULL. Copied.
/// @param key_len     32.
/// @param timeout_ms  As for setowire_swarm_connect().
/// @param tag         A number of the caller's that the event repeats.
/// @param op          Where the operation's id is written, 0 on failure. Not NULL.
/// @return As for setowire_swarm_connect(). The event's code may also be SETOWIRE_ERR_BAD_KEY: who answered could not prove
///         the key.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_connect_key(
    swarm: *mut setowire_swarm,
    addr: *const c_char,
    key: *const u8,
    key_len: usize,
    timeout_ms: u32,
    tag: u64,
    op: *mut u64,
) -> i32 {
    guard("setowire_swarm_connect_key", || {
        // SAFETY: the header asks for a place for a number.
        let mut op = unsafe { Out::new(op, 0, "op")? };
        let swarm = handle::get(swarm)?;
        // SAFETY: the header asks for text that ends with a zero byte, and for `key_len` readable bytes.
        let (addr, key) = unsafe { (pointer::text(addr, "addr")?, pointer::array(key, key_len, "key")?) };
        op.set(swarm.connect(addr, Some(key), time_limit(timeout_ms), tag)?.0);
        Ok(0)
    })
}

/// Asks for the end of an operation. Its OP_DONE event still comes, with SETOWIRE_ERR_CANCELLED, or with success if
/// that was faster.
///
/// @param swarm  The swarm; not NULL.
/// @param op     The operation's id.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (it ended already), SETOWIRE_ERR_CLOSED,
///         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_op_cancel(swarm: *mut setowire_swarm, op: u64) -> i32 {
    guard("setowire_op_cancel", || {
        handle::get(swarm)?.cancel(OpId(op))?;
        Ok(0)
    })
}

/// Sends a message to the members of all public topics that are joined, as setowire_topic_broadcast() does, to peers that
/// were met without a topic, and to all peers of p2p-v12. A peer whose queue is full or that cannot take so much is left
/// out and not counted; a WRITABLE event follows for one whose queue was full.
///
/// @param swarm  The swarm; not NULL.
/// @param data   The message. NULL only with `len` 0. Copied.
/// @param len    Its bytes, at most 1,048,576; peers of p2p-v12 take 65,474, those of the old Rust package 4,063.
/// @return The number of peers it was queued for, 0 and more, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_TOO_LARGE,
///         SETOWIRE_ERR_WOULD_BLOCK (more than 500 broadcasts or 4 MiB in a second), SETOWIRE_ERR_CLOSED,
///         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_broadcast(swarm: *mut setowire_swarm, data: *const u8, len: usize) -> i32 {
    guard("setowire_swarm_broadcast", || {
        let swarm = handle::get(swarm)?;
        check_message(len)?;
        // SAFETY: the header asks for `len` readable bytes.
        let data = unsafe { pointer::bytes(data, len, "data")? };
        Ok(i32::try_from(swarm.broadcast(data)?).unwrap_or(i32::MAX))
    })
}

/// Lists the connected peers.
///
/// @param swarm  The swarm; not NULL.
/// @param ids    Where up to `cap` ids are written. NULL only with `cap` 0.
/// @param cap    Ids that fit there.
/// @param count  Where the number of all connected peers is written, 0 on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_peers(
    swarm: *mut setowire_swarm,
    ids: *mut u64,
    cap: usize,
    count: *mut usize,
) -> i32 {
    guard("setowire_swarm_peers", || {
        // SAFETY: the header asks for a place for a number, and for room for `cap` numbers.
        let (mut count, mut list) = unsafe { (Out::new(count, 0, "count")?, OutList::new(ids, cap, "ids")?) };
        let peers: Vec<u64> = handle::get(swarm)?.peers().into_iter().map(|peer| peer.0).collect();
        list.append(&peers);
        count.set(peers.len());
        Ok(0)
    })
}

/// Tells who and where a swarm is.
///
/// @param swarm  The swarm; not NULL.
/// @param out    Filled, up to its struct_size. Zero on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID (also: struct_size is not set), SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
///         SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_info(swarm: *mut setowire_swarm, out: *mut setowire_swarm_details) -> i32 {
    let read = || {
        let info = handle::get(swarm)?.info();
        Ok(setowire_swarm_details {
            struct_size: 0,
            port_v4: info.ports.v4.unwrap_or(0),
            port_v6: info.ports.v6.unwrap_or(0),
            key: info.key,
            legacy_id: info.legacy_id,
            reserved: 0,
        })
    };
    // SAFETY: the header asks for a struct of the size that it says.
    guard("setowire_swarm_info", || unsafe { pointer::fill(out, read) })
}

/// Tells what a swarm did and holds.
///
/// @param swarm  The swarm; not NULL.
/// @param out    Filled, up to its struct_size. Zero on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID (also: struct_size is not set), SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
///         SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_stats(swarm: *mut setowire_swarm, out: *mut setowire_swarm_counters) -> i32 {
    let read = || {
        let swarm = handle::get(swarm)?;
        let stats = swarm.stats();
        Ok(setowire_swarm_counters {
            struct_size: 0,
            reserved: 0,
            datagrams_sent: stats.datagrams_sent,
            datagrams_received: stats.datagrams_received,
            bytes_sent: stats.bytes_sent,
            bytes_received: stats.bytes_received,
            messages_sent: stats.messages_sent,
            messages_received: stats.messages_received,
            messages_lost: stats.messages_lost,
            datagrams_rejected: stats.datagrams_rejected,
            dials_started: stats.dials_started,
            dials_refused_by_budget: stats.dials_refused_by_budget,
            connections: stats.connections,
            disconnections: stats.disconnections,
            events_lost: swarm.events().lost(),
            peers: stats.peers,
            unconfirmed: stats.unconfirmed,
            dials: stats.dials,
            ops: stats.ops,
            topics: stats.topics,
            buffered_bytes: stats.buffered_bytes,
            reassembly_bytes: stats.reassembly_bytes,
            mesh_received: stats.mesh_received,
            mesh_duplicates: stats.mesh_duplicates,
            mesh_sent: stats.mesh_sent,
            mesh_rejected: stats.mesh_rejected,
            mesh_bytes: stats.mesh_bytes,
        })
    };
    // SAFETY: the header asks for a struct of the size that it says.
    guard("setowire_swarm_stats", || unsafe { pointer::fill(out, read) })
}

/// Tells the swarm that the network changed (an interface came, the machine woke up). New addresses it notices by itself
/// within seconds; this makes it look at once, has every connection show whether it lives, and makes a round of discovery of
/// every topic.
///
/// @param swarm  The swarm; not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED (it was freed), SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_swarm_network_changed(swarm: *mut setowire_swarm) -> i32 {
    guard("setowire_swarm_network_changed", || {
        handle::get(swarm)?.network_changed();
        Ok(0)
    })
}

pub(super) fn time_limit(timeout_ms: u32) -> Option<Duration> {
    match timeout_ms {
        0 => None,
        SETOWIRE_NO_TIMEOUT => Some(Duration::MAX),
        ms => Some(Duration::from_millis(ms.into())),
    }
}

/// Refuses a message that no peer could take, before its memory is touched.
pub(super) fn check_message(len: usize) -> Result<()> {
    if len <= MAX_MESSAGE {
        return Ok(());
    }
    Err(Error::new(Code::TooLarge, format!("len: {len} bytes were given; no peer takes more than {MAX_MESSAGE}")))
}
