/* Streams: both directions at once, half-close, reset, stop, as many as there may be, a reader that does not read, eight
 * threads on one stream, ids that are stale or foreign, and ends of a peer and a swarm with streams open, read or not. A
 * short call is told of exactly once. */
#include "streams.h"
#include <stdatomic.h>

#define BIG (6u << 20)

struct job {
    struct side *side;
    uint64_t stream;
    uint64_t seed;
    unsigned short_calls;
};

static void *write_big(void *argument) {
    struct job *job = argument;
    uint8_t *bytes = malloc(BIG);
    CHECK(bytes != NULL);
    pattern(bytes, BIG, job->seed);
    job->short_calls = write_all(job->side, job->stream, bytes, BIG);
    OK(setowire_stream_finish(job->side->swarm, job->stream));
    free(bytes);
    return NULL;
}

static void *read_big(void *argument) {
    struct job *job = argument;
    uint8_t *bytes = malloc(BIG + 1), *expected = malloc(BIG);
    uint32_t end = 7;
    uint64_t code = 7;
    CHECK(bytes != NULL && expected != NULL);
    pattern(expected, BIG, job->seed);
    CHECK(read_all(job->side, job->stream, bytes, BIG + 1, &end, &code) == BIG);
    CHECK(end == SETOWIRE_END_FINISHED && code == 0 && memcmp(bytes, expected, BIG) == 0);
    free(bytes);
    free(expected);
    return NULL;
}

static void both_directions_at_once(struct side *a, struct side *b) {
    uint64_t at_a = 0, at_b = 0;
    uint8_t first = 42;
    size_t written = 0;
    OK(setowire_stream_open(a->swarm, a->watch->peer, &at_a));
    at_b = side_accept(b); /* nothing was written yet */
    struct job jobs[4] = {{a, at_a, 1, 0}, {b, at_b, 1, 0}, {b, at_b, 2, 0}, {a, at_a, 2, 0}};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, i % 2 == 0 ? write_big : read_big, &jobs[i]);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    await_closed(a, at_a);
    await_closed(b, at_b);
    CHECK(!a->streams[at_a].reset && !b->streams[at_b].reset);
    CHECK(jobs[0].short_calls > 0 && a->streams[at_a].writable == jobs[0].short_calls);
    CHECK(jobs[2].short_calls > 0 && b->streams[at_b].writable == jobs[2].short_calls);
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_write(a->swarm, at_a, &first, 1, &written));
}

static void half_close(struct side *a, struct side *b) {
    uint64_t at_a = 0, at_b = 0, code = 7;
    uint8_t bytes[16];
    size_t number = 7;
    uint32_t end = 7;
    OK(setowire_stream_open(a->swarm, a->watch->peer, &at_a));
    OK(setowire_stream_set_priority(a->swarm, at_a, 1));
    OK(setowire_stream_set_priority(a->swarm, at_a, INT32_MIN));
    CHECK(write_all(a, at_a, (const uint8_t *)"ping", 4) == 0);
    OK(setowire_stream_finish(a->swarm, at_a));
    OK(setowire_stream_finish(a->swarm, at_a)); /* again changes nothing while the other direction is open */
    FAILS(SETOWIRE_ERR_CLOSED, setowire_stream_write(a->swarm, at_a, bytes, 1, &number));
    at_b = side_accept(b);
    CHECK(read_all(b, at_b, bytes, sizeof bytes, &end, &code) == 4 && memcmp(bytes, "ping", 4) == 0);
    CHECK(end == SETOWIRE_END_FINISHED);
    FAILS(SETOWIRE_ERR_CLOSED, setowire_stream_read(b->swarm, at_b, bytes, 1, &number, &end, &code));
    CHECK(b->streams[at_b].closed == 0);
    CHECK(write_all(b, at_b, (const uint8_t *)"pong", 4) == 0);
    OK(setowire_stream_finish(b->swarm, at_b));
    CHECK(read_all(a, at_a, bytes, sizeof bytes, &end, &code) == 4 && memcmp(bytes, "pong", 4) == 0);
    await_closed(a, at_a);
    await_closed(b, at_b);
    /* Neither side wrote anything. */
    OK(setowire_stream_open(b->swarm, b->watch->peer, &at_b));
    OK(setowire_stream_finish(b->swarm, at_b));
    at_a = side_accept(a);
    CHECK(read_all(a, at_a, bytes, sizeof bytes, &end, &code) == 0 && end == SETOWIRE_END_FINISHED);
    OK(setowire_stream_finish(a->swarm, at_a));
    CHECK(read_all(b, at_b, bytes, sizeof bytes, &end, &code) == 0 && end == SETOWIRE_END_FINISHED);
    await_closed(a, at_a);
    await_closed(b, at_b);
}

static void reset_and_stop(struct side *a, struct side *b) {
    uint64_t at_a = 0, at_b = 0, code = 7;
    uint8_t bytes[1000] = {0};
    size_t number = 7;
    uint32_t end = 7;
    /* The writer gives up: the reader is told with its code, and may still answer. */
    OK(setowire_stream_open(a->swarm, a->watch->peer, &at_a));
    at_b = side_accept(b);
    OK(setowire_stream_write(a->swarm, at_a, bytes, sizeof bytes, &number));
    OK(setowire_stream_reset(a->swarm, at_a, UINT32_MAX));
    FAILS(SETOWIRE_ERR_CLOSED, setowire_stream_write(a->swarm, at_a, bytes, 1, &number));
    while (end != SETOWIRE_END_RESET) {
        read_all(b, at_b, bytes, sizeof bytes, &end, &code);
        CHECK(end != SETOWIRE_END_FINISHED);
    }
    CHECK(code == UINT32_MAX);
    CHECK(write_all(b, at_b, bytes, 5) == 0);
    OK(setowire_stream_finish(b->swarm, at_b));
    CHECK(read_all(a, at_a, bytes, sizeof bytes, &end, &code) == 5 && end == SETOWIRE_END_FINISHED);
    await_closed(a, at_a);
    await_closed(b, at_b);
    CHECK(!a->streams[at_a].reset && a->streams[at_a].code == 0);
    CHECK(b->streams[at_b].reset && b->streams[at_b].code == UINT32_MAX);
    /* The reader has enough: a writer that waits for room is told. */
    OK(setowire_stream_open(a->swarm, a->watch->peer, &at_a));
    at_b = side_accept(b);
    int32_t got = 0;
    while (got == 0) got = setowire_stream_write(a->swarm, at_a, bytes, sizeof bytes, &number);
    CHECK(got == SETOWIRE_ERR_WOULD_BLOCK);
    OK(setowire_stream_stop(b->swarm, at_b, 9));
    FAILS(SETOWIRE_ERR_CLOSED, setowire_stream_read(b->swarm, at_b, bytes, 1, &number, &end, &code));
    for (unsigned seen = 0; got != SETOWIRE_ERR_CLOSED; seen++) {
        /* Perhaps once for room, and then for the stop. */
        grown(a, &a->streams[at_a].writable, seen, "STREAM_WRITABLE");
        got = setowire_stream_write(a->swarm, at_a, bytes, sizeof bytes, &number);
        while (got == 0) got = setowire_stream_write(a->swarm, at_a, bytes, sizeof bytes, &number);
        CHECK(got == SETOWIRE_ERR_CLOSED || got == SETOWIRE_ERR_WOULD_BLOCK);
    }
    OK(setowire_stream_reset(b->swarm, at_b, 3));
    await_closed(b, at_b);
    CHECK(read_all(a, at_a, bytes, sizeof bytes, &end, &code) == 0 && end == SETOWIRE_END_RESET && code == 3);
    await_closed(a, at_a);
    CHECK(a->streams[at_a].reset && a->streams[at_a].code == 3);
}

/* As many as there may be, answered inside a callback; the next is refused until one is done. */
static void many(struct side *a, struct side *b) {
    static uint64_t streams[STREAMS];
    size_t count = 0;
    uint8_t bytes[100], answer[100];
    uint32_t end;
    uint64_t code;
    pthread_mutex_lock(&b->watch->lock);
    b->echo = 1;
    pthread_mutex_unlock(&b->watch->lock);
    unsigned writable = watch_count(a->watch, SETOWIRE_EVENT_WRITABLE);
    while (count < 200) {
        int32_t got = setowire_stream_open(a->swarm, a->watch->peer, &streams[count]);
        if (got == 0) {
            CHECK(write_all(a, streams[count], (const uint8_t *)&count, sizeof count) == 0);
            count++;
            continue;
        }
        /* The peer allows more as they are used. */
        CHECK(got == SETOWIRE_ERR_WOULD_BLOCK && streams[count] == 0);
        AWAIT(a->watch, WRITABLE, writable + 1);
        writable = watch_count(a->watch, SETOWIRE_EVENT_WRITABLE);
    }
    for (size_t i = count; i > 0; i--) {
        size_t number = i - 1;
        CHECK(read_all(a, streams[number], answer, sizeof number, &end, &code) == sizeof number);
        CHECK(memcmp(answer, &number, sizeof number) == 0);
    }
    for (size_t i = 0; i < count; i++) {
        pattern(bytes, sizeof bytes, i);
        CHECK(write_all(a, streams[i], bytes, sizeof bytes) == 0);
        OK(setowire_stream_finish(a->swarm, streams[i]));
    }
    for (size_t i = 0; i < count; i++) {
        size_t total = 0;
        pattern(bytes, sizeof bytes, i);
        do {
            size_t read = 0;
            unsigned before = look(a, &a->streams[streams[i]].readable);
            int32_t got = setowire_stream_read(a->swarm, streams[i], answer + total, sizeof answer - total + 1, &read,
                                               &end, &code);
            CHECK(got == 0 || got == SETOWIRE_ERR_WOULD_BLOCK);
            total += read;
            CHECK(total <= sizeof answer);
            if (end == SETOWIRE_END_NONE) grown(a, &a->streams[streams[i]].readable, before, "STREAM_READABLE");
        } while (end == SETOWIRE_END_NONE);
        CHECK(end == SETOWIRE_END_FINISHED && total == sizeof bytes && memcmp(answer, bytes, sizeof bytes) == 0);
        await_closed(a, streams[i]);
    }
    b->taken += (unsigned)count;
    watch_until(b->watch, &b->opened_count, b->taken, "STREAM");
    for (unsigned i = b->taken - (unsigned)count; i < b->taken; i++) {
        watch_until(b->watch, &b->streams[b->opened[i]].closed, 1, "STREAM_CLOSED");
    }
    pthread_mutex_lock(&b->watch->lock);
    b->echo = 0;
    pthread_mutex_unlock(&b->watch->lock);
}

/* What is not read stays with its writer, and stalls nothing else. */
static void slow_reader(struct side *a, struct side *b) {
    uint64_t slow_a = 0, slow_b = 0, quick_a = 0, quick_b = 0, code = 0;
    uint8_t *bytes = calloc(1, BIG), *expected = malloc(BIG);
    uint32_t end = 0;
    size_t taken = 0, written = 1;
    CHECK(bytes != NULL && expected != NULL);
    pattern(expected, BIG, 5);
    OK(setowire_stream_open(a->swarm, a->watch->peer, &slow_a));
    slow_b = side_accept(b);
    /* Until the peer's window, and what a writer may keep, are full. */
    while (written > 0 && taken < BIG) {
        unsigned before = look(a, &a->streams[slow_a].writable);
        OK(setowire_stream_write(a->swarm, slow_a, expected + taken, BIG - taken, &written));
        taken += written;
        if (taken > (2u << 20)) break;
        grown(a, &a->streams[slow_a].writable, before, "STREAM_WRITABLE");
    }
    CHECK(taken < BIG);
    unsigned messages = watch_count(b->watch, SETOWIRE_EVENT_MESSAGE);
    OK(setowire_peer_send(a->swarm, a->watch->peer, bytes, 100000, 77));
    AWAIT(b->watch, MESSAGE, messages + 1);
    watch_until(a->watch, &a->watch->done[77], 1, "OP_DONE");
    OK(setowire_stream_open(a->swarm, a->watch->peer, &quick_a));
    quick_b = side_accept(b);
    struct job job = {a, quick_a, 6, 0}, other = {b, quick_b, 6, 0};
    pthread_t writer;
    pthread_create(&writer, NULL, write_big, &job);
    read_big(&other);
    pthread_join(writer, NULL);
    OK(setowire_stream_finish(b->swarm, quick_b));
    CHECK(read_all(a, quick_a, bytes, BIG, &end, &code) == 0 && end == SETOWIRE_END_FINISHED);
    await_closed(a, quick_a);
    await_closed(b, quick_b);
    OK(setowire_stream_finish(a->swarm, slow_a));
    CHECK(read_all(b, slow_b, bytes, BIG, &end, &code) == taken && end == SETOWIRE_END_FINISHED);
    CHECK(memcmp(bytes, expected, taken) == 0);
    OK(setowire_stream_finish(b->swarm, slow_b));
    CHECK(read_all(a, slow_a, bytes, BIG, &end, &code) == 0);
    await_closed(a, slow_a);
    await_closed(b, slow_b);
    free(bytes);
    free(expected);
}

#define WORKERS 8
#define SHARE 200000u

static atomic_uint counted[WORKERS];
static unsigned ends;

static void *write_share(void *argument) {
    struct job *job = argument;
    uint8_t bytes[3000];
    memset(bytes, (int)job->seed, sizeof bytes);
    for (unsigned done = 0; done < SHARE;) {
        unsigned next = SHARE - done < sizeof bytes ? SHARE - done : (unsigned)sizeof bytes;
        write_all(job->side, job->stream, bytes, next);
        done += next;
    }
    return NULL;
}

static void *read_share(void *argument) {
    struct job *job = argument;
    struct side *side = job->side;
    while (look(side, &ends) == 0) {
        uint8_t bytes[5000];
        size_t read = 0;
        uint32_t end = 0;
        unsigned before = look(side, &side->streams[job->stream].readable);
        int32_t got = setowire_stream_read(side->swarm, job->stream, bytes, sizeof bytes, &read, &end, NULL);
        CHECK(got == 0 || got == SETOWIRE_ERR_WOULD_BLOCK || got == SETOWIRE_ERR_CLOSED);
        for (size_t i = 0; i < read; i++) {
            CHECK(bytes[i] < WORKERS);
            atomic_fetch_add(&counted[bytes[i]], 1);
        }
        pthread_mutex_lock(&side->watch->lock);
        if (end != SETOWIRE_END_NONE) {
            /* Told to one of them alone, who tells the others. */
            CHECK(ends++ == 0);
            pthread_cond_broadcast(&side->watch->changed);
        }
        while (got == SETOWIRE_ERR_WOULD_BLOCK && side->streams[job->stream].readable == before && ends == 0) {
            watch_wait(side->watch, "STREAM_READABLE");
        }
        pthread_mutex_unlock(&side->watch->lock);
    }
    return NULL;
}

static void eight_threads_on_one_stream(struct side *a, struct side *b) {
    uint64_t at_a = 0, at_b = 0, code = 0;
    uint32_t end = 0;
    uint8_t byte = 0;
    pthread_t writers[WORKERS], readers[WORKERS];
    struct job write_jobs[WORKERS], read_jobs[WORKERS];
    OK(setowire_stream_open(a->swarm, a->watch->peer, &at_a));
    at_b = side_accept(b);
    for (unsigned i = 0; i < WORKERS; i++) {
        write_jobs[i] = (struct job){a, at_a, i, 0};
        read_jobs[i] = (struct job){b, at_b, i, 0};
        pthread_create(&writers[i], NULL, write_share, &write_jobs[i]);
        pthread_create(&readers[i], NULL, read_share, &read_jobs[i]);
    }
    for (unsigned i = 0; i < WORKERS; i++) pthread_join(writers[i], NULL);
    OK(setowire_stream_finish(a->swarm, at_a));
    for (unsigned i = 0; i < WORKERS; i++) pthread_join(readers[i], NULL);
    for (unsigned i = 0; i < WORKERS; i++) CHECK(atomic_load(&counted[i]) == SHARE);
    OK(setowire_stream_finish(b->swarm, at_b));
    CHECK(read_all(a, at_a, &byte, 1, &end, &code) == 0 && end == SETOWIRE_END_FINISHED);
    await_closed(a, at_a);
    await_closed(b, at_b);
}

/* Streams that are open when their peer, or their swarm, goes. */
static void ends_with_streams_open(struct side *a, struct side *b) {
    struct side *other = side_new();
    uint64_t ids[3] = {0}, peer = 7;
    size_t number = 7;
    uint8_t byte = 1;
    for (int i = 0; i < 3; i++) {
        OK(setowire_stream_open(a->swarm, a->watch->peer, &ids[i]));
        CHECK(write_all(a, ids[i], &byte, 1) == 0);
    }
    /* A stream of this swarm is none of another. */
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_write(other->swarm, ids[0], &byte, 1, &number));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_peer(other->swarm, ids[0], &peer));
    CHECK(peer == 0);
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_open(other->swarm, a->watch->peer, &peer));
    uint64_t unread[3] = {side_accept(b), side_accept(b), side_accept(b)};
    OK(setowire_peer_close(b->swarm, b->watch->peer));
    AWAIT(a->watch, DISCONNECTION, 1);
    AWAIT(b->watch, DISCONNECTION, 1);
    /* Nothing had come here, and who closes himself wants nothing more of what had come. */
    for (int i = 0; i < 3; i++) {
        await_closed(a, ids[i]);
        await_closed(b, unread[i]);
        CHECK(a->streams[ids[i]].ended == SETOWIRE_ERR_CLOSED && b->streams[unread[i]].ended == SETOWIRE_ERR_CLOSED);
    }
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_open(a->swarm, a->watch->peer, &peer));

    struct side *c = side_new();
    side_connect(c, other);
    OK(setowire_stream_open(c->swarm, c->watch->peer, &ids[0]));
    OK(setowire_stream_write(c->swarm, ids[0], (const uint8_t *)a, 1 << 20, &number));
    side_accept(other);
    OK(setowire_swarm_close(c->swarm));
    AWAIT(c->watch, CLOSED, 1);
    int32_t got = setowire_stream_write(c->swarm, ids[0], &byte, 1, &number);
    CHECK(got == SETOWIRE_ERR_NOT_FOUND || got == SETOWIRE_ERR_CLOSED);
    got = setowire_stream_open(c->swarm, c->watch->peer, &ids[0]);
    CHECK((got == SETOWIRE_ERR_NOT_FOUND || got == SETOWIRE_ERR_CLOSED) && ids[0] == 0);
    AWAIT(other->watch, DISCONNECTION, 1);
    side_free(c);
    side_free(other);
}

/* What had come of a stream is read when its peer is gone, and the end behind it, and then it is closed. */
static void what_came_outlives_the_peer(void) {
    enum { LENGTH = 200000 };
    static uint8_t bytes[LENGTH], expected[LENGTH];
    struct side *one = side_new(), *other = side_new();
    uint64_t stream = 0, theirs = 0, unwanted = 0, peer = 0, code = 7;
    size_t number = 7;
    uint32_t end = 7;
    uint8_t byte = 0;
    pattern(expected, LENGTH, 5);
    side_connect(one, other);
    OK(setowire_stream_open(one->swarm, one->watch->peer, &stream));
    theirs = side_accept(other);
    OK(setowire_stream_finish(other->swarm, theirs));
    write_all(one, stream, expected, LENGTH);
    OK(setowire_stream_finish(one->swarm, stream));
    CHECK(read_all(one, stream, &byte, 1, &end, &code) == 0 && end == SETOWIRE_END_FINISHED);
    await_closed(one, stream); /* all of it is there */
    CHECK(one->streams[stream].ended == 0);
    OK(setowire_stream_open(one->swarm, one->watch->peer, &stream));
    CHECK(write_all(one, stream, &byte, 1) == 0);
    unwanted = side_accept(other);
    grown(other, &other->streams[unwanted].readable, 0, "STREAM_READABLE");
    side_free(one);
    AWAIT(other->watch, DISCONNECTION, 1);
    OK(setowire_stream_peer(other->swarm, theirs, &peer));
    CHECK(peer == other->watch->peer);
    CHECK(read_all(other, theirs, bytes, 1000, &end, &code) == 1000 && end == SETOWIRE_END_NONE);
    CHECK(other->streams[theirs].closed == 0);
    for (size_t at = 1000; at < LENGTH; at += number) {
        OK(setowire_stream_read(other->swarm, theirs, bytes + at, LENGTH - at, &number, &end, &code));
    }
    CHECK(end == SETOWIRE_END_FINISHED && code == 0 && memcmp(bytes, expected, LENGTH) == 0);
    await_closed(other, theirs);
    CHECK(other->streams[theirs].ended == 0);
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_write(other->swarm, unwanted, &byte, 1, &number));
    OK(setowire_stream_reset(other->swarm, unwanted, 1)); /* our direction is over in any case */
    OK(setowire_stream_stop(other->swarm, unwanted, 1));
    await_closed(other, unwanted);
    CHECK(other->streams[unwanted].ended == SETOWIRE_ERR_CLOSED);
    side_free(other);
}

int main(void) {
    struct side *a = side_new(), *b = side_new();
    side_connect(a, b);
    half_close(a, b);
    reset_and_stop(a, b);
    both_directions_at_once(a, b);
    both_directions_at_once(b, a);
    many(a, b);
    slow_reader(a, b);
    eight_threads_on_one_stream(a, b);
    ends_with_streams_open(a, b);
    what_came_outlives_the_peer();
    side_free(a);
    side_free(b);
    return 0;
}
