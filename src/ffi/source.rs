//! `setowire_swarm_found`, `_round_done`, `_unannounced`: answers of an application that is itself a source of peers.

use super::guard::guard;
use super::handle;
use super::known::address;
use super::pointer;
use super::setowire_swarm;
use std::ffi::c_char;

/// Tells a peer that the program found for a round: see the event ROUND. It is dialled if the topic wants it; itself it may
/// name, too. Any number of them may come before setowire_swarm_round_done(), each when it is found.
///
/// @param swarm    The swarm; not NULL. With the option "source".
/// @param query    The round: what setowire_event_query() gave.
/// @param key      The 32 bytes of the peer's Ed25519 key; not NULL. Copied. Whoever else answers there is not connected.
/// @param key_len  32.
/// @param addr     Where it is, such as `192.168.0.7:40001` or `[2001:db8::1]:40001`; not NULL. Copied.
/// @return 0, also if the round has ended; or SETOWIRE_ERR_INVALID (also: nobody can be dialled there),
///         SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_found(
    swarm: *mut setowire_swarm,
    query: u64,
    key: *const u8,
    key_len: usize,
    addr: *const c_char,
) -> i32 {
    guard("setowire_swarm_found", || {
        let swarm = handle::get(swarm)?;
        // SAFETY: the header asks for `key_len` readable bytes, and for text that ends with a zero byte.
        let (key, addr) = unsafe { (pointer::array(key, key_len, "key")?, pointer::text(addr, "addr")?) };
        swarm.found(query, key, address(addr)?)?;
        Ok(0)
    })
}

/// Ends the program's part of a round: see the event ROUND. Without this call it ends after 30 s, as one that failed.
///
/// @param swarm  The swarm; not NULL.
/// @param query  The round: what setowire_event_query() gave.
/// @param ok     Whether it worked, so that others can find what was announced, and everyone was told who was found.
/// @return 0, also if the round has ended; or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
///         SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_swarm_round_done(swarm: *mut setowire_swarm, query: u64, ok: bool) -> i32 {
    guard("setowire_swarm_round_done", || {
        handle::get(swarm)?.round_done(query, ok)?;
        Ok(0)
    })
}

/// Tells that what an event UNANNOUNCE asked for is done, or failed. Until then, but at most 10 s, a topic that is joined
/// again is not announced, so that the older call cannot take back the newer announcement.
///
/// @param swarm  The swarm; not NULL.
/// @param name   The 32 bytes of the event's "name"; not NULL.
/// @param len    32.
/// @return 0, also if nobody waits for it; or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
///         SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_unannounced(swarm: *mut setowire_swarm, name: *const u8, len: usize) -> i32 {
    guard("setowire_swarm_unannounced", || {
        let swarm = handle::get(swarm)?;
        // SAFETY: the header asks for `len` readable bytes.
        swarm.unannounced(unsafe { pointer::array(name, len, "name")? })?;
        Ok(0)
    })
}
