/*
 * Setowire: programs find each other by topic and talk directly.
 *
 * Two copies of this program, on one machine or one local network, greet each other. Build it with the static library,
 * `cc hello.c libsetowire.a -pthread`, or the installed shared one, `cc hello.c -lsetowire`. An argument names the network
 * interfaces to use; "lo" keeps it on this machine.
 *
 *     #include <setowire.h>
 *     #include <stdio.h>
 *
 *     // Called with one event after the other, on a thread of the swarm.
 *     static void on_event(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
 *         unsigned long long peer = setowire_event_peer(event);
 *         size_t len = 0;
 *         const char *data = (const char *)setowire_event_data(event, &len);
 *         (void)user_data;
 *         switch (setowire_event_kind(event)) {
 *         case SETOWIRE_EVENT_CONNECTION:
 *             printf("met peer %llu: %s\n", peer, data);
 *             setowire_peer_send(swarm, peer, (const uint8_t *)"hello", 5, 0);
 *             break;
 *         case SETOWIRE_EVENT_MESSAGE:
 *             printf("peer %llu says %.*s\n", peer, (int)len, data);
 *             break;
 *         }
 *         fflush(stdout);
 *     }
 *
 *     int main(int argc, char **argv) {
 *         uint8_t topic[32] = "any 32 bytes, better a SHA-256"; // who joins the same topic meets
 *         uint64_t topic_id = 0;
 *         setowire_config *config = setowire_config_new();
 *         setowire_swarm *swarm = NULL;
 *         int failed = setowire_config_set_lan_interfaces(config, argc > 1 ? argv[1] : "") < 0
 *                   || setowire_swarm_new(config, &swarm) < 0
 *                   || setowire_swarm_set_callback(swarm, SETOWIRE_EVENTS_ALL, on_event, NULL, NULL) < 0
 *                   || setowire_swarm_join(swarm, topic, sizeof topic, &topic_id) < 0;
 *         if (failed) {
 *             char why[256];
 *             setowire_last_error_message(why, sizeof why);
 *             fprintf(stderr, "%s\n", why);
 *         } else {
 *             puts("waiting for others; Enter ends");
 *             getchar();
 *         }
 *         setowire_swarm_free(swarm);
 *         setowire_config_free(config);
 *         return failed;
 *     }
 *
 * OBJECTS. A config, a swarm and an event from setowire_event_next() are yours: you make them and free them, once. The
 * pointer to a swarm is a number and no address: never follow it.
 * Everything that comes and goes by itself is a number: peers, streams, topic sessions, operations. A number is never used twice
 * within a swarm, 0 is none, and one whose owner is gone gives SETOWIRE_ERR_NOT_FOUND. The library copies what you pass
 * in, unless a function says otherwise. Texts are UTF-8 and end with a zero byte.
 *
 * EVENTS. Whatever happens is an event in the swarm's queue: peers that come and go, messages, the end of what you began.
 * It is read in one of three ways, and the first one used decides:
 *   - a callback: setowire_swarm_set_callback(), as above;
 *   - an event loop: setowire_event_fd() gives a descriptor to poll, setowire_event_drain() copies many events at once;
 *   - a thread of yours: setowire_event_wait(), then setowire_event_next() or setowire_event_drain().
 * The queue is bounded. Messages of p2p-v12, broadcasts and datagrams that find no room are dropped and a LOST event counts
 * them; other events are not lost.
 *
 * TOPICS. A topic is joined as server, to be found, as client, to look for others and dial them, or as both:
 * setowire_swarm_join_as(). Servers are announced, clients dial whom they find, and a peer has one connection, whatever
 * topics it shares. Whom a swarm dials, how many at once and how often again, is the behaviour of Hyperswarm; the option
 * "preset" chooses whose defaults hold: "setowire", "v4" or "v2". setowire_topic_flushed() and setowire_swarm_flush() tell when
 * others can find this swarm and when everyone who was found has been tried; CHANGED, PEER and TOPIC_UPDATED events tell
 * of the way there. A peer may be kept by its key, setowire_swarm_join_peer(), and banned, setowire_swarm_ban().
 * FIREWALL. With the option "firewall" an ASK event asks before a peer is dialled and when one dials us; until
 * setowire_swarm_answer() its connection waits and it learns nothing of this swarm. "No" bans it. Without an answer in time,
 * 5 s, it is turned away. A callback may answer before it returns, and everything else goes on meanwhile.
 *
 * SESSIONS. Swarms of this library talk over setowire/13: TLS 1.3 over QUIC, in which both prove their keys. Peers of the
 * older packages talk over p2p-v12, which is encrypted but weak (docs/threat-model.md); the option "legacy" switches it
 * off. What a peer has, its CONNECTION event and setowire_peer_info() tell. Private topics, datagrams, streams and
 * connecting by key need setowire/13.
 *
 * DELIVERY. Over setowire/13 messages to a peer arrive whole, once and in order for as long as the connection lives. OP_DONE
 * of a send means that the library of the peer has the message and told so; what was not completed when a connection ends
 * may have arrived or not. A peer says how large a message it takes, by default 16 MiB. When a program does not read its
 * events, those who send to it are held back.
 * Over p2p-v12 messages leave in order and are repeated when the link loses packets, but nothing is acknowledged: one may
 * be lost, and a late one may come after its successor. There OP_DONE means that it left. A message holds at most 65,474
 * bytes, to a peer of the old Rust package 4,063.
 *
 * BROADCASTS. A message to a topic, setowire_topic_broadcast(), of at most 1 MiB, is signed by its author and passed on by
 * members: it reaches those too that are not connected to its author, once, in any order, and almost always. Old peers know
 * no topics: all of them get what is sent to a topic that is not private.
 *
 * STREAMS. A stream carries bytes both ways, in order, without boundaries, as fast as its reader reads; many may run at once,
 * and none holds up another or messages. Nothing here waits: a write takes what there is room for, a read gives what is
 * there, and for each call that fell short one STREAM_WRITABLE or STREAM_READABLE event tells when to go on. The natural
 * loop is: on the event, call until a call falls short. A direction ends by setowire_stream_finish(), and all of it is
 * read; or by setowire_stream_reset() of the one who writes or setowire_stream_stop() of the one who reads, and some may be
 * lost. STREAM_CLOSED is the last event of a stream: when both directions are done, or with a code when the peer goes first.
 * When the peer goes first, what had come can be read still, and the end if that had come: DISCONNECTION does not end such a
 * stream, reading does, or setowire_stream_stop(). So whoever has all that he wants may go first, and a program reads its
 * streams to the end, or stops them.
 *
 * THREADS. Every function may be called on any thread at any time, unless it says otherwise; a config and an event belong
 * to one thread at a time. A swarm calls you on one thread of its own, never twice at once, and holds no lock meanwhile:
 * in a callback every function is allowed but setowire_event_wait(). Take your time there: the network does not wait for
 * you. A callback must not throw, longjmp or end its thread.
 *
 * ERRORS. Functions that return int32_t give 0 or a count, or a negative SETOWIRE_ERR_* number; for the text see
 * setowire_last_error_message(). What goes wrong later comes with its own number and text in an event. When a call fails,
 * what it was to write is 0 or NULL. NULL and wrong values are errors and not crashes; so is a swarm that was freed.
 *
 * CLOSING. setowire_swarm_close() begins the end and returns; the CLOSED event is the last. setowire_swarm_free() closes
 * if you did not, waits, and when it returns nothing of the swarm runs any more. It may be called at any time on any
 * thread, in a callback too.
 *
 * EXIT. A program may end at any time, in a callback too. Swarms that were not freed say no goodbye then: their peers
 * notice after 60 to 90 s. After a goodbye they notice within about a second.
 *
 * FORK. A swarm does not live on in a child process: there its calls return SETOWIRE_ERR_FORKED. New ones may be made.
 */

#ifndef SETOWIRE_H
#define SETOWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define SETOWIRE_API __declspec(dllimport)
#elif defined(__GNUC__)
#define SETOWIRE_API __attribute__((visibility("default")))
#else
#define SETOWIRE_API
#endif

/** The version of this header. */
#define SETOWIRE_VERSION_MAJOR 0
#define SETOWIRE_VERSION_MINOR 1
#define SETOWIRE_VERSION_PATCH 0
/** To be compared with setowire_version_number(). */
#define SETOWIRE_VERSION_NUMBER \
    (SETOWIRE_VERSION_MAJOR * 65536 + SETOWIRE_VERSION_MINOR * 256 + SETOWIRE_VERSION_PATCH)

/** The bit of a kind of event in a mask. */
#define SETOWIRE_EVENT_BIT(kind) (UINT64_C(1) << (kind))

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Errors ---------------------------------------------------------------------------------------------- */

/** A parameter has a value that is not allowed; the message names it. */
#define SETOWIRE_ERR_INVALID (-1)

/** The id names nothing that is alive: a peer that left, an operation that ended. */
#define SETOWIRE_ERR_NOT_FOUND (-2)

/** The swarm, topic or peer is closed. */
#define SETOWIRE_ERR_CLOSED (-3)

/** A bounded queue is full: try again after the WRITABLE event, or after reading events. */
#define SETOWIRE_ERR_WOULD_BLOCK (-4)

/** The time that was given ran out. */
#define SETOWIRE_ERR_TIMED_OUT (-5)

/** The operation was cancelled. */
#define SETOWIRE_ERR_CANCELLED (-6)

/** The buffer is too small; the needed size is reported. */
#define SETOWIRE_ERR_TOO_SMALL (-7)

/** A call that waits was made inside a callback of the same swarm. */
#define SETOWIRE_ERR_WOULD_DEADLOCK (-8)

/** The swarm was made before a fork and is used in the child: make a new one there. */
#define SETOWIRE_ERR_FORKED (-9)

/** A bug of the library was caught; the swarm it happened in is ended. Please report it. */
#define SETOWIRE_ERR_PANIC (-10)

/** The operating system refused something the library cannot do without. */
#define SETOWIRE_ERR_INTERNAL (-11)

/** The system said no: a port in use, a missing right. */
#define SETOWIRE_ERR_PERMISSION (-12)

/** Nobody answered at any known address. */
#define SETOWIRE_ERR_UNREACHABLE (-100)

/** The other side, or a limit of this one, refused. */
#define SETOWIRE_ERR_REFUSED (-101)

/** A name could not be resolved to an address. */
#define SETOWIRE_ERR_RESOLVE (-102)

/** A key or id is not what it claims to be. */
#define SETOWIRE_ERR_BAD_KEY (-200)

/** The message is larger than this peer can take. */
#define SETOWIRE_ERR_TOO_LARGE (-300)

/** The other side broke the protocol, or says that we did. */
#define SETOWIRE_ERR_PROTOCOL (-301)

/** The session with this peer has no such thing (datagrams and streams over p2p-v12). */
#define SETOWIRE_ERR_NOT_SUPPORTED (-302)

/**
 * Copies the text of the last call that failed on this thread. A call that succeeds leaves it alone.
 *
 * @param buf  Where to; cut to `cap` bytes, and ended with a zero byte if `cap` is not 0. NULL only with `cap` 0.
 * @param cap  Bytes of `buf`.
 * @return The length of the whole text without the zero byte (0: nothing failed yet), or SETOWIRE_ERR_INVALID,
 *         SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_last_error_message(char *buf,
                                    size_t cap);

/**
 * The name of an error code, such as "NOT_FOUND".
 *
 * @return Text that is always valid and never NULL: "OK" for 0 and above, "UNKNOWN" for codes this version does
 *         not know.
 * @since 0.1.0
 */
SETOWIRE_API
const char *setowire_error_name(int32_t code);

/**
 * One sentence that explains an error code.
 *
 * @return Text that is always valid and never NULL.
 * @since 0.1.0
 */
SETOWIRE_API const char *setowire_error_string(int32_t code);

/* ---- Types ----------------------------------------------------------------------------------------------- */

/** The settings of a swarm to be made. Belongs to one thread at a time. */
typedef struct setowire_config setowire_config;

/** An event. Belongs to one thread at a time. */
typedef struct setowire_event setowire_event;

/** A swarm. May be used by any thread at any time. */
typedef struct setowire_swarm setowire_swarm;

/**
 * Called with each event, on a thread of the swarm, one at a time and in order. The event is lent: it and its
 * data end when the function returns. It may call every function that does not wait, also setowire_swarm_free().
 * It must not throw, longjmp or end its thread.
 */
typedef void (*setowire_event_cb)(struct setowire_swarm *swarm,
                                  const struct setowire_event *event,
                                  void *user_data);

/** Called when `user_data` is not used any more: exactly once, on any thread. */
typedef void (*setowire_destroy_cb)(void *user_data);

/**
 * Called with each log line, on the library's log thread, one at a time. `target`: the part of the library;
 * `message`: `len` bytes of UTF-8 and a zero byte; `time_us`: microseconds on a clock that never steps back.
 * Both texts end when the function returns. It must not throw, longjmp or end its thread.
 */
typedef void (*setowire_log_cb)(uint8_t level,
                                const char *target,
                                const char *message,
                                size_t len,
                                uint64_t time_us,
                                void *user_data);

/** Called when the library gives `data` back: exactly once, before the call it was given to returns. */
typedef void (*setowire_release_cb)(void *data, void *user_data);

/** Who and where a swarm is. Set `struct_size` to the size of the struct before the call. */
typedef struct setowire_swarm_details {
    /** In: the size of the struct. Out: the bytes that were filled. */
    uint32_t struct_size;
    /** The UDP port over IPv4; 0: none. */
    uint16_t port_v4;
    /** The UDP port over IPv6; 0: none. */
    uint16_t port_v6;
    /** The Ed25519 public key. */
    uint8_t key[32];
    /** The id that the older packages derive from the same seed. */
    uint8_t legacy_id[20];
    /** 0. */
    uint32_t reserved;
} setowire_swarm_details;

/**
 * Counters since the swarm began, and what it holds now. Set `struct_size` to the size of the struct before
 * the call.
 */
typedef struct setowire_swarm_counters {
    /** In: the size of the struct. Out: the bytes that were filled. */
    uint32_t struct_size;
    /** 0. */
    uint32_t reserved;
    /** Datagrams that left. */
    uint64_t datagrams_sent;
    /** Datagrams that came. */
    uint64_t datagrams_received;
    /** Bytes of datagrams that left. */
    uint64_t bytes_sent;
    /** Bytes of datagrams that came. */
    uint64_t bytes_received;
    /** Messages to one peer that left. */
    uint64_t messages_sent;
    /** Messages of one peer that came. */
    uint64_t messages_received;
    /** Messages that were given up: not repeatable, or their receiver left. */
    uint64_t messages_lost;
    /** Datagrams that were no frame, not for us, replayed, or over a limit. */
    uint64_t datagrams_rejected;
    /** Dials begun. */
    uint64_t dials_started;
    /** Dials refused because too much was sent to an unverified address. */
    uint64_t dials_refused_by_budget;
    /** CONNECTION events. */
    uint64_t connections;
    /** DISCONNECTION events. */
    uint64_t disconnections;
    /** Messages and datagrams dropped because the event queue was full. */
    uint64_t events_lost;
    /** Now: connected peers. */
    uint64_t peers;
    /** Now: peers that have not answered yet. */
    uint64_t unconfirmed;
    /** Now: dials. */
    uint64_t dials;
    /** Now: operations. */
    uint64_t ops;
    /** Now: sessions of topics. */
    uint64_t topics;
    /** Now: bytes that wait to be sent. */
    uint64_t buffered_bytes;
    /** Now: bytes of messages that have not come in full. */
    uint64_t reassembly_bytes;
    /** Broadcasts that came over setowire/13, each counted once. */
    uint64_t mesh_received;
    /** Copies of those. */
    uint64_t mesh_duplicates;
    /** Copies of broadcasts, our own and others', that left over setowire/13. */
    uint64_t mesh_sent;
    /** Broadcasts refused: forged, replayed, not for us, or more than their author may say. */
    uint64_t mesh_rejected;
    /** Now: bytes of broadcasts kept for members that missed them, and on their way. */
    uint64_t mesh_bytes;
} setowire_swarm_counters;

/** How far a swarm is, and what it did. Set `struct_size` to the size of the struct before the call. */
typedef struct setowire_swarm_state_details {
    /** In: the size of the struct. Out: the bytes that were filled. */
    uint32_t struct_size;
    /** There is a place for one more dial. */
    bool open;
    /** It is announced, or was told to listen. */
    bool listening;
    /** It is suspended. */
    bool suspended;
    /** 0. */
    uint8_t reserved;
    /** Now: dials of the swarm in progress. */
    uint64_t connecting;
    /** Now: connections. */
    uint64_t connections;
    /** Now: peers that are known, connected or not. */
    uint64_t known;
    /** Now: peers that are to be dialled. */
    uint64_t queued;
    /** Now: peers joined with setowire_swarm_join_peer(). */
    uint64_t explicit_peers;
    /** CHANGED events, also those that another replaced. */
    uint64_t updates;
    /** Dials of peers begun. */
    uint64_t client_attempted;
    /** Connections that we dialled. */
    uint64_t client_opened;
    /** Dials and dialled connections that ended. */
    uint64_t client_closed;
    /** Connections that others dialled. */
    uint64_t server_opened;
    /** Connections that others dialled and that ended. */
    uint64_t server_closed;
    /** Bans, by calls and by answers. */
    uint64_t banned;
} setowire_swarm_state_details;

/** What a session of a topic does. Set `struct_size` to the size of the struct before the call. */
typedef struct setowire_topic_details {
    /** In: the size of the struct. Out: the bytes that were filled. */
    uint32_t struct_size;
    /** It was joined with a secret. */
    bool is_private;
    /** This session looks for others and dials them. */
    bool client;
    /** This session is to be found by others. */
    bool server;
    /** A session of this topic is a client. */
    bool client_in_all;
    /** A session of this topic is a server. */
    bool server_in_all;
    /** The topic is announced. */
    bool announced;
    /** 0. */
    uint8_t reserved[6];
    /** Of the peers that look-ups find, so many are dialled; 0: all. */
    uint64_t limit;
    /** The topic. */
    uint8_t topic[32];
} setowire_topic_details;

/** What is known of a connected peer. Set `struct_size` to the size of the struct before the call. */
typedef struct setowire_peer_details {
    /** In: the size of the struct. Out: the bytes that were filled. */
    uint32_t struct_size;
    /** Of a thousand datagrams to it, so many were lost; over p2p-v12, of a thousand of our pings lately. */
    uint32_t loss_permille;
    /** The peer's id in this swarm. */
    uint64_t peer;
    /** Smoothed round-trip time in microseconds; 0: not measured yet. */
    uint64_t rtt_us;
    /** Bytes sent to it. */
    uint64_t bytes_sent;
    /** Bytes that came from it. */
    uint64_t bytes_received;
    /** Messages sent to it. */
    uint64_t messages_sent;
    /** Messages that came from it. */
    uint64_t messages_received;
    /** Bytes of messages queued and not yet acknowledged; over p2p-v12 not yet sent. */
    uint64_t buffered;
    /** Microseconds from the first hint of it to the connection. */
    uint64_t connect_us;
    /** The largest message it can take, in bytes: as it says, or over p2p-v12 as its package can. */
    uint64_t max_message;
    /** Its Ed25519 key; zero if `has_key` is false. */
    uint8_t key[32];
    /** Its id in the older packages; zero if `has_legacy_id` is false. */
    uint8_t legacy_id[20];
    /** Whether `key` is known: always over setowire/13, which proves it, and never over p2p-v12. */
    bool has_key;
    /** Whether `legacy_id` is known. */
    bool has_legacy_id;
    /** It proved that it holds its key; always so over setowire/13. */
    bool confirmed;
    /** We dialled it; false: it dialled us. */
    bool client;
    /** SETOWIRE_SESSION_*. */
    uint8_t session;
    /** SETOWIRE_SOURCE_*. */
    uint8_t source;
    /** SETOWIRE_FAMILY_*. */
    uint8_t family;
    /** The connection was asked for by address or key, by one of the two, and needs no topic. */
    bool is_explicit;
    /** SETOWIRE_SUITE_*. */
    uint8_t suite;
    /** 0. */
    uint8_t reserved[3];
    /** Datagrams of it that were dropped here because events were not read. */
    uint64_t datagrams_dropped;
} setowire_peer_details;

/* ---- Constants: kinds of events and what they carry, flags, numbers -------------------------------------- */

/**
 * A peer answered: messages can be exchanged. The first event about this peer. Data: a JSON object (later
 * versions may add to it) with
 *   - "peer": number, its id in this swarm;
 *   - "id": 40 hexadecimal digits, its id in the older packages (which show the first 16), or null;
 *   - "key": 64 hexadecimal digits, or null. Proven over setowire/13; always null over p2p-v12, which has none;
 *   - "address" and "port": text and number, where data to it goes; "addresses": array of texts like
 *     "10.0.0.7:40001" or "[fe80::1]:40001", the one in use first;
 *   - "source": how it was found, "incoming" (it dialled us), "lan", "seed", "connect", "cache", "pex" (told by
 *     another peer), "reconnect", "bootstrap" or "outside" (a source that the application brought along);
 *   - "session" and "security": "setowire/13" and "tls1.3", or "p2p-v12" and "legacy";
 *   - "suite": what a session of setowire/13 is sealed with, "TLS_CHACHA20_POLY1305_SHA256" or
 *     "TLS_AES_128_GCM_SHA256"; null over p2p-v12;
 *   - "topics": array of ids of topic sessions: those that both sides proved to have joined. Empty over p2p-v12, where
 *     nobody can know;
 *   - "explicit": true or false, one of the two asked for the connection by address, and it needs no topic;
 *   - "family": which of the older packages it is, as far as that shows, "unknown", "js-or-python" (also this library
 *     over p2p-v12), "cpp" or "rust";
 *   - "confirmed": true or false, it proved that it holds its key; always true over setowire/13;
 *   - "client": true or false, we dialled it;
 *   - "rtt_us": number, microseconds, or null before it was measured;
 *   - "connect_ms": number, milliseconds from the first hint of it;
 *   - "max_message": number, bytes.
 */
#define SETOWIRE_EVENT_CONNECTION 1

/**
 * The peer is gone. The last event about it, but for the STREAM_CLOSED of its streams that hold something still to be
 * read. One that says goodbye goes within about a second, one that crashes or
 * loses its network after 60 s. Data: as for CONNECTION, and "reason", text. Code: SETOWIRE_ERR_CLOSED (a side said
 * goodbye, or a newer swarm with the same seed took the place), _TIMED_OUT (silent for 60 s, or another peer has its
 * address now), _REFUSED (the table is full and a peer that proved itself took its place), _BAD_KEY (its key would let
 * everyone read the session, or a proof was wrong), _PROTOCOL (a side broke the protocol) or _TOO_LARGE (a message above
 * what its receiver takes).
 */
#define SETOWIRE_EVENT_DISCONNECTION 2

/**
 * "confirmed", the address, the family, the topics or the session of a peer changed: two swarms of this library that met
 * over p2p-v12 go on over setowire/13, as the same peer. Data: as for CONNECTION.
 */
#define SETOWIRE_EVENT_UPDATE 3

/**
 * A message of a peer, or of the members of a topic. Data: its bytes, at most the option "max_message"; over p2p-v12
 * 65,474, in clear fragments 1,049,004. Flags: SETOWIRE_MESSAGE_CLEAR, SETOWIRE_MESSAGE_BROADCAST.
 */
#define SETOWIRE_EVENT_MESSAGE 4

/**
 * There is room again after a send, a datagram or the opening of a stream to this peer was refused with
 * SETOWIRE_ERR_WOULD_BLOCK, or a broadcast left it out because its queue was full. No data.
 */
#define SETOWIRE_EVENT_WRITABLE 5

/**
 * What you began has ended; setowire_event_tag() is the tag you gave.
 *   - A connect. setowire_event_op(): the id that setowire_swarm_connect() wrote. Code 0: it is connected,
 *     setowire_event_peer() is the peer, and data {"peer":ID}. Other codes: see setowire_swarm_connect(); data: the
 *     reason as text.
 *   - A dial by key alone, setowire_swarm_connect_peer(): the same.
 *   - setowire_topic_refresh(), setowire_topic_flushed(), setowire_swarm_flush(), setowire_swarm_lookup().
 *     setowire_event_op(): the id that was written. Code 0: it is done, and what it asks is true. Other codes: false:
 *     SETOWIRE_ERR_UNREACHABLE (no source worked, or the topic was left, or the swarm is suspended or closes), _CANCELLED,
 *     _CLOSED. Data: the reason as text.
 *   - A send with a tag. setowire_event_op() and setowire_event_peer() are 0. Code 0 over setowire/13: the peer's QUIC has
 *     acknowledged all of it, so it is in the peer's memory, in order, behind all before it; whether the program there
 *     has seen it, only an answer can tell. Code 0 over p2p-v12: it left. SETOWIRE_ERR_TOO_LARGE: the peer turned out to
 *     take less. SETOWIRE_ERR_CLOSED: the peer or the swarm went before: over setowire/13 it may have arrived or not,
 *     over p2p-v12 it did not leave. Data: the reason as text.
 *
 * When the swarm ends by a failure, what is open ends with the code of its CLOSED event.
 */
#define SETOWIRE_EVENT_OP_DONE 6

/**
 * The peers worth keeping for the next run changed. Data: a JSON array for setowire_config_set_peer_cache(), such as
 * [{"id":"40 hexadecimal digits","ip":"10.0.0.7","port":40001,"lastSeen":1790000000000}], lastSeen in milliseconds
 * since 1970. It comes at most every 30 s, and if they changed since, after setowire_swarm_close(), before CLOSED. To
 * keep the cache, close, read until CLOSED, then free; a callback is also handed it by setowire_swarm_free(), except
 * inside that callback.
 */
#define SETOWIRE_EVENT_PEERS 7

/**
 * Messages or datagrams were dropped here because the queue was full. Over setowire/13 that does not happen to messages:
 * their senders are held back. Data: {"messages":N,"total":M}.
 */
#define SETOWIRE_EVENT_LOST 8

/** A datagram of a peer. Data: its bytes, at most 1,150. */
#define SETOWIRE_EVENT_DATAGRAM 9

/** A peer opened a stream: setowire_event_stream(). The first event about it. No data. */
#define SETOWIRE_EVENT_STREAM 10

/**
 * A setowire_stream_read() that found nothing, or less than it had room for, may find more now, or the end. It comes
 * once, however often that was called in between; a stream that was opened, by either side, begins as if it had been. No
 * data.
 */
#define SETOWIRE_EVENT_STREAM_READABLE 11

/**
 * A setowire_stream_write() that did not take everything may take more now. It comes once, however often that was called
 * in between. It also comes when the peer has stopped reading, which the next write tells. No data.
 */
#define SETOWIRE_EVENT_STREAM_WRITABLE 12

/**
 * A stream is done in both directions. The last event about it, and its id is not known any more. Code: 0, or
 * SETOWIRE_ERR_CLOSED if the peer was gone before it was done. When a connection ends that this side did not end, a
 * stream of it with bytes or an end that had come and were not read stays: this event then comes behind DISCONNECTION,
 * when they were read with setowire_stream_read(), or are not wanted, setowire_stream_stop(), or when the swarm ends.
 * Flags: SETOWIRE_STREAM_RESET. No data.
 */
#define SETOWIRE_EVENT_STREAM_CLOSED 13

/**
 * The number of dials of the swarm, of connections or of known peers changed; also when a peer is dialled and when a
 * dial failed. The newest replaces one that waits. Data: {"connecting":N,"connections":N,"known":N}. It comes after the
 * CONNECTION or DISCONNECTION event of the same change.
 */
#define SETOWIRE_EVENT_CHANGED 14

/**
 * A source found a peer that was not known, and it is dialled when its turn comes. setowire_event_topic(): a session of the
 * topic that led to it, 0: none. Data: a JSON object (later versions may add to it) with
 *   - "key": 64 hexadecimal digits, or null for a peer of the older packages; "id": null, or 16 hexadecimal digits, the
 *     first 8 bytes of the id of a peer of the older packages: what setowire_swarm_ban() and others take;
 *   - "address" and "port": text and number, or null: not known;
 *   - "source": as for CONNECTION; "local": true or false, it is on this network;
 *   - "topic": the number that setowire_event_topic() gives, or null.
 */
#define SETOWIRE_EVENT_PEER 15

/**
 * A source found a peer, and the application did not want it (option "validate"): it is not dialled. Topic and data as
 * for PEER.
 */
#define SETOWIRE_EVENT_PEER_REJECTED 16

/**
 * A round of discovery of a topic ended. setowire_event_topic(): its oldest session. Code: 0, or
 * SETOWIRE_ERR_UNREACHABLE if no source worked; the next round comes nevertheless. The newest replaces one that waits. No
 * data.
 */
#define SETOWIRE_EVENT_TOPIC_UPDATED 17

/**
 * A peer was found by one more topic, or proved to have joined it. setowire_event_topic(): its oldest session. Data:
 * {"key":..,"id":..}, as for PEER.
 */
#define SETOWIRE_EVENT_PEER_TOPIC 18

/**
 * The application's answer banned a peer: see ASK. Data: {"key":..,"id":..,"reason":..}, the first two as for PEER, and
 * text.
 */
#define SETOWIRE_EVENT_BANNED 19

/**
 * The application is asked about a peer, because it switched on the firewall or the option "validate".
 * setowire_event_question(): what setowire_swarm_answer() is to be called with, in a callback or later, on any thread.
 * setowire_event_topic(): as for PEER. Data: as for BANNED, without "reason", and
 *   - "purpose": "incoming" (it dials us: its connection waits), "dial" (we are about to dial it) or "candidate" (a source
 *     found it; option "validate");
 *   - "address" and "port": as for PEER.
 *
 * An answer holds for this dial, and for those that repeat it within the option "handshake_clear_wait". The answer "no" to
 * "incoming" and "dial" also bans the peer: a BANNED event follows. Without an answer within the option
 * "firewall_deadline", or when this event is masked or was lost, the peer is turned away without a ban. A peer is asked
 * about once at a time.
 */
#define SETOWIRE_EVENT_ASK 20

/**
 * A setowire_swarm_lookup() found a peer. setowire_event_op(), setowire_event_tag(): the look-up's. It may be found by
 * several addresses, each an event. Data: as for PEER, "topic" is null.
 */
#define SETOWIRE_EVENT_FOUND 21

/**
 * The program is a source of peers (option "source"), and is asked: it announces the topic wherever it keeps such things, or
 * looks it up, or both. setowire_event_query(): the round. It answers with setowire_swarm_found() for each peer, then
 * once with setowire_swarm_round_done(), in a callback or later, on any thread. Without that, or when this event is
 * masked or was lost, the round fails after 30 s. There is a round when a topic is joined or refreshed, then about every 11
 * minutes, for each look-up, for peers by key where no address is known, and for our own key. Data: a JSON object (later
 * versions may add to it) with
 *   - "name": 64 hexadecimal digits, what the topic is called outside: nobody learns the topic from it, and with a secret
 *     nobody else can make it. It stays the same;
 *   - "kind": "announce" (store that we are here, and say who else is), "lookup" (say who is here),
 *     "lookup-and-unannounce" (say who is here, and remove us);
 *   - "clear": true or false, also remove first what an earlier run with our key may have left;
 *   - "key": 64 hexadecimal digits, ours;
 *   - "port_v4" and "port_v6": numbers, the ports to announce, or null: not reachable by that family. At which address is
 *     for the program to know, or for its server to see.
 */
#define SETOWIRE_EVENT_ROUND 22

/**
 * Nobody waits for a round any more: its time was over, or the topic was left or is to do something else now.
 * setowire_event_query(): the round. What it has stored may stay: what is to go an UNANNOUNCE tells. No data.
 */
#define SETOWIRE_EVENT_ROUND_CANCELLED 23

/**
 * The program, as a source, is to remove an announcement of ours, and to call setowire_swarm_unannounced(). It also comes
 * when the swarm is closed, before CLOSED. Data: {"name":..,"key":..}, as for ROUND.
 */
#define SETOWIRE_EVENT_UNANNOUNCE 24

/**
 * The swarm ended. Its last event, and never masked. Code: 0, or SETOWIRE_ERR_INTERNAL or _PANIC, then with the reason
 * as data.
 */
#define SETOWIRE_EVENT_CLOSED 63

/** For masks: every kind of event, also later ones. */
#define SETOWIRE_EVENTS_ALL 18446744073709551615ull

/** Flag of a MESSAGE: it came unencrypted, anyone may have written it. */
#define SETOWIRE_MESSAGE_CLEAR 1

/**
 * Flag of a MESSAGE: it was sent to a topic, setowire_event_topic(), by setowire_event_author(). The peer is the one
 * that passed it on.
 */
#define SETOWIRE_MESSAGE_BROADCAST 2

/** Flag of a STREAM_CLOSED: the peer reset its direction; setowire_event_tag() is the code it gave. */
#define SETOWIRE_STREAM_RESET 4

/** End of a stream's incoming direction: none yet, more may come. */
#define SETOWIRE_END_NONE 0

/** End of a stream's incoming direction: the peer finished, and everything it wrote has been read. */
#define SETOWIRE_END_FINISHED 1

/** End of a stream's incoming direction: the peer gave up, and what it wrote may be missing in part. */
#define SETOWIRE_END_RESET 2

/** Mode of a session of a topic: look for others and dial them. */
#define SETOWIRE_JOIN_CLIENT 1

/** Mode of a session of a topic: be found by others and take their connections. */
#define SETOWIRE_JOIN_SERVER 2

/** Time limit of a connect or a wait: none. */
#define SETOWIRE_NO_TIMEOUT 4294967295

/** Session of a peer: the protocol of the older packages. */
#define SETOWIRE_SESSION_P2P_V12 1

/** Session of a peer: that of this library, TLS 1.3 over QUIC. */
#define SETOWIRE_SESSION_SETOWIRE_13 2

/** What a session is sealed with: ChaCha20-Poly1305. */
#define SETOWIRE_SUITE_CHACHA20_POLY1305 1

/** What a session is sealed with: AES-128-GCM. */
#define SETOWIRE_SUITE_AES_128_GCM 2

/** Source of a peer: it dialled us. */
#define SETOWIRE_SOURCE_INCOMING 1

/** Source of a peer: a beacon on the local network. */
#define SETOWIRE_SOURCE_LAN 2

/** Source of a peer: a seed of the config. */
#define SETOWIRE_SOURCE_SEED 3

/** Source of a peer: setowire_swarm_connect(). */
#define SETOWIRE_SOURCE_CONNECT 4

/** Source of a peer: the peer cache of an earlier run. */
#define SETOWIRE_SOURCE_CACHE 5

/** Source of a peer: told by a connected peer. */
#define SETOWIRE_SOURCE_PEX 6

/** Source of a peer: dialled again after it was lost. */
#define SETOWIRE_SOURCE_RECONNECT 7

/** Source of a peer: a node of the option "bootstrap". */
#define SETOWIRE_SOURCE_BOOTSTRAP 8

/** Source of a peer: a source that the application brought along. */
#define SETOWIRE_SOURCE_OUTSIDE 9

/** Family of a peer: not known yet. */
#define SETOWIRE_FAMILY_UNKNOWN 0

/** Family of a peer: the JavaScript or Python package, or this library. */
#define SETOWIRE_FAMILY_JS_OR_PYTHON 1

/** Family of a peer: the C++ package. */
#define SETOWIRE_FAMILY_CPP 2

/** Family of a peer: the Rust package. */
#define SETOWIRE_FAMILY_RUST 3

/** Severity of a log line. */
#define SETOWIRE_LOG_ERROR 1

/** Severity of a log line. */
#define SETOWIRE_LOG_WARN 2

/** Severity of a log line. */
#define SETOWIRE_LOG_INFO 3

/** Severity of a log line. */
#define SETOWIRE_LOG_DEBUG 4

/** Severity of a log line. */
#define SETOWIRE_LOG_TRACE 5

/* ---- Config: the settings of a swarm --------------------------------------------------------------------- */

/**
 * Makes a config with the default of every option.
 *
 * @return The config, owned by the caller: to be freed with setowire_config_free(). NULL if a bug was caught.
 * @since 0.1.0
 */
SETOWIRE_API setowire_config *setowire_config_new(void);

/**
 * Frees a config. Swarms made from it keep their copy.
 *
 * @param config  Not used any more after the call. NULL is ignored.
 * @since 0.1.0
 */
SETOWIRE_API void setowire_config_free(setowire_config *config);

/**
 * Sets an option by its name, as read from a file.
 *
 * Names: "seed", "key_pair", "bind", "preset", "max_peers", "max_client_connections", "max_server_connections",
 * "max_parallel", "backoffs", "jitter", "requeue", "forget_unresponsive", "forget_banned", "firewall", "validate",
 * "firewall_deadline", "handshake_clear_wait", "lan", "lan_interfaces", "seeds", "bootstrap", "source", "announce_port",
 * "peer_cache", "cipher", "legacy", "max_message", "accept_explicit", "clear_fragments", "send_buffer", "event_queue_items",
 * "event_queue_bytes", "event_mask". Values: numbers in decimal, "true" or "false" ("on" and "off" too), lists separated
 * by commas, times in milliseconds.
 *
 * Those without a function of their own:
 *   - "cipher": what sessions between peers of our own kind are encrypted with: "chacha20" (the default), or
 *     "fastest": AES-128-GCM where both sides say so, which is faster on processors that have it built in;
 *   - "legacy": "on" (the default) speaks with peers of the older packages too. "off": nothing of their protocol is
 *     sent or answered, and they are not found;
 *   - "max_message": bytes of the largest message that is taken from one peer of our own kind, 1,024 to 67,108,864;
 *     the default is 16,777,216. The other side is told, and refuses larger ones to its application;
 *   - "accept_explicit": "on" (the default) takes peers of our own kind that dial us by address or key without a topic in
 *     common; "off": only those who joined a topic of ours;
 *   - "bootstrap": addresses, `host:port` or `host` (port 49,737), that are dialled once a topic is joined, every 15 s
 *     while nobody is connected;
 *   - "source": "on": the program itself is a source of peers, such as a server of its own or a DHT: it is asked by ROUND and
 *     UNANNOUNCE events. Default: off;
 *   - "announce_port": the port that beacons and ROUND events name instead of the one that is bound, 1 to 65535, for both
 *     families: where a router forwards it to us. Default: the one that is bound.
 *
 * How peers are looked for, dialled, taken and given up:
 *   - "preset": whose defaults the options below have, and what they mean. Set it first: it sets all of them anew.
 *     "setowire" (the default): 100 peers, both directions together, 128 dials at a time, topics are joined as client and
 *     server. "v4": as Hyperswarm 4: 64 peers bound dials alone (all connections: 1,024), 3 dials at a time, and peers
 *     joined by key reserve a part of that. "v2": as Hyperswarm 2: 24 peers, one dial at a time, topics are joined as
 *     client, a topic that is joined again is left first, a peer is dialled again three times;
 *   - "max_peers": see setowire_config_set_max_peers();
 *   - "max_client_connections": connections that we dialled, with dials in progress, 0 to 10,000 or "unlimited" (the
 *     default); "max_server_connections": connections that others dialled, the same;
 *   - "max_parallel": dials at a time, 1 to 256;
 *   - "backoffs": four times after which a peer is dialled again: the first dial after a connection ended, the next, later
 *     ones, and that of peers joined by key which do not answer. Default: "1000,5000,15000,600000", each and something random. A dial comes
 *     after 0.66 to 1.32 of its time;
 *   - "jitter": up to so much is added to each of these, drawn once for the swarm. Default: 500;
 *   - "requeue": with the preset "v2" instead of "backoffs": one to three times. Default: "1000,5000,15000";
 *   - "forget_unresponsive": with the preset "v2", after how long a peer that did not answer is forgotten, so that it may
 *     be found anew. Default: 7500; "forget_banned": the same for a ban. Default: "never";
 *   - "firewall": "on": as setowire_swarm_set_firewall(). Default: off;
 *   - "validate": "on": the application is asked about every peer that a source finds, before it is queued, by an ASK event
 *     with the purpose "candidate". Default: off;
 *   - "firewall_deadline": how long an answer to an ASK event is waited for, at most 8000. Default: 5000;
 *   - "handshake_clear_wait": how long such an answer, or that there was none, holds for further dials of the same peer.
 *     Default: 10000.
 *
 * @param config  The config; not NULL.
 * @param name    The option; not NULL, UTF-8.
 * @param value   Its value; not NULL, UTF-8. Copied.
 * @return 0, or SETOWIRE_ERR_INVALID (the message names the option and what it takes), SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_config_set(setowire_config *config,
                            const char *name,
                            const char *value);

/**
 * Sets the seed that the swarm's keys are made from: the same seed is the same identity. Without it every swarm
 * has a new one.
 *
 * @param config  The config; not NULL.
 * @param seed    32 random bytes, or 64 hexadecimal digits. Copied; secret.
 * @param len     32 or 64.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_config_set_identity_seed(setowire_config *config,
                                          const uint8_t *seed,
                                          size_t len);

/**
 * Sets the key pair of the swarm: it wins over a seed.
 *
 * @param config  The config; not NULL.
 * @param pair    64 bytes: the 32 of an Ed25519 seed, then the 32 of the public key that belongs to it. Or 128 hexadecimal
 *                digits. Not NULL. Copied; secret.
 * @param len     64, or 128.
 * @return 0, or SETOWIRE_ERR_INVALID (also: they do not belong together), SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_config_set_key_pair(setowire_config *config,
                                     const uint8_t *pair,
                                     size_t len);

/**
 * Adds an address to bind to, at most one of IPv4 and one of IPv6. Without it both families are used, on any port.
 *
 * @param config  The config; not NULL.
 * @param addr    Such as `0.0.0.0:0` or `[::]:4000`; port 0: any. With a range, `0.0.0.0:10000-10100`, the first free port
 *                of it is taken. Not NULL. Copied.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_config_set_bind_addr(setowire_config *config,
                                      const char *addr);

/**
 * Sets how many peers may be connected, both directions. Default: 100. With the preset "setowire" a quarter of the places,
 * rounded down, is kept for those who dial us, so that a topic with more members than places stays one network.
 *
 * @param config  The config; not NULL.
 * @param peers   1 to 10,000.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_config_set_max_peers(setowire_config *config,
                                      uint32_t peers);

/**
 * Switches the search on the local network on or off. Default: on.
 *
 * @param config  The config; not NULL.
 * @param on      Whether to send and hear beacons.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API int32_t setowire_config_set_lan(setowire_config *config, bool on);

/**
 * Names the interfaces for beacons. Default: every one that can multicast. Loopback ("lo") cannot, as far as the
 * system tells, and is used when it is named. A name that does not exist is not an error: it is used when it
 * appears, and a log line tells.
 *
 * @param config  The config; not NULL.
 * @param names   Separated by commas; "": the default. Not NULL. Copied.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_config_set_lan_interfaces(setowire_config *config,
                                           const char *names);

/**
 * Adds a peer that is dialled when a topic is joined, and every 30 s while nobody is connected. (A seed here is a
 * first address; the seed of the identity is setowire_config_set_identity_seed().)
 *
 * @param config     The config; not NULL.
 * @param host_port  Such as `example.org:4000` or `[2001:db8::1]:4000`; not NULL. Copied.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_config_add_seed(setowire_config *config,
                                 const char *host_port);

/**
 * Takes in the peers of an earlier run. The 30 seen last are dialled when the first topic is joined.
 *
 * @param config  The config; not NULL.
 * @param json    The data of the last PEERS event; not NULL. Copied.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API int32_t setowire_config_set_peer_cache(setowire_config *config, const char *json);

/**
 * Allows messages too large for one datagram to be sent to peers of the older packages as unencrypted fragments.
 * Default: off; such a message is refused with SETOWIRE_ERR_TOO_LARGE. Only JavaScript and Python peers, and our own,
 * take them, up to 1,049,004 bytes.
 *
 * @param config  The config; not NULL.
 * @param on      Whether that is allowed.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_config_set_clear_fragments(setowire_config *config,
                                            bool on);

/**
 * Sets how many bytes may wait for one peer. Default: 4 MiB. All peers together: 64 MiB, always.
 *
 * @param config  The config; not NULL.
 * @param bytes   65,536 to 1,073,741,824.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API int32_t setowire_config_set_send_buffer(setowire_config *config, size_t bytes);

/**
 * Sets how many messages and datagrams may wait for the application, and their bytes. Default: 16,384 and 32 MiB. When
 * that is full, peers of setowire/13 are held back, and messages of p2p-v12 are dropped and counted. Other events have
 * room of their own and are never dropped.
 *
 * @param config  The config; not NULL.
 * @param items   16 to 16,777,216.
 * @param bytes   131,072 to 4,294,967,296.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_config_set_event_queue(setowire_config *config,
                                        size_t items,
                                        size_t bytes);

/**
 * Sets the kinds of events that are wanted; others cost nothing. CLOSED always comes. Default: all.
 *
 * @param config  The config; not NULL.
 * @param mask    SETOWIRE_EVENT_BIT() of each kind, or SETOWIRE_EVENTS_ALL. Bits of unknown kinds are ignored.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_config_set_event_mask(setowire_config *config,
                                       uint64_t mask);

/* ---- Swarm: making, closing, callbacks, connecting, broadcasting ----------------------------------------- */

/**
 * Makes a swarm and starts it. Its events wait until somebody reads them.
 *
 * @param config  Copied. NULL: all defaults.
 * @param out     Where the swarm is written, owned by the caller: to be freed with setowire_swarm_free(). NULL is
 *                written on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_PERMISSION (an address cannot be bound), SETOWIRE_ERR_INTERNAL
 *         (the system refused sockets or a thread), SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_new(const setowire_config *config,
                           setowire_swarm **out);

/**
 * Begins the end of a swarm and returns at once. No work is accepted any more, what is queued has half a second to leave
 * (over setowire/13: to be acknowledged, so that a program may close after its last message), operations complete, and
 * exactly one CLOSED event is the last. Calling it again changes nothing.
 *
 * @param swarm  The swarm; not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED (it was freed), SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_close(setowire_swarm *swarm);

/**
 * Closes a swarm if that was not done, waits for its threads, and frees it. A callback still gets the completions
 * and disconnections that are left, PEERS, and CLOSED, but no messages. When this returns no callback is running, none
 * will run, and `destroy` was called. Calls of other threads that use the swarm now or later return
 * SETOWIRE_ERR_CLOSED.
 *
 * Inside a callback of this swarm it returns at once, nothing more is handed over, and the rest happens when the
 * callback returns. Outside, do not hold a lock that the callback takes; two swarms must not free each other in their
 * callbacks.
 *
 * Threading: any thread; waits for less than two seconds, and for the callback.
 *
 * @param swarm  NULL, and a swarm that was freed before, are ignored. In the child of a fork nothing is waited
 *               for; the sockets that the child inherited are closed.
 * @since 0.1.0
 */
SETOWIRE_API
void setowire_swarm_free(setowire_swarm *swarm);

/**
 * Has events handed to a function, on a thread of the swarm. The first use decides: a swarm whose events are read
 * with setowire_event_next(), _drain(), _wait() or _fd() takes no callback, and the other way round.
 *
 * A later call replaces the function. When it returns, the old one is not running and its `destroy` was called;
 * inside the old one itself, that happens when it returns. Events that come while there is no function wait.
 *
 * Threading: any thread; waits for a running callback, unless called by it. Do not hold a lock that it takes.
 *
 * @param swarm      The swarm; not NULL.
 * @param kind_mask  SETOWIRE_EVENT_BIT() of each kind, or SETOWIRE_EVENTS_ALL. CLOSED always comes, other kinds
 *                   outside the mask are thrown away.
 * @param cb         The function. NULL: none any more; `user_data` is destroyed at once.
 * @param user_data  Passed to `cb`, never looked at. It must be usable on any thread.
 * @param destroy    Called exactly once with `user_data` when it is not used any more, also if this call fails. May
 *                   be NULL.
 * @return 0, or SETOWIRE_ERR_INVALID (also: events are read from the queue), SETOWIRE_ERR_CLOSED (it is being
 *         freed), SETOWIRE_ERR_FORKED, SETOWIRE_ERR_INTERNAL (the system refused a thread), SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_set_callback(setowire_swarm *swarm,
                                    uint64_t kind_mask,
                                    setowire_event_cb cb,
                                    void *user_data,
                                    setowire_destroy_cb destroy);

/**
 * Dials an address. A peer of this library that answers there is taken without a topic in common, if it accepts that.
 * Returns at once; exactly one OP_DONE event with the operation's id and the tag follows, also when the swarm is closed.
 * It may come before this call returns.
 *
 * @param swarm       The swarm; not NULL.
 * @param addr        `host:port` or `[IPv6]:port`; not NULL. Copied.
 * @param timeout_ms  Milliseconds until it fails with SETOWIRE_ERR_TIMED_OUT; 0: the default (10 s),
 *                    SETOWIRE_NO_TIMEOUT: none.
 * @param tag         A number of the caller's that the event repeats.
 * @param op          Where the operation's id is written, 0 on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_WOULD_BLOCK (too many operations, or too many completions not
 *         read), SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC. The event's code: 0,
 *         SETOWIRE_ERR_UNREACHABLE, _TIMED_OUT, _RESOLVE, _REFUSED, _PROTOCOL, _CANCELLED, _CLOSED or _PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_connect(setowire_swarm *swarm,
                               const char *addr,
                               uint32_t timeout_ms,
                               uint64_t tag,
                               uint64_t *op);

/**
 * Dials the peer with this key at an address, over setowire/13 alone. Another peer there does not answer, and learns
 * nothing of this swarm. Otherwise as setowire_swarm_connect().
 *
 * @param swarm       The swarm; not NULL.
 * @param addr        `host:port` or `[IPv6]:port`; not NULL. Copied.
 * @param key         The 32 bytes of its Ed25519 key; not NULL. Copied.
 * @param key_len     32.
 * @param timeout_ms  As for setowire_swarm_connect().
 * @param tag         A number of the caller's that the event repeats.
 * @param op          Where the operation's id is written, 0 on failure. Not NULL.
 * @return As for setowire_swarm_connect(). The event's code may also be SETOWIRE_ERR_BAD_KEY: who answered could not prove
 *         the key.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_connect_key(setowire_swarm *swarm,
                                   const char *addr,
                                   const uint8_t *key,
                                   size_t key_len,
                                   uint32_t timeout_ms,
                                   uint64_t tag,
                                   uint64_t *op);

/**
 * Asks for the end of an operation. Its OP_DONE event still comes, with SETOWIRE_ERR_CANCELLED, or with success if
 * that was faster.
 *
 * @param swarm  The swarm; not NULL.
 * @param op     The operation's id.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (it ended already), SETOWIRE_ERR_CLOSED,
 *         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_op_cancel(setowire_swarm *swarm,
                           uint64_t op);

/**
 * Sends a message to the members of all public topics that are joined, as setowire_topic_broadcast() does, to peers that
 * were met without a topic, and to all peers of p2p-v12. A peer whose queue is full or that cannot take so much is left
 * out and not counted; a WRITABLE event follows for one whose queue was full.
 *
 * @param swarm  The swarm; not NULL.
 * @param data   The message. NULL only with `len` 0. Copied.
 * @param len    Its bytes, at most 1,048,576; peers of p2p-v12 take 65,474, those of the old Rust package 4,063.
 * @return The number of peers it was queued for, 0 and more, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_TOO_LARGE,
 *         SETOWIRE_ERR_WOULD_BLOCK (more than 500 broadcasts or 4 MiB in a second), SETOWIRE_ERR_CLOSED,
 *         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_broadcast(setowire_swarm *swarm,
                                 const uint8_t *data,
                                 size_t len);

/**
 * Lists the connected peers.
 *
 * @param swarm  The swarm; not NULL.
 * @param ids    Where up to `cap` ids are written. NULL only with `cap` 0.
 * @param cap    Ids that fit there.
 * @param count  Where the number of all connected peers is written, 0 on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API int32_t setowire_swarm_peers(setowire_swarm *swarm, uint64_t *ids, size_t cap, size_t *count);

/**
 * Tells who and where a swarm is.
 *
 * @param swarm  The swarm; not NULL.
 * @param out    Filled, up to its struct_size. Zero on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID (also: struct_size is not set), SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
 *         SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_info(setowire_swarm *swarm,
                            setowire_swarm_details *out);

/**
 * Tells what a swarm did and holds.
 *
 * @param swarm  The swarm; not NULL.
 * @param out    Filled, up to its struct_size. Zero on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID (also: struct_size is not set), SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
 *         SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_stats(setowire_swarm *swarm,
                             setowire_swarm_counters *out);

/**
 * Tells the swarm that the network changed (an interface came, the machine woke up). New addresses it notices by itself
 * within seconds; this makes it look at once, has every connection show whether it lives, and makes a round of discovery of
 * every topic.
 *
 * @param swarm  The swarm; not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED (it was freed), SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_network_changed(setowire_swarm *swarm);

/* ---- Swarm: listening, suspending, what it does now, the firewall ---------------------------------------- */

/**
 * Lets others find this swarm by its key, with setowire_swarm_join_peer() or setowire_swarm_connect_peer(). Joining a
 * topic that is not private as server does that too, unless the option "accept_explicit" is off. Calling it again changes
 * nothing.
 *
 * @param swarm  The swarm; not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_listen(setowire_swarm *swarm);

/**
 * Ends all connections. Until setowire_swarm_resume() nothing is announced, looked up or dialled, and nobody is let in.
 * Topics and peers joined by key stay joined. Calling it again changes nothing.
 *
 * @param swarm  The swarm; not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_suspend(setowire_swarm *swarm);

/**
 * Goes on after setowire_swarm_suspend(): every topic is announced and looked up, peers joined by key are dialled. Without a
 * suspension it changes nothing.
 *
 * @param swarm  The swarm; not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_resume(setowire_swarm *swarm);

/**
 * Ends a swarm as setowire_swarm_close() does, but at once: what is queued is not waited for, and announcements are not
 * taken back. Also while it is being closed. Goodbyes still leave.
 *
 * @param swarm  The swarm; not NULL.
 * @return As for setowire_swarm_close().
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_close_now(setowire_swarm *swarm);

/**
 * Tells how far a swarm is, and what its dials and connections came to.
 *
 * @param swarm  The swarm; not NULL.
 * @param out    Filled, up to its struct_size. Zero on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID (also: struct_size is not set), SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
 *         SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_state(setowire_swarm *swarm,
                             setowire_swarm_state_details *out);

/**
 * Switches the firewall on or off: whether the application is asked about each peer before it is dialled, and when it
 * dials us, by an ASK event. Switch it on before topics are joined, or with the option "firewall". Off: questions that are
 * open stay so, bans too.
 *
 * @param swarm  The swarm; not NULL.
 * @param on     Whether to ask.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_set_firewall(setowire_swarm *swarm,
                                    bool on);

/**
 * Answers the question of an ASK event, in a callback or later, on any thread.
 *
 * @param swarm     The swarm; not NULL.
 * @param question  What setowire_event_question() gave.
 * @param allow     True: this peer may be dialled, or let in, or is a candidate. False: it may not, and unless the purpose
 *                  is "candidate" it is banned.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (it was answered, or it is too late),
 *         SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_answer(setowire_swarm *swarm,
                              uint64_t question,
                              bool allow);

/* ---- Topics ---------------------------------------------------------------------------------------------- */

/**
 * Joins a topic: finds its other members and is found by them. It is public: everyone who knows or guesses the 32 bytes
 * can join.
 *
 * @param swarm     The swarm; not NULL.
 * @param topic     32 bytes, by custom the SHA-256 of a name; not NULL. Copied.
 * @param len       32.
 * @param topic_id  Where the id of this session is written, 0 on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_WOULD_BLOCK (too many topics; leave one), SETOWIRE_ERR_CLOSED,
 *         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_join(setowire_swarm *swarm,
                            const uint8_t *topic,
                            size_t len,
                            uint64_t *topic_id);

/**
 * Joins a private topic: only those who know its secret too find its members, or learn that this swarm is one. It is
 * another topic than the one of the same 32 bytes without the secret, or with another. Only setowire/13 carries it.
 *
 * @param swarm       The swarm; not NULL.
 * @param topic       32 bytes, by custom the SHA-256 of a name; not NULL. Copied.
 * @param len         32.
 * @param secret      32 random bytes that all members have; not NULL. Copied, and wiped when the topic is left.
 * @param secret_len  32.
 * @param topic_id    Where the id of this session is written, 0 on failure. Not NULL.
 * @return As for setowire_swarm_join().
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_join_private(setowire_swarm *swarm,
                                    const uint8_t *topic,
                                    size_t len,
                                    const uint8_t *secret,
                                    size_t secret_len,
                                    uint64_t *topic_id);

/**
 * Leaves a topic: ends all its sessions, those with a secret too. Connected peers stay.
 *
 * @param swarm  The swarm; not NULL.
 * @param topic  32 bytes; not NULL.
 * @param len    32.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (it is not joined), SETOWIRE_ERR_CLOSED,
 *         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API int32_t setowire_swarm_leave(setowire_swarm *swarm, const uint8_t *topic, size_t len);

/**
 * Ends one session of a topic. The topic is left with its last session.
 *
 * @param swarm     The swarm; not NULL.
 * @param topic_id  The id that setowire_swarm_join() wrote.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
 *         SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API int32_t setowire_topic_close(setowire_swarm *swarm, uint64_t topic_id);

/**
 * Sends a message to the members of a topic. Those of setowire/13 pass it on to each other, so that it reaches
 * members that are not connected to this swarm, and know its author; peers of p2p-v12 tell no topic, and all of them get
 * what is sent to one that is not private.
 *
 * @param swarm     The swarm; not NULL.
 * @param topic_id  The id that setowire_swarm_join() or setowire_swarm_join_private() wrote.
 * @param data      The message. NULL only with `len` 0. Copied.
 * @param len       Its bytes, at most 1,048,576; with p2p-v12 peers alone 65,474.
 * @return The number of peers it went to, 0 and more, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (it is not joined),
 *         SETOWIRE_ERR_TOO_LARGE, SETOWIRE_ERR_WOULD_BLOCK (more than 500 of them or 4 MiB in a second),
 *         SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_topic_broadcast(setowire_swarm *swarm,
                                 uint64_t topic_id,
                                 const uint8_t *data,
                                 size_t len);

/**
 * Lists the sessions of topics.
 *
 * @param swarm  The swarm; not NULL.
 * @param ids    Where up to `cap` ids are written. NULL only with `cap` 0.
 * @param cap    Ids that fit there.
 * @param count  Where the number of all sessions is written, 0 on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API int32_t setowire_swarm_topics(setowire_swarm *swarm, uint64_t *ids, size_t cap, size_t *count);

/* ---- Topics: client and server, rounds of discovery, look-ups -------------------------------------------- */

/**
 * Joins a topic as client, as server or as both, with or without a secret. As client others are looked for and dialled, as
 * server others find this swarm and dial it; two that are only clients, or only servers, do not meet. A topic may be
 * joined any number of times: each call makes a session, and the topic does what one of its sessions wants. With the
 * preset "v2" a topic that is joined already is left first.
 *
 * @param swarm       The swarm; not NULL.
 * @param topic       32 bytes, by custom the SHA-256 of a name; not NULL. Copied.
 * @param len         32.
 * @param secret      As for setowire_swarm_join_private(); NULL with `secret_len` 0: the topic is public.
 * @param secret_len  32, or 0.
 * @param flags       SETOWIRE_JOIN_CLIENT, SETOWIRE_JOIN_SERVER or both; 0: the default of the preset, which is both, and
 *                    with the preset "v2" client.
 * @param limit       Of the peers that look-ups find, about so many are dialled; those that are connected already count. Of
 *                    several client sessions the largest limit holds. 0: all.
 * @param topic_id    Where the id of this session is written, 0 on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID (also: unknown flags), SETOWIRE_ERR_WOULD_BLOCK (too many topics; leave one),
 *         SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_join_as(setowire_swarm *swarm,
                               const uint8_t *topic,
                               size_t len,
                               const uint8_t *secret,
                               size_t secret_len,
                               uint32_t flags,
                               uint64_t limit,
                               uint64_t *topic_id);

/**
 * Changes what a session of a topic does, and makes a round of discovery: it is looked up and announced anew. A round that
 * runs is joined, unless the topic is to do something else now. Exactly one OP_DONE event follows when the round has
 * ended, with code 0 if a source worked; it may come before this call returns.
 *
 * @param swarm     The swarm; not NULL.
 * @param topic_id  The id of the session.
 * @param flags     As for setowire_swarm_join_as(); 0: unchanged.
 * @param limit     As for setowire_swarm_join_as(), but 0: unchanged, and UINT64_MAX: all.
 * @param tag       A number of the caller's that the event repeats.
 * @param op        Where the operation's id is written, 0 on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID (also: unknown flags), SETOWIRE_ERR_NOT_FOUND (it is not joined),
 *         SETOWIRE_ERR_WOULD_BLOCK (too many operations, or too many completions not read), SETOWIRE_ERR_CLOSED,
 *         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_topic_refresh(setowire_swarm *swarm,
                               uint64_t topic_id,
                               uint32_t flags,
                               uint64_t limit,
                               uint64_t tag,
                               uint64_t *op);

/**
 * Waits for the round of discovery of a topic that runs now: from then on others can find a server, and who was there has
 * been found. It says nothing of connections. Exactly one OP_DONE event follows, with code 0 if the round, or the last one
 * if none runs, succeeded; it may come before this call returns.
 *
 * @param swarm     The swarm; not NULL.
 * @param topic_id  The id of a session of the topic.
 * @param tag       A number of the caller's that the event repeats.
 * @param op        Where the operation's id is written, 0 on failure. Not NULL.
 * @return As for setowire_topic_refresh().
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_topic_flushed(setowire_swarm *swarm,
                               uint64_t topic_id,
                               uint64_t tag,
                               uint64_t *op);

/**
 * Waits until the rounds of all topics that run now have ended and everyone whom they found was tried once: connected,
 * failed or turned away. Exactly one OP_DONE event follows, with code 0 when that is so, or when a limit keeps the swarm
 * from more dials; with another when the swarm is closed before. Peers that are found later do not delay it.
 *
 * @param swarm  The swarm; not NULL.
 * @param tag    A number of the caller's that the event repeats.
 * @param op     Where the operation's id is written, 0 on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_WOULD_BLOCK (too many operations, or too many completions not read),
 *         SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_flush(setowire_swarm *swarm,
                             uint64_t tag,
                             uint64_t *op);

/**
 * Tells what a session of a topic does.
 *
 * @param swarm     The swarm; not NULL.
 * @param topic_id  The id of the session.
 * @param out       Filled, up to its struct_size. Zero on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID (also: struct_size is not set), SETOWIRE_ERR_NOT_FOUND (it is not joined),
 *         SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_topic_info(setowire_swarm *swarm,
                            uint64_t topic_id,
                            setowire_topic_details *out);

/**
 * Lists the sessions of one topic, those with a secret too, the oldest first.
 *
 * @param swarm  The swarm; not NULL.
 * @param topic  32 bytes; not NULL.
 * @param len    32.
 * @param ids    Where up to `cap` ids are written. NULL only with `cap` 0.
 * @param cap    Ids that fit there.
 * @param count  Where the number of all of them is written, 0: it is not joined, or failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_topic_sessions(setowire_swarm *swarm,
                                const uint8_t *topic,
                                size_t len,
                                uint64_t *ids,
                                size_t cap,
                                size_t *count);

/**
 * Looks a topic up once without joining it: nobody is dialled. A FOUND event tells of each peer, then exactly one OP_DONE
 * event ends it, with code 0 if a source worked. Both may come before this call returns.
 *
 * @param swarm       The swarm; not NULL.
 * @param topic       32 bytes; not NULL. Copied.
 * @param len         32.
 * @param secret      As for setowire_swarm_join_as().
 * @param secret_len  32, or 0.
 * @param announce    Also announces it once, until setowire_swarm_unannounce() or for as long as sources keep it. On the
 *                    local network others are told while the look-up runs, half a second.
 * @param tag         A number of the caller's that the events repeat.
 * @param op          Where the operation's id is written, 0 on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_WOULD_BLOCK (too many operations, or too many completions not read),
 *         SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_lookup(setowire_swarm *swarm,
                              const uint8_t *topic,
                              size_t len,
                              const uint8_t *secret,
                              size_t secret_len,
                              bool announce,
                              uint64_t tag,
                              uint64_t *op);

/**
 * Takes back what setowire_swarm_lookup() announced. A topic that is joined stays announced.
 *
 * @param swarm       The swarm; not NULL.
 * @param topic       32 bytes; not NULL.
 * @param len         32.
 * @param secret      As for setowire_swarm_join_as().
 * @param secret_len  32, or 0.
 * @return 0, also if nothing was announced; or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
 *         SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_unannounce(setowire_swarm *swarm,
                                  const uint8_t *topic,
                                  size_t len,
                                  const uint8_t *secret,
                                  size_t secret_len);

/* ---- Sources of peers that the application brings -------------------------------------------------------- */

/**
 * Tells a peer that the program found for a round: see the event ROUND. It is dialled if the topic wants it; itself it may
 * name, too. Any number of them may come before setowire_swarm_round_done(), each when it is found.
 *
 * @param swarm    The swarm; not NULL. With the option "source".
 * @param query    The round: what setowire_event_query() gave.
 * @param key      The 32 bytes of the peer's Ed25519 key; not NULL. Copied. Whoever else answers there is not connected.
 * @param key_len  32.
 * @param addr     Where it is, such as `192.168.0.7:40001` or `[2001:db8::1]:40001`; not NULL. Copied.
 * @return 0, also if the round has ended; or SETOWIRE_ERR_INVALID (also: nobody can be dialled there),
 *         SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_found(setowire_swarm *swarm,
                             uint64_t query,
                             const uint8_t *key,
                             size_t key_len,
                             const char *addr);

/**
 * Ends the program's part of a round: see the event ROUND. Without this call it ends after 30 s, as one that failed.
 *
 * @param swarm  The swarm; not NULL.
 * @param query  The round: what setowire_event_query() gave.
 * @param ok     Whether it worked, so that others can find what was announced, and everyone was told who was found.
 * @return 0, also if the round has ended; or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
 *         SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_round_done(setowire_swarm *swarm,
                                  uint64_t query,
                                  bool ok);

/**
 * Tells that what an event UNANNOUNCE asked for is done, or failed. Until then, but at most 10 s, a topic that is joined
 * again is not announced, so that the older call cannot take back the newer announcement.
 *
 * @param swarm  The swarm; not NULL.
 * @param name   The 32 bytes of the event's "name"; not NULL.
 * @param len    32.
 * @return 0, also if nobody waits for it; or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
 *         SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_unannounced(setowire_swarm *swarm,
                                   const uint8_t *name,
                                   size_t len);

/* ---- Peers by key: keeping, banning, what is known of them ----------------------------------------------- */

/**
 * Dials a peer by its key alone, once, without a topic: it is looked for on the local network, and where it is known to
 * have been. It must accept that, and be found, as for setowire_swarm_join_peer(). The peer is not dialled again. Otherwise as
 * setowire_swarm_connect(): a firewall is asked when somebody has answered, as about a peer that dials us.
 *
 * @param swarm       The swarm; not NULL.
 * @param key         The 32 bytes of its Ed25519 key, not our own; not NULL. Copied.
 * @param len         32.
 * @param timeout_ms  As for setowire_swarm_connect().
 * @param tag         A number of the caller's that the event repeats.
 * @param op          Where the operation's id is written, 0 on failure. Not NULL.
 * @return As for setowire_swarm_connect().
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_connect_peer(setowire_swarm *swarm,
                                    const uint8_t *key,
                                    size_t len,
                                    uint32_t timeout_ms,
                                    uint64_t tag,
                                    uint64_t *op);

/**
 * Keeps a peer connected, whatever topics are joined: dials it until it answers, and again when it goes. It must accept
 * that: see the option "accept_explicit". Joining it again, or its own key, changes nothing.
 *
 * @param swarm  The swarm; not NULL.
 * @param key    The 32 bytes of its Ed25519 key; or of a peer of the older packages the first 8 to 20 bytes of its id, with
 *               `addr`. Not NULL. Copied.
 * @param len    32, or 8 to 20.
 * @param addr   Where it may be, such as `192.168.0.7:40001` or `[fe80::1]:40001`. NULL: it is looked for by its key on
 *               the local network, where setowire_swarm_listen(), or a topic that it joined, lets it be found. Copied.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_WOULD_BLOCK (too many; leave one), SETOWIRE_ERR_CLOSED,
 *         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_join_peer(setowire_swarm *swarm,
                                 const uint8_t *key,
                                 size_t len,
                                 const char *addr);

/**
 * Ends what setowire_swarm_join_peer() began. The connection stays, and is not brought back when it ends, unless a topic
 * does.
 *
 * @param swarm  The swarm; not NULL.
 * @param key    As for setowire_swarm_join_peer().
 * @param len    32, or 8 to 20.
 * @return 0, also if it was not joined; or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
 *         SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_leave_peer(setowire_swarm *swarm,
                                  const uint8_t *key,
                                  size_t len);

/**
 * Bans a peer: it is neither dialled nor let in. The ban of a key holds for the peer's legacy id too, once the two are
 * proven to be one (docs/threat-model.md); a connection that is ended by the ban or after it waits for that proof, for at
 * most half a second.
 *
 * @param swarm        The swarm; not NULL.
 * @param key          As for setowire_swarm_join_peer(). It need not be known.
 * @param len          32, or 8 to 20.
 * @param duration_ms  Milliseconds; 0: for the life of the swarm, or with the preset "v2" for the option "forget_banned".
 * @param close        Also ends its connection, with a DISCONNECTION event.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_WOULD_BLOCK (too many are banned), SETOWIRE_ERR_CLOSED,
 *         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_ban(setowire_swarm *swarm,
                           const uint8_t *key,
                           size_t len,
                           uint64_t duration_ms,
                           bool close);

/**
 * Lifts a ban, whoever made it. The peer is dialled again when it is found again.
 *
 * @param swarm  The swarm; not NULL.
 * @param key    As for setowire_swarm_join_peer().
 * @param len    32, or 8 to 20.
 * @return 0, also if it was not banned; or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
 *         SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API int32_t setowire_swarm_unban(setowire_swarm *swarm, const uint8_t *key, size_t len);

/**
 * Says whether a known peer is dialled again by itself when it goes. Default: on.
 *
 * @param swarm  The swarm; not NULL.
 * @param key    As for setowire_swarm_join_peer().
 * @param len    32, or 8 to 20.
 * @param on     Whether it is.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (the swarm does not know it), SETOWIRE_ERR_CLOSED,
 *         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_set_reconnect(setowire_swarm *swarm,
                                     const uint8_t *key,
                                     size_t len,
                                     bool on);

/**
 * Counts one more failed attempt at a peer that we dial, so that the next dial is later, or never.
 *
 * @param swarm  The swarm; not NULL.
 * @param key    As for setowire_swarm_join_peer().
 * @param len    32, or 8 to 20.
 * @return 1: it was counted; 0: it is a peer that dials us, or it is given up already; or SETOWIRE_ERR_INVALID,
 *         SETOWIRE_ERR_NOT_FOUND (the swarm does not know it), SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
 *         SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_backoff(setowire_swarm *swarm,
                               const uint8_t *key,
                               size_t len);

/**
 * Ends one of two connections with one program, where programs have several keys: both sides tell each other an id of
 * their own over each connection, then both call this for it. Both sides come to the same answer.
 *
 * @param swarm       The swarm; not NULL.
 * @param peer        The id of the connected peer.
 * @param local_id    What we told it; not NULL. Copied.
 * @param local_len   1 to 64.
 * @param remote_id   What it told us; not NULL. Copied.
 * @param remote_len  1 to 64.
 * @return 1: this connection ends (also: both ids are the same, so it is one with ourselves); 0: it stays, and another one
 *         with the same ids ends; or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (the peer left), SETOWIRE_ERR_CLOSED,
 *         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_peer_deduplicate(setowire_swarm *swarm,
                                  uint64_t peer,
                                  const uint8_t *local_id,
                                  size_t local_len,
                                  const uint8_t *remote_id,
                                  size_t remote_len);

/**
 * Tells what is known of all peers, connected or not, and of all that are banned: a JSON array of objects as
 * setowire_swarm_known_peer() gives.
 *
 * @param swarm  The swarm; not NULL.
 * @param buf    Where to; cut to `cap` bytes, and ended with a zero byte if `cap` is not 0. NULL only with `cap` 0.
 * @param cap    Bytes of `buf`.
 * @param len    Where the length of the whole text without the zero byte is written, 0 on failure. Not NULL. If it is not
 *               less than `cap`, the text is cut: call again with more. It may have grown meanwhile.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC; then `buf` holds an
 *         empty text.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_known_peers(setowire_swarm *swarm,
                                   char *buf,
                                   size_t cap,
                                   size_t *len);

/**
 * Tells what is known of a peer, connected or not. A JSON object (later versions may add to it) with
 *   - "key": 64 hexadecimal digits, or null for a peer of the older packages; "id": null, or 16 hexadecimal digits, the
 *     first 8 bytes of its id;
 *   - "addresses": array of texts, where it may be, the newest first; "source": as in CONNECTION events;
 *   - "topics": array of ids of topic sessions, by which it was found;
 *   - "peer": number, its id while it is connected; 0: it is not;
 *   - "attempts": number, dials that ended since the last good connection; "priority": number, how urgent the next dial is,
 *     4 to 0, with the preset "v2" 5 to 0, or null: it is not dialled again by itself; "prioritized": true or false, that
 *     number is 2 or more; "proven": true or false, a dial opened since the count began;
 *   - "banned", "client" (we dialled it last), "explicit" (joined with setowire_swarm_join_peer()), "reconnecting" (see
 *     setowire_swarm_set_reconnect()), "queued" (to be dialled), "waiting" (for its next dial), "dialling": true or false.
 *
 * @param swarm    The swarm; not NULL.
 * @param key      As for setowire_swarm_join_peer().
 * @param key_len  32, or 8 to 20.
 * @param buf      Where to; cut to `cap` bytes, and ended with a zero byte if `cap` is not 0. NULL only with `cap` 0.
 * @param cap      Bytes of `buf`; 4,096 are nearly always enough.
 * @param len      As for setowire_swarm_known_peers().
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (the swarm does not know it), SETOWIRE_ERR_CLOSED,
 *         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC; then `buf` holds an empty text.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_swarm_known_peer(setowire_swarm *swarm,
                                  const uint8_t *key,
                                  size_t key_len,
                                  char *buf,
                                  size_t cap,
                                  size_t *len);

/* ---- Peers: sending, and what is known of them ----------------------------------------------------------- */

/**
 * Queues a message to a peer. Messages to one peer leave in the order of the calls. Whether they arrive: see DELIVERY
 * above.
 *
 * @param swarm  The swarm; not NULL.
 * @param peer   The peer's id.
 * @param data   The message. NULL only with `len` 0. Copied.
 * @param len    Its bytes, at most what this peer takes: see `max_message` of setowire_peer_details.
 * @param tag    0, or a number of the caller's: exactly one OP_DONE event with it tells when the message has arrived
 *               (over p2p-v12: has left), or why that is not known.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (the peer left), SETOWIRE_ERR_WOULD_BLOCK (its queue, or
 *         that of all peers together, is full: a WRITABLE event of this peer follows; or too many completions are not
 *         read), SETOWIRE_ERR_TOO_LARGE, SETOWIRE_ERR_CLOSED (the swarm, or the peer, is being closed),
 *         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC. On failure there is no OP_DONE event.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_peer_send(setowire_swarm *swarm,
                           uint64_t peer,
                           const uint8_t *data,
                           size_t len,
                           uint64_t tag);

/**
 * Queues a message to a peer from memory that is given to the library until `release` is called.
 *
 * @param swarm      The swarm; not NULL.
 * @param peer       The peer's id.
 * @param data       The message. NULL only with `len` 0. Not to be changed until it is released.
 * @param len        Its bytes.
 * @param tag        As for setowire_peer_send().
 * @param release    Called exactly once with `data` and `user_data`, also if this call fails; in this version before
 *                   it returns. May be NULL.
 * @param user_data  Passed to `release`, never looked at.
 * @return As for setowire_peer_send().
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_peer_send_owned(setowire_swarm *swarm,
                                 uint64_t peer,
                                 uint8_t *data,
                                 size_t len,
                                 uint64_t tag,
                                 setowire_release_cb release,
                                 void *user_data);

/**
 * Queues several messages to a peer, in order: what setowire_peer_send() does for each, without a tag, in one call. With small
 * messages it takes a fraction of the time. Over setowire/13 the queue takes them also beyond its limit, unless it was full
 * before.
 *
 * @param swarm   The swarm; not NULL.
 * @param peer    The peer's id.
 * @param data    The messages, one behind the other. NULL only with `len` 0. Copied.
 * @param len     The bytes of all of them together; with 64 for each message, at most 131,072.
 * @param sizes   The bytes of each. NULL only with `count` 0. Their sum is `len`.
 * @param count   How many there are.
 * @param queued  Where it is written how many were queued, from the first one on. Not NULL.
 * @return 0: all were queued. 1: all were queued and the queue is full now, a WRITABLE event of this peer follows. Or why the
 *         one behind those that were queued was not: as for setowire_peer_send(); SETOWIRE_ERR_TOO_LARGE also for too many
 *         bytes together.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_peer_send_many(setowire_swarm *swarm,
                                uint64_t peer,
                                const uint8_t *data,
                                size_t len,
                                const uint32_t *sizes,
                                size_t count,
                                size_t *queued);

/**
 * Sends a datagram to a peer over setowire/13: it leaves soon and once, in no order with anything else, and is lost
 * where the network loses it.
 *
 * @param swarm  The swarm; not NULL.
 * @param peer   The peer's id.
 * @param data   The datagram. NULL only with `len` 0. Copied.
 * @param len    Its bytes, at most 1,150.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (the peer left), SETOWIRE_ERR_NOT_SUPPORTED (its session is
 *         p2p-v12), SETOWIRE_ERR_WOULD_BLOCK (too many wait: a WRITABLE event of this peer follows),
 *         SETOWIRE_ERR_TOO_LARGE, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_peer_send_datagram(setowire_swarm *swarm,
                                    uint64_t peer,
                                    const uint8_t *data,
                                    size_t len);

/**
 * Tells how many bytes of messages are queued to a peer and not yet acknowledged; over p2p-v12, not yet sent.
 *
 * @param swarm  The swarm; not NULL.
 * @param peer   The peer's id.
 * @param bytes  Where the number is written, 0 on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
 *         SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API int32_t setowire_peer_buffered(setowire_swarm *swarm, uint64_t peer, size_t *bytes);

/**
 * Tells what is known of a connected peer.
 *
 * @param swarm  The swarm; not NULL.
 * @param peer   The peer's id.
 * @param out    Filled, up to its struct_size. Zero on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID (also: struct_size is not set), SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED,
 *         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_peer_info(setowire_swarm *swarm,
                           uint64_t peer,
                           setowire_peer_details *out);

/**
 * Copies the address that data to a peer goes to, such as `192.168.0.7:40001` or `[fe80::1]:40001`.
 *
 * @param swarm  The swarm; not NULL.
 * @param peer   The peer's id.
 * @param buf    Where to; cut to `cap` bytes, and ended with a zero byte if `cap` is not 0. NULL only with `cap` 0.
 * @param cap    Bytes of `buf`; 64 are always enough.
 * @return The length of the whole text without the zero byte, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND,
 *         SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC; then `buf` holds an empty text.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_peer_address(setowire_swarm *swarm,
                              uint64_t peer,
                              char *buf,
                              size_t cap);

/**
 * Lists the sessions of topics that a peer has joined too and proved to know: of each topic the oldest. Over p2p-v12
 * there are none, because nobody can know.
 *
 * @param swarm  The swarm; not NULL.
 * @param peer   The peer's id.
 * @param ids    Where up to `cap` ids are written. NULL only with `cap` 0.
 * @param cap    Ids that fit there.
 * @param count  Where the number of all is written, 0 on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
 *         SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_peer_topics(setowire_swarm *swarm,
                             uint64_t peer,
                             uint64_t *ids,
                             size_t cap,
                             size_t *count);

/**
 * Ends the connection to a peer. Over setowire/13 messages and streams that were queued, and the ends of streams, leave
 * and are acknowledged first, for at most half a second. What of its streams was not read here is given up. Its
 * DISCONNECTION event follows.
 *
 * @param swarm  The swarm; not NULL.
 * @param peer   The peer's id.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
 *         SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_peer_close(setowire_swarm *swarm,
                            uint64_t peer);

/* ---- Streams: bytes to and from one peer ----------------------------------------------------------------- */

/**
 * Opens a stream to a peer. It is told with a STREAM event, also before anything was written. Both sides may write
 * and read at once, and each direction ends by itself.
 *
 * @param swarm   The swarm; not NULL.
 * @param peer    The peer's id.
 * @param stream  Where the stream's id is written, 0 on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND (the peer left), SETOWIRE_ERR_NOT_SUPPORTED (its session is
 *         p2p-v12), SETOWIRE_ERR_WOULD_BLOCK (too many are open: a WRITABLE event of this peer follows),
 *         SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_stream_open(setowire_swarm *swarm,
                             uint64_t peer,
                             uint64_t *stream);

/**
 * Writes to a stream: takes as much as there is room for. When it took less than all, a STREAM_WRITABLE event follows,
 * once. Several threads may write, but a write is taken in one piece only as far as it is taken.
 *
 * @param swarm    The swarm; not NULL.
 * @param stream   The stream's id.
 * @param data     The bytes. NULL only with `len` 0. Copied.
 * @param len      Their number.
 * @param written  Where the number of bytes taken is written, 0 on failure. Not NULL.
 * @return 0 (also if only some were taken), or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_WOULD_BLOCK (none were taken),
 *         SETOWIRE_ERR_NOT_FOUND (the stream is done, or its peer left), SETOWIRE_ERR_CLOSED (it was finished or reset
 *         here, or the peer stopped reading), SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_stream_write(setowire_swarm *swarm,
                              uint64_t stream,
                              const uint8_t *data,
                              size_t len,
                              size_t *written);

/**
 * Reads from a stream: copies what is there, as much as fits. When it found less than fits, a STREAM_READABLE event
 * follows, once. What is not read stays with the peer once the stream's window is full: it can write no more.
 * When the peer is gone, what had come before is read in the same way, and the end if it had come; without one the read
 * behind the last byte is SETOWIRE_ERR_NOT_FOUND. Not so when this side ended the connection: that gives up what is
 * unread. Streams left unread count against what all streams may hold, and without room the oldest is given up, with its
 * STREAM_CLOSED event: read streams to the end, or stop them.
 *
 * @param swarm   The swarm; not NULL.
 * @param stream  The stream's id.
 * @param buf     Where the bytes are written; not NULL.
 * @param cap     Bytes of `buf`, at least 1.
 * @param read    Where the number of bytes is written, 0 on failure. Not NULL.
 * @param end     Where SETOWIRE_END_NONE, _FINISHED or _RESET is written, NONE on failure. Not NULL. The end is told once,
 *                perhaps together with the last bytes; after it there is nothing to read.
 * @param code    Where the code of the peer's reset is written, 0 if there is none. NULL: not wanted.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_WOULD_BLOCK (nothing is there), SETOWIRE_ERR_NOT_FOUND (the stream is
 *         done, or its peer left and all that had come was read), SETOWIRE_ERR_CLOSED (the end was told, or reading was
 *         stopped here), SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_stream_read(setowire_swarm *swarm,
                             uint64_t stream,
                             uint8_t *buf,
                             size_t cap,
                             size_t *read,
                             uint32_t *end,
                             uint64_t *code);

/**
 * Ends our direction of a stream: the peer reads what was written, then the end. Reading goes on.
 *
 * @param swarm   The swarm; not NULL.
 * @param stream  The stream's id.
 * @return 0 (also if it was finished before), or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED (it
 *         was reset, or the peer stopped reading), SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_stream_finish(setowire_swarm *swarm,
                               uint64_t stream);

/**
 * Gives up our direction of a stream: what was written and not yet read is thrown away, and the peer reads a reset with
 * this code. A peer that has heard nothing of the stream before never does. Reading goes on.
 *
 * @param swarm   The swarm; not NULL.
 * @param stream  The stream's id.
 * @param code    What the peer is told; the application gives it a meaning.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
 *         SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_stream_reset(setowire_swarm *swarm,
                              uint64_t stream,
                              uint32_t code);

/**
 * Wants nothing more of the peer's direction of a stream: what came and was not read is thrown away, and the peer's
 * writes fail. Writing goes on. A stream whose peer is gone is closed by it.
 *
 * @param swarm   The swarm; not NULL.
 * @param stream  The stream's id.
 * @param code    What the peer is told; the application gives it a meaning.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
 *         SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_stream_stop(setowire_swarm *swarm,
                             uint64_t stream,
                             uint32_t code);

/**
 * Says which of the streams to a peer goes first when they compete; those of the same priority share.
 *
 * @param swarm     The swarm; not NULL.
 * @param stream    The stream's id.
 * @param priority  Higher goes first, 0 at first. Messages have 1, and more than that counts as 1.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED (our direction is done),
 *         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API int32_t setowire_stream_set_priority(setowire_swarm *swarm, uint64_t stream, int32_t priority);

/**
 * Tells the peer at the other end of a stream.
 *
 * @param swarm   The swarm; not NULL.
 * @param stream  The stream's id.
 * @param peer    Where the peer's id is written, 0 on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID, SETOWIRE_ERR_NOT_FOUND, SETOWIRE_ERR_CLOSED, SETOWIRE_ERR_FORKED,
 *         SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API int32_t setowire_stream_peer(setowire_swarm *swarm, uint64_t stream, uint64_t *peer);

/* ---- Events: looking at them, and reading the queue without a callback ----------------------------------- */

/**
 * Takes the next event out of the queue.
 *
 * @param swarm  The swarm; not NULL.
 * @param out    Where the event is written, owned by the caller: to be freed with setowire_event_free(), also after
 *               the swarm was freed. NULL is written if there is none. Not NULL.
 * @return 1: an event; 0: none is waiting; or SETOWIRE_ERR_INVALID (also: the swarm has a callback),
 *         SETOWIRE_ERR_CLOSED (it was freed), SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_event_next(setowire_swarm *swarm,
                            setowire_event **out);

/**
 * Frees an event and its data.
 *
 * @param event  From setowire_event_next(). NULL, and an event that a callback was given, are ignored.
 * @since 0.1.0
 */
SETOWIRE_API void setowire_event_free(setowire_event *event);

/**
 * The kind of an event: SETOWIRE_EVENT_*. Ignore kinds you do not know.
 *
 * @param event  The event. NULL: 0 is returned.
 * @since 0.1.0
 */
SETOWIRE_API uint16_t setowire_event_kind(const setowire_event *event);

/**
 * The number of an event: it grows by one with each event of a swarm.
 *
 * @param event  The event. NULL: 0 is returned.
 * @since 0.1.0
 */
SETOWIRE_API uint64_t setowire_event_seq(const setowire_event *event);

/**
 * The id of the peer an event is about; 0: none.
 *
 * @param event  The event. NULL: 0 is returned.
 * @since 0.1.0
 */
SETOWIRE_API uint64_t setowire_event_peer(const setowire_event *event);

/**
 * The id of the topic session an event is about: that of a MESSAGE with SETOWIRE_MESSAGE_BROADCAST, a TOPIC_UPDATED or
 * PEER_TOPIC, and, if a topic led to the peer, of a PEER, PEER_REJECTED or ASK; 0: none.
 *
 * @param event  The event. NULL: 0 is returned.
 * @since 0.1.0
 */
SETOWIRE_API
uint64_t setowire_event_topic(const setowire_event *event);

/**
 * The number of the question that an ASK event asks, for setowire_swarm_answer(); 0: another kind.
 *
 * @param event  The event. NULL: 0 is returned.
 * @since 0.1.0
 */
SETOWIRE_API uint64_t setowire_event_question(const setowire_event *event);

/**
 * The round that a ROUND event asks for, or that a ROUND_CANCELLED event ends, for setowire_swarm_found() and
 * setowire_swarm_round_done(); 0: another kind.
 *
 * @param event  The event. NULL: 0 is returned.
 * @since 0.1.0
 */
SETOWIRE_API uint64_t setowire_event_query(const setowire_event *event);

/**
 * The id of the stream that a STREAM, STREAM_READABLE, STREAM_WRITABLE or STREAM_CLOSED event is about; 0: another kind.
 *
 * @param event  The event. NULL: 0 is returned.
 * @since 0.1.0
 */
SETOWIRE_API
uint64_t setowire_event_stream(const setowire_event *event);

/**
 * The id of the operation that an OP_DONE event ends, or that a FOUND event belongs to; 0: another kind, or a send.
 *
 * @param event  The event. NULL: 0 is returned.
 * @since 0.1.0
 */
SETOWIRE_API
uint64_t setowire_event_op(const setowire_event *event);

/**
 * The tag that the caller gave to the operation of an OP_DONE or FOUND event, or the code of the reset of a STREAM_CLOSED
 * event with SETOWIRE_STREAM_RESET; 0: none, or another kind.
 *
 * @param event  The event. NULL: 0 is returned.
 * @since 0.1.0
 */
SETOWIRE_API
uint64_t setowire_event_tag(const setowire_event *event);

/**
 * The code of an OP_DONE, DISCONNECTION, TOPIC_UPDATED or CLOSED event: 0, or SETOWIRE_ERR_*.
 *
 * @param event  The event. NULL: 0 is returned.
 * @since 0.1.0
 */
SETOWIRE_API int32_t setowire_event_code(const setowire_event *event);

/**
 * The flags of an event: SETOWIRE_MESSAGE_CLEAR, SETOWIRE_MESSAGE_BROADCAST, SETOWIRE_STREAM_RESET. Ignore bits you do
 * not know.
 *
 * @param event  The event. NULL: 0 is returned.
 * @since 0.1.0
 */
SETOWIRE_API
uint32_t setowire_event_flags(const setowire_event *event);

/**
 * The key of who wrote a MESSAGE with SETOWIRE_MESSAGE_BROADCAST, and signed it.
 *
 * @param event  The event. NULL: NULL is returned.
 * @return 32 bytes, valid until the event is freed or the callback returns. NULL: nobody signed it, so anyone may have
 *         written it; or it is another event.
 * @since 0.1.0
 */
SETOWIRE_API
const uint8_t *setowire_event_author(const setowire_event *event);

/**
 * The data of an event: the bytes of a message or datagram, or UTF-8 text (JSON, or what went wrong), which a zero byte follows that
 * does not count.
 *
 * @param event  The event. NULL: NULL is returned.
 * @param len    Where the number of bytes is written. NULL: not wanted.
 * @return The bytes, valid until the event is freed or the callback returns. Not NULL for a live event.
 * @since 0.1.0
 */
SETOWIRE_API
const uint8_t *setowire_event_data(const setowire_event *event,
                                   size_t *len);

/**
 * Gives a descriptor that is readable while events wait, for poll, epoll and event loops. Only poll it: never read,
 * write or close it. It is closed with the swarm.
 *
 * @param swarm  The swarm; not NULL.
 * @param fd     Where the descriptor is written, -1 on failure. Not NULL.
 * @return 0, or SETOWIRE_ERR_INVALID (also: the swarm has a callback), SETOWIRE_ERR_INTERNAL (no descriptor is left),
 *         SETOWIRE_ERR_CLOSED (it was freed), SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_event_fd(setowire_swarm *swarm,
                          intptr_t *fd);

/**
 * Takes events out of the queue as bytes, as many whole ones as fit. Each record, little-endian and padded with
 * zeros to a multiple of 8 bytes, has these fields at these offsets: u32 record_len at 0 (padding included), u16 kind
 * at 4, u16 flags at 6, u64 seq at 8, u64 subject at 16 (the peer; of the STREAM events the stream; of OP_DONE the
 * operation, 0 for a send; of FOUND the operation; of ASK the question; of ROUND and ROUND_CANCELLED the round; of TOPIC_UPDATED the topic; else 0), u64 tag at 24
 * (of OP_DONE and FOUND the caller's; of a broadcast, PEER, PEER_REJECTED, PEER_TOPIC and ASK the topic; of STREAM the
 * peer that opened it; of STREAM_CLOSED the code of the peer's reset), i32 code at 32, u32 data_len at 36, the data at 40; in a MESSAGE with
 * SETOWIRE_MESSAGE_BROADCAST the author's 32 bytes (zeros: nobody signed it) are at 40 and the data at 72. Skip by
 * record_len what you do not know.
 *
 * @param swarm    The swarm; not NULL.
 * @param buf      Where the records are written. NULL only with `cap` 0.
 * @param cap      Bytes of `buf`; with 128 KiB nearly every event fits.
 * @param written  Where the number of bytes is written; with SETOWIRE_ERR_TOO_SMALL the size that the next record
 *                 needs, else 0 on failure. Not NULL.
 * @return The number of records, 0: none is waiting; or SETOWIRE_ERR_TOO_SMALL (not even one fits),
 *         SETOWIRE_ERR_INVALID (also: the swarm has a callback), SETOWIRE_ERR_CLOSED (it was freed),
 *         SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_event_drain(setowire_swarm *swarm,
                             uint8_t *buf,
                             size_t cap,
                             size_t *written);

/**
 * Waits until an event is in the queue.
 *
 * Threading: any thread; waits. Inside a callback it returns SETOWIRE_ERR_WOULD_DEADLOCK.
 *
 * @param swarm       The swarm; not NULL.
 * @param timeout_ms  Milliseconds to wait at most; 0: only look; SETOWIRE_NO_TIMEOUT: as long as it takes.
 * @return 1: events are waiting; 0: the time is over, or setowire_event_wake() was called; or SETOWIRE_ERR_CLOSED (the
 *         CLOSED event was read, or the swarm was freed), SETOWIRE_ERR_INVALID (also: the swarm has a callback),
 *         SETOWIRE_ERR_WOULD_DEADLOCK, SETOWIRE_ERR_FORKED, SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_event_wait(setowire_swarm *swarm,
                            uint32_t timeout_ms);

/**
 * Makes one setowire_event_wait() return: a pending one, or else the next.
 *
 * @param swarm  The swarm. What is not a live swarm is ignored.
 * @since 0.1.0
 */
SETOWIRE_API void setowire_event_wake(setowire_swarm *swarm);

/* ---- Process: log lines ---------------------------------------------------------------------------------- */

/**
 * Has log lines handed to a function, on a log thread of the library. For the whole process. Default: off; nothing
 * is ever written to stdout or stderr. A slow function does not slow the network: lines are dropped and counted.
 *
 * Threading: any thread; waits for a running call of the function before, unless called by it.
 *
 * @param level      The finest severity wanted: SETOWIRE_LOG_ERROR to SETOWIRE_LOG_TRACE.
 * @param cb         The function; it replaces the one before. NULL: off, `level` is ignored and `user_data` is
 *                   destroyed at once.
 * @param user_data  Passed to the function, never looked at. It must be usable on any thread.
 * @param destroy    Called exactly once with `user_data` when it is not used any more, also if this call fails. May
 *                   be NULL.
 * @return 0, or SETOWIRE_ERR_INVALID (`level`), SETOWIRE_ERR_INTERNAL (the system refused a thread),
 *         SETOWIRE_ERR_PANIC.
 * @since 0.1.0
 */
SETOWIRE_API
int32_t setowire_set_log_callback(uint8_t level,
                                  setowire_log_cb cb,
                                  void *user_data,
                                  setowire_destroy_cb destroy);

/* ---- Process: versions ----------------------------------------------------------------------------------- */

/** Raised with every change that an existing program or binding would not survive. */
#define SETOWIRE_ABI_VERSION 1

/**
 * The version of the library that is loaded, to be compared with SETOWIRE_VERSION_NUMBER.
 *
 * @return Major * 65536 + minor * 256 + patch; 0 if a bug was caught.
 * @since 0.1.0
 */
SETOWIRE_API uint32_t setowire_version_number(void);

/**
 * The version of the library that is loaded, as text.
 *
 * @return Such as "0.1.0"; always valid and never NULL.
 * @since 0.1.0
 */
SETOWIRE_API const char *setowire_version_string(void);

/**
 * The number of the binary interface. A program or binding made for another one must not go on.
 *
 * @return SETOWIRE_ABI_VERSION of the library that is loaded; 0 if a bug was caught.
 * @since 0.1.0
 */
SETOWIRE_API uint32_t setowire_abi_version(void);

#ifdef __cplusplus
}
#endif

#endif /* SETOWIRE_H */
