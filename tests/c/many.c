/* setowire_peer_send_many: every message arrives once, whole and in order with those of setowire_peer_send; a queue that
 * was full before takes nothing, one that becomes full takes all and says so; what cannot be is refused. */
#include "check.h"

#define BATCH 500
#define LARGE 10000
#define MAX_MESSAGE 20000 /* as the option is set below */

/* Sees that messages come as they were written: each begins with its number, its size follows from that. */
struct reader {
    struct watch *watch;
    unsigned next;
};

static size_t size_of(unsigned number) {
    return number % 97 == 0 ? LARGE : 4 + number % 60;
}

static void on_event(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    struct reader *reader = user_data;
    if (setowire_event_kind(event) == SETOWIRE_EVENT_MESSAGE) {
        size_t len = 0;
        unsigned number;
        const uint8_t *data = setowire_event_data(event, &len);
        CHECK(len >= 4);
        memcpy(&number, data, 4);
        CHECK(number == reader->next++);
        CHECK(len == size_of(number));
        for (size_t at = 4; at < len; at++) CHECK(data[at] == (uint8_t)number);
    }
    watch_event(swarm, event, reader->watch);
}

static uint8_t *put(uint8_t *place, unsigned number) {
    memset(place, (uint8_t)number, size_of(number));
    memcpy(place, &number, 4);
    return place + size_of(number);
}

/* Writes messages from `first` on; their sizes, and the bytes of all. */
static size_t batch(unsigned first, unsigned count, uint8_t *data, uint32_t *sizes) {
    uint8_t *end = data;
    for (unsigned i = 0; i < count; i++) {
        sizes[i] = (uint32_t)size_of(first + i);
        end = put(end, first + i);
    }
    return (size_t)(end - data);
}

static uint8_t data[BATCH * 64 + (BATCH / 97 + 1) * LARGE];
static uint32_t sizes[BATCH];

static unsigned in_order(struct pair *pair) {
    unsigned sent = 0;
    uint64_t peer = pair->of_a->peer;
    for (unsigned round = 0; round < 20; round++) {
        unsigned count = 1 + round * 13 % BATCH;
        size_t queued = 7, len = batch(sent, count, data, sizes);
        OK(setowire_peer_send_many(pair->a, peer, data, len, sizes, count, &queued));
        CHECK(queued == count);
        sent += count;
        uint8_t *end = put(data, sent);
        OK(setowire_peer_send(pair->a, peer, data, (size_t)(end - data), 0));
        sent++;
    }
    /* None at all is no error. */
    size_t queued = 7;
    OK(setowire_peer_send_many(pair->a, peer, NULL, 0, NULL, 0, &queued));
    CHECK(queued == 0);
    AWAIT(pair->of_b, MESSAGE, sent);
    return sent;
}

static unsigned until_it_is_full(struct pair *pair, unsigned sent) {
    for (unsigned rounds = 0; rounds < 3; rounds++) {
        unsigned writable = watch_count(pair->of_a, SETOWIRE_EVENT_WRITABLE);
        size_t queued = 0;
        int32_t got = 0;
        while (got == 0) {
            size_t len = batch(sent, BATCH, data, sizes);
            got = setowire_peer_send_many(pair->a, pair->of_a->peer, data, len, sizes, BATCH, &queued);
            CHECK(queued == BATCH);
            sent += BATCH;
        }
        CHECK(got == 1);
        /* It may have room again at any time; until then nothing is taken, and never a part. */
        size_t len = batch(sent, BATCH, data, sizes);
        got = setowire_peer_send_many(pair->a, pair->of_a->peer, data, len, sizes, BATCH, &queued);
        CHECK(got == SETOWIRE_ERR_WOULD_BLOCK ? queued == 0 : queued == BATCH && (got == 0 || got == 1));
        sent += (unsigned)queued;
        AWAIT(pair->of_a, WRITABLE, writable + 1);
    }
    AWAIT(pair->of_b, MESSAGE, sent);
    return sent;
}

static unsigned what_cannot_be(struct pair *pair, unsigned sent) {
    uint64_t peer = pair->of_a->peer;
    size_t queued, len = batch(sent, 3, data, sizes);
    queued = 7;
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_send_many(pair->a, peer, data, len + 1, sizes, 3, &queued));
    CHECK(queued == 0);
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_send_many(pair->a, peer, data, len - 1, sizes, 3, &queued));
    queued = 7;
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_peer_send_many(pair->a, peer + 1000, data, len, sizes, 3, &queued));
    CHECK(queued == 0);
    /* One in the middle that this peer does not take: those before it are queued. */
    uint8_t *much = calloc(1, len + MAX_MESSAGE + 1);
    CHECK(much != NULL);
    memcpy(much, data, len);
    uint32_t with_large[5] = {sizes[0], sizes[1], sizes[2], MAX_MESSAGE + 1, 0};
    len += MAX_MESSAGE + 1;
    FAILS(SETOWIRE_ERR_TOO_LARGE, setowire_peer_send_many(pair->a, peer, much, len, with_large, 5, &queued));
    CHECK(queued == 3);
    free(much);
    /* More than one call takes. */
    static uint8_t most[131072];
    static uint32_t none[2049];
    queued = 7;
    FAILS(SETOWIRE_ERR_TOO_LARGE, setowire_peer_send_many(pair->a, peer, NULL, 0, none, 2049, &queued));
    CHECK(queued == 0);
    uint32_t all = sizeof most;
    FAILS(SETOWIRE_ERR_TOO_LARGE, setowire_peer_send_many(pair->a, peer, most, sizeof most, &all, 1, &queued));
    sent += 3;
    AWAIT(pair->of_b, MESSAGE, sent);
    return sent;
}

int main(void) {
    struct pair pair = {quiet_swarm(), NULL, watch_new(), watch_new()};
    setowire_config *config = quiet_config();
    OK(setowire_config_set(config, "max_message", "20000"));
    OK(setowire_swarm_new(config, &pair.b));
    setowire_config_free(config);
    struct reader reader = {.watch = pair.of_b};
    char address[64];
    uint64_t op = 0;
    OK(setowire_swarm_set_callback(pair.a, SETOWIRE_EVENTS_ALL, watch_event, pair.of_a, watch_destroy));
    OK(setowire_swarm_set_callback(pair.b, SETOWIRE_EVENTS_ALL, on_event, &reader, NULL));
    address_of(pair.b, address, sizeof address);
    OK(setowire_swarm_connect(pair.a, address, 0, 0, &op));
    AWAIT(pair.of_a, OP_DONE, 1);
    AWAIT(pair.of_b, CONNECTION, 1);

    unsigned sent = in_order(&pair);
    sent = until_it_is_full(&pair, sent);
    sent = what_cannot_be(&pair, sent);
    CHECK(reader.next == sent);

    setowire_swarm_free(pair.a);
    setowire_swarm_free(pair.b);
    CHECK(watch_count(pair.of_b, SETOWIRE_EVENT_MESSAGE) == sent);
    watch_free(pair.of_a);
    watch_free(pair.of_b);
    return 0;
}
