/* Resident memory per idle peer of one swarm with many: once it accepts, once it dials. The many are swarms of another
 * process, which is forked before there is any swarm and told what to do through pipes. */
#include "bench.h"
#include <sys/wait.h>
#include <unistd.h>

/* Peers before the first reading, so that buffers and tables are there, and those that are measured. */
#define WARM_UP 20
#define PEERS 500
/* Seconds until handshakes have let go of their state. */
#define SETTLE 1.5
/* Connects begun and not yet done. */
#define AT_ONCE 8
#define ADDRESS 32

static void transfer(ssize_t done, size_t size) {
    if (done != (ssize_t)size) {
        fputs("the other process of the memory measure ended early\n", stderr);
        exit(1);
    }
}

static setowire_swarm *spoke(const char *cipher, unsigned number, char *host) {
    char address[2 * ADDRESS];
    snprintf(host, ADDRESS, "127.0.%u.%u", 1 + number / 250, 1 + number % 250);
    snprintf(address, sizeof address, "%s:0", host);
    return bench_swarm(cipher, address, 100);
}

/* The child: makes its swarms and tells their addresses; then, told the hub's address, dials it with one after another. */
static _Noreturn void spokes(const char *cipher, int in, int out) {
    static struct reader readers[WARM_UP + PEERS];
    for (unsigned i = 0; i < WARM_UP + PEERS; i++) {
        char host[ADDRESS], address[ADDRESS] = "";
        readers[i] = (struct reader){.swarm = spoke(cipher, i, host), .buffer = malloc(1 << 16), .cap = 1 << 16};
        bench_address(readers[i].swarm, host, address, sizeof address);
        transfer(write(out, address, sizeof address), sizeof address);
    }
    char hub[ADDRESS];
    uint32_t count;
    for (unsigned begun = 0; read(in, hub, sizeof hub) == sizeof hub;) {
        transfer(read(in, &count, sizeof count), sizeof count);
        unsigned first = begun;
        for (unsigned i = 0; i < count; i++, begun++) {
            uint64_t op = 0;
            OK(setowire_swarm_connect(readers[begun].swarm, hub, 0, 0, &op));
            if (begun >= first + AT_ONCE) OK(reader_until(&readers[begun - AT_ONCE], SETOWIRE_EVENT_OP_DONE).code);
        }
        for (unsigned i = begun > first + AT_ONCE ? begun - AT_ONCE : first; i < begun; i++) {
            OK(reader_until(&readers[i], SETOWIRE_EVENT_OP_DONE).code);
        }
        transfer(write(out, &count, sizeof count), sizeof count);
    }
    _Exit(0);
}

struct hub {
    struct reader *reader;
    char address[ADDRESS];
    char (*spokes)[ADDRESS];
    int in, out;
    unsigned dialled;
};

static void accept_peers(struct hub *hub, uint32_t count) {
    transfer(write(hub->out, hub->address, sizeof hub->address), sizeof hub->address);
    transfer(write(hub->out, &count, sizeof count), sizeof count);
    for (unsigned i = 0; i < count; i++) reader_until(hub->reader, SETOWIRE_EVENT_CONNECTION);
    transfer(read(hub->in, &count, sizeof count), sizeof count);
}

static void dial_peers(struct hub *hub, uint32_t count) {
    for (unsigned begun = 0, done = 0; done < count;) {
        if (begun < count && begun - done < AT_ONCE) {
            uint64_t op = 0;
            begun++;
            OK(setowire_swarm_connect(hub->reader->swarm, hub->spokes[hub->dialled++], 0, 0, &op));
        } else {
            OK(reader_until(hub->reader, SETOWIRE_EVENT_OP_DONE).code);
            done++;
        }
    }
}

/* In a process of its own: memory that was used once would not show again. */
static double measure(const char *cipher, void (*connect)(struct hub *, uint32_t)) {
    int result[2], to_child[2], to_hub[2];
    if (pipe(result) != 0 || pipe(to_child) != 0 || pipe(to_hub) != 0) abort();
    if (fork() == 0) {
        pid_t child = fork();
        if (child == 0) {
            close(to_child[1]);
            spokes(cipher, to_child[0], to_hub[1]);
        }
        static char addresses[WARM_UP + PEERS][ADDRESS];
        struct hub hub = {.spokes = addresses, .in = to_hub[0], .out = to_child[1]};
        close(to_child[0]);
        close(to_hub[1]);
        for (unsigned i = 0; i < WARM_UP + PEERS; i++) {
            for (size_t got = 0; got < ADDRESS;) {
                ssize_t more = read(hub.in, addresses[i] + got, ADDRESS - got);
                transfer(more > 0 ? 1 : 0, 1);
                got += (size_t)more;
            }
        }
        hub.reader = reader_new(bench_swarm(cipher, "127.0.0.1:0", 10000));
        bench_address(hub.reader->swarm, "127.0.0.1", hub.address, sizeof hub.address);
        connect(&hub, WARM_UP);
        bench_sleep(SETTLE);
        double before = bench_resident_kib();
        connect(&hub, PEERS);
        bench_sleep(SETTLE);
        double each = (bench_resident_kib() - before) / PEERS;
        transfer(write(result[1], &each, sizeof each), sizeof each);
        close(to_child[1]);
        waitpid(child, NULL, 0);
        _Exit(0);
    }
    close(result[1]);
    close(to_child[0]);
    close(to_child[1]);
    close(to_hub[0]);
    close(to_hub[1]);
    double each = 0;
    transfer(read(result[0], &each, sizeof each), sizeof each);
    wait(NULL);
    return each;
}

void measure_memory(const char *cipher) {
    double dialler = measure(cipher, dial_peers), acceptor = measure(cipher, accept_peers);
    printf("{\"dialler_kib\": %.3f, \"acceptor_kib\": %.3f}\n", dialler, acceptor);
}
