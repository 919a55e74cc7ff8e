/* Reading without a callback: the descriptor with drain, wait with next, wake, records as bytes; and that a swarm is
 * read in one form only. */
#include "check.h"
#include <poll.h>

static unsigned little(const uint8_t *bytes, unsigned count) {
    unsigned value = 0;
    for (unsigned i = 0; i < count; i++) value |= (unsigned)bytes[i] << (8 * i);
    return value;
}

static int readable(intptr_t fd, int timeout_ms) {
    struct pollfd poll_fd = {.fd = (int)fd, .events = POLLIN};
    return poll(&poll_fd, 1, timeout_ms);
}

static void ignore_event(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    (void)swarm, (void)event, (void)user_data;
}

static void one_form_only(void) {
    setowire_swarm *swarm = quiet_swarm();
    setowire_event *event = NULL;
    intptr_t fd = 0;
    size_t written = 7;
    uint8_t buffer[64];
    OK(setowire_swarm_set_callback(swarm, SETOWIRE_EVENTS_ALL, ignore_event, NULL, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_event_next(swarm, &event));
    FAILS(SETOWIRE_ERR_INVALID, setowire_event_fd(swarm, &fd));
    FAILS(SETOWIRE_ERR_INVALID, setowire_event_drain(swarm, buffer, sizeof buffer, &written));
    FAILS(SETOWIRE_ERR_INVALID, setowire_event_wait(swarm, SETOWIRE_NO_TIMEOUT));
    setowire_swarm_free(swarm);

    swarm = quiet_swarm();
    CHECK(setowire_event_wait(swarm, 0) == 0);
    CHECK(setowire_event_next(swarm, &event) == 0 && event == NULL);
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_set_callback(swarm, SETOWIRE_EVENTS_ALL, ignore_event, NULL, NULL));
    setowire_event_wake(swarm);
    CHECK(setowire_event_wait(swarm, SETOWIRE_NO_TIMEOUT) == 0);
    setowire_swarm_free(swarm);
}

static void a_connect_that_fails(void) {
    setowire_swarm *swarm = quiet_swarm();
    setowire_event *event = NULL;
    uint64_t op = 0;
    OK(setowire_swarm_connect(swarm, "127.0.0.1:9", 20, 77, &op));
    CHECK(setowire_event_wait(swarm, SETOWIRE_NO_TIMEOUT) == 1);
    CHECK(setowire_event_next(swarm, &event) == 1);
    CHECK(setowire_event_kind(event) == SETOWIRE_EVENT_OP_DONE);
    CHECK(setowire_event_op(event) == op && setowire_event_tag(event) == 77);
    CHECK(setowire_event_code(event) == SETOWIRE_ERR_TIMED_OUT || setowire_event_code(event) == SETOWIRE_ERR_UNREACHABLE);
    CHECK(setowire_event_peer(event) == 0 && setowire_event_topic(event) == 0 && setowire_event_flags(event) == 0);
    CHECK(setowire_event_author(event) == NULL);
    setowire_event_free(event);
    setowire_swarm_free(swarm);
}

int main(void) {
    setowire_swarm *reader = quiet_swarm(), *writer = quiet_swarm();
    struct watch *watch = watch_new();
    intptr_t fd = -1;
    uint64_t op = 0, last_seq = 0, peer = 0;
    size_t written = 0, len = 0;
    uint8_t buffer[4096];
    char address[64], text[80];

    one_form_only();
    a_connect_that_fails();

    OK(setowire_event_fd(reader, &fd));
    CHECK(readable(fd, 0) == 0);
    CHECK(setowire_event_drain(reader, buffer, sizeof buffer, &written) == 0 && written == 0);
    OK(setowire_swarm_set_callback(writer, SETOWIRE_EVENTS_ALL, watch_event, watch, watch_destroy));
    address_of(reader, address, sizeof address);
    OK(setowire_swarm_connect(writer, address, 0, 0, &op));
    AWAIT(watch, CONNECTION, 1);
    for (unsigned i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "message number %u", i);
        OK(setowire_peer_send(writer, watch->peer, (const uint8_t *)text, strlen(text) + 1, 1 + i));
    }

    unsigned messages = 0, disconnections = 0, closed = 0;
    int small = 0;
    while (closed == 0) {
        CHECK(readable(fd, DEADLINE_S * 1000) == 1);
        if (!small) {
            FAILS(SETOWIRE_ERR_TOO_SMALL, setowire_event_drain(reader, buffer, 16, &written));
            CHECK(written >= 40 && written % 8 == 0);
            small = 1;
        }
        int32_t records = setowire_event_drain(reader, buffer, sizeof buffer, &written);
        CHECK(records >= 0 && written <= sizeof buffer);
        for (size_t at = 0; at < written; records--) {
            const uint8_t *record = buffer + at;
            unsigned size = little(record, 4), kind = little(record + 4, 2), data_len = little(record + 36, 4);
            CHECK(size % 8 == 0 && size >= 40 + data_len && at + size <= written);
            CHECK(little(record + 8, 4) == last_seq + 1);
            last_seq++;
            if (kind == SETOWIRE_EVENT_CONNECTION) {
                peer = little(record + 16, 4);
                setowire_peer_details details = {.struct_size = sizeof details};
                OK(setowire_peer_info(reader, peer, &details));
                CHECK(details.struct_size == sizeof details && details.peer == peer && details.has_key);
                /* A program built for an older, smaller struct: nothing beyond it is written. */
                memset(&details, 0x77, sizeof details);
                details.struct_size = 16;
                OK(setowire_peer_info(reader, peer, &details));
                CHECK(details.struct_size == 16 && details.peer == peer && details.rtt_us == 0x7777777777777777);
                int32_t full = setowire_peer_address(reader, peer, NULL, 0);
                CHECK(full > 10 && setowire_peer_address(reader, peer, text, sizeof text) == full);
                CHECK((int32_t)strlen(text) == full && strncmp(text, "127.0.0.1:", 10) == 0);
                CHECK(setowire_peer_address(reader, peer, text, 5) == full && strcmp(text, "127.") == 0);
                OK(setowire_peer_buffered(reader, peer, &len));
                uint64_t ids[2] = {0, 0};
                OK(setowire_swarm_peers(reader, ids, 2, &len));
                CHECK(len == 1 && ids[0] == peer && ids[1] == 0);
            }
            if (kind == SETOWIRE_EVENT_MESSAGE) {
                CHECK(little(record + 16, 4) == peer);
                snprintf(text, sizeof text, "message number %u", messages++);
                CHECK(data_len == strlen(text) + 1 && memcmp(record + 40, text, data_len) == 0);
                if (messages == 20) {
                    AWAIT(watch, OP_DONE, 21);
                    OK(setowire_peer_close(reader, peer));
                }
            }
            if (kind == SETOWIRE_EVENT_DISCONNECTION) {
                disconnections++;
                OK(setowire_swarm_close(reader));
            }
            closed += kind == SETOWIRE_EVENT_CLOSED;
            at += size;
        }
        CHECK(records == 0);
    }
    CHECK(messages == 20 && disconnections == 1 && readable(fd, 0) == 0);
    FAILS(SETOWIRE_ERR_CLOSED, setowire_event_wait(reader, SETOWIRE_NO_TIMEOUT));
    setowire_swarm_free(reader);
    setowire_swarm_free(writer);
    for (unsigned tag = 1; tag <= 20; tag++) CHECK(watch->done[tag] == 1);
    watch_free(watch);
    return 0;
}
