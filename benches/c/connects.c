/* Connections one after the other, or many at once, each closed when it is ready.
 *
 * Two swarms have one connection with each other, so several swarms dial the same one, each on an address of its own
 * on loopback (limits for strangers count per address). One application thread serves all that dial, another one the
 * acceptor. Time counts from the call to its completion: handshake, topic proof and answer. */
#include "bench.h"
#include <sys/epoll.h>

#define DIALLERS_MAX 96
#define TIMES_MAX 1000000

enum state { IDLE, CONNECTING, CLOSING };

struct dialler {
    struct reader *reader;
    enum state state;
    uint64_t peer;
    double begun;
};

struct dialling {
    struct dialler diallers[DIALLERS_MAX];
    unsigned count, next, in_flight, wanted;
    char address[64];
    double *times;
    atomic_ullong done;
};

static atomic_ullong accepted;

static void *accept_all(void *argument) {
    struct reader *reader = argument;
    for (;;) {
        reader_until(reader, SETOWIRE_EVENT_CONNECTION);
        atomic_fetch_add(&accepted, 1);
    }
    return NULL;
}

/* Starts connects until as many are in flight as are wanted, with the swarms that rested longest. */
static void fill(struct dialling *all) {
    for (unsigned tried = 0; tried < all->count && all->in_flight < all->wanted; tried++) {
        struct dialler *dialler = &all->diallers[all->next++ % all->count];
        if (dialler->state != IDLE) continue;
        uint64_t op = 0;
        dialler->state = CONNECTING;
        dialler->begun = bench_now();
        all->in_flight++;
        OK(setowire_swarm_connect(dialler->reader->swarm, all->address, 0, 0, &op));
    }
}

static void handle(struct dialling *all, struct dialler *dialler, struct record record) {
    if (record.kind == SETOWIRE_EVENT_CONNECTION) {
        dialler->peer = record.subject;
    } else if (record.kind == SETOWIRE_EVENT_OP_DONE) {
        if (record.code < 0) {
            fprintf(stderr, "connect: %s: %.*s\n", setowire_error_name(record.code), (int)record.len,
                    (const char *)record.data);
            exit(1);
        }
        unsigned long long done = atomic_load(&all->done);
        if (done < TIMES_MAX) all->times[done] = (bench_now() - dialler->begun) * 1e6;
        atomic_store(&all->done, done + 1);
        dialler->state = CLOSING;
        all->in_flight--;
        OK(setowire_peer_close(dialler->reader->swarm, dialler->peer));
    } else if (record.kind == SETOWIRE_EVENT_DISCONNECTION) {
        dialler->state = IDLE;
    }
}

static void *dial_all(void *argument) {
    struct dialling *all = argument;
    int ready = epoll_create1(0);
    for (unsigned i = 0; i < all->count; i++) {
        intptr_t fd = -1;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all->diallers[i]};
        OK(setowire_event_fd(all->diallers[i].reader->swarm, &fd));
        epoll_ctl(ready, EPOLL_CTL_ADD, (int)fd, &event);
    }
    for (;;) {
        struct epoll_event events[DIALLERS_MAX];
        fill(all);
        int count = epoll_wait(ready, events, DIALLERS_MAX, -1);
        for (int i = 0; i < count; i++) {
            struct dialler *dialler = events[i].data.ptr;
            struct record record;
            while (reader_next(dialler->reader, &record)) handle(all, dialler, record);
        }
    }
    return NULL;
}

void measure_connects(const char *cipher, double seconds, unsigned in_flight) {
    struct reader *acceptor = reader_new(bench_swarm(cipher, "127.0.0.1:0", 10000));
    struct dialling *all = calloc(1, sizeof *all);
    /* While some are in flight others are being closed. */
    all->count = in_flight * 2 + 8;
    all->wanted = in_flight;
    all->times = calloc(TIMES_MAX, sizeof *all->times);
    bench_address(acceptor->swarm, "127.0.0.1", all->address, sizeof all->address);
    for (unsigned i = 0; i < all->count; i++) {
        char address[32];
        snprintf(address, sizeof address, "127.0.1.%u:0", i + 1);
        all->diallers[i].reader = reader_new(bench_swarm(cipher, address, 100));
    }
    bench_spawn(accept_all, acceptor);
    bench_spawn(dial_all, all);
    
    struct window window = bench_watch(&accepted, seconds);
    size_t done = atomic_load(&all->done);
    double *times = calloc(done + 1, sizeof *times);
    memcpy(times, all->times, done * sizeof *times);
    printf("{\"per_s\": %.3f, \"cpu_us\": %.3f, \"p50_us\": %.3f, \"p99_us\": %.3f}\n", window.count / window.seconds,
           window.processor / window.count * 1e6, bench_percentile(times, done, 0.5),
           bench_percentile(times, done, 0.99));
    bench_end();
}
