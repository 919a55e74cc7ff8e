/* What the C measuring programs share: swarms on loopback, reading events, time windows, percentiles, one line of JSON. */
#ifndef BENCH_H
#define BENCH_H

#include <pthread.h>
#include <setowire.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with the text of the last error if a call fails. */
#define OK(call) bench_check((call), #call)
int32_t bench_check(int32_t result, const char *what);

/* Seconds of a clock that never steps back, and of processor time of the whole process. */
double bench_now(void);
double bench_processor(void);
double bench_resident_kib(void);
void bench_sleep(double seconds);

/* A swarm on `address` (such as "127.0.0.1:0") that joined the topic of all benches. */
setowire_swarm *bench_swarm(const char *cipher, const char *address, unsigned max_peers);
/* "host:port" of a swarm on `host`. */
void bench_address(setowire_swarm *swarm, const char *host, char *text, size_t cap);

/* One record of setowire_event_drain(). */
struct record {
    uint16_t kind;
    uint16_t flags;
    uint64_t subject;
    uint64_t tag;
    int32_t code;
    uint32_t len;
    const uint8_t *data;
};

/* Reads the queue of one swarm, many records at a time. */
struct reader {
    setowire_swarm *swarm;
    uint8_t *buffer;
    size_t cap, len, at;
};

struct reader *reader_new(setowire_swarm *swarm);
/* The next record; false: none is waiting. */
bool reader_next(struct reader *reader, struct record *record);
/* The next record, waited for. */
struct record reader_wait(struct reader *reader);
/* Waits for a record of this kind and throws others away. */
struct record reader_until(struct reader *reader, uint16_t kind);

/* A thread that reads everything and counts the records of one kind. */
struct counted {
    struct reader *reader;
    uint16_t kind;
    atomic_ullong *count;
};
void *bench_count(void *counted);

/* Two swarms, connected with each other. */
struct pair {
    struct reader *dialler, *acceptor;
    uint64_t to_acceptor, to_dialler; /* the peers' ids */
};
struct pair bench_pair(const char *cipher);

/* A thread that lives until the program ends. */
void bench_spawn(void *(*run)(void *), void *argument);

/* Lets traffic warm up and watches what a counter does in a while. */
struct window {
    double count, seconds, processor;
};
struct window bench_watch(atomic_ullong *counter, double seconds);

/* Ends the program at once, with swarms that run, as the other programs do. */
_Noreturn void bench_end(void);

/* Watches a counter, prints the result and ends the program. */
_Noreturn void bench_report_bulk(atomic_ullong *bytes, double seconds);
_Noreturn void bench_report_each(atomic_ullong *count, double seconds);

/* The share of sorted `values` below which `share` of them lie. */
double bench_percentile(double *values, size_t count, double share);

/* The measures; each prints one JSON object and ends the program. */
void measure_bulk(const char *cipher, double seconds, unsigned streams);
void measure_datagrams(const char *cipher, double seconds, unsigned size);
void measure_messages(const char *cipher, double seconds);
void measure_echo(const char *cipher, double seconds);
void measure_connects(const char *cipher, double seconds, unsigned in_flight);
void measure_memory(const char *cipher);

#endif
