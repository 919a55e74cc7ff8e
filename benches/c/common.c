#include "bench.h"
#include <sys/resource.h>
#include <time.h>

/* Traffic before the window begins, seconds; as in ../src/lib.rs. */
#define WARM_UP 0.3
#define DRAIN_BYTES (1 << 20)

int32_t bench_check(int32_t result, const char *what) {
    if (result < 0) {
        char why[512] = "";
        setowire_last_error_message(why, sizeof why);
        fprintf(stderr, "%s: %s: %s\n", what, setowire_error_name(result), why);
        exit(1);
    }
    return result;
}

double bench_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double seconds_of(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

double bench_processor(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

double bench_resident_kib(void) {
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    double kib = 0;
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (sscanf(line, "VmRSS: %lf", &kib) == 1) break;
    }
    if (status != NULL) fclose(status);
    return kib;
}

void bench_sleep(double seconds) {
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

setowire_swarm *bench_swarm(const char *cipher, const char *address, unsigned max_peers) {
    static const uint8_t topic[32] = "the topic of the benches";
    setowire_config *config = setowire_config_new();
    setowire_swarm *swarm = NULL;
    uint64_t topic_id = 0;
    OK(setowire_config_set_bind_addr(config, address));
    OK(setowire_config_set_lan(config, false));
    OK(setowire_config_set_max_peers(config, max_peers));
    OK(setowire_config_set(config, "cipher", cipher));
    OK(setowire_swarm_new(config, &swarm));
    setowire_config_free(config);
    OK(setowire_swarm_join(swarm, topic, sizeof topic, &topic_id));
    return swarm;
}

void bench_address(setowire_swarm *swarm, const char *host, char *text, size_t cap) {
    setowire_swarm_details details = {.struct_size = sizeof details};
    OK(setowire_swarm_info(swarm, &details));
    snprintf(text, cap, "%s:%u", host, details.port_v4);
}

struct reader *reader_new(setowire_swarm *swarm) {
    struct reader *reader = calloc(1, sizeof *reader);
    reader->swarm = swarm;
    reader->cap = DRAIN_BYTES;
    reader->buffer = malloc(reader->cap);
    return reader;
}

bool reader_next(struct reader *reader, struct record *record) {
    if (reader->at == reader->len) {
        reader->at = 0;
        if (OK(setowire_event_drain(reader->swarm, reader->buffer, reader->cap, &reader->len)) == 0) return false;
    }
    const uint8_t *bytes = reader->buffer + reader->at;
    uint32_t length;
    memcpy(&length, bytes, 4);
    memcpy(&record->kind, bytes + 4, 2);
    memcpy(&record->flags, bytes + 6, 2);
    memcpy(&record->subject, bytes + 16, 8);
    memcpy(&record->tag, bytes + 24, 8);
    memcpy(&record->code, bytes + 32, 4);
    memcpy(&record->len, bytes + 36, 4);
    record->data = bytes + 40;
    reader->at += length;
    return true;
}

struct record reader_wait(struct reader *reader) {
    struct record record;
    while (!reader_next(reader, &record)) OK(setowire_event_wait(reader->swarm, SETOWIRE_NO_TIMEOUT));
    return record;
}

struct record reader_until(struct reader *reader, uint16_t kind) {
    for (;;) {
        struct record record = reader_wait(reader);
        if (record.kind == kind) return record;
    }
}

void *bench_count(void *argument) {
    struct counted *counted = argument;
    struct reader *reader = counted->reader;
    for (;;) {
        /* Counted per batch of records, as they are read. */
        struct record record = reader_wait(reader);
        unsigned long long count = 0;
        do {
            count += record.kind == counted->kind;
        } while (reader->at < reader->len && reader_next(reader, &record));
        atomic_fetch_add(counted->count, count);
    }
    return NULL;
}

struct pair bench_pair(const char *cipher) {
    struct pair pair = {
        .dialler = reader_new(bench_swarm(cipher, "127.0.0.1:0", 100)),
        .acceptor = reader_new(bench_swarm(cipher, "127.0.0.1:0", 100)),
    };
    char address[64];
    uint64_t op = 0;
    bench_address(pair.acceptor->swarm, "127.0.0.1", address, sizeof address);
    OK(setowire_swarm_connect(pair.dialler->swarm, address, 0, 0, &op));
    pair.to_acceptor = reader_until(pair.dialler, SETOWIRE_EVENT_CONNECTION).subject;
    OK(reader_until(pair.dialler, SETOWIRE_EVENT_OP_DONE).code);
    pair.to_dialler = reader_until(pair.acceptor, SETOWIRE_EVENT_CONNECTION).subject;
    return pair;
}

void bench_spawn(void *(*run)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, argument) != 0) {
        fputs("a thread could not be made\n", stderr);
        exit(1);
    }
    pthread_detach(thread);
}

struct window bench_watch(atomic_ullong *counter, double seconds) {
    bench_sleep(WARM_UP);
    double count = (double)atomic_load(counter), begin = bench_now(), processor = bench_processor();
    bench_sleep(seconds);
    struct window window = {(double)atomic_load(counter) - count, bench_now() - begin, bench_processor() - processor};
    if (window.count == 0) {
        fputs("nothing arrived in the window\n", stderr);
        exit(1);
    }
    return window;
}

void bench_end(void) {
    fflush(stdout);
    _Exit(0);
}

void bench_report_bulk(atomic_ullong *bytes, double seconds) {
    struct window window = bench_watch(bytes, seconds);
    printf("{\"mb_per_s\": %.3f, \"cpu_s_per_gb\": %.3f}\n", window.count / window.seconds / 1e6,
           window.processor / window.count * 1e9);
    bench_end();
}

void bench_report_each(atomic_ullong *count, double seconds) {
    struct window window = bench_watch(count, seconds);
    printf("{\"per_s\": %.3f, \"cpu_us\": %.3f}\n", window.count / window.seconds,
           window.processor / window.count * 1e6);
    bench_end();
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_percentile(double *values, size_t count, double share) {
    qsort(values, count, sizeof *values, compare);
    return values[(size_t)((double)count * share)];
}
