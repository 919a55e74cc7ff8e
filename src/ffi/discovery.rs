//! Topics as client and server: `setowire_swarm_join_as`, `_lookup`, `_unannounce`, `_flush` and what a session of a
//! topic does.
//!
//! What takes time is an operation whose `OP_DONE` event tells the end: code 0 is true, any other false.

use super::guard::guard;
use super::handle;
use super::pointer::{self, Out, OutList};
use super::{SETOWIRE_JOIN_CLIENT, SETOWIRE_JOIN_SERVER, setowire_swarm, setowire_topic_details};
use crate::error::{Error, Result};
use crate::node::{Modes, TopicId};
use zeroize::Zeroizing;

/// Joins a topic as client, as server or as both, with or without a secret. As client others are looked for and dialled, as
/// server others find this swarm and dial it; two that are only clients, or only servers, do not meet. A topic may be
/// joined any number of times: each call makes a session, and the topic does what one of its sessions wants. With the
/// preset "v2" a topic that is joined already is left first.
///
/// @param swarm       The swarm; not NULL.
/// @param topic       32 bytes, by custom the SHA-256 of a name; not NULL. Copied.
/// @param len         32.
/// @param secret      As for setowire_swarm_join_private(); NULL with `secret_len` 0: the topic is public.
/// @param secret_len  32, or 0.
/// @param flags       SETOWIRE_JOIN_CLIENT, SETOWIRE_JOIN_SERVER or both; 0: the default of the preset, which is both, and
///                    with the preset "v2" client.
/// @param limit       Of the peers that look-ups find, about so many are dialled; those that are connected already count. Of
///                    several client sessions the largest limit holds. 0: all.
/// @param topic_id    Where the id of this session is written, 0 on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID (also: unknown flags), SETOWIRE_ERR_WOULD_BLOCK (too many topics; leave one),
///         SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_join_as(
    swarm: *mut setowire_swarm,
    topic: *const u8,
    len: usize,
    secret: *const u8,
    secret_len: usize,
    flags: u32,
    limit: u64,
    topic_id: *mut u64,
) -> i32 {
    guard("setowire_swarm_join_as", || {
        // SAFETY: the header asks for a place for a number.
        let mut topic_id = unsafe { Out::new(topic_id, 0, "topic_id")? };
        let swarm = handle::get(swarm)?;
        // SAFETY: the header asks for `len` and `secret_len` readable bytes.
        let (topic, secret) = unsafe { (pointer::array(topic, len, "topic")?, optional(secret, secret_len)?) };
        topic_id.set(swarm.join(topic, secret.as_deref().copied(), modes(flags, limit)?)?.0);
        Ok(0)
    })
}

/// Changes what a session of a topic does, and makes a round of discovery: it is looked up and announced anew. A round that
/// runs is joined, unless the topic is to do something else now. Exactly one OP_DONE event follows when the round has
/// ended, with code 0 if a source worked; it may come before this call returns.
///
/// @param swarm     The swarm; not NULL.
/// @param topic_id  The id of the session.
/// @param flags     As for setowire_swarm_join_as(); 0: unchanged.
/// @param limit     As for setowire_swarm_join_as(), but 0: unchanged, and UINT64_MAX: all.
/// @param tag       A number of the caller's that the event repeats.
/// @param op        Where the operation's id is written, 0 on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID (also: unknown flags), SETOWIRE_ERR_NOT_FOUND (it is not joined),
///         SETOWIRE_ERR_WOULD_BLOCK (too many operations, or too many completions not read), SETOWIRE_ERR_CLOSED,
///         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_topic_refresh(
    swarm: *mut setowire_swarm,
    topic_id: u64,
    flags: u32,
    limit: u64,
    tag: u64,
    op: *mut u64,
) -> i32 {
    guard("setowire_topic_refresh", || {
        // SAFETY: the header asks for a place for a number.
        let mut op = unsafe { Out::new(op, 0, "op")? };
        op.set(handle::get(swarm)?.refresh(TopicId(topic_id), modes(flags, limit)?, tag)?.0);
        Ok(0)
    })
}

/// Waits for the round of discovery of a topic that runs now: from then on others can find a server, and who was there has
/// been found. It says nothing of connections. Exactly one OP_DONE event follows, with code 0 if the round, or the last one
/// if none runs, succeeded; it may come before this call returns.
///
/// @param swarm     The swarm; not NULL.
/// @param topic_id  The id of a session of the topic.
/// @param tag       A number of the caller's that the event repeats.
/// @param op        Where the operation's id is written, 0 on failure. Not NULL.
/// @return As for setowire_topic_refresh().
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_topic_flushed(
    swarm: *mut setowire_swarm,
    topic_id: u64,
    tag: u64,
    op: *mut u64,
) -> i32 {
    guard("setowire_topic_flushed", || {
        // SAFETY: the header asks for a place for a number.
        let mut op = unsafe { Out::new(op, 0, "op")? };
        op.set(handle::get(swarm)?.flushed(TopicId(topic_id), tag)?.0);
        Ok(0)
    })
}

/// Waits until the rounds of all topics that run now have ended and everyone whom they found was tried once: connected,
/// failed or turned away. Exactly one OP_DONE event follows, with code 0 when that is so, or when a limit keeps the swarm
/// from more dials; with another when the swarm is closed before. Peers that are found later do not delay it.
///
/// @param swarm  The swarm; not NULL.
/// @param tag    A number of the caller's that the event repeats.
/// @param op     Where the operation's id is written, 0 on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_WOULD_BLOCK (too many operations, or too many completions not read),
///         SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_flush(swarm: *mut setowire_swarm, tag: u64, op: *mut u64) -> i32 {
    guard("setowire_swarm_flush", || {
        // SAFETY: the header asks for a place for a number.
        let mut op = unsafe { Out::new(op, 0, "op")? };
        op.set(handle::get(swarm)?.flush(tag)?.0);
        Ok(0)
    })
}

/// Tells what a session of a topic does.
///
/// @param swarm     The swarm; not NULL.
/// @param topic_id  The id of the session.
/// @param out       Filled, up to its struct_size. Zero on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID (also: struct_size is not set), SETOWIRE_ERR_NOT_FOUND (it is not joined),
///         SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_topic_info(
    swarm: *mut setowire_swarm,
    topic_id: u64,
    out: *mut setowire_topic_details,
) -> i32 {
    let read = || {
        let info = handle::get(swarm)?.topic_info(TopicId(topic_id))?;
        Ok(setowire_topic_details {
            struct_size: 0,
            is_private: info.private,
            client: info.client,
            server: info.server,
            client_in_all: info.client_in_all,
            server_in_all: info.server_in_all,
            announced: info.announced,
            reserved: [0; 6],
            limit: if info.limit == usize::MAX { 0 } else { info.limit as u64 },
            topic: info.topic,
        })
    };
    // SAFETY: the header asks for a struct of the size that it says.
    guard("setowire_topic_info", || unsafe { pointer::fill(out, read) })
}

/// Lists the sessions of one topic, those with a secret too, the oldest first.
///
/// @param swarm  The swarm; not NULL.
/// @param topic  32 bytes; not NULL.
/// @param len    32.
/// @param ids    Where up to `cap` ids are written. NULL only with `cap` 0.
/// @param cap    Ids that fit there.
/// @param count  Where the number of all of them is written, 0: it is not joined, or failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_topic_sessions(
    swarm: *mut setowire_swarm,
    topic: *const u8,
    len: usize,
    ids: *mut u64,
    cap: usize,
    count: *mut usize,
) -> i32 {
    guard("setowire_topic_sessions", || {
        // SAFETY: the header asks for a place for a number, and for room for `cap` numbers.
        let (mut count, mut list) = unsafe { (Out::new(count, 0, "count")?, OutList::new(ids, cap, "ids")?) };
        let swarm = handle::get(swarm)?;
        // SAFETY: the header asks for `len` readable bytes.
        let topic = unsafe { pointer::array(topic, len, "topic")? };
        let sessions: Vec<u64> = swarm.topic_sessions(&topic).into_iter().map(|session| session.0).collect();
        list.append(&sessions);
        count.set(sessions.len());
        Ok(0)
    })
}

/// Looks a topic up once without joining it: nobody is dialled. A FOUND event tells of each peer, then exactly one OP_DONE
/// event ends it, with code 0 if a source worked. Both may come before this call returns.
///
/// @param swarm       The swarm; not NULL.
/// @param topic       32 bytes; not NULL. Copied.
/// @param len         32.
/// @param secret      As for setowire_swarm_join_as().
/// @param secret_len  32, or 0.
/// @param announce    Also announces it once, until setowire_swarm_unannounce() or for as long as sources keep it. On the
///                    local network others are told while the look-up runs, half a second.
/// @param tag         A number of the caller's that the events repeat.
/// @param op          Where the operation's id is written, 0 on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_WOULD_BLOCK (too many operations, or too many completions not read),
///         SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_lookup(
    swarm: *mut setowire_swarm,
    topic: *const u8,
    len: usize,
    secret: *const u8,
    secret_len: usize,
    announce: bool,
    tag: u64,
    op: *mut u64,
) -> i32 {
    guard("setowire_swarm_lookup", || {
        // SAFETY: the header asks for a place for a number.
        let mut op = unsafe { Out::new(op, 0, "op")? };
        let swarm = handle::get(swarm)?;
        // SAFETY: the header asks for `len` and `secret_len` readable bytes.
        let (topic, secret) = unsafe { (pointer::array(topic, len, "topic")?, optional(secret, secret_len)?) };
        op.set(swarm.look_up(topic, secret.as_deref().copied(), announce, tag)?.0);
        Ok(0)
    })
}

/// Takes back what setowire_swarm_lookup() announced. A topic that is joined stays announced.
///
/// @param swarm       The swarm; not NULL.
/// @param topic       32 bytes; not NULL.
/// @param len         32.
/// @param secret      As for setowire_swarm_join_as().
/// @param secret_len  32, or 0.
/// @return 0, also if nothing was announced; or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
///         SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_unannounce(
    swarm: *mut setowire_swarm,
    topic: *const u8,
    len: usize,
    secret: *const u8,
    secret_len: usize,
) -> i32 {
    guard("setowire_swarm_unannounce", || {
        let swarm = handle::get(swarm)?;
        // SAFETY: the header asks for `len` and `secret_len` readable bytes.
        let (topic, secret) = unsafe { (pointer::array(topic, len, "topic")?, optional(secret, secret_len)?) };
        swarm.unannounce(topic, secret.as_deref().copied())?;
        Ok(0)
    })
}

/// The secret of a topic; NULL and 0: none.
///
/// # Safety
/// `secret` is NULL or points to `len` readable bytes.
unsafe fn optional(secret: *const u8, len: usize) -> Result<Option<Zeroizing<[u8; 32]>>> {
    if secret.is_null() && len == 0 {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    unsafe { pointer::array(secret, len, "secret") }.map(Zeroizing::new).map(Some)
}

/// What a session is to do; 0: not said.
fn modes(flags: u32, limit: u64) -> Result<Modes> {
    let unknown = flags & !(SETOWIRE_JOIN_CLIENT | SETOWIRE_JOIN_SERVER);
    if unknown != 0 {
        return Err(Error::invalid(format!("flags: {unknown:#x} is none of SETOWIRE_JOIN_CLIENT and _SERVER")));
    }
    let mode = |flag| (flags != 0).then_some(flags & flag != 0);
    Ok(Modes {
        client: mode(SETOWIRE_JOIN_CLIENT),
        server: mode(SETOWIRE_JOIN_SERVER),
        limit: (limit != 0).then(|| usize::try_from(limit).unwrap_or(usize::MAX)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_stays() {
        assert_eq!(modes(0, 0).unwrap(), Modes::default());
        let client = modes(SETOWIRE_JOIN_CLIENT, 7).unwrap();
        assert_eq!(client, Modes { client: Some(true), server: Some(false), limit: Some(7) });
        let server = modes(SETOWIRE_JOIN_SERVER, u64::MAX).unwrap();
        assert_eq!(server, Modes { client: Some(false), server: Some(true), limit: Some(usize::MAX) });
        assert!(modes(4, 0).unwrap_err().detail.starts_with("flags: 0x4"));
    }
}
