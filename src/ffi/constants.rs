//! The constants of the C interface: kinds of events with what they carry, flags, and the numbers in structs.
//!
//! Append only, never renumbered: `tests/abi/layout.txt` has them all.

/// A peer answered: messages can be exchanged. The first event about this peer. Data: a JSON object (later
/// versions may add to it) with
///   - "peer": number, its id in this swarm;
///   - "id": 40 hexadecimal digits, its id in the older packages (which show the first 16), or null;
///   - "key": 64 hexadecimal digits, or null. Proven over setowire/13; always null over p2p-v12, which has none;
///   - "address" and "port": text and number, where data to it goes; "addresses": array of texts like
///     "10.0.0.7:40001" or "[fe80::1]:40001", the one in use first;
///   - "source": how it was found, "incoming" (it dialled us), "lan", "seed", "connect", "cache", "pex" (told by
///     another peer), "reconnect", "bootstrap" or "outside" (a source that the application brought along);
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
/// The peer is gone. The last event about it, but for the STREAM_CLOSED of its streams that hold something still to be
/// read. One that says goodbye goes within about a second, one that crashes or
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
///   - A dial by key alone, setowire_swarm_connect_peer(): the same.
///   - setowire_topic_refresh(), setowire_topic_flushed(), setowire_swarm_flush(), setowire_swarm_lookup().
///     setowire_event_op(): the id that was written. Code 0: it is done, and what it asks is true. Other codes: false:
///     SETOWIRE_ERR_UNREACHABLE (no source worked, or the topic was left, or the swarm is suspended or closes), _CANCELLED,
///     _CLOSED. Data: the reason as text.
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
/// SETOWIRE_ERR_CLOSED if the peer was gone before it was done. When a connection ends that this side did not end, a
/// stream of it with bytes or an end that had come and were not read stays: this event then comes behind DISCONNECTION,
/// when they were read with setowire_stream_read(), or are not wanted, setowire_stream_stop(), or when the swarm ends.
/// Flags: SETOWIRE_STREAM_RESET. No data.
pub const SETOWIRE_EVENT_STREAM_CLOSED: u16 = 13;
/// The number of dials of the swarm, of connections or of known peers changed; also when a peer is dialled and when a
/// dial failed. The newest replaces one that waits. Data: {"connecting":N,"connections":N,"known":N}. It comes after the
/// CONNECTION or DISCONNECTION event of the same change.
pub const SETOWIRE_EVENT_CHANGED: u16 = 14;
/// A source found a peer that was not known, and it is dialled when its turn comes. setowire_event_topic(): a session of the
/// topic that led to it, 0: none. Data: a JSON object (later versions may add to it) with
///   - "key": 64 hexadecimal digits, or null for a peer of the older packages; "id": null, or 16 hexadecimal digits, the
///     first 8 bytes of the id of a peer of the older packages: what setowire_swarm_ban() and others take;
///   - "address" and "port": text and number, or null: not known;
///   - "source": as for CONNECTION; "local": true or false, it is on this network;
///   - "topic": the number that setowire_event_topic() gives, or null.
pub const SETOWIRE_EVENT_PEER: u16 = 15;
/// A source found a peer, and the application did not want it (option "validate"): it is not dialled. Topic and data as
/// for PEER.
pub const SETOWIRE_EVENT_PEER_REJECTED: u16 = 16;
/// A round of discovery of a topic ended. setowire_event_topic(): its oldest session. Code: 0, or
/// SETOWIRE_ERR_UNREACHABLE if no source worked; the next round comes nevertheless. The newest replaces one that waits. No
/// data.
pub const SETOWIRE_EVENT_TOPIC_UPDATED: u16 = 17;
/// A peer was found by one more topic, or proved to have joined it. setowire_event_topic(): its oldest session. Data:
/// {"key":..,"id":..}, as for PEER.
pub const SETOWIRE_EVENT_PEER_TOPIC: u16 = 18;
/// The application's answer banned a peer: see ASK. Data: {"key":..,"id":..,"reason":..}, the first two as for PEER, and
/// text.
pub const SETOWIRE_EVENT_BANNED: u16 = 19;
/// The application is asked about a peer, because it switched on the firewall or the option "validate".
/// setowire_event_question(): what setowire_swarm_answer() is to be called with, in a callback or later, on any thread.
/// setowire_event_topic(): as for PEER. Data: as for BANNED, without "reason", and
///   - "purpose": "incoming" (it dials us: its connection waits), "dial" (we are about to dial it) or "candidate" (a source
///     found it; option "validate");
///   - "address" and "port": as for PEER.
///
/// An answer holds for this dial, and for those that repeat it within the option "handshake_clear_wait". The answer "no" to
/// "incoming" and "dial" also bans the peer: a BANNED event follows. Without an answer within the option
/// "firewall_deadline", or when this event is masked or was lost, the peer is turned away without a ban. A peer is asked
/// about once at a time.
pub const SETOWIRE_EVENT_ASK: u16 = 20;
/// A setowire_swarm_lookup() found a peer. setowire_event_op(), setowire_event_tag(): the look-up's. It may be found by
/// several addresses, each an event. Data: as for PEER, "topic" is null.
pub const SETOWIRE_EVENT_FOUND: u16 = 21;
/// The program is a source of peers (option "source"), and is asked: it announces the topic wherever it keeps such things, or
/// looks it up, or both. setowire_event_query(): the round. It answers with setowire_swarm_found() for each peer, then
/// once with setowire_swarm_round_done(), in a callback or later, on any thread. Without that, or when this event is
/// masked or was lost, the round fails after 30 s. There is a round when a topic is joined or refreshed, then about every 11
/// minutes, for each look-up, for peers by key where no address is known, and for our own key. Data: a JSON object (later
/// versions may add to it) with
///   - "name": 64 hexadecimal digits, what the topic is called outside: nobody learns the topic from it, and with a secret
///     nobody else can make it. It stays the same;
///   - "kind": "announce" (store that we are here, and say who else is), "lookup" (say who is here),
///     "lookup-and-unannounce" (say who is here, and remove us);
///   - "clear": true or false, also remove first what an earlier run with our key may have left;
///   - "key": 64 hexadecimal digits, ours;
///   - "port_v4" and "port_v6": numbers, the ports to announce, or null: not reachable by that family. At which address is
///     for the program to know, or for its server to see.
pub const SETOWIRE_EVENT_ROUND: u16 = 22;
/// Nobody waits for a round any more: its time was over, or the topic was left or is to do something else now.
/// setowire_event_query(): the round. What it has stored may stay: what is to go an UNANNOUNCE tells. No data.
pub const SETOWIRE_EVENT_ROUND_CANCELLED: u16 = 23;
/// The program, as a source, is to remove an announcement of ours, and to call setowire_swarm_unannounced(). It also comes
/// when the swarm is closed, before CLOSED. Data: {"name":..,"key":..}, as for ROUND.
pub const SETOWIRE_EVENT_UNANNOUNCE: u16 = 24;
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

/// Mode of a session of a topic: look for others and dial them.
pub const SETOWIRE_JOIN_CLIENT: u32 = 1;
/// Mode of a session of a topic: be found by others and take their connections.
pub const SETOWIRE_JOIN_SERVER: u32 = 2;

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
