/* Datagrams: every size there may be arrives as it was sent, too much waiting is refused and told of, a reader who does
 * not read loses some and nothing else. */
#include "streams.h"

#define LARGEST 1150
#define SENT 20000
#define MESSAGES 300

static void each_size(struct side *a, struct side *b) {
    uint8_t bytes[LARGEST + 1];
    unsigned before = look(b, &b->datagrams), sum = look(b, &b->datagram_bytes);
    unsigned sent = 0, total = 0;
    pattern(bytes, sizeof bytes, 1);
    /* One after the other: over loopback, with a reader that reads, none is lost. */
    for (size_t len = 0; len <= LARGEST; len += len < 4 || len > LARGEST - 4 ? 1 : 127) {
        OK(setowire_peer_send_datagram(a->swarm, a->watch->peer, bytes, len));
        sent++;
        total += (unsigned)len;
        watch_until(b->watch, &b->datagrams, before + sent, "DATAGRAM");
    }
    CHECK(look(b, &b->datagram_bytes) == sum + total);
    FAILS(SETOWIRE_ERR_TOO_LARGE, setowire_peer_send_datagram(a->swarm, a->watch->peer, bytes, LARGEST + 1));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_peer_send_datagram(a->swarm, a->watch->peer + 1000, bytes, 1));
}

/* A sender that does not wait is refused, and told when there is room. */
static void faster_than_the_network(struct side *a, struct side *b) {
    uint8_t bytes[LARGEST] = {0};
    unsigned before = look(b, &b->datagrams);
    for (int round = 0; round < 3; round++) {
        unsigned writable = watch_count(a->watch, SETOWIRE_EVENT_WRITABLE);
        int32_t got = 0;
        for (int sent = 0; got == 0; sent++) {
            CHECK(sent < 1000000);
            got = setowire_peer_send_datagram(a->swarm, a->watch->peer, bytes, sizeof bytes);
        }
        CHECK(got == SETOWIRE_ERR_WOULD_BLOCK);
        AWAIT(a->watch, WRITABLE, writable + 1);
    }
    watch_until(b->watch, &b->datagrams, before + 1, "DATAGRAM");
}

/* What one event holds, for those who read the queue. */
static setowire_event *next_event(setowire_swarm *swarm, uint16_t kind) {
    setowire_event *event = NULL;
    do {
        setowire_event_free(event);
        CHECK(setowire_event_wait(swarm, DEADLINE_S * 1000) == 1);
        CHECK(setowire_event_next(swarm, &event) == 1);
    } while (setowire_event_kind(event) != kind);
    return event;
}

static void a_reader_who_does_not_read(void) {
    setowire_config *config = quiet_config();
    OK(setowire_config_set_event_queue(config, 16, 131072));
    setowire_swarm *reader = NULL;
    OK(setowire_swarm_new(config, &reader));
    setowire_config_free(config);
    struct side *a = side_new();
    char address[64];
    uint64_t op = 0;
    uint8_t bytes[LARGEST], message[2000] = {0};
    size_t len = 0;
    setowire_peer_details peer = {.struct_size = sizeof peer};
    address_of(reader, address, sizeof address);
    OK(setowire_swarm_connect(a->swarm, address, 0, 0, &op));
    AWAIT(a->watch, CONNECTION, 1);
    setowire_event *event = next_event(reader, SETOWIRE_EVENT_CONNECTION);
    uint64_t from = setowire_event_peer(event);
    setowire_event_free(event);
    pattern(bytes, sizeof bytes, 9);
    /* More than anybody keeps for a reader who does not read. */
    for (int i = 0; i < SENT;) {
        unsigned writable = watch_count(a->watch, SETOWIRE_EVENT_WRITABLE);
        int32_t got = setowire_peer_send_datagram(a->swarm, a->watch->peer, bytes, sizeof bytes);
        if (got == SETOWIRE_ERR_WOULD_BLOCK) AWAIT(a->watch, WRITABLE, writable + 1);
        else CHECK(got == 0 && ++i);
    }
    /* No message is: they wait with their sender. What was dropped is known when the rest has been read. */
    for (unsigned i = 0; i < MESSAGES; i++) {
        memcpy(message, &i, sizeof i);
        OK(setowire_peer_send(a->swarm, a->watch->peer, message, sizeof message, 5));
    }
    unsigned heard = 0, kept = 0;
    time_t deadline = time(NULL) + DEADLINE_S;
    while (kept < MESSAGES || peer.datagrams_dropped == 0) {
        CHECK(time(NULL) < deadline);
        OK(setowire_event_wait(reader, 10));
        OK(setowire_event_next(reader, &event));
        OK(setowire_peer_info(reader, from, &peer));
        if (event == NULL) continue;
        if (setowire_event_kind(event) == SETOWIRE_EVENT_CHANGED) {
            setowire_event_free(event);
            continue;
        }
        const uint8_t *data = setowire_event_data(event, &len);
        if (setowire_event_kind(event) == SETOWIRE_EVENT_PEERS) {
            /* It comes 30 seconds after the connection: a machine that hardly runs gets so far. */
            setowire_event_free(event);
            continue;
        }
        CHECK(setowire_event_peer(event) == from && setowire_event_stream(event) == 0);
        CHECK(setowire_event_tag(event) == 0 && setowire_event_flags(event) == 0);
        switch (setowire_event_kind(event)) {
        case SETOWIRE_EVENT_DATAGRAM:
            CHECK(len == sizeof bytes && memcmp(data, bytes, len) == 0);
            heard++;
            break;
        case SETOWIRE_EVENT_MESSAGE:
            CHECK(len == sizeof message && memcmp(data, &kept, sizeof kept) == 0);
            kept++;
            break;
        default: CHECK(setowire_event_kind(event) == SETOWIRE_EVENT_UPDATE);
        }
        setowire_event_free(event);
    }
    CHECK(kept == MESSAGES && heard > 0 && heard + peer.datagrams_dropped <= SENT);
    watch_until(a->watch, &a->watch->done[5], MESSAGES, "OP_DONE");
    CHECK(a->watch->code == 0);
    setowire_swarm_free(reader);
    side_free(a);
}

int main(void) {
    struct side *a = side_new(), *b = side_new();
    side_connect(a, b);
    each_size(a, b);
    each_size(b, a);
    faster_than_the_network(a, b);
    side_free(b);
    AWAIT(a->watch, DISCONNECTION, 1);
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_peer_send_datagram(a->swarm, a->watch->peer, NULL, 0));
    side_free(a);
    a_reader_who_does_not_read();
    return 0;
}
