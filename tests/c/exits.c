/* The process ends while messages and a stream flow: main returns, exit is called by a callback or another thread, or the last
 * thread leaves, with swarms neither closed nor freed. The exit code is as given, and nothing crashes. */
#include "check.h"
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_uint flowing, streaming;

/* Bytes go round on a stream for as long as the process lives. */
static void pass_on(setowire_swarm *swarm, uint64_t stream) {
    static _Thread_local uint8_t bytes[65536];
    size_t read = 0, written = 0;
    uint32_t end = 0;
    while (setowire_stream_read(swarm, stream, bytes, sizeof bytes, &read, &end, NULL) == 0 && read > 0) {
        atomic_fetch_add(&streaming, (unsigned)read);
        setowire_stream_write(swarm, stream, bytes, read, &written);
    }
}

static void echo(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    int how = *(int *)user_data;
    size_t len = 0;
    const uint8_t *data = setowire_event_data(event, &len);
    if (setowire_event_kind(event) == SETOWIRE_EVENT_CONNECTION) {
        for (uint8_t i = 0; i < 8; i++) setowire_peer_send(swarm, setowire_event_peer(event), &i, 1, 0);
        static const uint8_t bytes[50000];
        uint64_t stream = 0;
        size_t written = 0;
        OK(setowire_stream_open(swarm, setowire_event_peer(event), &stream));
        OK(setowire_stream_write(swarm, stream, bytes, sizeof bytes, &written));
    }
    if (setowire_event_kind(event) == SETOWIRE_EVENT_STREAM_READABLE) pass_on(swarm, setowire_event_stream(event));
    if (setowire_event_kind(event) != SETOWIRE_EVENT_MESSAGE) return;
    unsigned count = atomic_fetch_add(&flowing, 1) + 1;
    if (how == 1 && count >= 200 && atomic_load(&streaming) >= 1000000) exit(7);
    uint8_t next[16] = {0};
    memcpy(next, data, len < 8 ? len : 8);
    memcpy(next + 8, &count, sizeof count);
    setowire_peer_send(swarm, setowire_event_peer(event), next, sizeof next, 0);
}

static void *exit_there(void *argument) {
    (void)argument;
    exit(7);
}

static int run(int how) {
    static int data;
    char address[64];
    uint64_t op = 0;
    data = how;
    setowire_swarm *a = quiet_swarm(), *b = quiet_swarm();
    OK(setowire_swarm_set_callback(a, SETOWIRE_EVENTS_ALL, echo, &data, NULL));
    OK(setowire_swarm_set_callback(b, SETOWIRE_EVENTS_ALL, echo, &data, NULL));
    address_of(b, address, sizeof address);
    OK(setowire_swarm_connect(a, address, 0, 0, &op));
    time_t end = time(NULL) + DEADLINE_S;
    while (how == 1 || atomic_load(&flowing) < 200 || atomic_load(&streaming) < 1000000) {
        CHECK(time(NULL) < end);
        sched_yield();
    }
    if (how == 2) {
        pthread_t thread;
        pthread_create(&thread, NULL, exit_there, NULL);
        pthread_join(thread, NULL);
    }
    if (how == 3) setowire_swarm_close(a);
    return 7;
}

int main(int argc, char **argv) {
    if (argc > 1) return run(atoi(argv[1]));
    for (int round = 0; round < 12; round++) {
        char how[2] = {(char)('0' + round % 4), 0};
        pid_t pid = fork(); /* before any swarm: an ordinary new process */
        CHECK(pid >= 0);
        if (pid == 0) {
            execl(argv[0], argv[0], how, (char *)NULL);
            _exit(1);
        }
        int status = 0;
        CHECK(waitpid(pid, &status, 0) == pid);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 7) {
            fprintf(stderr, "way %s: status %#x\n", how, (unsigned)status);
            return 1;
        }
    }
    return 0;
}
