/* A reader that does not read: messages beyond the limits are dropped and counted, nothing else is lost, and after
 * reading everything adds up. */
#include "check.h"

static uint8_t message[1000];

/* Counts messages through the swarm itself, because nobody reads. */
static uint64_t received(setowire_swarm *swarm) {
    setowire_swarm_counters counters = {.struct_size = sizeof counters};
    OK(setowire_swarm_stats(swarm, &counters));
    return counters.messages_received;
}

int main(void) {
    setowire_config *config = quiet_config();
    setowire_swarm *reader = NULL, *writer = quiet_swarm();
    struct watch *watch = watch_new();
    char address[64];
    uint64_t op = 0;
    OK(setowire_config_set_event_queue(config, 16, 1 << 17));
    OK(setowire_swarm_new(config, &reader));
    setowire_config_free(config);
    OK(setowire_swarm_set_callback(writer, SETOWIRE_EVENTS_ALL, watch_event, watch, watch_destroy));
    address_of(reader, address, sizeof address);
    OK(setowire_swarm_connect(writer, address, 0, 0, &op));
    AWAIT(watch, CONNECTION, 1);

    time_t end = time(NULL) + DEADLINE_S;
    for (uint64_t sent = 0; received(reader) < 100; sent++) {
        CHECK(time(NULL) < end);
        memcpy(message, &sent, sizeof sent); /* each is another one */
        int32_t got = setowire_peer_send(writer, watch->peer, message, sizeof message, 0);
        CHECK(got == 0 || got == SETOWIRE_ERR_WOULD_BLOCK);
        if (got != 0) sched_yield();
    }
    OK(setowire_swarm_close(writer));
    AWAIT(watch, CLOSED, 1);
    OK(setowire_swarm_close(reader));

    setowire_swarm_counters counters = {.struct_size = sizeof counters};
    uint64_t messages = 0, lost = 0, seq = 0;
    unsigned connections = 0, disconnections = 0, closed = 0;
    while (closed == 0) {
        setowire_event *event = NULL;
        CHECK(setowire_event_wait(reader, DEADLINE_S * 1000) == 1);
        CHECK(setowire_event_next(reader, &event) == 1);
        CHECK(setowire_event_seq(event) == seq + 1);
        seq = setowire_event_seq(event);
        const char *data = (const char *)setowire_event_data(event, NULL);
        switch (setowire_event_kind(event)) {
        case SETOWIRE_EVENT_CONNECTION: connections++; break;
        case SETOWIRE_EVENT_DISCONNECTION: disconnections++; break;
        case SETOWIRE_EVENT_MESSAGE: messages++; break;
        case SETOWIRE_EVENT_LOST: lost += strtoull(strstr(data, "\"messages\":") + 11, NULL, 10); break;
        case SETOWIRE_EVENT_CLOSED: closed++; break;
        default: break;
        }
        setowire_event_free(event);
    }
    FAILS(SETOWIRE_ERR_CLOSED, setowire_event_wait(reader, SETOWIRE_NO_TIMEOUT));
    OK(setowire_swarm_stats(reader, &counters));
    CHECK(connections == 1 && disconnections == 1);
    CHECK(messages >= 16);
    CHECK(lost > 0 && lost == counters.events_lost);
    CHECK(messages + lost == counters.messages_received);
    setowire_swarm_free(reader);
    setowire_swarm_free(writer);
    watch_free(watch);
    return 0;
}
