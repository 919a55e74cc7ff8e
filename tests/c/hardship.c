/* What a program may find itself in: no standard streams, few descriptors, little memory, a thousand swarms. A swarm
 * that cannot be made is an error that leaves nothing behind, and one that was made works. */
#include "check.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned descriptors(void) {
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir != NULL);
    while (readdir(dir) != NULL) count++;
    closedir(dir);
    return count;
}

/* Two swarms meet and one hears the other. */
static void two_talk(void) {
    char address[64];
    uint64_t op = 0;
    setowire_swarm *a = quiet_swarm(), *b = quiet_swarm();
    address_of(b, address, sizeof address);
    OK(setowire_swarm_connect(a, address, 0, 0, &op));
    bool heard = false;
    time_t end = time(NULL) + DEADLINE_S;
    while (!heard) {
        CHECK(time(NULL) < end);
        setowire_event *event = NULL;
        OK(setowire_event_wait(a, 100));
        OK(setowire_event_next(a, &event));
        if (event != NULL && setowire_event_kind(event) == SETOWIRE_EVENT_CONNECTION) {
            OK(setowire_peer_send(a, setowire_event_peer(event), (const uint8_t *)"x", 1, 0));
        }
        setowire_event_free(event);
        while (setowire_event_next(b, &event) == 1) {
            heard |= setowire_event_kind(event) == SETOWIRE_EVENT_MESSAGE;
            setowire_event_free(event);
        }
    }
    setowire_swarm_free(a);
    setowire_swarm_free(b);
}

static void without_streams(void) {
    for (int fd = 0; fd < 3; fd++) close(fd);
    two_talk();
}

static void with_few_descriptors(void) {
    struct rlimit before;
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    /* The first one also opens what the process keeps. */
    setowire_swarm_free(quiet_swarm());
    unsigned open = descriptors();
    unsigned failed = 0;
    setowire_config *config = setowire_config_new();
    for (unsigned more = 0; more < 16; more++) {
        struct rlimit few = {.rlim_cur = open - 3 + more, .rlim_max = before.rlim_max};
        CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
        setowire_swarm *swarm = (setowire_swarm *)&few;
        int32_t code = setowire_swarm_new(config, &swarm);
        CHECK((code == 0) == (swarm != NULL));
        if (code < 0) {
            failed++;
            CHECK(code == SETOWIRE_ERR_INTERNAL || code == SETOWIRE_ERR_PERMISSION);
            CHECK(setowire_last_error_message(NULL, 0) > 0);
        }
        setowire_swarm_free(swarm);
        CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
        CHECK(descriptors() == open);
    }
    setowire_config_free(config);
    CHECK(failed > 0);
    two_talk();
}

static void a_thousand(void) {
    enum { SWARMS = 1000 };
    struct rlimit files;
    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
    static setowire_swarm *swarms[SWARMS];
    setowire_config *config = quiet_config();
    unsigned made = 0;
    for (unsigned i = 0; i < SWARMS; i++) {
        /* Few descriptors or threads may be allowed here: then the rest fails, and those that were made live. */
        int32_t code = setowire_swarm_new(config, &swarms[i]);
        CHECK((code == 0) == (swarms[i] != NULL));
        made += code == 0;
    }
    setowire_config_free(config);
    CHECK(made >= 100);
    char address[64];
    uint64_t op = 0;
    address_of(swarms[0], address, sizeof address);
    for (unsigned i = 1; i < made; i++) OK(setowire_swarm_connect(swarms[i], address, 0, 0, &op));
    for (unsigned i = 0; i < SWARMS; i++) setowire_swarm_free(swarms[i]);
}

static void in_a_child(const char *name, void (*test)(void)) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        test();
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    if (status != 0) fprintf(stderr, "%s: status %d\n", name, status);
    CHECK(status == 0);
}

int main(void) {
    in_a_child("without streams", without_streams);
    in_a_child("with few descriptors", with_few_descriptors);
    in_a_child("a thousand swarms", a_thousand);
    return 0;
}
