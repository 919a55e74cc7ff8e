/* What the tests of streams share: a swarm whose callback notes what happens to each stream, and calls that go on
 * until everything is written or read. They wait for the event that a short call is owed and count both, so that a
 * test can tell whether each came exactly once. */
#ifndef STREAMS_H
#define STREAMS_H

#include "check.h"

#define STREAMS 8192

/* What a callback was told of one stream. */
struct told {
    unsigned opened, readable, writable, closed;
    unsigned reset;
    uint64_t code;
    int32_t ended; /* the code of STREAM_CLOSED */
};

/* One end: its swarm, the peer at the other end, and what was told. */
struct side {
    setowire_swarm *swarm;
    struct watch *watch;
    struct told streams[STREAMS];
    uint64_t opened[STREAMS]; /* by the peer, in order */
    unsigned opened_count, taken;
    unsigned datagrams, datagram_bytes;
    unsigned echo; /* the callback writes back what it reads */
    unsigned gone; /* the peer is */
};

/* Reads what there is of a stream and writes it back; inside the callback. What is small fits. */
static inline void echo(struct side *side, uint64_t stream) {
    for (;;) {
        uint8_t bytes[4096];
        size_t read = 0, written = 0;
        uint32_t end = SETOWIRE_END_NONE;
        int32_t got = setowire_stream_read(side->swarm, stream, bytes, sizeof bytes, &read, &end, NULL);
        if (got < 0) {
            CHECK(got == SETOWIRE_ERR_WOULD_BLOCK);
            return;
        }
        OK(setowire_stream_write(side->swarm, stream, bytes, read, &written));
        CHECK(written == read);
        if (end == SETOWIRE_END_FINISHED) OK(setowire_stream_finish(side->swarm, stream));
        if (end != SETOWIRE_END_NONE || read < sizeof bytes) return;
    }
}

static inline void side_event(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    struct side *side = user_data;
    uint64_t stream = setowire_event_stream(event);
    uint16_t kind = setowire_event_kind(event);
    size_t len = 0;
    CHECK(swarm == side->swarm);
    CHECK((stream != 0) == (kind >= SETOWIRE_EVENT_STREAM && kind <= SETOWIRE_EVENT_STREAM_CLOSED));
    if (stream != 0) {
        CHECK(stream < STREAMS && setowire_event_peer(event) == side->watch->peer);
        CHECK(setowire_event_data(event, &len) != NULL && len == 0);
    }
    if (kind == SETOWIRE_EVENT_STREAM_READABLE && side->echo) echo(side, stream);
    pthread_mutex_lock(&side->watch->lock);
    struct told *told = &side->streams[stream % STREAMS];
    CHECK(told->closed == 0);
    /* Of streams that hold something to be read when the peer goes, the end follows. */
    CHECK(stream == 0 || !side->gone || kind == SETOWIRE_EVENT_STREAM_CLOSED);
    switch (kind) {
    case SETOWIRE_EVENT_STREAM:
        CHECK(told->opened++ == 0 && told->readable == 0 && told->writable == 0);
        side->opened[side->opened_count++] = stream;
        break;
    case SETOWIRE_EVENT_STREAM_READABLE: told->readable++; break;
    case SETOWIRE_EVENT_STREAM_WRITABLE: told->writable++; break;
    case SETOWIRE_EVENT_STREAM_CLOSED:
        told->reset = (setowire_event_flags(event) & SETOWIRE_STREAM_RESET) != 0;
        told->code = setowire_event_tag(event);
        told->ended = setowire_event_code(event);
        told->closed++;
        break;
    case SETOWIRE_EVENT_DATAGRAM:
        CHECK(setowire_event_data(event, &len) != NULL);
        side->datagrams++;
        side->datagram_bytes += (unsigned)len;
        break;
    case SETOWIRE_EVENT_DISCONNECTION:
        side->gone = 1;
        break;
    default: break;
    }
    pthread_mutex_unlock(&side->watch->lock);
    watch_event(swarm, event, side->watch);
}

static inline struct side *side_new(void) {
    struct side *side = calloc(1, sizeof *side);
    CHECK(side != NULL);
    side->watch = watch_new();
    side->swarm = quiet_swarm();
    OK(setowire_swarm_set_callback(side->swarm, SETOWIRE_EVENTS_ALL, side_event, side, NULL));
    return side;
}

static inline void side_connect(struct side *from, struct side *to) {
    setowire_peer_details peer = {.struct_size = sizeof peer};
    char address[64];
    uint64_t op = 0;
    address_of(to->swarm, address, sizeof address);
    OK(setowire_swarm_connect(from->swarm, address, 0, 0, &op));
    AWAIT(from->watch, CONNECTION, 1);
    AWAIT(to->watch, CONNECTION, 1);
    OK(setowire_peer_info(from->swarm, from->watch->peer, &peer));
    CHECK(peer.session == SETOWIRE_SESSION_SETOWIRE_13 && peer.confirmed && peer.has_key && peer.is_explicit);
    CHECK(peer.suite == SETOWIRE_SUITE_CHACHA20_POLY1305 && peer.client && peer.max_message == 16 << 20);
}

static inline void side_free(struct side *side) {
    setowire_swarm_free(side->swarm);
    CHECK(side->watch->count[SETOWIRE_EVENT_CLOSED] == 1);
    watch_free(side->watch);
    free(side);
}

/* The next stream that the peer opened. */
static inline uint64_t side_accept(struct side *side) {
    watch_until(side->watch, &side->opened_count, side->taken + 1, "STREAM");
    uint64_t stream = side->opened[side->taken++], peer = 0;
    OK(setowire_stream_peer(side->swarm, stream, &peer));
    CHECK(peer == side->watch->peer);
    return stream;
}

/* Waits until `number` has grown beyond what it was. */
static inline void grown(struct side *side, const unsigned *number, unsigned before, const char *what) {
    watch_until(side->watch, number, before + 1, what);
}

static inline unsigned look(struct side *side, const unsigned *number) {
    pthread_mutex_lock(&side->watch->lock);
    unsigned value = *number;
    pthread_mutex_unlock(&side->watch->lock);
    return value;
}

/* Writes everything; returns how many calls were short. */
static inline unsigned write_all(struct side *side, uint64_t stream, const uint8_t *bytes, size_t len) {
    unsigned short_calls = 0;
    while (len > 0) {
        unsigned before = look(side, &side->streams[stream].writable);
        size_t written = 7;
        int32_t got = setowire_stream_write(side->swarm, stream, bytes, len, &written);
        CHECK(got == 0 || (got == SETOWIRE_ERR_WOULD_BLOCK && written == 0));
        CHECK(written <= len && (got < 0 || written > 0));
        bytes += written;
        len -= written;
        if (len > 0) {
            short_calls++;
            grown(side, &side->streams[stream].writable, before, "STREAM_WRITABLE");
        }
    }
    return short_calls;
}

/* Reads until the end, or `len` bytes; returns their number. Each event is waited for, and none is left over. */
static inline size_t read_all(struct side *side, uint64_t stream, uint8_t *bytes, size_t len, uint32_t *end,
                              uint64_t *code) {
    size_t total = 0;
    unsigned seen = 0;
    *end = SETOWIRE_END_NONE;
    while (*end == SETOWIRE_END_NONE && total < len) {
        size_t read = 7, room = len - total < 70000 ? len - total : 70000;
        grown(side, &side->streams[stream].readable, seen, "STREAM_READABLE");
        seen++;
        do {
            int32_t got = setowire_stream_read(side->swarm, stream, bytes + total, room, &read, end, code);
            CHECK(got == 0 || (got == SETOWIRE_ERR_WOULD_BLOCK && read == 0 && *end == SETOWIRE_END_NONE));
            CHECK(read <= room);
            total += read;
        } while (read == room && *end == SETOWIRE_END_NONE && total < len &&
                 (room = len - total < 70000 ? len - total : 70000) > 0);
        CHECK(look(side, &side->streams[stream].readable) >= seen);
    }
    return total;
}

static inline void await_closed(struct side *side, uint64_t stream) {
    size_t number = 7;
    uint8_t byte = 0;
    uint32_t end = 7;
    watch_until(side->watch, &side->streams[stream].closed, 1, "STREAM_CLOSED");
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_write(side->swarm, stream, &byte, 1, &number));
    CHECK(number == 0);
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_read(side->swarm, stream, &byte, 1, &number, &end, NULL));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_finish(side->swarm, stream));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_reset(side->swarm, stream, 1));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_stop(side->swarm, stream, 1));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_set_priority(side->swarm, stream, 1));
}

/* Bytes that differ by place and by stream. */
static inline void pattern(uint8_t *bytes, size_t len, uint64_t seed) {
    for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)((i * 31 + (i >> 8) * 7 + seed * 101) & 0xFF);
}

#endif
