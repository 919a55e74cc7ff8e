/* Who may talk to whom: a connect by key reaches the peer with that key and no other, who knows a private topic but not
 * its secret is no member, and a broadcast to a topic tells its author to members alone. */
#include "check.h"

/* Milliseconds that a dial by key has. */
static uint32_t key_time;

static uint8_t topic[32] = "a topic of the test of keys", secret[32] = "a secret", other_secret[32] = "another";

/* Takes events until one of this kind. */
static setowire_event *next_event(setowire_swarm *swarm, uint16_t kind) {
    setowire_event *event = NULL;
    do {
        setowire_event_free(event);
        CHECK(setowire_event_wait(swarm, DEADLINE_S * 1000) == 1);
        CHECK(setowire_event_next(swarm, &event) == 1);
    } while (setowire_event_kind(event) != kind);
    return event;
}

static void key_of(setowire_swarm *swarm, uint8_t key[32]) {
    setowire_swarm_details details = {.struct_size = sizeof details};
    OK(setowire_swarm_info(swarm, &details));
    memcpy(key, details.key, 32);
}

/* Dials and gives the code of the end; the peer, if it is reached. */
static int32_t dial(setowire_swarm *from, setowire_swarm *to, const uint8_t *key, uint64_t *peer) {
    char address[64];
    uint64_t op = 0;
    address_of(to, address, sizeof address);
    if (key == NULL) OK(setowire_swarm_connect(from, address, 0, 3, &op));
    else OK(setowire_swarm_connect_key(from, address, key, 32, key_time, 3, &op));
    setowire_event *event = next_event(from, SETOWIRE_EVENT_OP_DONE);
    CHECK(setowire_event_op(event) == op && setowire_event_tag(event) == 3);
    int32_t code = setowire_event_code(event);
    *peer = setowire_event_peer(event);
    setowire_event_free(event);
    return code;
}

static void by_key(void) {
    setowire_swarm *a = quiet_swarm(), *b = quiet_swarm(), *c = quiet_swarm();
    uint8_t of_a[32], of_b[32], wrong[32] = {0};
    uint64_t peer = 0, again = 0;
    size_t count = 7;
    setowire_peer_details details = {.struct_size = sizeof details};
    key_of(a, of_a);
    key_of(b, of_b);
    key_time = 200;
    /* A key that is none, one of somebody else, our own: who is there does not answer, and nobody is connected. */
    CHECK(dial(a, b, wrong, &peer) == SETOWIRE_ERR_TIMED_OUT && peer == 0);
    key_of(c, wrong);
    CHECK(dial(a, b, wrong, &peer) == SETOWIRE_ERR_TIMED_OUT && peer == 0);
    CHECK(dial(a, b, of_a, &peer) == SETOWIRE_ERR_UNREACHABLE && peer == 0);
    OK(setowire_swarm_peers(a, NULL, 0, &count));
    CHECK(count == 0);
    OK(setowire_swarm_peers(b, NULL, 0, &count));
    CHECK(count == 0);
    key_time = 0;
    CHECK(dial(a, b, of_b, &peer) == 0 && peer != 0);
    OK(setowire_peer_info(a, peer, &details));
    CHECK(details.has_key && memcmp(details.key, of_b, 32) == 0 && details.is_explicit && details.client);
    CHECK(details.session == SETOWIRE_SESSION_SETOWIRE_13);
    setowire_event *event = next_event(b, SETOWIRE_EVENT_CONNECTION);
    CHECK(strstr((const char *)setowire_event_data(event, NULL), "\"security\":\"tls1.3\"") != NULL);
    OK(setowire_peer_info(b, setowire_event_peer(event), &details));
    CHECK(memcmp(details.key, of_a, 32) == 0);
    setowire_event_free(event);
    /* It is connected already. */
    CHECK(dial(a, b, of_b, &again) == 0 && again == peer);
    setowire_swarm_free(a);
    setowire_swarm_free(b);
    setowire_swarm_free(c);
}

/* A swarm that takes nobody without a topic in common. */
static setowire_swarm *strict_swarm(void) {
    setowire_config *config = quiet_config();
    setowire_swarm *swarm = NULL;
    OK(setowire_config_set(config, "accept_explicit", "off"));
    OK(setowire_swarm_new(config, &swarm));
    setowire_config_free(config);
    return swarm;
}

static size_t topics_of(setowire_swarm *swarm, uint64_t peer, uint64_t *topics) {
    size_t count = 7;
    OK(setowire_peer_topics(swarm, peer, topics, 4, &count));
    return count;
}

static void private_topics(void) {
    setowire_swarm *a = strict_swarm(), *b = strict_swarm(), *c = strict_swarm();
    uint64_t at_a = 0, at_b = 0, at_c = 0, to_b = 0, to_c = 0, topics[4] = {0};
    uint8_t of_a[32];
    size_t len = 0;
    key_of(a, of_a);
    OK(setowire_swarm_join_private(a, topic, 32, secret, 32, &at_a));
    OK(setowire_swarm_join_private(b, topic, 32, secret, 32, &at_b));
    OK(setowire_swarm_join_private(c, topic, 32, other_secret, 32, &at_c));
    OK(setowire_swarm_join(c, secret, 32, &at_c));
    CHECK(dial(a, c, NULL, &to_c) == SETOWIRE_ERR_REFUSED && to_c == 0);
    CHECK(dial(a, b, NULL, &to_b) == 0);
    setowire_event_free(next_event(b, SETOWIRE_EVENT_CONNECTION));
    CHECK(topics_of(a, to_b, topics) == 1 && topics[0] == at_a);

    /* A broadcast to it is signed, and heard under the receiver's own id of the topic. */
    CHECK(setowire_topic_broadcast(a, at_a, (const uint8_t *)"hush", 4) == 1);
    setowire_event *event = next_event(b, SETOWIRE_EVENT_MESSAGE);
    const uint8_t *data = setowire_event_data(event, &len), *author = setowire_event_author(event);
    CHECK(len == 4 && memcmp(data, "hush", 4) == 0);
    CHECK(setowire_event_flags(event) == SETOWIRE_MESSAGE_BROADCAST && setowire_event_topic(event) == at_b);
    CHECK(author != NULL && memcmp(author, of_a, 32) == 0);
    setowire_event_free(event);
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_topic_broadcast(a, at_a + 1000, NULL, 0));
    uint8_t *large = calloc(1, (1 << 20) + 1);
    CHECK(large != NULL);
    FAILS(SETOWIRE_ERR_TOO_LARGE, setowire_topic_broadcast(a, at_a, large, (1 << 20) + 1));
    CHECK(setowire_topic_broadcast(a, at_a, large, 1 << 20) == 1);
    event = next_event(b, SETOWIRE_EVENT_MESSAGE);
    setowire_event_data(event, &len);
    CHECK(len == 1 << 20);
    setowire_event_free(event);
    free(large);

    /* The public topic of the same bytes is another one. */
    OK(setowire_swarm_join(a, topic, 32, &at_a));
    OK(setowire_swarm_join(c, topic, 32, &at_c));
    CHECK(dial(a, c, NULL, &to_c) == 0);
    CHECK(topics_of(a, to_c, topics) == 1 && topics[0] == at_a);
    setowire_event_free(next_event(c, SETOWIRE_EVENT_CONNECTION));
    CHECK(setowire_topic_broadcast(a, at_a, (const uint8_t *)"all", 3) == 1);
    event = next_event(c, SETOWIRE_EVENT_MESSAGE);
    setowire_event_data(event, &len);
    CHECK(len == 3 && setowire_event_topic(event) == at_c);
    setowire_event_free(event);
    OK(setowire_swarm_leave(a, topic, 32));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_topic_broadcast(a, at_a, NULL, 0));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_topic_close(a, at_a));
    setowire_swarm_free(a);
    setowire_swarm_free(b);
    setowire_swarm_free(c);
}

int main(void) {
    by_key();
    private_topics();
    return 0;
}
