//! The types and constants of the C interface.
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

/// A peer answered: messages can be exchanged. The first event about this peer. Data: a JSON object (later
/// versions may add to it) with
///   - "peer": number, its id in this swarm;
///   - "id": 40 hexadecimal digits, its id in the older packages (which show the first 16), or null;
///   - "key": 64 hexadecimal digits, or null. Proven over setowire/13; always null over p2p-v12, which has none;
///   - "address" and "port": text and number, where data to it goes; "addresses": array of texts like
///     "10.0.0.7:40001" or "[fe80::1]:40001", the one in use first;
///   - "source": how it was found, "incoming" (it dialled us), "lan", "seed", "connect", "cache", "pex" (told by
///     another peer) or "reconnect";
///   - "session" and "security": "setowire/13" and "tls1.3", or "p2p-v12" and "legacy";
///   - "suite": what a session of setowire/13 is sealed with, "TLS_CHACHA20_POLY1305_SHA256" or
///     "TLS_AES_128_GCM_SHA256"; null over p2p-v12;
///   - "topics": array of ids of topic sessions: those that both sides proved to have joined. Empty over p2p-v12, where
///     nobody can know;
///   - "explicit": true or false, one of the two asked for the connection by address, and it needs no topic;
///   - "family": which of the older packages it is, as far as that shows, "unknown", "js-or-python" (also this library
///     over p2p-v12), "cpp" or "rust";
///   - "confirmed": true or false, it proved that it holds its key; always true over setowire/13;
///   - "client": true or false, we dialled it;
///   - "rtt_us": number, microseconds, or null before it was measured;
///   - "connect_ms": number, milliseconds from the first hint of it;
///   - "max_message": number, bytes.
pub const SETOWIRE_EVENT_CONNECTION: u16 = 1;
/// The peer is gone. The last event about it. One that says goodbye goes within about a second, one that crashes or
/// loses its network after 60 s. Data: as for CONNECTION, and "reason", text. Code: SETOWIRE_ERR_CLOSED (a side said
/// goodbye, or a newer swarm with the same seed took the place), _TIMED_OUT (silent for 60 s, or another peer has its
/// address now), _REFUSED (the table is full and a peer that proved itself took its place), _BAD_KEY (its key would let
/// everyone read the session, or a proof was wrong), _PROTOCOL (a side broke the protocol) or _TOO_LARGE (a message above
/// what its receiver takes).
pub const SETOWIRE_EVENT_DISCONNECTION: u16 = 2;
/// "confirmed", the address, the family, the topics or the session of a peer changed: two swarms of this library that met
/// over p2p-v12 go on over setowire/13, as the same peer. Data: as for CONNECTION.
pub const SETOWIRE_EVENT_UPDATE: u16 = 3;
/// A message of a peer, or of the members of a topic. Data: its bytes, at most the option "max_message"; over p2p-v12
/// 65,474, in clear fragments 1,049,004. Flags: SETOWIRE_MESSAGE_CLEAR, SETOWIRE_MESSAGE_BROADCAST.
pub const SETOWIRE_EVENT_MESSAGE: u16 = 4;
/// There is room again after a send, a datagram or the opening of a stream to this peer was refused with
/// SETOWIRE_ERR_WOULD_BLOCK, or a broadcast left it out because its queue was full. No data.
pub const SETOWIRE_EVENT_WRITABLE: u16 = 5;
/// What you began has ended; setowire_event_tag() is the tag you gave.
///   - A connect. setowire_event_op(): the id that setowire_swarm_connect() wrote. Code 0: it is connected,
///     setowire_event_peer() is the peer, and data {"peer":ID}. Other codes: see setowire_swarm_connect(); data: the
///     reason as text.
///   - A send with a tag. setowire_event_op() and setowire_event_peer() are 0. Code 0 over setowire/13: the peer's QUIC has
///     acknowledged all of it, so it is in the peer's memory, in order, behind all before it; whether the program there
///     has seen it, only an answer can tell. Code 0 over p2p-v12: it left. SETOWIRE_ERR_TOO_LARGE: the peer turned out to
///     take less. SETOWIRE_ERR_CLOSED: the peer or the swarm went before: over setowire/13 it may have arrived or not,
///     over p2p-v12 it did not leave. Data: the reason as text.
///
/// When the swarm ends by a failure, what is open ends with the code of its CLOSED event.
pub const SETOWIRE_EVENT_OP_DONE: u16 = 6;
/// The peers worth keeping for the next run changed. Data: a JSON array for setowire_config_set_peer_cache(), such as
/// [{"id":"40 hexadecimal digits","ip":"10.0.0.7","port":40001,"lastSeen":1790000000000}], lastSeen in milliseconds
/// since 1970. It comes at most every 30 s, and if they changed since, after setowire_swarm_close(), before CLOSED. To
/// keep the cache, close, read until CLOSED, then free; a callback is also handed it by setowire_swarm_free(), except
/// inside that callback.
pub const SETOWIRE_EVENT_PEERS: u16 = 7;
/// Messages or datagrams were dropped here because the queue was full. Over setowire/13 that does not happen to messages:
/// their senders are held back. Data: {"messages":N,"total":M}.
pub const SETOWIRE_EVENT_LOST: u16 = 8;
/// A datagram of a peer. Data: its bytes, at most 1,150.
pub const SETOWIRE_EVENT_DATAGRAM: u16 = 9;
/// A peer opened a stream: setowire_event_stream(). The first event about it. No data.
pub const SETOWIRE_EVENT_STREAM: u16 = 10;
/// A setowire_stream_read() that found nothing, or less than it had room for, may find more now, or the end. It comes
/// once, however often that was called in between; a stream that was opened, by either side, begins as if it had been. No
/// data.
pub const SETOWIRE_EVENT_STREAM_READABLE: u16 = 11;
/// A setowire_stream_write() that did not take everything may take more now. It comes once, however often that was called
/// in between. It also comes when the peer has stopped reading, which the next write tells. No data.
pub const SETOWIRE_EVENT_STREAM_WRITABLE: u16 = 12;
/// A stream is done in both directions. The last event about it, and its id is not known any more. Code: 0, or
/// SETOWIRE_ERR_CLOSED if the peer was gone before it was done. Flags: SETOWIRE_STREAM_RESET. No data.
pub const SETOWIRE_EVENT_STREAM_CLOSED: u16 = 13;
/// The swarm ended. Its last event, and never masked. Code: 0, or SETOWIRE_ERR_INTERNAL or _PANIC, then with the reason
/// as data.
pub const SETOWIRE_EVENT_CLOSED: u16 = 63;

/// For masks: every kind of event, also later ones.
pub const SETOWIRE_EVENTS_ALL: u64 = 0xFFFF_FFFF_FFFF_FFFF;
/// Flag of a MESSAGE: it came unencrypted, anyone may have written it.
pub const SETOWIRE_MESSAGE_CLEAR: u32 = 1;
/// Flag of a MESSAGE: it was sent to a topic, setowire_event_topic(), by setowire_event_author(). The peer is the one
/// that passed it on.
pub const SETOWIRE_MESSAGE_BROADCAST: u32 = 2;
/// Flag of a STREAM_CLOSED: the peer reset its direction; setowire_event_tag() is the code it gave.
pub const SETOWIRE_STREAM_RESET: u32 = 4;

/// End of a stream's incoming direction: none yet, more may come.
pub const SETOWIRE_END_NONE: u32 = 0;
/// End of a stream's incoming direction: the peer finished, and everything it wrote has been read.
pub const SETOWIRE_END_FINISHED: u32 = 1;
/// End of a stream's incoming direction: the peer gave up, and what it wrote may be missing in part.
pub const SETOWIRE_END_RESET: u32 = 2;

/// Time limit of a connect or a wait: none.
pub const SETOWIRE_NO_TIMEOUT: u32 = 0xFFFF_FFFF;

/// Session of a peer: the protocol of the older packages.
pub const SETOWIRE_SESSION_P2P_V12: u8 = 1;
/// Session of a peer: that of this library, TLS 1.3 over QUIC.
pub const SETOWIRE_SESSION_SETOWIRE_13: u8 = 2;

/// What a session is sealed with: ChaCha20-Poly1305.
pub const SETOWIRE_SUITE_CHACHA20_POLY1305: u8 = 1;
/// What a session is sealed with: AES-128-GCM.
pub const SETOWIRE_SUITE_AES_128_GCM: u8 = 2;

/// Source of a peer: it dialled us.
pub const SETOWIRE_SOURCE_INCOMING: u8 = 1;
/// Source of a peer: a beacon on the local network.
pub const SETOWIRE_SOURCE_LAN: u8 = 2;
/// Source of a peer: a seed of the config.
pub const SETOWIRE_SOURCE_SEED: u8 = 3;
/// Source of a peer: setowire_swarm_connect().
pub const SETOWIRE_SOURCE_CONNECT: u8 = 4;
/// Source of a peer: the peer cache of an earlier run.
pub const SETOWIRE_SOURCE_CACHE: u8 = 5;
/// Source of a peer: told by a connected peer.
pub const SETOWIRE_SOURCE_PEX: u8 = 6;
/// Source of a peer: dialled again after it was lost.
pub const SETOWIRE_SOURCE_RECONNECT: u8 = 7;

/// Source of a peer: a node of the option "bootstrap".
pub const SETOWIRE_SOURCE_BOOTSTRAP: u8 = 8;
/// Source of a peer: a source that the application brought along.
pub const SETOWIRE_SOURCE_OUTSIDE: u8 = 9;

/// Family of a peer: not known yet.
pub const SETOWIRE_FAMILY_UNKNOWN: u8 = 0;
/// Family of a peer: the JavaScript or Python package, or this library.
pub const SETOWIRE_FAMILY_JS_OR_PYTHON: u8 = 1;
/// Family of a peer: the C++ package.
pub const SETOWIRE_FAMILY_CPP: u8 = 2;
/// Family of a peer: the Rust package.
pub const SETOWIRE_FAMILY_RUST: u8 = 3;

/// Severity of a log line.
pub const SETOWIRE_LOG_ERROR: u8 = 1;
/// Severity of a log line.
pub const SETOWIRE_LOG_WARN: u8 = 2;
/// Severity of a log line.
pub const SETOWIRE_LOG_INFO: u8 = 3;
/// Severity of a log line.
pub const SETOWIRE_LOG_DEBUG: u8 = 4;
/// Severity of a log line.
pub const SETOWIRE_LOG_TRACE: u8 = 5;

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

sized!(setowire_swarm_details, setowire_swarm_counters, setowire_peer_details);
