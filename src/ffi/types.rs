//! The types of the C interface.
//!
//! Opaque types have no layout here (no `repr(C)`: the header only declares them); what their
//! pointers stand for is in `pointer` and `handle`. Structs that are filled for the caller begin with their size, grow only at
//! the end and have no padding.

use super::pointer::{Opaque, Sized32};
use crate::config::Config;
use crate::event::{Record, kind};
use bytes::{Bytes, BytesMut};
use std::ffi::{c_char, c_void};

/// The settings of a swarm to be made. Belongs to one thread at a time.
pub struct setowire_config {
    _private: [u8; 0],
}

/// A swarm. May be used by any thread at any time.
pub struct setowire_swarm {
    _private: [u8; 0],
}

/// An event. Belongs to one thread at a time.
pub struct setowire_event {
    _private: [u8; 0],
}

impl Opaque for setowire_config {
    type Object = Config;
}

impl Opaque for setowire_event {
    type Object = EventObject;
}

/// What a `setowire_event *` points to.
pub struct EventObject {
    pub(super) record: Record,
    /// Bytes of its data that count.
    pub(super) len: usize,
    /// Made for the application, which frees it; else lent to a callback.
    pub(super) owned: bool,
}

impl EventObject {
    /// Text is followed by a zero byte that does not count.
    pub(super) fn new(mut record: Record, owned: bool) -> EventObject {
        let len = record.data.len();
        if record.data.is_empty() {
            record.data = Bytes::from_static(&[0]);
        } else if !matches!(record.kind, kind::MESSAGE | kind::DATAGRAM) {
            let mut text = BytesMut::with_capacity(len.saturating_add(1));
            text.extend_from_slice(&record.data);
            text.extend_from_slice(&[0]);
            record.data = text.freeze();
        }
        EventObject { record, len, owned }
    }
}

/// Called with each event, on a thread of the swarm, one at a time and in order. The event is lent: it and its
/// data end when the function returns. It may call every function that does not wait, also setowire_swarm_free().
/// It must not throw, longjmp or end its thread.
pub type setowire_event_cb =
    Option<unsafe extern "C" fn(swarm: *mut setowire_swarm, event: *const setowire_event, user_data: *mut c_void)>;

/// Called when `user_data` is not used any more: exactly once, on any thread.
pub type setowire_destroy_cb = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Called with each log line, on the library's log thread, one at a time. `target`: the part of the library;
/// `message`: `len` bytes of UTF-8 and a zero byte; `time_us`: microseconds on a clock that never steps back.
/// Both texts end when the function returns. It must not throw, longjmp or end its thread.
pub type setowire_log_cb = Option<
    unsafe extern "C" fn(
        level: u8,
        target: *const c_char,
        message: *const c_char,
        len: usize,
        time_us: u64,
        user_data: *mut c_void,
    ),
>;

/// Called when the library gives `data` back: exactly once, before the call it was given to returns.
pub type setowire_release_cb = Option<unsafe extern "C" fn(data: *mut c_void, user_data: *mut c_void)>;

/// Who and where a swarm is. Set `struct_size` to the size of the struct before the call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct setowire_swarm_details {
    /// In: the size of the struct. Out: the bytes that were filled.
    pub struct_size: u32,
    /// The UDP port over IPv4; 0: none.
    pub port_v4: u16,
    /// The UDP port over IPv6; 0: none.
    pub port_v6: u16,
    /// The Ed25519 public key.
    pub key: [u8; 32],
    /// The id that the older packages derive from the same seed.
    pub legacy_id: [u8; 20],
    /// 0.
    pub reserved: u32,
}

/// Counters since the swarm began, and what it holds now. Set `struct_size` to the size of the struct before
/// the call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct setowire_swarm_counters {
    /// In: the size of the struct. Out: the bytes that were filled.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Datagrams that left.
    pub datagrams_sent: u64,
    /// Datagrams that came.
    pub datagrams_received: u64,
    /// Bytes of datagrams that left.
    pub bytes_sent: u64,
    /// Bytes of datagrams that came.
    pub bytes_received: u64,
    /// Messages to one peer that left.
    pub messages_sent: u64,
    /// Messages of one peer that came.
    pub messages_received: u64,
    /// Messages that were given up: not repeatable, or their receiver left.
    pub messages_lost: u64,
    /// Datagrams that were no frame, not for us, replayed, or over a limit.
    pub datagrams_rejected: u64,
    /// Dials begun.
    pub dials_started: u64,
    /// Dials refused because too much was sent to an unverified address.
    pub dials_refused_by_budget: u64,
    /// CONNECTION events.
    pub connections: u64,
    /// DISCONNECTION events.
    pub disconnections: u64,
    /// Messages and datagrams dropped because the event queue was full.
    pub events_lost: u64,
    /// Now: connected peers.
    pub peers: u64,
    /// Now: peers that have not answered yet.
    pub unconfirmed: u64,
    /// Now: dials.
    pub dials: u64,
    /// Now: operations.
    pub ops: u64,
    /// Now: sessions of topics.
    pub topics: u64,
    /// Now: bytes that wait to be sent.
    pub buffered_bytes: u64,
    /// Now: bytes of messages that have not come in full.
    pub reassembly_bytes: u64,
    /// Broadcasts that came over setowire/13, each counted once.
    pub mesh_received: u64,
    /// Copies of those.
    pub mesh_duplicates: u64,
    /// Copies of broadcasts, our own and others', that left over setowire/13.
    pub mesh_sent: u64,
    /// Broadcasts refused: forged, replayed, not for us, or more than their author may say.
    pub mesh_rejected: u64,
    /// Now: bytes of broadcasts kept for members that missed them, and on their way.
    pub mesh_bytes: u64,
}

/// What is known of a connected peer. Set `struct_size` to the size of the struct before the call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct setowire_peer_details {
    /// In: the size of the struct. Out: the bytes that were filled.
    pub struct_size: u32,
    /// Of a thousand datagrams to it, so many were lost; over p2p-v12, of a thousand of our pings lately.
    pub loss_permille: u32,
    /// The peer's id in this swarm.
    pub peer: u64,
    /// Smoothed round-trip time in microseconds; 0: not measured yet.
    pub rtt_us: u64,
    /// Bytes sent to it.
    pub bytes_sent: u64,
    /// Bytes that came from it.
    pub bytes_received: u64,
    /// Messages sent to it.
    pub messages_sent: u64,
    /// Messages that came from it.
    pub messages_received: u64,
    /// Bytes of messages queued and not yet acknowledged; over p2p-v12 not yet sent.
    pub buffered: u64,
    /// Microseconds from the first hint of it to the connection.
    pub connect_us: u64,
    /// The largest message it can take, in bytes: as it says, or over p2p-v12 as its package can.
    pub max_message: u64,
    /// Its Ed25519 key; zero if `has_key` is false.
    pub key: [u8; 32],
    /// Its id in the older packages; zero if `has_legacy_id` is false.
    pub legacy_id: [u8; 20],
    /// Whether `key` is known: always over setowire/13, which proves it, and never over p2p-v12.
    pub has_key: bool,
    /// Whether `legacy_id` is known.
    pub has_legacy_id: bool,
    /// It proved that it holds its key; always so over setowire/13.
    pub confirmed: bool,
    /// We dialled it; false: it dialled us.
    pub client: bool,
    /// SETOWIRE_SESSION_*.
    pub session: u8,
    /// SETOWIRE_SOURCE_*.
    pub source: u8,
    /// SETOWIRE_FAMILY_*.
    pub family: u8,
    /// The connection was asked for by address or key, by one of the two, and needs no topic.
    pub is_explicit: bool,
    /// SETOWIRE_SUITE_*.
    pub suite: u8,
    /// 0.
    pub reserved: [u8; 3],
    /// Datagrams of it that were dropped here because events were not read.
    pub datagrams_dropped: u64,
}

/// What a session of a topic does. Set `struct_size` to the size of the struct before the call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct setowire_topic_details {
    /// In: the size of the struct. Out: the bytes that were filled.
    pub struct_size: u32,
    /// It was joined with a secret.
    pub is_private: bool,
    /// This session looks for others and dials them.
    pub client: bool,
    /// This session is to be found by others.
    pub server: bool,
    /// A session of this topic is a client.
    pub client_in_all: bool,
    /// A session of this topic is a server.
    pub server_in_all: bool,
    /// The topic is announced.
    pub announced: bool,
    /// 0.
    pub reserved: [u8; 6],
    /// Of the peers that look-ups find, so many are dialled; 0: all.
    pub limit: u64,
    /// The topic.
    pub topic: [u8; 32],
}

/// How far a swarm is, and what it did. Set `struct_size` to the size of the struct before the call.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct setowire_swarm_state_details {
    /// In: the size of the struct. Out: the bytes that were filled.
    pub struct_size: u32,
    /// There is a place for one more dial.
    pub open: bool,
    /// It is announced, or was told to listen.
    pub listening: bool,
    /// It is suspended.
    pub suspended: bool,
    /// 0.
    pub reserved: u8,
    /// Now: dials of the swarm in progress.
    pub connecting: u64,
    /// Now: connections.
    pub connections: u64,
    /// Now: peers that are known, connected or not.
    pub known: u64,
    /// Now: peers that are to be dialled.
    pub queued: u64,
    /// Now: peers joined with setowire_swarm_join_peer().
    pub explicit_peers: u64,
    /// CHANGED events, also those that another replaced.
    pub updates: u64,
    /// Dials of peers begun.
    pub client_attempted: u64,
    /// Connections that we dialled.
    pub client_opened: u64,
    /// Dials and dialled connections that ended.
    pub client_closed: u64,
    /// Connections that others dialled.
    pub server_opened: u64,
    /// Connections that others dialled and that ended.
    pub server_closed: u64,
    /// Bans, by calls and by answers.
    pub banned: u64,
}

macro_rules! sized {
    ($($name:ident),*) => { $(
        // SAFETY: `#[repr(C)]`, begins with the size; `tests/abi/layout.txt` shows that nothing is padded.
        unsafe impl Sized32 for $name {
            fn with_size(self, struct_size: u32) -> $name {
                $name { struct_size, ..self }
            }
        }
    )* };
}

sized!(
    setowire_swarm_details,
    setowire_swarm_counters,
    setowire_swarm_state_details,
    setowire_topic_details,
    setowire_peer_details
);
