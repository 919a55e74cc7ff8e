/* A reader that does not read: its peer is held back, and when it reads, every message comes, once and in order. */
#include "check.h"
#include <sched.h>

#define QUEUE 16

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
    OK(setowire_config_set_event_queue(config, QUEUE, 1 << 17));
    OK(setowire_swarm_new(config, &reader));
    setowire_config_free(config);
    OK(setowire_swarm_set_callback(writer, SETOWIRE_EVENTS_ALL, watch_event, watch, watch_destroy));
    address_of(reader, address, sizeof address);
    OK(setowire_swarm_connect(writer, address, 0, 0, &op));
    AWAIT(watch, CONNECTION, 1);

    uint64_t sent = 0;
    for (int32_t code = 0; code == 0; sent += code == 0) {
        memcpy(message, &sent, sizeof sent);
        code = setowire_peer_send(writer, watch->peer, message, sizeof message, 0);
        CHECK(code == 0 || code == SETOWIRE_ERR_WOULD_BLOCK);
    }
    time_t end = time(NULL) + DEADLINE_S;
    while (received(reader) < QUEUE) CHECK(time(NULL) < end && sched_yield() == 0);
    CHECK(received(reader) == QUEUE && sent > QUEUE);

    uint64_t messages = 0, seq = 0;
    unsigned connections = 0, disconnections = 0, closed = 0;
    while (closed == 0) {
        setowire_event *event = NULL;
        CHECK(setowire_event_wait(reader, DEADLINE_S * 1000) == 1);
        CHECK(setowire_event_next(reader, &event) == 1);
        CHECK(setowire_event_seq(event) == seq + 1);
        seq = setowire_event_seq(event);
        switch (setowire_event_kind(event)) {
        case SETOWIRE_EVENT_CONNECTION: connections++; break;
        case SETOWIRE_EVENT_DISCONNECTION: disconnections++; break;
        case SETOWIRE_EVENT_MESSAGE:
            CHECK(memcmp(setowire_event_data(event, NULL), &messages, sizeof messages) == 0);
            if (++messages == sent) OK(setowire_swarm_close(reader));
            break;
        case SETOWIRE_EVENT_CLOSED: closed++; break;
        default: CHECK(setowire_event_kind(event) != SETOWIRE_EVENT_LOST);
        }
        setowire_event_free(event);
    }
    FAILS(SETOWIRE_ERR_CLOSED, setowire_event_wait(reader, SETOWIRE_NO_TIMEOUT));
    CHECK(connections == 1 && disconnections == 1);
    CHECK(messages == sent && received(reader) == sent);
    setowire_swarm_counters counters = {.struct_size = sizeof counters};
    OK(setowire_swarm_stats(writer, &counters));
    CHECK(counters.messages_sent == sent && counters.buffered_bytes == 0);
    AWAIT(watch, WRITABLE, 1);
    AWAIT(watch, DISCONNECTION, 1);
    setowire_swarm_free(reader);
    setowire_swarm_free(writer);
    watch_free(watch);
    return 0;
}
