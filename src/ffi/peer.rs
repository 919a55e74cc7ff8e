//! `setowire_peer_*`: messages and datagrams to one peer, and what is known of it.
//!
//! Peers are ids: one that left is `NOT_FOUND`, and no id is used twice.

use super::constants::{
    SETOWIRE_FAMILY_CPP, SETOWIRE_FAMILY_JS_OR_PYTHON, SETOWIRE_FAMILY_RUST, SETOWIRE_FAMILY_UNKNOWN,
    SETOWIRE_SESSION_P2P_V12, SETOWIRE_SESSION_SETOWIRE_13, SETOWIRE_SOURCE_BOOTSTRAP, SETOWIRE_SOURCE_CACHE,
    SETOWIRE_SOURCE_CONNECT, SETOWIRE_SOURCE_INCOMING, SETOWIRE_SOURCE_LAN, SETOWIRE_SOURCE_OUTSIDE,
    SETOWIRE_SOURCE_PEX, SETOWIRE_SOURCE_RECONNECT, SETOWIRE_SOURCE_SEED, SETOWIRE_SUITE_AES_128_GCM,
    SETOWIRE_SUITE_CHACHA20_POLY1305,
};
use super::guard::guard;
use super::handle;
use super::pointer::{self, Out, OutList};
use super::swarm::check_message;
use super::{setowire_peer_details, setowire_release_cb, setowire_swarm};
use crate::config::limits::{QUIC_COPY_BYTES, SEND_MANY_BYTES, SEND_MANY_COST_BYTES};
use crate::crypto::tls::Suite;
use crate::error::{Code, Error, Result};
use crate::event::micros;
use crate::node::{Family, PeerId, PeerInfo, Session, Source};
use std::borrow::Cow;
use std::ffi::{c_char, c_void};

/// Queues a message to a peer. Messages to one peer leave in the order of the calls. Whether they arrive: see DELIVERY
/// above.
///
/// @param swarm  The swarm; not NULL.
/// @param peer   The peer's id.
/// @param data   The message. NULL only with `len` 0. Copied.
/// @param len    Its bytes, at most what this peer takes: see `max_message` of setowire_peer_details.
/// @param tag    0, or a number of the caller's: exactly one OP_DONE event with it tells when the message has arrived
///               (over p2p-v12: has left), or why that is not known.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (the peer left), SETOWIRE_ERR_WOULD_BLOCK (its queue, or
///         that of all peers together, is full: a WRITABLE event of this peer follows; or too many completions are not
///         read), SETOWIRE_ERR_TOO_LARGE, SETOWIRE_ERR_CLOSED (the swarm, or the peer, is being closed),
///         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC. On failure there is no OP_DONE event.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_peer_send(
    swarm: *mut setowire_swarm,
    peer: u64,
    data: *const u8,
    len: usize,
    tag: u64,
) -> i32 {
    // SAFETY: the header asks for `len` readable bytes.
    guard("setowire_peer_send", || unsafe { send(swarm, peer, data, len, tag) })
}

/// Queues a message to a peer from memory that is given to the library until `release` is called.
///
/// @param swarm      The swarm; not NULL.
/// @param peer       The peer's id.
/// @param data       The message. NULL only with `len` 0. Not to be changed until it is released.
/// @param len        Its bytes.
/// @param tag        As for setowire_peer_send().
/// @param release    Called exactly once with `data` and `user_data`, also if this call fails; in this version before
///                   it returns. May be NULL.
/// @param user_data  Passed to `release`, never looked at.
/// @return As for setowire_peer_send().
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_peer_send_owned(
    swarm: *mut setowire_swarm,
    peer: u64,
    data: *mut u8,
    len: usize,
    tag: u64,
    release: setowire_release_cb,
    user_data: *mut c_void,
) -> i32 {
    let lent = Lent { data, release, user_data };
    guard("setowire_peer_send_owned", move || {
        // SAFETY: the header asks for `len` readable bytes, until they are released.
        unsafe { send(swarm, peer, lent.data(), len, tag) }
    })
}

/// Queues several messages to a peer, in order: what setowire_peer_send() does for each, without a tag, in one call. With small
/// messages it takes a fraction of the time. Over setowire/13 the queue takes them also beyond its limit, unless it was full
/// before.
///
/// @param swarm   The swarm; not NULL.
/// @param peer    The peer's id.
/// @param data    The messages, one behind the other. NULL only with `len` 0. Copied.
/// @param len     The bytes of all of them together; with 64 for each message, at most 131,072.
/// @param sizes   The bytes of each. NULL only with `count` 0. Their sum is `len`.
/// @param count   How many there are.
/// @param queued  Where it is written how many were queued, from the first one on. Not NULL.
/// @return 0: all were queued. 1: all were queued and the queue is full now, a WRITABLE event of this peer follows. Or why the
///         one behind those that were queued was not: as for setowire_peer_send(); SETOWIRE_ERR_TOO_LARGE also for too many
///         bytes together.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_peer_send_many(
    swarm: *mut setowire_swarm,
    peer: u64,
    data: *const u8,
    len: usize,
    sizes: *const u32,
    count: usize,
    queued: *mut usize,
) -> i32 {
    guard("setowire_peer_send_many", || {
        // SAFETY: the header asks for a place for a number.
        let mut queued = unsafe { Out::new(queued, 0, "queued")? };
        let swarm = handle::get(swarm)?;
        let counted = count.saturating_mul(SEND_MANY_COST_BYTES).saturating_add(len);
        if counted > SEND_MANY_BYTES {
            let detail = format!(
                "len: {counted} bytes with {SEND_MANY_COST_BYTES} for each message; one call takes {SEND_MANY_BYTES}"
            );
            return Err(Error::new(Code::TooLarge, detail));
        }
        // SAFETY: the header asks for `len` readable bytes, and for `count` numbers.
        let (data, sizes) = unsafe {
            let size = count.saturating_mul(size_of::<u32>());
            (pointer::bytes(data, len, "data")?, pointer::bytes(sizes.cast(), size, "sizes")?)
        };
        let sizes = sizes.as_chunks().0.iter().map(|size| u32::from_ne_bytes(*size) as usize);
        let sum = sizes.clone().fold(0usize, usize::saturating_add);
        if sum != len {
            return Err(Error::invalid(format!("sizes: they are {sum} bytes together, but len is {len}")));
        }
        let messages = sizes.scan(data, |rest, size| {
            let (message, behind) = rest.split_at_checked(size)?;
            *rest = behind;
            Some(message)
        });
        let (count, result) = swarm.send_many(PeerId(peer), messages);
        queued.set(count);
        result.map(|room| i32::from(!room))
    })
}

/// Sends a datagram to a peer over setowire/13: it leaves soon and once, in no order with anything else, and is lost
/// where the network loses it.
///
/// @param swarm  The swarm; not NULL.
/// @param peer   The peer's id.
/// @param data   The datagram. NULL only with `len` 0. Copied.
/// @param len    Its bytes, at most 1,150.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (the peer left), SETOWIRE_ERR_NOT_SUPPORTED (its session is
///         p2p-v12), SETOWIRE_ERR_WOULD_BLOCK (too many wait: a WRITABLE event of this peer follows),
///         SETOWIRE_ERR_TOO_LARGE, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_peer_send_datagram(
    swarm: *mut setowire_swarm,
    peer: u64,
    data: *const u8,
    len: usize,
) -> i32 {
    guard("setowire_peer_send_datagram", || {
        let swarm = handle::get(swarm)?;
        check_message(len)?;
        // SAFETY: the header asks for `len` readable bytes.
        swarm.send_datagram(PeerId(peer), unsafe { pointer::bytes(data, len, "data")? })?;
        Ok(0)
    })
}

/// # Safety
/// `data` is NULL or points to `len` readable bytes.
unsafe fn send(swarm: *mut setowire_swarm, peer: u64, data: *const u8, len: usize, tag: u64) -> Result<i32> {
    let swarm = handle::get(swarm)?;
    check_message(len)?;
    // SAFETY: the caller's promise.
    let data = unsafe { pointer::bytes(data, len, "data")? };
    // A large one is not copied while the network thread waits.
    let data = if len <= QUIC_COPY_BYTES { Cow::Borrowed(data) } else { Cow::Owned(data.to_vec()) };
    swarm.send(PeerId(peer), data, tag)?;
    Ok(0)
}

/// Memory of the caller's that is given back when this is dropped.
struct Lent {
    data: *mut u8,
    release: setowire_release_cb,
    user_data: *mut c_void,
}

impl Lent {
    fn data(&self) -> *const u8 {
        self.data
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: the header asks for a function of this type that takes these two pointers.
            unsafe { release(self.data.cast(), self.user_data) };
        }
    }
}

/// Tells how many bytes of messages are queued to a peer and not yet acknowledged; over p2p-v12, not yet sent.
///
/// @param swarm  The swarm; not NULL.
/// @param peer   The peer's id.
/// @param bytes  Where the number is written, 0 on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
///         SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_peer_buffered(swarm: *mut setowire_swarm, peer: u64, bytes: *mut usize) -> i32 {
    guard("setowire_peer_buffered", || {
        // SAFETY: the header asks for a place for a number.
        let mut bytes = unsafe { Out::new(bytes, 0, "bytes")? };
        bytes.set(handle::get(swarm)?.buffered(PeerId(peer))?);
        Ok(0)
    })
}

/// Tells what is known of a connected peer.
///
/// @param swarm  The swarm; not NULL.
/// @param peer   The peer's id.
/// @param out    Filled, up to its struct_size. Zero on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID (also: struct_size is not set), SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED,
///         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_peer_info(
    swarm: *mut setowire_swarm,
    peer: u64,
    out: *mut setowire_peer_details,
) -> i32 {
    let read = || Ok(describe(&handle::get(swarm)?.peer_info(PeerId(peer))?));
    // SAFETY: the header asks for a struct of the size that it says.
    guard("setowire_peer_info", || unsafe { pointer::fill(out, read) })
}

/// Copies the address that data to a peer goes to, such as `192.168.0.7:40001` or `[fe80::1]:40001`.
///
/// @param swarm  The swarm; not NULL.
/// @param peer   The peer's id.
/// @param buf    Where to; cut to `cap` bytes, and ended with a zero byte if `cap` is not 0. NULL only with `cap` 0.
/// @param cap    Bytes of `buf`; 64 are always enough.
/// @return The length of the whole text without the zero byte, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND,
///         SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC; then `buf` holds an empty text.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_peer_address(
    swarm: *mut setowire_swarm,
    peer: u64,
    buf: *mut c_char,
    cap: usize,
) -> i32 {
    guard("setowire_peer_address", || {
        // SAFETY: the header asks for `cap` writable bytes.
        unsafe { pointer::copy_text("", buf, cap)? };
        let address = handle::get(swarm)?.peer_info(PeerId(peer))?.address.to_string();
        // SAFETY: as above.
        unsafe { pointer::copy_text(&address, buf, cap) }
    })
}

/// Lists the sessions of topics that a peer has joined too and proved to know: of each topic the oldest. Over p2p-v12
/// there are none, because nobody can know.
///
/// @param swarm  The swarm; not NULL.
/// @param peer   The peer's id.
/// @param ids    Where up to `cap` ids are written. NULL only with `cap` 0.
/// @param cap    Ids that fit there.
/// @param count  Where the number of all is written, 0 on failure. Not NULL.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
///         SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub unsafe extern "C" fn setowire_peer_topics(
    swarm: *mut setowire_swarm,
    peer: u64,
    ids: *mut u64,
    cap: usize,
    count: *mut usize,
) -> i32 {
    guard("setowire_peer_topics", || {
        // SAFETY: the header asks for a place for a number, and for room for `cap` numbers.
        let (mut count, mut list) = unsafe { (Out::new(count, 0, "count")?, OutList::new(ids, cap, "ids")?) };
        let info = handle::get(swarm)?.peer_info(PeerId(peer))?;
        let topics: Vec<u64> = info.topics.iter().map(|topic| topic.0).collect();
        list.append(&topics);
        count.set(topics.len());
        Ok(0)
    })
}

/// Ends the connection to a peer. Over setowire/13 messages and streams that were queued, and the ends of streams, leave
/// and are acknowledged first, for at most half a second. What of its streams was not read here is given up. Its
/// DISCONNECTION event follows.
///
/// @param swarm  The swarm; not NULL.
/// @param peer   The peer's id.
/// @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
///         SETOWIRE_ERR_PANIC.
/// @since 0.1.0
#[unsafe(no_mangle)]
pub extern "C" fn setowire_peer_close(swarm: *mut setowire_swarm, peer: u64) -> i32 {
    guard("setowire_peer_close", || {
        handle::get(swarm)?.close_peer(PeerId(peer))?;
        Ok(0)
    })
}

fn describe(info: &PeerInfo) -> setowire_peer_details {
    setowire_peer_details {
        struct_size: 0,
        loss_permille: info.loss_permille,
        peer: info.id.0,
        rtt_us: info.rtt.map_or(0, micros),
        bytes_sent: info.bytes_sent,
        bytes_received: info.bytes_received,
        messages_sent: info.messages_sent,
        messages_received: info.messages_received,
        buffered: info.buffered as u64,
        connect_us: micros(info.connect_time),
        max_message: info.max_message as u64,
        key: info.key.unwrap_or_default(),
        legacy_id: info.legacy_id.unwrap_or_default(),
        has_key: info.key.is_some(),
        has_legacy_id: info.legacy_id.is_some(),
        confirmed: info.confirmed,
        client: info.client,
        session: session(info.session),
        source: source(info.source),
        family: family(info.family),
        is_explicit: info.explicit,
        suite: suite(info.suite),
        reserved: [0; 3],
        datagrams_dropped: info.datagrams_dropped,
    }
}

const fn session(session: Session) -> u8 {
    match session {
        Session::V12 => SETOWIRE_SESSION_P2P_V12,
        Session::Quic => SETOWIRE_SESSION_SETOWIRE_13,
    }
}

/// p2p-v12, which tells none, always has the same.
const fn suite(suite: Option<Suite>) -> u8 {
    match suite {
        None | Some(Suite::ChaCha20Poly1305) => SETOWIRE_SUITE_CHACHA20_POLY1305,
        Some(Suite::Aes128Gcm) => SETOWIRE_SUITE_AES_128_GCM,
    }
}

const fn source(source: Source) -> u8 {
    match source {
        Source::Incoming => SETOWIRE_SOURCE_INCOMING,
        Source::Lan => SETOWIRE_SOURCE_LAN,
        Source::Seed => SETOWIRE_SOURCE_SEED,
        Source::Connect => SETOWIRE_SOURCE_CONNECT,
        Source::Cache => SETOWIRE_SOURCE_CACHE,
        Source::Pex => SETOWIRE_SOURCE_PEX,
        Source::Bootstrap => SETOWIRE_SOURCE_BOOTSTRAP,
        Source::Outside => SETOWIRE_SOURCE_OUTSIDE,
        Source::Reconnect => SETOWIRE_SOURCE_RECONNECT,
    }
}

const fn family(family: Family) -> u8 {
    match family {
        Family::Unknown => SETOWIRE_FAMILY_UNKNOWN,
        Family::JsOrPython => SETOWIRE_FAMILY_JS_OR_PYTHON,
        Family::Cpp => SETOWIRE_FAMILY_CPP,
        Family::Rust => SETOWIRE_FAMILY_RUST,
    }
}
