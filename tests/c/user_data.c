/* User data is destroyed exactly once, after the last call that uses it: it is freed and overwritten there, so that
 * a later use shows (under AddressSanitizer and Valgrind, always). Callbacks are replaced, removed and replaced by
 * themselves while messages flow. */
#include "check.h"
#include <stdatomic.h>

#define ALIVE 0x600DF00Du

struct data {
    unsigned alive;
    atomic_uint *calls;
    atomic_int *living;
};

static atomic_int living;
static atomic_uint calls;

static struct data *data_new(void) {
    struct data *data = malloc(sizeof *data);
    CHECK(data != NULL);
    *data = (struct data){ALIVE, &calls, &living};
    atomic_fetch_add(&living, 1);
    return data;
}

static void data_destroy(void *user_data) {
    struct data *data = user_data;
    CHECK(data->alive == ALIVE);
    atomic_fetch_sub(data->living, 1);
    memset(data, 0xDD, sizeof *data);
    free(data);
}

static void count_call(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    struct data *data = user_data;
    (void)swarm, (void)event;
    CHECK(data->alive == ALIVE);
    atomic_fetch_add(data->calls, 1);
    CHECK(data->alive == ALIVE);
}

/* Replaces itself; its own data stays alive until it returns. */
static void replace_itself(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    struct data *data = user_data;
    int32_t got = setowire_swarm_set_callback(swarm, SETOWIRE_EVENTS_ALL, replace_itself, data_new(), data_destroy);
    CHECK(got == 0 || got == SETOWIRE_ERR_CLOSED);
    got = setowire_swarm_set_callback(swarm, SETOWIRE_EVENTS_ALL, replace_itself, data_new(), data_destroy);
    CHECK(got == 0 || got == SETOWIRE_ERR_CLOSED);
    count_call(swarm, event, data);
}

static void *send_always(void *argument) {
    struct pair *pair = argument;
    int32_t got;
    do {
        got = setowire_peer_send(pair->a, pair->of_a->peer, (const uint8_t *)"flow", 4, 0);
    } while (got == 0 || got == SETOWIRE_ERR_WOULD_BLOCK);
    CHECK(got == SETOWIRE_ERR_CLOSED || got == SETOWIRE_ERR_NOT_FOUND);
    return NULL;
}

static void flow(setowire_event_cb cb, int replacements) {
    struct pair pair = pair_new();
    pthread_t sender;
    pthread_create(&sender, NULL, send_always, &pair);
    /* The first replacement destroys the counting callback of the pair. */
    OK(setowire_swarm_set_callback(pair.b, SETOWIRE_EVENTS_ALL, cb, data_new(), data_destroy));
    CHECK(pair.of_b->destroyed == 1);
    unsigned before = atomic_load(&calls);
    time_t end = time(NULL) + DEADLINE_S;
    for (int i = 0; i < replacements; i++) {
        OK(setowire_swarm_set_callback(pair.b, SETOWIRE_EVENTS_ALL, cb, data_new(), data_destroy));
        if (cb == count_call) CHECK(atomic_load(&living) == 1);
        if (i % 7 == 0) OK(setowire_swarm_set_callback(pair.b, 0, NULL, data_new(), data_destroy));
        if (i % 7 == 0 && cb == count_call) CHECK(atomic_load(&living) == 0);
    }
    OK(setowire_swarm_set_callback(pair.b, SETOWIRE_EVENTS_ALL, cb, data_new(), data_destroy));
    while (atomic_load(&calls) < before + 20) {
        CHECK(time(NULL) < end);
        sched_yield();
    }
    setowire_swarm_free(pair.b);
    CHECK(atomic_load(&living) == 0);
    before = atomic_load(&calls);
    setowire_swarm_free(pair.a);
    pthread_join(sender, NULL);
    CHECK(atomic_load(&calls) == before);
    CHECK(pair.of_a->destroyed == 1);
    watch_free(pair.of_a);
    watch_free(pair.of_b);
}

int main(void) {
    flow(count_call, 300);
    flow(replace_itself, 20);
    return 0;
}
