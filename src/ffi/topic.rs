//! `setowire_swarm_join`, `_join_private`, `_leave`, `_topics` and `setowire_topic_*`.
//!
//! A join makes a session of the topic, named by an id; a topic joined twice has two and is
//! left when both are closed.

use super::guard::guard;
use super::handle;
use super::pointer::{self, Out, OutList};
use super::setowire_swarm;
use super::swarm::check_message;
use crate::node::{Modes, TopicId};
use zeroize::Zeroizing;

/// Joins a topic: finds its other members and is found by them. It is public: everyone who knows or guesses the 32 bytes
/// can join.
///
/// @param swarm     The swarm; not NULL.
/// @param topic     32 bytes, by custom the SHA-256 of a name; not NULL. Copied.
/// @param len       32.
/// @param topic_id  Where the id of this session is written, 0 on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_WOULD_BLOCK (too many topics; leave one), SETOWIRE_ERR_CLOSED,
///         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_join(
    swarm: *mut setowire_swarm,
    topic: *const u8,
    len: usize,
    topic_id: *mut u64,
) -> i32 {
    guard("setowire_swarm_join", || {
        // SAFETY: the header asks for a place for a number.
        let mut topic_id = unsafe { Out::new(topic_id, 0, "topic_id")? };
        let swarm = handle::get(swarm)?;
        // SAFETY: the header asks for `len` readable bytes.
        let topic = unsafe { pointer::array(topic, len, "topic")? };
        topic_id.set(swarm.join(topic, None, Modes::default())?.0);
        Ok(0)
    })
}

/// Joins a private topic: only those who know its secret too find its members, or learn that this swarm is one. It is
/// another topic than the one of the same 32 bytes without the secret, or with another. Only setowire/13 carries it.
///
/// @param swarm       The swarm; not NULL.
/// @param topic       32 bytes, by custom the SHA-256 of a name; not NULL. Copied.
/// @param len         32.
/// @param secret      32 random bytes that all members have; not NULL. Copied, and wiped when the topic is left.
/// @param secret_len  32.
/// @param topic_id    Where the id of this session is written, 0 on failure. Not NULL.
/// @return As for setowire_swarm_join().
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_join_private(
    swarm: *mut setowire_swarm,
    topic: *const u8,
    len: usize,
    secret: *const u8,
    secret_len: usize,
    topic_id: *mut u64,
) -> i32 {
    guard("setowire_swarm_join_private", || {
        // SAFETY: the header asks for a place for a number.
        let mut topic_id = unsafe { Out::new(topic_id, 0, "topic_id")? };
        let swarm = handle::get(swarm)?;
        // SAFETY: the header asks for `len` and `secret_len` readable bytes.
        let (topic, secret) =
            unsafe { (pointer::array(topic, len, "topic")?, pointer::array(secret, secret_len, "secret")?) };
        let secret = Zeroizing::new(secret);
        topic_id.set(swarm.join(topic, Some(*secret), Modes::default())?.0);
        Ok(0)
    })
}

/// Leaves a topic: ends all its sessions, those with a secret too. Connected peers stay.
///
/// @param swarm  The swarm; not NULL.
/// @param topic  32 bytes; not NULL.
/// @param len    32.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (it is not joined), SETOWIRE_ERR_CLOSED,
///         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_leave(swarm: *mut setowire_swarm, topic: *const u8, len: usize) -> i32 {
    guard("setowire_swarm_leave", || {
        let swarm = handle::get(swarm)?;
        // SAFETY: the header asks for `len` readable bytes.
        let topic = unsafe { pointer::array(topic, len, "topic")? };
        swarm.leave(&topic)?;
        Ok(0)
    })
}

/// Ends one session of a topic. The topic is left with its last session.
///
/// @param swarm     The swarm; not NULL.
/// @param topic_id  The id that setowire_swarm_join() wrote.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
///         SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_topic_close(swarm: *mut setowire_swarm, topic_id: u64) -> i32 {
    guard("setowire_topic_close", || {
        handle::get(swarm)?.close_topic(TopicId(topic_id))?;
        Ok(0)
    })
}

/// Sends a message to the members of a topic. Those of setowire/13 pass it on to each other, so that it reaches
/// members that are not connected to this swarm, and know its author; peers of p2p-v12 tell no topic, and all of them get
/// what is sent to one that is not private.
///
/// @param swarm     The swarm; not NULL.
/// @param topic_id  The id that setowire_swarm_join() or setowire_swarm_join_private() wrote.
/// @param data      The message. NULL only with `len` 0. Copied.
/// @param len       Its bytes, at most 1,048,576; with p2p-v12 peers alone 65,474.
/// @return The number of peers it went to, 0 and more, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (it is not joined),
///         SETOWIRE_ERR_TOO_LARGE, SETOWIRE_ERR_WOULD_BLOCK (more than 500 of them or 4 MiB in a second),
///         SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_topic_broadcast(
    swarm: *mut setowire_swarm,
    topic_id: u64,
    data: *const u8,
    len: usize,
) -> i32 {
    guard("setowire_topic_broadcast", || {
        let swarm = handle::get(swarm)?;
        check_message(len)?;
        // SAFETY: the header asks for `len` readable bytes.
        let data = unsafe { pointer::bytes(data, len, "data")? };
        Ok(i32::try_from(swarm.broadcast_topic(TopicId(topic_id), data)?).unwrap_or(i32::MAX))
    })
}

/// Lists the sessions of topics.
///
/// @param swarm  The swarm; not NULL.
/// @param ids    Where up to `cap` ids are written. NULL only with `cap` 0.
/// @param cap    Ids that fit there.
/// @param count  Where the number of all sessions is written, 0 on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_swarm_topics(
    swarm: *mut setowire_swarm,
    ids: *mut u64,
    cap: usize,
    count: *mut usize,
) -> i32 {
    guard("setowire_swarm_topics", || {
        // SAFETY: the header asks for a place for a number, and for room for `cap` numbers.
        let (mut count, mut list) = unsafe { (Out::new(count, 0, "count")?, OutList::new(ids, cap, "ids")?) };
        let topics: Vec<u64> = handle::get(swarm)?.topics().into_iter().map(|topic| topic.0).collect();
        list.append(&topics);
        count.set(topics.len());
        Ok(0)
    })
}
