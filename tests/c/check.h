/* What the C tests share: checks that say where they failed, swarms that keep to loopback, and a callback
 * that counts. Waiting is for an event with a deadline, never for a time. */
#ifndef CHECK_H
#define CHECK_H

#include <pthread.h>
#include <setowire.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Long enough for Valgrind on a busy machine; only a test that fails waits for it. */
#define DEADLINE_S 120

#define CHECK(condition)                                                                          \
    do {                                                                                          \
        if (!(condition)) check_failed(__FILE__, __LINE__, #condition);                           \
    } while (0)

/* A call that must succeed. */
#define OK(call) CHECK((call) >= 0)

/* A call that must fail with this code. */
#define FAILS(code, call)                                                                         \
    do {                                                                                          \
        int32_t got_ = (call);                                                                    \
        if (got_ != (code)) {                                                                     \
            fprintf(stderr, "%s: got %s\n", #call, setowire_error_name(got_));                    \
            check_failed(__FILE__, __LINE__, #code);                                              \
        }                                                                                         \
    } while (0)

static inline void check_failed(const char *file, int line, const char *what) {
    char why[512] = "";
    setowire_last_error_message(why, sizeof why);
    fprintf(stderr, "%s:%d: failed: %s\n(last error on this thread: %s)\n", file, line, what, why);
    abort();
}

/* A config that stays on 127.0.0.1 and listens to no beacon. */
static inline setowire_config *quiet_config(void) {
    setowire_config *config = setowire_config_new();
    CHECK(config != NULL);
    OK(setowire_config_set_bind_addr(config, "127.0.0.1:0"));
    OK(setowire_config_set_lan(config, false));
    return config;
}

static inline setowire_swarm *quiet_swarm(void) {
    setowire_config *config = quiet_config();
    setowire_swarm *swarm = NULL;
    OK(setowire_swarm_new(config, &swarm));
    setowire_config_free(config);
    CHECK(swarm != NULL);
    return swarm;
}

/* "127.0.0.1:port" of a swarm. */
static inline void address_of(setowire_swarm *swarm, char *text, size_t cap) {
    setowire_swarm_details details = {.struct_size = sizeof details};
    OK(setowire_swarm_info(swarm, &details));
    CHECK(details.port_v4 != 0);
    snprintf(text, cap, "127.0.0.1:%u", details.port_v4);
}

/* The user data of `watch_event`: what came, and how often. */
struct watch {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count[64];    /* events by kind */
    unsigned destroyed;    /* calls of `watch_destroy` */
    uint64_t peer;         /* of the last CONNECTION */
    uint64_t seq;          /* of the last event */
    int32_t code;          /* of the last OP_DONE */
    int32_t closed_code;   /* of CLOSED */
    unsigned done[65536];  /* OP_DONEs by tag */
};

static inline struct watch *watch_new(void) {
    struct watch *watch = calloc(1, sizeof *watch);
    CHECK(watch != NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&watch->lock, NULL);
    pthread_cond_init(&watch->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return watch;
}

static inline void watch_free(struct watch *watch) {
    pthread_cond_destroy(&watch->changed);
    pthread_mutex_destroy(&watch->lock);
    memset(watch, 0xA5, sizeof *watch);
    free(watch);
}

static inline void watch_event(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    struct watch *watch = user_data;
    uint16_t kind = setowire_event_kind(event);
    (void)swarm;
    pthread_mutex_lock(&watch->lock);
    CHECK(kind > 0 && kind < 64);
    CHECK(watch->destroyed == 0);
    CHECK(watch->count[SETOWIRE_EVENT_CLOSED] == 0);
    CHECK(setowire_event_seq(event) > watch->seq);
    watch->seq = setowire_event_seq(event);
    watch->count[kind]++;
    if (kind == SETOWIRE_EVENT_CONNECTION) watch->peer = setowire_event_peer(event);
    if (kind == SETOWIRE_EVENT_CLOSED) watch->closed_code = setowire_event_code(event);
    if (kind == SETOWIRE_EVENT_OP_DONE) {
        CHECK(setowire_event_tag(event) < 65536);
        watch->done[setowire_event_tag(event)]++;
        watch->code = setowire_event_code(event);
    }
    pthread_cond_broadcast(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
}

static inline void watch_destroy(void *user_data) {
    struct watch *watch = user_data;
    pthread_mutex_lock(&watch->lock);
    watch->destroyed++;
    CHECK(watch->destroyed == 1);
    pthread_cond_broadcast(&watch->changed);
    pthread_mutex_unlock(&watch->lock);
}

/* Waits until the callback changed something; with the lock held. */
static inline void watch_wait(struct watch *watch, const char *what) {
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += DEADLINE_S;
    if (pthread_cond_timedwait(&watch->changed, &watch->lock, &end) != 0) {
        fprintf(stderr, "waited for %s\n", what);
        abort();
    }
}

/* Waits until a number that the callback changes has reached a value. */
static inline void watch_until(struct watch *watch, const unsigned *number, unsigned value, const char *what) {
    pthread_mutex_lock(&watch->lock);
    while (*number < value) watch_wait(watch, what);
    pthread_mutex_unlock(&watch->lock);
}

#define AWAIT(watch, kind, value) watch_until(watch, &(watch)->count[SETOWIRE_EVENT_##kind], value, #kind)
#define AWAIT_DESTROYED(watch) watch_until(watch, &(watch)->destroyed, 1, "destroy")

static inline unsigned watch_count(struct watch *watch, uint16_t kind) {
    pthread_mutex_lock(&watch->lock);
    unsigned count = watch->count[kind];
    pthread_mutex_unlock(&watch->lock);
    return count;
}

/* Two swarms with counting callbacks, connected with each other. */
struct pair {
    setowire_swarm *a, *b;
    struct watch *of_a, *of_b;
};

static inline struct pair pair_new(void) {
    struct pair pair = {quiet_swarm(), quiet_swarm(), watch_new(), watch_new()};
    char address[64];
    uint64_t op = 0;
    OK(setowire_swarm_set_callback(pair.a, SETOWIRE_EVENTS_ALL, watch_event, pair.of_a, watch_destroy));
    OK(setowire_swarm_set_callback(pair.b, SETOWIRE_EVENTS_ALL, watch_event, pair.of_b, watch_destroy));
    address_of(pair.b, address, sizeof address);
    OK(setowire_swarm_connect(pair.a, address, 0, 0, &op));
    CHECK(op != 0);
    AWAIT(pair.of_a, CONNECTION, 1);
    AWAIT(pair.of_b, CONNECTION, 1);
    AWAIT(pair.of_a, OP_DONE, 1);
    return pair;
}

/* Frees both and checks that each ended as it should. */
static inline void pair_free(struct pair *pair) {
    struct watch *watches[2] = {pair->of_a, pair->of_b};
    setowire_swarm_free(pair->a);
    setowire_swarm_free(pair->b);
    for (int i = 0; i < 2; i++) {
        CHECK(watches[i]->destroyed == 1);
        CHECK(watches[i]->count[SETOWIRE_EVENT_CLOSED] == 1);
        CHECK(watches[i]->count[SETOWIRE_EVENT_CONNECTION] == watches[i]->count[SETOWIRE_EVENT_DISCONNECTION]);
        watch_free(watches[i]);
    }
}

/* Small numbers that are the same in every run. */
static inline unsigned next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*state >> 33);
}

#endif
