/* Topics as client and server, peers by key, bans, the firewall, suspension and what a swarm tells of itself, over beacons
 * on loopback. */
#include "check.h"
#include <unistd.h>

/* A swarm, and what it told so far. */
struct node {
    setowire_swarm *swarm;
    uint8_t key[32];
    char hex[65];
    unsigned count[64];
    /* Of the last event of each kind. */
    char data[64][1024];
    uint64_t topic[64], peer[64];
};

/* A topic that no other test and no other run has. */
static void topic_of(uint8_t topic[32], const char *name) {
    memset(topic, 0, 32);
    snprintf((char *)topic, 32, "%s of process %ld", name, (long)getpid());
}

/* Options are pairs of name and value. */
static struct node *node_new(const char *const *options) {
    struct node *node = calloc(1, sizeof *node);
    setowire_config *config = setowire_config_new();
    setowire_swarm_details details = {.struct_size = sizeof details};
    OK(setowire_config_set_bind_addr(config, "127.0.0.1:0"));
    OK(setowire_config_set_lan_interfaces(config, "lo"));
    /* A peer of this library is found by its id of the older packages too, and would be counted twice. */
    OK(setowire_config_set(config, "legacy", "off"));
    OK(setowire_config_set(config, "jitter", "0"));
    OK(setowire_config_set(config, "backoffs", "100,200,300,400"));
    for (; options != NULL && options[0] != NULL; options += 2) OK(setowire_config_set(config, options[0], options[1]));
    OK(setowire_swarm_new(config, &node->swarm));
    setowire_config_free(config);
    OK(setowire_swarm_info(node->swarm, &details));
    memcpy(node->key, details.key, 32);
    for (int i = 0; i < 32; i++) snprintf(node->hex + 2 * i, 3, "%02x", details.key[i]);
    return node;
}

static void node_free(struct node *node) {
    setowire_swarm_free(node->swarm);
    free(node);
}

/* Takes the next event. */
static setowire_event *take(struct node *node) {
    setowire_event *event = NULL;
    CHECK(setowire_event_wait(node->swarm, DEADLINE_S * 1000) == 1);
    CHECK(setowire_event_next(node->swarm, &event) == 1);
    uint16_t kind = setowire_event_kind(event);
    node->count[kind]++;
    node->topic[kind] = setowire_event_topic(event);
    node->peer[kind] = setowire_event_peer(event);
    snprintf(node->data[kind], sizeof node->data[kind], "%s", (const char *)setowire_event_data(event, NULL));
    CHECK((setowire_event_question(event) != 0) == (kind == SETOWIRE_EVENT_ASK));
    return event;
}

/* Takes events until there were so many of a kind. */
static void until(struct node *node, uint16_t kind, unsigned count) {
    while (node->count[kind] < count) setowire_event_free(take(node));
}

/* Takes events until one of this kind has such data. */
static void until_data(struct node *node, uint16_t kind, const char *text) {
    while (strstr(node->data[kind], text) == NULL) setowire_event_free(take(node));
}

/* Takes events until an operation has ended, and gives its code. */
static int32_t done(struct node *node, uint64_t op, uint64_t tag) {
    for (;;) {
        setowire_event *event = take(node);
        bool is_it = setowire_event_kind(event) == SETOWIRE_EVENT_OP_DONE && setowire_event_op(event) == op;
        int32_t code = setowire_event_code(event);
        CHECK(!is_it || setowire_event_tag(event) == tag);
        setowire_event_free(event);
        if (is_it) return code;
    }
}

static setowire_swarm_state_details state_of(struct node *node) {
    setowire_swarm_state_details state = {.struct_size = sizeof state};
    OK(setowire_swarm_state(node->swarm, &state));
    return state;
}

static setowire_topic_details session_of(struct node *node, uint64_t topic_id) {
    setowire_topic_details session = {.struct_size = sizeof session};
    OK(setowire_topic_info(node->swarm, topic_id, &session));
    return session;
}

static uint64_t join(struct node *node, const uint8_t topic[32], uint32_t flags) {
    uint64_t id = 0;
    OK(setowire_swarm_join_as(node->swarm, topic, 32, NULL, 0, flags, 0, &id));
    CHECK(id != 0);
    return id;
}

/* Dials by address and gives the code of the end. */
static int32_t dial(struct node *from, struct node *to) {
    char address[64];
    uint64_t op = 0;
    address_of(to->swarm, address, sizeof address);
    OK(setowire_swarm_connect_key(from->swarm, address, to->key, 32, 10000, 5, &op));
    return done(from, op, 5);
}

static void clients_and_servers(void) {
    struct node *a = node_new(NULL), *b = node_new(NULL);
    uint8_t topic[32];
    uint64_t op = 0;
    topic_of(topic, "client and server");
    uint64_t of_a = join(a, topic, SETOWIRE_JOIN_SERVER), of_b = join(b, topic, SETOWIRE_JOIN_SERVER);
    OK(setowire_topic_flushed(a->swarm, of_a, 11, &op));
    CHECK(done(a, op, 11) == 0);
    until(a, SETOWIRE_EVENT_TOPIC_UPDATED, 1);
    CHECK(a->count[SETOWIRE_EVENT_TOPIC_UPDATED] == 1 && a->topic[SETOWIRE_EVENT_TOPIC_UPDATED] == of_a);
    OK(setowire_topic_flushed(a->swarm, of_a, 12, &op));
    CHECK(done(a, op, 12) == 0);
    OK(setowire_swarm_flush(b->swarm, 13, &op));
    CHECK(done(b, op, 13) == 0);
    /* Both are only servers: nobody looks for anybody. */
    CHECK(state_of(a).connections == 0 && state_of(b).known == 0 && state_of(b).listening);
    setowire_topic_details session = session_of(b, of_b);
    CHECK(!session.client && session.server && session.announced && session.limit == 0 && !session.is_private);
    CHECK(!session.client_in_all && session.server_in_all && memcmp(session.topic, topic, 32) == 0);

    /* One of them looks for the other. */
    OK(setowire_topic_refresh(b->swarm, of_b, SETOWIRE_JOIN_CLIENT, 7, 14, &op));
    CHECK(done(b, op, 14) == 0);
    session = session_of(b, of_b);
    CHECK(session.client && !session.server && session.limit == 7 && !session.announced);
    until(b, SETOWIRE_EVENT_CONNECTION, 1);
    until(a, SETOWIRE_EVENT_CONNECTION, 1);
    CHECK(strstr(b->data[SETOWIRE_EVENT_CONNECTION], a->hex) != NULL);
    CHECK(strstr(b->data[SETOWIRE_EVENT_CONNECTION], "\"client\":true") != NULL);
    CHECK(b->count[SETOWIRE_EVENT_PEER] == 1 && b->topic[SETOWIRE_EVENT_PEER] == of_b);
    CHECK(strstr(b->data[SETOWIRE_EVENT_PEER], a->hex) != NULL);
    CHECK(b->count[SETOWIRE_EVENT_PEER_TOPIC] == 1 && b->topic[SETOWIRE_EVENT_PEER_TOPIC] == of_b);
    until_data(b, SETOWIRE_EVENT_CHANGED, "\"connections\":1");
    CHECK(a->count[SETOWIRE_EVENT_PEER] == 0);
    setowire_swarm_state_details state = state_of(b);
    CHECK(state.connections == 1 && state.known == 1 && state.connecting == 0 && state.queued == 0 && state.open);
    /* On a slow machine a first dial may have failed. */
    CHECK(state.client_attempted >= 1 && state.client_opened == 1 && state.updates >= 2);
    CHECK(state_of(a).server_opened == 1 && state_of(a).client_attempted == 0);

    /* Without limit again, the modes stay. */
    OK(setowire_topic_refresh(b->swarm, of_b, 0, UINT64_MAX, 15, &op));
    CHECK(done(b, op, 15) == 0);
    session = session_of(b, of_b);
    CHECK(session.client && !session.server && session.limit == 0);
    node_free(a);
    node_free(b);
}

/* Who is both announces itself as it asks: a server that looks for nobody answers nevertheless. */
static void a_server_and_one_that_is_both(void) {
    struct node *a = node_new(NULL), *b = node_new(NULL);
    uint8_t topic[32];
    uint64_t op = 0;
    topic_of(topic, "server and both");
    uint64_t of_a = join(a, topic, SETOWIRE_JOIN_SERVER);
    OK(setowire_topic_flushed(a->swarm, of_a, 1, &op));
    CHECK(done(a, op, 1) == 0);
    /* Its first beacons are over. */
    struct timespec pause = {.tv_nsec = 600 * 1000 * 1000};
    nanosleep(&pause, NULL);
    join(b, topic, SETOWIRE_JOIN_CLIENT | SETOWIRE_JOIN_SERVER);
    until(b, SETOWIRE_EVENT_CONNECTION, 1);
    until(a, SETOWIRE_EVENT_CONNECTION, 1);
    CHECK(state_of(a).client_attempted == 0);
    node_free(a);
    node_free(b);
}

static void sessions_and_presets(void) {
    static const char *const v2[] = {"preset", "v2", NULL};
    struct node *a = node_new(NULL), *b = node_new(v2);
    uint8_t topic[32], secret[32] = "a secret";
    uint64_t ids[4] = {0}, last = 0;
    size_t count = 0;
    topic_of(topic, "sessions");
    uint64_t first = join(a, topic, SETOWIRE_JOIN_CLIENT), second = join(a, topic, SETOWIRE_JOIN_SERVER);
    setowire_topic_details session = session_of(a, first);
    CHECK(session.client && !session.server && session.client_in_all && session.server_in_all);
    OK(setowire_swarm_join_as(a->swarm, topic, 32, secret, 32, 0, 3, &last));
    session = session_of(a, last);
    CHECK(session.is_private && session.client && session.server && session.limit == 3);
    OK(setowire_topic_sessions(a->swarm, topic, 32, ids, 4, &count));
    CHECK(count == 3 && ids[0] == first && ids[1] == second && ids[2] == last);
    OK(setowire_topic_close(a->swarm, second));
    CHECK(!session_of(a, first).server_in_all);
    setowire_topic_details gone = {.struct_size = sizeof gone};
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_topic_info(a->swarm, second, &gone));
    OK(setowire_swarm_leave(a->swarm, topic, 32));
    OK(setowire_topic_sessions(a->swarm, topic, 32, ids, 4, &count));
    CHECK(count == 0);

    first = join(b, topic, 0);
    session = session_of(b, first);
    CHECK(session.client && !session.server);
    second = join(b, topic, SETOWIRE_JOIN_CLIENT | SETOWIRE_JOIN_SERVER);
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_topic_info(b->swarm, first, &gone));
    session = session_of(b, second);
    CHECK(session.client && session.server);
    node_free(a);
    node_free(b);
}

static void bans(void) {
    struct node *a = node_new(NULL), *b = node_new(NULL);
    char text[2048];
    size_t len = 0;
    CHECK(dial(b, a) == 0);
    until(a, SETOWIRE_EVENT_CONNECTION, 1);
    OK(setowire_swarm_known_peer(a->swarm, b->key, 32, text, sizeof text, &len));
    CHECK(len == strlen(text) && strstr(text, b->hex) != NULL && strstr(text, "\"banned\":false") != NULL);
    CHECK(strstr(text, "\"peer\":0,") == NULL && strstr(text, "\"client\":false") != NULL);
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_swarm_known_peer(a->swarm, a->key, 32, text, sizeof text, &len));
    CHECK(len == 0 && text[0] == 0);

    /* Without closing the connection stays. */
    OK(setowire_swarm_ban(a->swarm, b->key, 32, 0, false));
    CHECK(state_of(a).connections == 1 && state_of(a).banned == 1);
    OK(setowire_swarm_ban(a->swarm, b->key, 32, 0, true));
    until(a, SETOWIRE_EVENT_DISCONNECTION, 1);
    until(b, SETOWIRE_EVENT_DISCONNECTION, 1);
    CHECK(dial(b, a) != 0);
    CHECK(state_of(a).connections == 0 && a->count[SETOWIRE_EVENT_CONNECTION] == 1);
    OK(setowire_swarm_known_peers(a->swarm, text, sizeof text, &len));
    CHECK(len == strlen(text) && text[0] == '[' && text[len - 1] == ']');
    CHECK(strstr(text, b->hex) != NULL && strstr(text, "\"banned\":true") != NULL && strstr(text, "\"peer\":0,") != NULL);
    OK(setowire_swarm_unban(a->swarm, b->key, 32));
    CHECK(dial(b, a) == 0);
    until(a, SETOWIRE_EVENT_CONNECTION, 2);

    /* A ban for a time ends by itself. */
    OK(setowire_swarm_ban(a->swarm, b->key, 32, 1, true));
    until(a, SETOWIRE_EVENT_DISCONNECTION, 2);
    until(b, SETOWIRE_EVENT_DISCONNECTION, 2);
    struct timespec longer = {.tv_nsec = 20 * 1000 * 1000};
    nanosleep(&longer, NULL);
    CHECK(dial(b, a) == 0);
    until(a, SETOWIRE_EVENT_CONNECTION, 3);
    CHECK(state_of(a).server_opened == 3 && state_of(a).server_closed == 2);

    /* We did not dial it, it dials us. */
    CHECK(setowire_swarm_backoff(a->swarm, b->key, 32) == 0);
    CHECK(setowire_swarm_backoff(b->swarm, a->key, 32) == 1);
    OK(setowire_swarm_set_reconnect(b->swarm, a->key, 32, false));
    OK(setowire_swarm_known_peer(b->swarm, a->key, 32, text, sizeof text, &len));
    CHECK(strstr(text, "\"attempts\":1,") != NULL && strstr(text, "\"reconnecting\":false") != NULL);
    CHECK(strstr(text, "\"priority\":4") != NULL && strstr(text, "\"prioritized\":true") != NULL);
    node_free(a);
    node_free(b);
}

/* How a callback answers. */
enum answer { ALLOW, REJECT, TOO_LATE, NEVER };

struct wall {
    struct watch *watch;
    enum answer answer;
    unsigned asked;
    char data[1024];
};

static void on_event(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    struct wall *wall = user_data;
    if (setowire_event_kind(event) == SETOWIRE_EVENT_ASK) {
        uint64_t question = setowire_event_question(event);
        CHECK(question != 0);
        pthread_mutex_lock(&wall->watch->lock);
        enum answer answer = wall->answer;
        wall->asked++;
        snprintf(wall->data, sizeof wall->data, "%s", (const char *)setowire_event_data(event, NULL));
        pthread_mutex_unlock(&wall->watch->lock);
        if (answer == ALLOW || answer == REJECT) {
            OK(setowire_swarm_answer(swarm, question, answer == ALLOW));
            FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_swarm_answer(swarm, question, true));
        }
        if (answer == TOO_LATE) {
            /* The network goes on, and nobody waits for this answer any more when it comes. */
            struct timespec pause = {.tv_sec = 3, .tv_nsec = 500 * 1000 * 1000};
            nanosleep(&pause, NULL);
            FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_swarm_answer(swarm, question, true));
        }
    }
    watch_event(swarm, event, wall->watch);
}

static void firewall(void) {
    static const char *const options[] = {"firewall", "on", "firewall_deadline", "2000", "handshake_clear_wait", "0", NULL};
    struct node *a = node_new(options), *b = node_new(NULL), *c = node_new(NULL);
    struct wall wall = {.watch = watch_new(), .answer = TOO_LATE};
    char text[2048];
    size_t len = 0;
    OK(setowire_swarm_set_callback(a->swarm, SETOWIRE_EVENTS_ALL, on_event, &wall, NULL));
    /* No answer in time: turned away, not banned. */
    CHECK(dial(b, a) != 0);
    AWAIT(wall.watch, ASK, 1);
    CHECK(strstr(wall.data, b->hex) != NULL && strstr(wall.data, "\"purpose\":\"incoming\"") != NULL);
    CHECK(state_of(a).banned == 0 && watch_count(wall.watch, SETOWIRE_EVENT_BANNED) == 0);
    pthread_mutex_lock(&wall.watch->lock);
    wall.answer = ALLOW;
    pthread_mutex_unlock(&wall.watch->lock);
    CHECK(dial(b, a) == 0);
    AWAIT(wall.watch, CONNECTION, 1);
    /* "No" bans; it is not asked about again. */
    pthread_mutex_lock(&wall.watch->lock);
    wall.answer = REJECT;
    pthread_mutex_unlock(&wall.watch->lock);
    CHECK(dial(c, a) != 0);
    AWAIT(wall.watch, BANNED, 1);
    CHECK(state_of(a).banned == 1 && state_of(a).connections == 1);
    unsigned asked = watch_count(wall.watch, SETOWIRE_EVENT_ASK);
    OK(setowire_swarm_set_firewall(a->swarm, false));
    CHECK(dial(c, a) != 0);
    OK(setowire_swarm_known_peer(a->swarm, c->key, 32, text, sizeof text, &len));
    CHECK(strstr(text, "\"banned\":true") != NULL);
    OK(setowire_swarm_unban(a->swarm, c->key, 32));
    CHECK(dial(c, a) == 0);
    AWAIT(wall.watch, CONNECTION, 2);
    CHECK(watch_count(wall.watch, SETOWIRE_EVENT_ASK) == asked);
    node_free(a);
    node_free(b);
    node_free(c);
    watch_free(wall.watch);
}

/* Before a dial, and for candidates. */
static void asked_before_a_dial(void) {
    static const char *const options[] = {"firewall", "1", "validate", "1", NULL};
    struct node *a = node_new(NULL), *b = node_new(options);
    uint8_t topic[32];
    topic_of(topic, "asked");
    join(a, topic, SETOWIRE_JOIN_SERVER);
    uint64_t of_b = join(b, topic, SETOWIRE_JOIN_CLIENT);
    for (unsigned asked = 1; asked <= 2; asked++) {
        setowire_event *event = NULL;
        do {
            setowire_event_free(event);
            event = take(b);
        } while (setowire_event_kind(event) != SETOWIRE_EVENT_ASK);
        const char *purpose = asked == 1 ? "\"purpose\":\"candidate\"" : "\"purpose\":\"dial\"";
        CHECK(strstr(b->data[SETOWIRE_EVENT_ASK], purpose) != NULL);
        CHECK(strstr(b->data[SETOWIRE_EVENT_ASK], a->hex) != NULL);
        CHECK(asked == 2 || b->topic[SETOWIRE_EVENT_ASK] == of_b);
        OK(setowire_swarm_answer(b->swarm, setowire_event_question(event), true));
        setowire_event_free(event);
    }
    until(b, SETOWIRE_EVENT_CONNECTION, 1);
    node_free(b);
    /* Who is no candidate is not dialled. */
    b = node_new(options);
    join(b, topic, SETOWIRE_JOIN_CLIENT);
    setowire_event *event = NULL;
    do {
        setowire_event_free(event);
        event = take(b);
    } while (setowire_event_kind(event) != SETOWIRE_EVENT_ASK);
    OK(setowire_swarm_answer(b->swarm, setowire_event_question(event), false));
    setowire_event_free(event);
    until(b, SETOWIRE_EVENT_PEER_REJECTED, 1);
    CHECK(strstr(b->data[SETOWIRE_EVENT_PEER_REJECTED], a->hex) != NULL);
    CHECK(state_of(b).banned == 0 && state_of(b).client_attempted == 0);
    node_free(a);
    node_free(b);
}

static void by_key_alone(void) {
    struct node *a = node_new(NULL), *b = node_new(NULL), *c = node_new(NULL);
    uint64_t op = 0;
    OK(setowire_swarm_listen(a->swarm));
    OK(setowire_swarm_listen(a->swarm));
    CHECK(state_of(a).listening);
    OK(setowire_swarm_join_peer(b->swarm, b->key, 32, NULL));
    CHECK(state_of(b).explicit_peers == 0);
    OK(setowire_swarm_join_peer(b->swarm, a->key, 32, NULL));
    until(b, SETOWIRE_EVENT_CONNECTION, 1);
    until(a, SETOWIRE_EVENT_CONNECTION, 1);
    CHECK(state_of(b).explicit_peers == 1 && strstr(b->data[SETOWIRE_EVENT_CONNECTION], a->hex) != NULL);
    /* It is brought back. */
    OK(setowire_peer_close(a->swarm, a->peer[SETOWIRE_EVENT_CONNECTION]));
    until(b, SETOWIRE_EVENT_CONNECTION, 2);
    until(a, SETOWIRE_EVENT_CONNECTION, 2);
    OK(setowire_swarm_leave_peer(b->swarm, a->key, 32));
    CHECK(state_of(b).explicit_peers == 0 && state_of(b).connections == 1);
    /* Then it is not. */
    OK(setowire_peer_close(a->swarm, a->peer[SETOWIRE_EVENT_CONNECTION]));
    until(b, SETOWIRE_EVENT_DISCONNECTION, 2);
    until_data(b, SETOWIRE_EVENT_CHANGED, "\"connections\":0");
    CHECK(state_of(b).known == 0);

    /* Once, without the swarm's bookkeeping. */
    OK(setowire_swarm_connect_peer(c->swarm, a->key, 32, 0, 21, &op));
    CHECK(done(c, op, 21) == 0 && c->peer[SETOWIRE_EVENT_OP_DONE] != 0);
    CHECK(state_of(c).explicit_peers == 0);
    OK(setowire_swarm_connect_peer(c->swarm, b->key, 32, 300, 22, &op));
    CHECK(done(c, op, 22) == SETOWIRE_ERR_TIMED_OUT);
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_connect_peer(c->swarm, c->key, 32, 0, 23, &op));

    /* With an address where nobody need be found. */
    char address[64];
    address_of(b->swarm, address, sizeof address);
    OK(setowire_swarm_join_peer(c->swarm, b->key, 32, address));
    until_data(c, SETOWIRE_EVENT_CONNECTION, b->hex);
    node_free(a);
    node_free(b);
    node_free(c);
}

static void suspension(void) {
    struct node *a = node_new(NULL), *b = node_new(NULL);
    uint8_t topic[32];
    uint64_t op = 0;
    topic_of(topic, "suspended");
    uint64_t of_a = join(a, topic, 0);
    join(b, topic, 0);
    until(a, SETOWIRE_EVENT_CONNECTION, 1);
    until(b, SETOWIRE_EVENT_CONNECTION, 1);
    OK(setowire_swarm_suspend(a->swarm));
    OK(setowire_swarm_suspend(a->swarm));
    until(a, SETOWIRE_EVENT_DISCONNECTION, 1);
    until(b, SETOWIRE_EVENT_DISCONNECTION, 1);
    CHECK(state_of(a).suspended && state_of(a).connections == 0);
    OK(setowire_swarm_flush(a->swarm, 31, &op));
    CHECK(done(a, op, 31) == 0);
    CHECK(dial(b, a) != 0);
    OK(setowire_swarm_resume(a->swarm));
    OK(setowire_swarm_resume(a->swarm));
    until(a, SETOWIRE_EVENT_CONNECTION, 2);
    until(b, SETOWIRE_EVENT_CONNECTION, 2);
    CHECK(!state_of(a).suspended && session_of(a, of_a).announced);
    OK(setowire_swarm_network_changed(a->swarm));
    unsigned rounds = a->count[SETOWIRE_EVENT_TOPIC_UPDATED];
    until(a, SETOWIRE_EVENT_TOPIC_UPDATED, rounds + 1);
    node_free(a);
    node_free(b);
}

static void look_ups(void) {
    struct node *a = node_new(NULL), *b = node_new(NULL);
    uint8_t topic[32], secret[32] = "a secret of look-ups";
    uint64_t op = 0, id = 0;
    topic_of(topic, "looked up");
    OK(setowire_swarm_join_as(a->swarm, topic, 32, secret, 32, SETOWIRE_JOIN_SERVER, 0, &id));
    OK(setowire_topic_flushed(a->swarm, id, 0, &op));
    CHECK(done(a, op, 0) == 0);
    /* Without the secret it is another topic. */
    OK(setowire_swarm_lookup(b->swarm, topic, 32, NULL, 0, false, 41, &op));
    CHECK(done(b, op, 41) == 0 && b->count[SETOWIRE_EVENT_FOUND] == 0);
    OK(setowire_swarm_lookup(b->swarm, topic, 32, secret, 32, true, 42, &op));
    for (bool found = false; !found;) {
        setowire_event *event = take(b);
        found = setowire_event_kind(event) == SETOWIRE_EVENT_FOUND;
        CHECK(!found || (setowire_event_op(event) == op && setowire_event_tag(event) == 42));
        setowire_event_free(event);
    }
    CHECK(strstr(b->data[SETOWIRE_EVENT_FOUND], a->hex) != NULL);
    CHECK(strstr(b->data[SETOWIRE_EVENT_FOUND], "\"source\":\"lan\"") != NULL);
    CHECK(done(b, op, 42) == 0);
    OK(setowire_swarm_unannounce(b->swarm, topic, 32, secret, 32));
    /* Nobody was dialled. */
    CHECK(state_of(b).known == 0 && state_of(a).connections == 0 && b->count[SETOWIRE_EVENT_FOUND] == 1);
    /* Who is connected is found as well. */
    CHECK(dial(b, a) == 0);
    OK(setowire_swarm_lookup(b->swarm, topic, 32, secret, 32, false, 46, &op));
    CHECK(done(b, op, 46) == 0 && b->count[SETOWIRE_EVENT_FOUND] == 2);
    /* An operation that is cancelled, and one that the end of the swarm ends. */
    OK(setowire_swarm_lookup(b->swarm, topic, 32, NULL, 0, false, 43, &op));
    OK(setowire_op_cancel(b->swarm, op));
    CHECK(done(b, op, 43) == SETOWIRE_ERR_CANCELLED);
    join(b, topic, 0);
    OK(setowire_swarm_flush(b->swarm, 44, &op));
    OK(setowire_swarm_close_now(b->swarm));
    CHECK(done(b, op, 44) == SETOWIRE_ERR_CLOSED);
    until(b, SETOWIRE_EVENT_CLOSED, 1);
    FAILS(SETOWIRE_ERR_CLOSED, setowire_swarm_flush(b->swarm, 45, &op));
    OK(setowire_swarm_close_now(b->swarm));
    node_free(a);
    node_free(b);
}

/* A program that does not end by itself is ended while it closes. */
static void closing_at_once(void) {
    struct node *a = node_new(NULL), *b = node_new(NULL);
    CHECK(dial(a, b) == 0);
    uint64_t peer = a->peer[SETOWIRE_EVENT_OP_DONE];
    static uint8_t much[1 << 20];
    OK(setowire_peer_send(a->swarm, peer, much, sizeof much, 0));
    OK(setowire_swarm_close(a->swarm));
    OK(setowire_swarm_close_now(a->swarm));
    until(a, SETOWIRE_EVENT_CLOSED, 1);
    until(b, SETOWIRE_EVENT_DISCONNECTION, 1);
    node_free(a);
    node_free(b);
}

static void two_connections_with_one_program(void) {
    struct node *a = node_new(NULL), *b = node_new(NULL), *c = node_new(NULL);
    const uint8_t one[] = "a", other[] = "b";
    CHECK(dial(a, b) == 0);
    uint64_t first = a->peer[SETOWIRE_EVENT_OP_DONE];
    CHECK(dial(a, c) == 0);
    uint64_t second = a->peer[SETOWIRE_EVENT_OP_DONE];
    CHECK(setowire_peer_deduplicate(a->swarm, first, one, 1, other, 1) == 0);
    /* With the smaller id ours, one that we did not dial would stay: of these two the first goes. */
    int32_t goes = setowire_peer_deduplicate(a->swarm, second, one, 1, other, 1);
    CHECK(goes == 0 || goes == 1);
    until(a, SETOWIRE_EVENT_DISCONNECTION, 1);
    CHECK(a->peer[SETOWIRE_EVENT_DISCONNECTION] == (goes == 1 ? second : first));
    /* The same id on both sides: it is ourselves. */
    CHECK(setowire_peer_deduplicate(a->swarm, goes == 1 ? first : second, one, 1, one, 1) == 1);
    until(a, SETOWIRE_EVENT_DISCONNECTION, 2);
    node_free(a);
    node_free(b);
    node_free(c);
}

static void keys_and_ports(void) {
    /* RFC 8032, the first test: a seed and its public key. */
    static const char pair[] = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
                               "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    static const char *const options[] = {"key_pair", pair, "seed",
                                          "0000000000000000000000000000000000000000000000000000000000000000", NULL};
    struct node *a = node_new(options);
    CHECK(strncmp(a->hex, pair + 64, 64) == 0);
    /* The port that `a` has, and the one after it. */
    setowire_swarm_details details = {.struct_size = sizeof details};
    OK(setowire_swarm_info(a->swarm, &details));
    if (details.port_v4 < 65000) {
        char range[64];
        uint16_t taken = details.port_v4;
        setowire_config *config = setowire_config_new();
        setowire_swarm *swarm = NULL;
        snprintf(range, sizeof range, "127.0.0.1:%u-%u", taken, taken + 500u);
        OK(setowire_config_set_bind_addr(config, range));
        OK(setowire_config_set_lan(config, false));
        OK(setowire_swarm_new(config, &swarm));
        OK(setowire_swarm_info(swarm, &details));
        CHECK(details.port_v4 > taken && details.port_v4 <= taken + 500u);
        setowire_swarm_free(swarm);
        setowire_config_free(config);
    }
    node_free(a);
}

int main(void) {
    clients_and_servers();
    a_server_and_one_that_is_both();
    sessions_and_presets();
    bans();
    firewall();
    asked_before_a_dial();
    by_key_alone();
    suspension();
    look_ups();
    closing_at_once();
    two_connections_with_one_program();
    keys_and_ports();
    return 0;
}
