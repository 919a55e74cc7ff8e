/* Wrong on purpose: two threads write the same number. ThreadSanitizer must find it, or it is not at work. */
#include "check.h"

static unsigned number;

static void *write_number(void *swarm) {
    for (unsigned i = 0; i < 1000; i++) {
        number++;
        setowire_event_wake(swarm);
    }
    return NULL;
}

int main(void) {
    setowire_swarm *swarm = quiet_swarm();
    pthread_t thread;
    pthread_create(&thread, NULL, write_number, swarm);
    write_number(swarm);
    pthread_join(thread, NULL);
    setowire_swarm_free(swarm);
    return 0;
}
