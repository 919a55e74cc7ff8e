//! Peers by key: keeping them connected, banning them, and what is known of them, connected or not.
//!
//! A peer is named by the 32 bytes of its Ed25519 key, or, if it is one of the older packages, by the first 8 to 20 bytes
//! of its id.

use super::guard::guard;
use super::handle;
use super::pointer::{self, Out};
use super::setowire_swarm;
use super::swarm::time_limit;
use crate::error::{Code, Error, Result};
use crate::event::text::Known;
use crate::node::manage::{no_whom, whom_from};
use crate::node::{PeerId, Whom};
use serde::Serialize;
use std::ffi::c_char;
use std::net::SocketAddr;
use std::time::Duration;

/// Dials a peer by its key alone, once, without a topic: it is looked for on the local network, and where it is known to
/// have been. It must accept that, and be found, as for setowire_swarm_join_peer(). The peer is not dialled again. Otherwise as
/// setowire_swarm_connect(): a firewall is asked when somebody has answered, as about a peer that dials us.
///
/// @param swarm       The swarm; not NULL.
/// @param key         The 32 bytes of its Ed25519 key, not our own; not NULL. Copied.
/// @param len         32.
/// @param timeout_ms  As for setowire_swarm_connect().
/// @param tag         A number of the caller's that the event repeats.
/// @param op          Where the operation's id is written, 0 on failure. Not NULL.
/// @return As for setowire_swarm_connect().
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_connect_peer(
    swarm: *mut setowire_swarm,
    key: *const u8,
    len: usize,
    timeout_ms: u32,
    tag: u64,
    op: *mut u64,
) -> i32 {
    guard("setowire_swarm_connect_peer", || {
        // SAFETY: the header asks for a place for a number.
        let mut op = unsafe { Out::new(op, 0, "op")? };
        let swarm = handle::get(swarm)?;
        // SAFETY: the header asks for `len` readable bytes.
        let key = unsafe { pointer::array(key, len, "key")? };
        op.set(swarm.connect_peer(key, time_limit(timeout_ms), tag)?.0);
        Ok(0)
    })
}

/// Keeps a peer connected, whatever topics are joined: dials it until it answers, and again when it goes. It must accept
/// that: see the option "accept_explicit". Joining it again, or its own key, changes nothing.
///
/// @param swarm  The swarm; not NULL.
/// @param key    The 32 bytes of its Ed25519 key; or of a peer of the older packages the first 8 to 20 bytes of its id, with
///               `addr`. Not NULL. Copied.
/// @param len    32, or 8 to 20.
/// @param addr   Where it may be, such as `192.168.0.7:40001` or `[fe80::1]:40001`. NULL: it is looked for by its key on
///               the local network, where setowire_swarm_listen(), or a topic that it joined, lets it be found. Copied.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_WOULD_BLOCK (too many; leave one), SETOWIRE_ERR_CLOSED,
///         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_join_peer(
    swarm: *mut setowire_swarm,
    key: *const u8,
    len: usize,
    addr: *const c_char,
) -> i32 {
    guard("setowire_swarm_join_peer", || {
        let swarm = handle::get(swarm)?;
        // SAFETY: the header asks for `len` readable bytes.
        let whom = unsafe { whom(key, len)? };
        let addr = match addr.is_null() {
            true => None,
            // SAFETY: the header asks for text that ends with a zero byte.
            false => Some(address(unsafe { pointer::text(addr, "addr")? })?),
        };
        swarm.join_peer(whom, addr)?;
        Ok(0)
    })
}

/// Ends what setowire_swarm_join_peer() began. The connection stays, and is not brought back when it ends, unless a topic
/// does.
///
/// @param swarm  The swarm; not NULL.
/// @param key    As for setowire_swarm_join_peer().
/// @param len    32, or 8 to 20.
/// @return 0, also if it was not joined; or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
///         SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_leave_peer(swarm: *mut setowire_swarm, key: *const u8, len: usize) -> i32 {
    guard("setowire_swarm_leave_peer", || {
        let swarm = handle::get(swarm)?;
        // SAFETY: the header asks for `len` readable bytes.
        swarm.leave_peer(unsafe { whom(key, len)? })?;
        Ok(0)
    })
}

/// Bans a peer: it is neither dialled nor let in. The ban of a key holds for the peer's legacy id too, once the two are
/// proven to be one (docs/threat-model.md); a connection that is ended by the ban or after it waits for that proof, for at
/// most half a second.
///
/// @param swarm        The swarm; not NULL.
/// @param key          As for setowire_swarm_join_peer(). It need not be known.
/// @param len          32, or 8 to 20.
/// @param duration_ms  Milliseconds; 0: for the life of the swarm, or with the preset "v2" for the option "forget_banned".
/// @param close        Also ends its connection, with a DISCONNECTION event.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_WOULD_BLOCK (too many are banned), SETOWIRE_ERR_CLOSED,
///         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_ban(
    swarm: *mut setowire_swarm,
    key: *const u8,
    len: usize,
    duration_ms: u64,
    close: bool,
) -> i32 {
    guard("setowire_swarm_ban", || {
        let swarm = handle::get(swarm)?;
        let life = (duration_ms != 0).then(|| Duration::from_millis(duration_ms));
        // SAFETY: the header asks for `len` readable bytes.
        swarm.ban(unsafe { whom(key, len)? }, life, close)?;
        Ok(0)
    })
}

/// Lifts a ban, whoever made it. The peer is dialled again when it is found again.
///
/// @param swarm  The swarm; not NULL.
/// @param key    As for setowire_swarm_join_peer().
/// @param len    32, or 8 to 20.
/// @return 0, also if it was not banned; or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
///         SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_unban(swarm: *mut setowire_swarm, key: *const u8, len: usize) -> i32 {
    guard("setowire_swarm_unban", || {
        let swarm = handle::get(swarm)?;
        // SAFETY: the header asks for `len` readable bytes.
        swarm.unban(unsafe { whom(key, len)? })?;
        Ok(0)
    })
}

/// Says whether a known peer is dialled again by itself when it goes. Default: on.
///
/// @param swarm  The swarm; not NULL.
/// @param key    As for setowire_swarm_join_peer().
/// @param len    32, or 8 to 20.
/// @param on     Whether it is.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (the swarm does not know it), SETOWIRE_ERR_CLOSED,
///         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_set_reconnect(
    swarm: *mut setowire_swarm,
    key: *const u8,
    len: usize,
    on: bool,
) -> i32 {
    guard("setowire_swarm_set_reconnect", || {
        let swarm = handle::get(swarm)?;
        // SAFETY: the header asks for `len` readable bytes.
        swarm.set_reconnect(unsafe { whom(key, len)? }, on)?;
        Ok(0)
    })
}

/// Counts one more failed attempt at a peer that we dial, so that the next dial is later, or never.
///
/// @param swarm  The swarm; not NULL.
/// @param key    As for setowire_swarm_join_peer().
/// @param len    32, or 8 to 20.
/// @return 1: it was counted; 0: it is a peer that dials us, or it is given up already; or SETOWIRE_ERR_INVALID,
///         SETOWIRE_ERR_NOT_FOUND (the swarm does not know it), SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
///         SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_backoff(swarm: *mut setowire_swarm, key: *const u8, len: usize) -> i32 {
    guard("setowire_swarm_backoff", || {
        let swarm = handle::get(swarm)?;
        // SAFETY: the header asks for `len` readable bytes.
        Ok(swarm.backoff(unsafe { whom(key, len)? })?.into())
    })
}

/// Ends one of two connections with one program, where programs have several keys: both sides tell each other an id of
/// their own over each connection, then both call this for it. Both sides come to the same answer.
///
/// @param swarm       The swarm; not NULL.
/// @param peer        The id of the connected peer.
/// @param local_id    What we told it; not NULL. Copied.
/// @param local_len   1 to 64.
/// @param remote_id   What it told us; not NULL. Copied.
/// @param remote_len  1 to 64.
/// @return 1: this connection ends (also: both ids are the same, so it is one with ourselves); 0: it stays, and another one
///         with the same ids ends; or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (the peer left), SETOWIRE_ERR_CLOSED,
///         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_peer_deduplicate(
    swarm: *mut setowire_swarm,
    peer: u64,
    local_id: *const u8,
    local_len: usize,
    remote_id: *const u8,
    remote_len: usize,
) -> i32 {
    guard("setowire_peer_deduplicate", || {
        let swarm = handle::get(swarm)?;
        // SAFETY: the header asks for so many readable bytes.
        let (local, remote) = unsafe {
            (pointer::bytes(local_id, local_len, "local_id")?, pointer::bytes(remote_id, remote_len, "remote_id")?)
        };
        Ok(swarm.deduplicate(PeerId(peer), local, remote)?.into())
    })
}

/// Tells what is known of all peers, connected or not, and of all that are banned: a JSON array of objects as
/// setowire_swarm_known_peer() gives.
///
/// @param swarm  The swarm; not NULL.
/// @param buf    Where to; cut to `cap` bytes, and ended with a zero byte if `cap` is not 0. NULL only with `cap` 0.
/// @param cap    Bytes of `buf`.
/// @param len    Where the length of the whole text without the zero byte is written, 0 on failure. Not NULL. If it is not
///               less than `cap`, the text is cut: call again with more. It may have grown meanwhile.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC; then `buf` holds an
///         empty text.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_known_peers(
    swarm: *mut setowire_swarm,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
) -> i32 {
    guard("setowire_swarm_known_peers", || {
        let read = || {
            let known = handle::get(swarm)?.known_peers()?;
            json(&known.iter().map(Known::from).collect::<Vec<_>>())
        };
        // SAFETY: the header asks for `cap` writable bytes, and for a place for a number.
        unsafe { text_out(buf, cap, len, read) }
    })
}

/// Tells what is known of a peer, connected or not. A JSON object (later versions may add to it) with
///   - "key": 64 hexadecimal digits, or null for a peer of the older packages; "id": null, or 16 hexadecimal digits, the
///     first 8 bytes of its id;
///   - "addresses": array of texts, where it may be, the newest first; "source": as in CONNECTION events;
///   - "topics": array of ids of topic sessions, by which it was found;
///   - "peer": number, its id while it is connected; 0: it is not;
///   - "attempts": number, dials that ended since the last good connection; "priority": number, how urgent the next dial is,
///     4 to 0, with the preset "v2" 5 to 0, or null: it is not dialled again by itself; "prioritized": true or false, that
///     number is 2 or more; "proven": true or false, a dial opened since the count began;
///   - "banned", "client" (we dialled it last), "explicit" (joined with setowire_swarm_join_peer()), "reconnecting" (see
///     setowire_swarm_set_reconnect()), "queued" (to be dialled), "waiting" (for its next dial), "dialling": true or false.
///
/// @param swarm    The swarm; not NULL.
/// @param key      As for setowire_swarm_join_peer().
/// @param key_len  32, or 8 to 20.
/// @param buf      Where to; cut to `cap` bytes, and ended with a zero byte if `cap` is not 0. NULL only with `cap` 0.
/// @param cap      Bytes of `buf`; 4,096 are nearly always enough.
/// @param len      As for setowire_swarm_known_peers().
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (the swarm does not know it), SETOWIRE_ERR_CLOSED,
///         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC; then `buf` holds an empty text.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_known_peer(
    swarm: *mut setowire_swarm,
    key: *const u8,
    key_len: usize,
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
) -> i32 {
    guard("setowire_swarm_known_peer", || {
        let read = || {
            let swarm = handle::get(swarm)?;
            // SAFETY: the header asks for `key_len` readable bytes.
            let whom = unsafe { whom(key, key_len)? };
            json(&Known::from(&swarm.known_peer(whom)?))
        };
        // SAFETY: the header asks for `cap` writable bytes, and for a place for a number.
        unsafe { text_out(buf, cap, len, read) }
    })
}

/// The peer that the caller names.
///
/// # Safety
/// `key` is NULL or points to `len` readable bytes.
unsafe fn whom(key: *const u8, len: usize) -> Result<Whom> {
    if len > 32 {
        // Not looked at: no such name is so long.
        return Err(no_whom(len));
    }
    // SAFETY: the caller's promise.
    whom_from(unsafe { pointer::bytes(key, len, "key")? })
}

pub(super) fn address(text: &str) -> Result<SocketAddr> {
    let address: Option<SocketAddr> = text.parse().ok();
    address
        .filter(crate::path::is_dialable)
        .ok_or_else(|| Error::invalid(format!("addr: {text:?} is not an address of one peer, like 192.168.0.7:40001")))
}

/// The text of what is listed.
fn json(object: &impl Serialize) -> Result<String> {
    serde_json::to_string(object)
        .map_err(|e| Error::new(Code::Internal, format!("a listing could not be written: {e}")))
}

/// Copies text and tells its length; empty and 0 if there is none.
///
/// # Safety
/// `buf` is NULL or points to `cap` writable bytes, `len` is NULL or points to a number.
unsafe fn text_out(
    buf: *mut c_char,
    cap: usize,
    len: *mut usize,
    read: impl FnOnce() -> Result<String>,
) -> Result<i32> {
    // SAFETY: the caller's promise.
    let mut len = unsafe { Out::new(len, 0, "len")? };
    // SAFETY: the caller's promise.
    unsafe { pointer::copy_text("", buf, cap)? };
    let text = read()?;
    // SAFETY: the caller's promise.
    unsafe { pointer::copy_text(&text, buf, cap)? };
    len.set(text.len());
    Ok(0)
}
