/* Beginnings and ends in every order: free without anything, close twice, free twice, free in a callback, in a
 * destroy, while other threads call, close during a connect, config and events that outlive each other; and that
 * threads and descriptors return to where they began. */
#include "check.h"
#include <dirent.h>
#include <stdatomic.h>

static unsigned entries(const char *path) {
    unsigned count = 0;
    DIR *dir = opendir(path);
    CHECK(dir != NULL);
    while (readdir(dir) != NULL) count++;
    closedir(dir);
    return count;
}

static void free_at_once(void) {
    setowire_swarm_free(quiet_swarm());
}

static void free_twice(void) {
    setowire_swarm *swarm = quiet_swarm();
    setowire_swarm_free(swarm);
    setowire_swarm_free(swarm);
    FAILS(SETOWIRE_ERR_CLOSED, setowire_swarm_close(swarm));
}

static void close_twice_then_wait(void) {
    setowire_swarm *swarm = quiet_swarm();
    struct watch *watch = watch_new();
    uint64_t id = 0;
    uint8_t topic[32] = {1};
    OK(setowire_swarm_set_callback(swarm, SETOWIRE_EVENTS_ALL, watch_event, watch, watch_destroy));
    OK(setowire_swarm_close(swarm));
    OK(setowire_swarm_close(swarm));
    AWAIT(watch, CLOSED, 1);
    OK(setowire_swarm_close(swarm));
    CHECK(watch->closed_code == 0);
    FAILS(SETOWIRE_ERR_CLOSED, setowire_swarm_join(swarm, topic, 32, &id));
    FAILS(SETOWIRE_ERR_CLOSED, setowire_swarm_connect(swarm, "127.0.0.1:9", 0, 0, &id));
    setowire_swarm_free(swarm);
    CHECK(watch->destroyed == 1 && watch->count[SETOWIRE_EVENT_CLOSED] == 1);
    watch_free(watch);
}

static void free_without_close_tells_everything(void) {
    struct pair pair = pair_new();
    pair_free(&pair);
}

static void callback_that_hears_only_of_the_end(void) {
    setowire_swarm *swarm = quiet_swarm();
    struct watch *watch = watch_new();
    OK(setowire_swarm_set_callback(swarm, 0, watch_event, watch, watch_destroy));
    setowire_swarm_free(swarm);
    CHECK(watch->count[SETOWIRE_EVENT_CLOSED] == 1 && watch->destroyed == 1);
    watch_free(watch);
}

static void close_in_callback(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    OK(setowire_swarm_close(swarm));
    OK(setowire_swarm_close(swarm));
    FAILS(SETOWIRE_ERR_WOULD_DEADLOCK, setowire_event_wait(swarm, 0));
    FAILS(SETOWIRE_ERR_WOULD_DEADLOCK, setowire_event_wait(swarm, SETOWIRE_NO_TIMEOUT));
    setowire_event_free((setowire_event *)(uintptr_t)event); /* lent, not given: ignored */
    watch_event(swarm, event, user_data);
}

static void free_in_callback(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    setowire_swarm_free(swarm);
    setowire_swarm_free(swarm);
    FAILS(SETOWIRE_ERR_CLOSED, setowire_swarm_close(swarm));
    watch_event(swarm, event, user_data);
}

/* Has a callback called with the first event there is, the completion of a connect that fails. */
static void with_first_event(setowire_event_cb cb, bool freed_there) {
    setowire_swarm *swarm = quiet_swarm();
    struct watch *watch = watch_new();
    uint64_t op = 0;
    OK(setowire_swarm_set_callback(swarm, SETOWIRE_EVENTS_ALL, cb, watch, watch_destroy));
    OK(setowire_swarm_connect(swarm, "127.0.0.1:9", 1, 5, &op));
    if (freed_there) {
        AWAIT_DESTROYED(watch);
        unsigned total = 0;
        for (int kind = 0; kind < 64; kind++) total += watch_count(watch, (uint16_t)kind);
        CHECK(total == 1);
        FAILS(SETOWIRE_ERR_CLOSED, setowire_swarm_close(swarm));
    } else {
        AWAIT(watch, CLOSED, 1);
        CHECK(watch->done[5] == 1);
    }
    setowire_swarm_free(swarm);
    AWAIT_DESTROYED(watch);
    watch_free(watch);
}

/* The swarm is freed by the destructor of the callback's user data, on the thread that removes it. */
struct owner {
    setowire_swarm *swarm;
    int destroyed;
};

static void ignore_event(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    (void)swarm, (void)event, (void)user_data;
}

static void free_in_destroy(void *user_data) {
    struct owner *owner = user_data;
    owner->destroyed++;
    setowire_swarm_free(owner->swarm);
}

static void freed_by_destroy(void) {
    struct owner owner = {quiet_swarm(), 0};
    OK(setowire_swarm_set_callback(owner.swarm, SETOWIRE_EVENTS_ALL, ignore_event, &owner, free_in_destroy));
    OK(setowire_swarm_set_callback(owner.swarm, 0, NULL, NULL, NULL));
    CHECK(owner.destroyed == 1);
    FAILS(SETOWIRE_ERR_CLOSED, setowire_swarm_close(owner.swarm));
}

/* Threads that go on calling until the swarm is freed under them. */
struct caller {
    setowire_swarm *swarm;
    uint64_t peer;
    atomic_int calls;
};

static void *call_until_closed(void *argument) {
    struct caller *caller = argument;
    for (;;) {
        int32_t sent = setowire_peer_send(caller->swarm, caller->peer, (const uint8_t *)"x", 1, 0);
        size_t count = 0;
        int32_t peers = setowire_swarm_peers(caller->swarm, NULL, 0, &count);
        atomic_fetch_add(&caller->calls, 1);
        if (sent == SETOWIRE_ERR_CLOSED && peers == SETOWIRE_ERR_CLOSED) return NULL;
        CHECK(sent == 0 || sent == SETOWIRE_ERR_WOULD_BLOCK || sent == SETOWIRE_ERR_NOT_FOUND ||
              sent == SETOWIRE_ERR_CLOSED);
        CHECK(peers == 0 || peers == SETOWIRE_ERR_CLOSED);
    }
}

static void free_while_others_call(void) {
    struct pair pair = pair_new();
    struct caller caller = {pair.a, pair.of_a->peer, 0};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, call_until_closed, &caller);
    while (atomic_load(&caller.calls) < 100) sched_yield();
    pair_free(&pair);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
}

static void *wait_for_events(void *swarm) {
    int32_t got;
    do {
        got = setowire_event_wait(swarm, SETOWIRE_NO_TIMEOUT);
    } while (got >= 0); /* 1: an event that the other thread is about to take */
    FAILS(SETOWIRE_ERR_CLOSED, got);
    return NULL;
}

static void free_while_another_waits(void) {
    setowire_swarm *swarm = quiet_swarm();
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_events, swarm);
    setowire_event_wake(swarm);
    setowire_event *event = NULL;
    OK(setowire_swarm_close(swarm));
    while (event == NULL || setowire_event_kind(event) != SETOWIRE_EVENT_CLOSED) {
        setowire_event_free(event);
        OK(setowire_event_next(swarm, &event));
    }
    setowire_swarm_free(swarm);
    pthread_join(thread, NULL);
    CHECK(setowire_event_kind(event) == SETOWIRE_EVENT_CLOSED); /* outlives the swarm */
    CHECK(setowire_event_code(event) == 0);
    setowire_event_free(event);
}

static void close_during_connect(void) {
    setowire_swarm *swarm = quiet_swarm();
    struct watch *watch = watch_new();
    uint64_t op = 0;
    OK(setowire_swarm_set_callback(swarm, SETOWIRE_EVENTS_ALL, watch_event, watch, watch_destroy));
    OK(setowire_swarm_connect(swarm, "127.0.0.1:9", SETOWIRE_NO_TIMEOUT, 1, &op));
    OK(setowire_swarm_connect(swarm, "localhost:9", SETOWIRE_NO_TIMEOUT, 2, &op));
    OK(setowire_swarm_close(swarm));
    AWAIT(watch, CLOSED, 1);
    CHECK(watch->done[1] == 1 && watch->done[2] == 1);
    setowire_swarm_free(swarm);
    watch_free(watch);
}

static void a_port_in_use(void) {
    setowire_swarm *first = quiet_swarm(), *second = first;
    char address[64];
    address_of(first, address, sizeof address);
    setowire_config *config = setowire_config_new();
    OK(setowire_config_set_bind_addr(config, address));
    int32_t code = setowire_swarm_new(config, &second);
    CHECK(code == SETOWIRE_ERR_PERMISSION || code == SETOWIRE_ERR_INTERNAL);
    CHECK(second == NULL);
    setowire_config_free(config);
    setowire_swarm_free(first);
}

int main(void) {
    free_at_once();
    unsigned threads = entries("/proc/self/task"), descriptors = entries("/proc/self/fd");
    for (int round = 0; round < 5; round++) {
        free_twice();
        close_twice_then_wait();
        free_without_close_tells_everything();
        callback_that_hears_only_of_the_end();
        with_first_event(close_in_callback, false);
        with_first_event(free_in_callback, true);
        freed_by_destroy();
        free_while_others_call();
        free_while_another_waits();
        close_during_connect();
        a_port_in_use();
    }
    /* The thread of a swarm that was freed in its callback ends by itself, and soon; so do look-ups of names. */
    time_t end = time(NULL) + DEADLINE_S;
    while (entries("/proc/self/task") > threads || entries("/proc/self/fd") > descriptors) {
        CHECK(time(NULL) < end);
        sched_yield();
    }
    return 0;
}
