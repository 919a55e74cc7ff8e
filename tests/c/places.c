/* More peers than there are places: those beyond them are refused, also when all come at the same time, and a place that
 * becomes free is taken by the next. */
#include "check.h"
#include <stdatomic.h>

#define GUESTS 12

static atomic_uint present, most;

static void on_event(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    uint16_t kind = setowire_event_kind(event);
    if (kind == SETOWIRE_EVENT_CONNECTION) {
        unsigned now = atomic_fetch_add(&present, 1) + 1;
        if (now > atomic_load(&most)) atomic_store(&most, now);
    }
    if (kind == SETOWIRE_EVENT_DISCONNECTION) atomic_fetch_sub(&present, 1);
    watch_event(swarm, event, user_data);
}

int main(void) {
    setowire_config *config = quiet_config();
    setowire_swarm *host = NULL, *guests[GUESTS];
    struct watch *of_host = watch_new(), *of[GUESTS];
    char address[64];
    uint64_t op = 0;
    OK(setowire_config_set_max_peers(config, 1));
    OK(setowire_swarm_new(config, &host));
    setowire_config_free(config);
    OK(setowire_swarm_set_callback(host, SETOWIRE_EVENTS_ALL, on_event, of_host, watch_destroy));
    address_of(host, address, sizeof address);
    for (int i = 0; i < GUESTS; i++) {
        guests[i] = quiet_swarm();
        of[i] = watch_new();
        OK(setowire_swarm_set_callback(guests[i], SETOWIRE_EVENTS_ALL, watch_event, of[i], watch_destroy));
    }
    for (int i = 0; i < GUESTS; i++) OK(setowire_swarm_connect(guests[i], address, 0, 0, &op));
    for (int i = 0; i < GUESTS; i++) AWAIT(of[i], OP_DONE, 1);
    CHECK(atomic_load(&most) == 1 && watch_count(of_host, SETOWIRE_EVENT_CONNECTION) == 1);

    OK(setowire_peer_close(host, of_host->peer));
    AWAIT(of_host, DISCONNECTION, 1);
    for (unsigned tries = 0; watch_count(of_host, SETOWIRE_EVENT_CONNECTION) == 1; tries++) {
        int guest = (int)(tries % GUESTS);
        unsigned done = watch_count(of[guest], SETOWIRE_EVENT_OP_DONE);
        CHECK(tries < 100 * GUESTS);
        OK(setowire_swarm_connect(guests[guest], address, 0, 0, &op));
        AWAIT(of[guest], OP_DONE, done + 1);
    }
    CHECK(atomic_load(&most) == 1);
    for (int i = 0; i < GUESTS; i++) {
        setowire_swarm_free(guests[i]);
        watch_free(of[i]);
    }
    setowire_swarm_free(host);
    CHECK(atomic_load(&present) == 0);
    watch_free(of_host);
    return 0;
}
