/* Wrong on purpose: a callback that uses its user data after it was destroyed. AddressSanitizer and Valgrind must
 * find it, or they are not at work. */
#include "check.h"

static volatile unsigned *stale;

static void use_stale(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    (void)swarm, (void)event, (void)user_data;
    if (*stale == 1) puts("still there");
}

int main(void) {
    setowire_swarm *swarm = quiet_swarm();
    unsigned *data = malloc(sizeof *data);
    CHECK(data != NULL);
    *data = 1;
    stale = data;
    OK(setowire_swarm_set_callback(swarm, SETOWIRE_EVENTS_ALL, use_stale, data, free));
    OK(setowire_swarm_set_callback(swarm, SETOWIRE_EVENTS_ALL, use_stale, NULL, NULL));
    setowire_swarm_free(swarm);
    return 0;
}
