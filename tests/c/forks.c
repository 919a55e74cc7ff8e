/* In a child made by fork an inherited swarm answers FORKED at once and can be freed, its descriptors are closed, new
 * swarms can be made and used, and the child ends; in the parent nothing changes. Forked while traffic flows. */
#include "check.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_int stop;
static int in_child;

/* Asked by the leak check of AddressSanitizer: what a child inherited is left alone, and so it leaks by intent. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) {
    return in_child;
}

static void *send_always(void *argument) {
    struct pair *pair = argument;
    while (!atomic_load(&stop)) {
        setowire_peer_send(pair->a, pair->of_a->peer, (const uint8_t *)"flow", 4, 0);
    }
    return NULL;
}

static void ignore_line(uint8_t level, const char *target, const char *message, size_t len, uint64_t time_us,
                        void *user_data) {
    (void)level, (void)target, (void)message, (void)len, (void)time_us, (void)user_data;
}

static int child(struct pair *pair, setowire_swarm *queued, intptr_t fd) {
    uint64_t id = 0;
    size_t count = 0;
    uint8_t topic[32] = {1};
    setowire_event *event = NULL;
    in_child = 1;
    alarm(DEADLINE_S);
    FAILS(SETOWIRE_ERR_FORKED, setowire_peer_send(pair->a, 1, topic, 1, 0));
    FAILS(SETOWIRE_ERR_FORKED, setowire_swarm_join(pair->a, topic, 32, &id));
    FAILS(SETOWIRE_ERR_FORKED, setowire_swarm_peers(pair->b, NULL, 0, &count));
    FAILS(SETOWIRE_ERR_FORKED, setowire_swarm_set_callback(pair->b, 0, NULL, NULL, NULL));
    FAILS(SETOWIRE_ERR_FORKED, setowire_swarm_close(pair->a));
    FAILS(SETOWIRE_ERR_FORKED, setowire_event_wait(queued, SETOWIRE_NO_TIMEOUT));
    FAILS(SETOWIRE_ERR_FORKED, setowire_event_next(queued, &event));
    setowire_event_wake(queued);
    CHECK(fcntl((int)fd, F_GETFD) >= 0);
    setowire_swarm_free(queued);
    CHECK(fcntl((int)fd, F_GETFD) < 0 && errno == EBADF);
    setowire_swarm_free(pair->a);
    FAILS(SETOWIRE_ERR_CLOSED, setowire_swarm_close(pair->a));
    OK(setowire_set_log_callback(SETOWIRE_LOG_INFO, ignore_line, NULL, NULL));
    OK(setowire_set_log_callback(0, NULL, NULL, NULL));
    /* pair->b is left as it is: that must not keep the process from ending either. */
    struct pair own = pair_new();
    pair_free(&own);
    return 0;
}

int main(void) {
    struct pair pair = pair_new();
    pthread_t sender;
    setowire_swarm *queued = quiet_swarm();
    intptr_t fd = -1;
    OK(setowire_event_fd(queued, &fd));
    CHECK(fcntl((int)fd, F_GETFD) == FD_CLOEXEC);
    OK(setowire_set_log_callback(SETOWIRE_LOG_TRACE, ignore_line, NULL, NULL));
    pthread_create(&sender, NULL, send_always, &pair);
    for (int round = 0; round < 20; round++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) return child(&pair, queued, fd);
        int status = 0;
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    atomic_store(&stop, 1);
    pthread_join(sender, NULL);
    /* The parent's swarms live. */
    unsigned before = watch_count(pair.of_b, SETOWIRE_EVENT_MESSAGE);
    while (setowire_peer_send(pair.a, pair.of_a->peer, (const uint8_t *)"still here", 10, 0) != 0) sched_yield();
    AWAIT(pair.of_b, MESSAGE, before + 1);
    OK(setowire_set_log_callback(0, NULL, NULL, NULL));
    setowire_swarm_free(queued);
    pair_free(&pair);
    return 0;
}
