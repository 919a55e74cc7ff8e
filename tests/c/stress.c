/* Eight threads call everything on the same three swarms for a while, callbacks call back, callbacks are replaced and
 * peers closed; then the swarms are closed and freed under the threads. Counted: every operation completes once. */
#include "check.h"
#include <stdatomic.h>

#define THREADS 8
#define SWARMS 3
#define CALLS 3000

static setowire_swarm *swarms[SWARMS];
static char addresses[SWARMS][64];
static atomic_uint begun[SWARMS], done[SWARMS], closed[SWARMS], destroyed[SWARMS];
static atomic_uint callbacks_set[SWARMS];

static int expected(int32_t code) {
    return code >= 0 || code == SETOWIRE_ERR_CLOSED || code == SETOWIRE_ERR_NOT_FOUND ||
           code == SETOWIRE_ERR_WOULD_BLOCK || code == SETOWIRE_ERR_REFUSED ||
           code == SETOWIRE_ERR_NOT_SUPPORTED; /* over p2p-v12, where a session begins when the other is slow */
}

static void on_event(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    size_t index = (size_t)(uintptr_t)user_data;
    size_t len = 0;
    const uint8_t *data = setowire_event_data(event, &len);
    CHECK(swarm == swarms[index]);
    uint8_t longer[4] = {0};
    uint16_t kind = setowire_event_kind(event);
    CHECK(data != NULL && (kind == SETOWIRE_EVENT_MESSAGE || kind == SETOWIRE_EVENT_DATAGRAM || data[len] == 0));
    int32_t waited = setowire_event_wait(swarm, SETOWIRE_NO_TIMEOUT);
    CHECK(waited == SETOWIRE_ERR_WOULD_DEADLOCK || waited == SETOWIRE_ERR_CLOSED);
    switch (kind) {
    case SETOWIRE_EVENT_OP_DONE: atomic_fetch_add(&done[index], 1); break;
    case SETOWIRE_EVENT_CLOSED: CHECK(atomic_fetch_add(&closed[index], 1) == 0); break;
    case SETOWIRE_EVENT_MESSAGE:
        if (len >= sizeof longer) break;
        memcpy(longer, data, len);
        CHECK(expected(setowire_peer_send(swarm, setowire_event_peer(event), longer, len + 1, 0)));
        break;
    case SETOWIRE_EVENT_STREAM_READABLE: {
        uint8_t bytes[256];
        size_t read = 0, written = 0;
        uint32_t end = 0;
        uint64_t stream = setowire_event_stream(event), code = 0;
        CHECK(expected(setowire_stream_read(swarm, stream, bytes, sizeof bytes, &read, &end, &code)));
        if (end != SETOWIRE_END_NONE) CHECK(expected(setowire_stream_finish(swarm, stream)));
        else CHECK(expected(setowire_stream_write(swarm, stream, bytes, read / 2, &written)));
        break;
    }
    default: break;
    }
}

/* Does something to a stream of any number. */
static void use_stream(setowire_swarm *swarm, uint64_t *random) {
    uint8_t bytes[512] = {0};
    uint64_t stream = 1 + next_random(random) % 64, id = 0;
    size_t count = 0;
    uint32_t end = 0;
    switch (next_random(random) % 10) {
    case 0:
    case 1: CHECK(expected(setowire_stream_open(swarm, 1 + next_random(random) % 4, &id))); break;
    case 2:
    case 3: CHECK(expected(setowire_stream_write(swarm, stream, bytes, sizeof bytes, &count))); break;
    case 4: CHECK(expected(setowire_stream_read(swarm, stream, bytes, sizeof bytes, &count, &end, &id))); break;
    case 5: CHECK(expected(setowire_stream_finish(swarm, stream))); break;
    case 6: CHECK(expected(setowire_stream_reset(swarm, stream, 1))); break;
    case 7: CHECK(expected(setowire_stream_stop(swarm, stream, 2))); break;
    case 8: CHECK(expected(setowire_stream_set_priority(swarm, stream, (int32_t)(stream % 3)))); break;
    default: CHECK(expected(setowire_stream_peer(swarm, stream, &id))); break;
    }
}

static void count_destroyed(void *user_data) {
    atomic_fetch_add(&destroyed[(size_t)(uintptr_t)user_data], 1);
}

static void set_callback(size_t index) {
    atomic_fetch_add(&callbacks_set[index], 1);
    CHECK(expected(setowire_swarm_set_callback(swarms[index], SETOWIRE_EVENTS_ALL, on_event,
                                               (void *)(uintptr_t)index, count_destroyed)));
}

static void release(void *data, void *user_data) {
    (void)user_data;
    free(data);
}

static void *call_everything(void *argument) {
    uint64_t random = (uint64_t)(uintptr_t)argument;
    uint64_t ids[8] = {0}, op = 0;
    for (int i = 0; i < CALLS; i++) {
        size_t index = next_random(&random) % SWARMS;
        setowire_swarm *swarm = swarms[index];
        uint8_t bytes[32] = {(uint8_t)(next_random(&random) % 4)};
        size_t count = 0;
        char text[64];
        uint64_t peer = 1 + next_random(&random) % 4;
        switch (next_random(&random) % 20) {
        case 0: {
            /* Counted first: the completion may come before the call returns. */
            atomic_fetch_add(&begun[index], 1);
            int32_t got = setowire_swarm_connect(swarm, addresses[(index + 1) % SWARMS], 100, 1, &op);
            CHECK(expected(got));
            if (got < 0) atomic_fetch_sub(&begun[index], 1);
            break;
        }
        case 1: CHECK(expected(setowire_op_cancel(swarm, op))); break;
        case 2:
        case 3: {
            atomic_fetch_add(&begun[index], 1);
            int32_t got = setowire_peer_send(swarm, peer, bytes, 2, 2);
            CHECK(expected(got));
            if (got < 0) atomic_fetch_sub(&begun[index], 1);
            break;
        }
        case 4: {
            uint8_t *owned = malloc(3);
            CHECK(owned != NULL);
            memset(owned, 3, 3);
            CHECK(expected(setowire_peer_send_owned(swarm, peer, owned, 3, 0, release, NULL)));
            break;
        }
        case 5: CHECK(expected(setowire_swarm_broadcast(swarm, bytes, 5))); break;
        case 6: CHECK(expected(setowire_swarm_peers(swarm, ids, 8, &count))); break;
        case 7: {
            setowire_swarm_counters counters = {.struct_size = sizeof counters};
            CHECK(expected(setowire_swarm_stats(swarm, &counters)));
            break;
        }
        case 8: {
            setowire_peer_details details = {.struct_size = sizeof details};
            CHECK(expected(setowire_peer_info(swarm, peer, &details)));
            break;
        }
        case 9: CHECK(expected(setowire_peer_address(swarm, peer, text, sizeof text))); break;
        case 10: CHECK(expected(setowire_swarm_join(swarm, bytes, 32, &ids[0]))); break;
        case 11: CHECK(expected(setowire_swarm_leave(swarm, bytes, 32))); break;
        case 12: CHECK(expected(setowire_topic_close(swarm, ids[0] % 64))); break;
        case 13: CHECK(expected(setowire_peer_buffered(swarm, peer, &count))); break;
        case 14:
            if (i % 50 == 0) set_callback(index);
            if (i % 500 == 1) CHECK(expected(setowire_peer_close(swarm, peer)));
            break;
        case 15:
            CHECK(expected(setowire_peer_send_datagram(swarm, peer, bytes, sizeof bytes)));
            CHECK(expected(setowire_peer_send_many(swarm, peer, bytes, 9, (uint32_t[3]){2, 3, 4}, 3, &count)));
            break;
        case 16: CHECK(expected(setowire_topic_broadcast(swarm, ids[0], bytes, 6))); break;
        case 17:
            CHECK(expected(setowire_peer_topics(swarm, peer, ids, 8, &count)));
            CHECK(expected(setowire_swarm_join_private(swarm, bytes, 32, bytes, 32, &ids[0])));
            break;
        case 18: use_stream(swarm, &random); break;
        default: {
            setowire_swarm_details details = {.struct_size = sizeof details};
            CHECK(expected(setowire_swarm_info(swarm, &details)));
            CHECK(expected(setowire_swarm_network_changed(swarm)));
            break;
        }
        }
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    for (size_t i = 0; i < SWARMS; i++) {
        swarms[i] = quiet_swarm();
        address_of(swarms[i], addresses[i], sizeof addresses[i]);
        set_callback(i);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, call_everything, (void *)(uintptr_t)(i + 1));
    }
    /* One swarm is closed and one freed while the threads go on; the third lives to the end. */
    time_t end = time(NULL) + DEADLINE_S;
    while (atomic_load(&done[0]) < 50 || atomic_load(&done[1]) < 50) {
        CHECK(time(NULL) < end);
        sched_yield();
    }
    OK(setowire_swarm_close(swarms[0]));
    setowire_swarm_free(swarms[1]);
    for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (size_t i = 0; i < SWARMS; i++) {
        setowire_swarm_free(swarms[i]);
        CHECK(atomic_load(&closed[i]) == 1);
        CHECK(atomic_load(&destroyed[i]) == atomic_load(&callbacks_set[i]));
        CHECK(atomic_load(&done[i]) == atomic_load(&begun[i]));
    }
    return 0;
}
