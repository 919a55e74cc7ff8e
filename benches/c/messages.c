/* Messages of 100 bytes as fast as they go, and 32 bytes there and back. */
#include "bench.h"

#define MESSAGE 100
#define ECHO 32
#define ECHOES_MAX 1000000

static atomic_ullong received;

static void send_message(struct reader *reader, uint64_t peer, const uint8_t *data, size_t len) {
    int32_t sent;
    while ((sent = setowire_peer_send(reader->swarm, peer, data, len, 0)) == SETOWIRE_ERR_WOULD_BLOCK) {
        reader_until(reader, SETOWIRE_EVENT_WRITABLE);
    }
    OK(sent);
}

static void *send_messages(void *argument) {
    struct pair *pair = argument;
    uint8_t message[MESSAGE];
    memset(message, 7, sizeof message);
    for (;;) send_message(pair->dialler, pair->to_acceptor, message, sizeof message);
    return NULL;
}

void measure_messages(const char *cipher, double seconds) {
    struct pair pair = bench_pair(cipher);
    struct counted counted = {.reader = pair.acceptor, .kind = SETOWIRE_EVENT_MESSAGE, .count = &received};
    bench_spawn(bench_count, &counted);
    bench_spawn(send_messages, &pair);
    bench_report_each(&received, seconds);
}

static void *answer(void *argument) {
    struct pair *pair = argument;
    for (;;) {
        struct record question = reader_until(pair->acceptor, SETOWIRE_EVENT_MESSAGE);
        OK(setowire_peer_send(pair->acceptor->swarm, pair->to_dialler, question.data, question.len, 0));
    }
    return NULL;
}

void measure_echo(const char *cipher, double seconds) {
    struct pair pair = bench_pair(cipher);
    double *times = calloc(ECHOES_MAX, sizeof *times);
    size_t count = 0;
    uint8_t data[ECHO];
    memset(data, 7, sizeof data);
    bench_spawn(answer, &pair);
    for (double begin = bench_now(); bench_now() - begin < seconds && count < ECHOES_MAX; count++) {
        double sent = bench_now();
        OK(setowire_peer_send(pair.dialler->swarm, pair.to_acceptor, data, sizeof data, 0));
        reader_until(pair.dialler, SETOWIRE_EVENT_MESSAGE);
        times[count] = (bench_now() - sent) * 1e6;
    }
    printf("{\"p50_us\": %.3f, \"p99_us\": %.3f}\n", bench_percentile(times, count, 0.5),
           bench_percentile(times, count, 0.99));
    bench_end();
}
