/* Eight threads decide everything about the same three swarms at the same time: topics, rounds, questions, bans, peers by
 * key, suspension. Callbacks answer questions and rounds twice, and for other swarms. Then the swarms are closed and freed
 * under the threads. Counted: every operation completes once, also those that were begun while a swarm was suspended. */
#include "check.h"
#include <stdatomic.h>

#define THREADS 8
#define SWARMS 3
#define CALLS 3000

static setowire_swarm *swarms[SWARMS];
static uint8_t keys[SWARMS][32];
static char addresses[SWARMS][64];
static atomic_uint begun[SWARMS], done[SWARMS], closed[SWARMS];

static int expected(int32_t code) {
    return code >= 0 || code == SETOWIRE_ERR_CLOSED || code == SETOWIRE_ERR_NOT_FOUND || code == SETOWIRE_ERR_WOULD_BLOCK;
}

static void on_event(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    size_t index = (size_t)(uintptr_t)user_data, other = (index + 1) % SWARMS;
    uint64_t question = setowire_event_question(event), query = setowire_event_query(event);
    CHECK(swarm == swarms[index]);
    switch (setowire_event_kind(event)) {
    case SETOWIRE_EVENT_OP_DONE:
        atomic_fetch_add(&done[index], 1);
        break;
    case SETOWIRE_EVENT_CLOSED: CHECK(atomic_fetch_add(&closed[index], 1) == 0); break;
    case SETOWIRE_EVENT_ASK:
        CHECK(expected(setowire_swarm_answer(swarm, question, question % 4 != 0)));
        CHECK(setowire_swarm_answer(swarm, question, true) < 0);
        CHECK(expected(setowire_swarm_answer(swarms[other], question, true)));
        break;
    case SETOWIRE_EVENT_ROUND:
        if (query % 5 == 0) break; /* nobody answers */
        CHECK(expected(setowire_swarm_found(swarm, query, keys[other], 32, addresses[other])));
        CHECK(expected(setowire_swarm_round_done(swarm, query, query % 3 != 0)));
        CHECK(expected(setowire_swarm_found(swarm, query, keys[index], 32, addresses[other])));
        CHECK(expected(setowire_swarm_round_done(swarm, query, true)));
        CHECK(expected(setowire_swarm_round_done(swarms[other], query, true)));
        break;
    case SETOWIRE_EVENT_UNANNOUNCE: CHECK(expected(setowire_swarm_unannounced(swarms[other], keys[0], 32))); break;
    default: break;
    }
}

/* Counted first: the completion may come before the call returns. */
#define BEGINS(index, call)                                                                       \
    do {                                                                                          \
        atomic_fetch_add(&begun[index], 1);                                                       \
        int32_t got_ = (call);                                                                    \
        CHECK(expected(got_));                                                                    \
        if (got_ < 0) atomic_fetch_sub(&begun[index], 1);                                         \
    } while (0)

static void *decide_everything(void *argument) {
    uint64_t random = (uint64_t)(uintptr_t)argument, session = 0, op = 0;
    char text[256];
    for (int i = 0; i < CALLS; i++) {
        size_t index = next_random(&random) % SWARMS, count = 0;
        setowire_swarm *swarm = swarms[index];
        const uint8_t *key = keys[next_random(&random) % SWARMS];
        uint8_t topic[32] = {(uint8_t)(next_random(&random) % 4)};
        uint64_t ids[4];
        uint32_t flags = (uint32_t)(next_random(&random) % 4);
        switch (next_random(&random) % 24) {
        case 0:
        case 1: CHECK(expected(setowire_swarm_join_as(swarm, topic, 32, NULL, 0, flags, 0, &session))); break;
        case 2: CHECK(expected(setowire_swarm_join_as(swarm, topic, 32, topic, 32, flags, 3, &session))); break;
        case 3: CHECK(expected(setowire_swarm_leave(swarm, topic, 32))); break;
        case 4: CHECK(expected(setowire_topic_close(swarm, session))); break;
        case 5: BEGINS(index, setowire_topic_refresh(swarm, session, flags, 0, 1, &op)); break;
        case 6: BEGINS(index, setowire_topic_flushed(swarm, session, 2, &op)); break;
        case 7: BEGINS(index, setowire_swarm_flush(swarm, 3, &op)); break;
        case 8: BEGINS(index, setowire_swarm_lookup(swarm, topic, 32, NULL, 0, flags & 1, 4, &op)); break;
        case 9: CHECK(expected(setowire_swarm_unannounce(swarm, topic, 32, NULL, 0))); break;
        case 10: BEGINS(index, setowire_swarm_connect(swarm, addresses[(index + 1) % SWARMS], 500, 5, &op)); break;
        case 11:
            if (key != keys[index]) BEGINS(index, setowire_swarm_connect_peer(swarm, key, 32, SETOWIRE_NO_TIMEOUT, 6, &op));
            break;
        case 12: CHECK(expected(setowire_op_cancel(swarm, op))); break;
        case 13: CHECK(expected(setowire_swarm_join_peer(swarm, key, 32, NULL))); break;
        case 14: CHECK(expected(setowire_swarm_leave_peer(swarm, key, 32))); break;
        case 15: CHECK(expected(setowire_swarm_ban(swarm, key, 32, 1 + i % 20, flags & 1))); break;
        case 16: CHECK(expected(setowire_swarm_unban(swarm, key, 32))); break;
        case 17:
            CHECK(expected(setowire_swarm_set_reconnect(swarm, key, 32, flags & 1)));
            CHECK(expected(setowire_swarm_backoff(swarm, key, 32)));
            break;
        case 18: CHECK(expected(setowire_peer_deduplicate(swarm, 1 + i % 8, topic, 1 + flags, keys[0], 32))); break;
        case 19: CHECK(expected(setowire_swarm_known_peers(swarm, text, sizeof text, &count))); break;
        case 20: CHECK(expected(setowire_swarm_known_peer(swarm, key, 32, text, i % 256, &count))); break;
        case 21: CHECK(expected(setowire_topic_sessions(swarm, topic, 32, ids, 4, &count))); break;
        case 22:
            CHECK(expected(setowire_swarm_suspend(swarm)));
            CHECK(expected(setowire_swarm_listen(swarm)));
            BEGINS(index, setowire_topic_refresh(swarm, session, 0, 0, 7, &op));
            if (flags != 0) CHECK(expected(setowire_swarm_resume(swarm)));
            break;
        default: {
            setowire_swarm_state_details state = {.struct_size = sizeof state};
            CHECK(expected(setowire_swarm_state(swarm, &state)));
            CHECK(expected(setowire_swarm_answer(swarm, 1 + next_random(&random) % 100, true)));
            CHECK(expected(setowire_swarm_resume(swarm)));
            break;
        }
        }
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    for (size_t i = 0; i < SWARMS; i++) {
        setowire_config *config = quiet_config();
        setowire_swarm_details details = {.struct_size = sizeof details};
        OK(setowire_config_set(config, "preset", i == 2 ? "v2" : "setowire"));
        OK(setowire_config_set(config, "source", "on"));
        OK(setowire_config_set(config, "firewall", "on"));
        OK(setowire_config_set(config, "validate", i == 1 ? "on" : "off"));
        OK(setowire_swarm_new(config, &swarms[i]));
        setowire_config_free(config);
        OK(setowire_swarm_info(swarms[i], &details));
        memcpy(keys[i], details.key, 32);
        address_of(swarms[i], addresses[i], sizeof addresses[i]);
    }
    for (size_t i = 0; i < SWARMS; i++) {
        OK(setowire_swarm_set_callback(swarms[i], SETOWIRE_EVENTS_ALL, on_event, (void *)(uintptr_t)i, NULL));
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, decide_everything, (void *)(uintptr_t)(i + 1));
    }
    time_t end = time(NULL) + DEADLINE_S;
    while (atomic_load(&done[0]) < 50 || atomic_load(&done[1]) < 50) {
        CHECK(time(NULL) < end);
        sched_yield();
    }
    OK(setowire_swarm_close(swarms[0]));
    setowire_swarm_free(swarms[1]);
    for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    OK(setowire_swarm_close_now(swarms[2]));
    for (size_t i = 0; i < SWARMS; i++) {
        setowire_swarm_free(swarms[i]);
        CHECK(atomic_load(&closed[i]) == 1);
        CHECK(atomic_load(&done[i]) == atomic_load(&begun[i]));
    }
    return 0;
}
