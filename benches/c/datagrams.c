/* Datagrams as fast as they go; what arrives is counted. */
#include "bench.h"

#define DATAGRAM_MAX 1150

struct sender {
    struct pair pair;
    size_t size;
};

static atomic_ullong received;

static void *send_datagrams(void *argument) {
    struct sender *sender = argument;
    struct reader *reader = sender->pair.dialler;
    uint8_t data[DATAGRAM_MAX];
    memset(data, 7, sizeof data);
    for (;;) {
        int32_t sent = setowire_peer_send_datagram(reader->swarm, sender->pair.to_acceptor, data, sender->size);
        if (sent == SETOWIRE_ERR_WOULD_BLOCK) reader_until(reader, SETOWIRE_EVENT_WRITABLE);
        else OK(sent);
    }
    return NULL;
}

void measure_datagrams(const char *cipher, double seconds, unsigned size) {
    struct sender sender = {.pair = bench_pair(cipher), .size = size};
    struct counted counted = {.reader = sender.pair.acceptor, .kind = SETOWIRE_EVENT_DATAGRAM, .count = &received};
    bench_spawn(bench_count, &counted);
    bench_spawn(send_datagrams, &sender);
    bench_report_each(&received, seconds);
}
