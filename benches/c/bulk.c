/* Bytes over one stream or several at once: a thread writes what there is room for and waits, another one reads what is
 * there into a buffer and waits. */
#include "bench.h"

#define WRITE_BYTES 65536
#define STREAMS_MAX 16

struct writer {
    struct reader *reader;
    uint64_t streams[STREAMS_MAX];
    unsigned count;
};

static atomic_ullong received;

/* Reads until nothing is left, so that an event follows. */
static void read_stream(setowire_swarm *swarm, uint64_t stream, uint8_t *buffer) {
    size_t bytes = WRITE_BYTES;
    while (bytes == WRITE_BYTES) {
        uint32_t end;
        int32_t result = setowire_stream_read(swarm, stream, buffer, WRITE_BYTES, &bytes, &end, NULL);
        if (result != SETOWIRE_ERR_WOULD_BLOCK) OK(result);
        atomic_fetch_add(&received, bytes);
    }
}

static void *read_streams(void *argument) {
    struct reader *reader = argument;
    uint8_t *buffer = malloc(WRITE_BYTES);
    for (;;) {
        struct record readable = reader_until(reader, SETOWIRE_EVENT_STREAM_READABLE);
        read_stream(reader->swarm, readable.subject, buffer);
    }
    return NULL;
}

/* Writes until there is no room, so that an event follows. */
static void write_stream(setowire_swarm *swarm, uint64_t stream, const uint8_t *data) {
    size_t bytes = WRITE_BYTES;
    while (bytes == WRITE_BYTES) {
        int32_t result = setowire_stream_write(swarm, stream, data, WRITE_BYTES, &bytes);
        if (result != SETOWIRE_ERR_WOULD_BLOCK) OK(result);
    }
}

static void *write_streams(void *argument) {
    struct writer *writer = argument;
    setowire_swarm *swarm = writer->reader->swarm;
    uint8_t *data = malloc(WRITE_BYTES);
    memset(data, 7, WRITE_BYTES);
    for (unsigned i = 0; i < writer->count; i++) write_stream(swarm, writer->streams[i], data);
    for (;;) {
        struct record writable = reader_until(writer->reader, SETOWIRE_EVENT_STREAM_WRITABLE);
        write_stream(swarm, writable.subject, data);
    }
    return NULL;
}

void measure_bulk(const char *cipher, double seconds, unsigned streams) {
    struct pair pair = bench_pair(cipher);
    struct writer writer = {.reader = pair.dialler, .count = streams};
    for (unsigned i = 0; i < streams; i++) {
        OK(setowire_stream_open(pair.dialler->swarm, pair.to_acceptor, &writer.streams[i]));
    }
    bench_spawn(read_streams, pair.acceptor);
    bench_spawn(write_streams, &writer);
    bench_report_bulk(&received, seconds);
}
