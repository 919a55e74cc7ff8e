/* A program that is itself a source of peers: swarms without beacons meet through a directory of this program. */
#include "check.h"
#include <unistd.h>

/* Who is where, and what each node was asked. Four entries are enough for three nodes of one topic and their keys. */
struct entry {
    char name[65], key[65], address[32];
};
static struct entry directory[16];

struct node {
    setowire_swarm *swarm;
    uint8_t key[32];
    char hex[65], ports[96];
    unsigned count[64];
    unsigned announces, lookups, withdrawals, clears;
    int32_t updated;
    /* It does not work, or it says nothing. */
    bool fails, silent;
    uint64_t unanswered, cancelled;
};

static void bytes_of(const char *hex, uint8_t out[32]) {
    for (int i = 0; i < 32; i++) CHECK(sscanf(hex + 2 * i, "%2hhx", &out[i]) == 1);
}

/* The 64 digits of a field. */
static void digits_of(const char *data, const char *field, char out[65]) {
    char start[32];
    snprintf(start, sizeof start, "\"%s\":\"", field);
    const char *at = strstr(data, start);
    CHECK(at != NULL && strlen(at) > strlen(start) + 64);
    snprintf(out, 65, "%s", at + strlen(start));
}

static struct node *node_new(const char *announce_port) {
    struct node *node = calloc(1, sizeof *node);
    setowire_config *config = quiet_config();
    setowire_swarm_details details = {.struct_size = sizeof details};
    OK(setowire_config_set(config, "source", "on"));
    if (announce_port != NULL) OK(setowire_config_set(config, "announce_port", announce_port));
    OK(setowire_swarm_new(config, &node->swarm));
    setowire_config_free(config);
    OK(setowire_swarm_info(node->swarm, &details));
    memcpy(node->key, details.key, 32);
    for (int i = 0; i < 32; i++) snprintf(node->hex + 2 * i, 3, "%02x", details.key[i]);
    char bound[8];
    snprintf(bound, sizeof bound, "%u", details.port_v4);
    snprintf(node->ports, sizeof node->ports, "\"port_v4\":%s,\"port_v6\":null", announce_port ? announce_port : bound);
    return node;
}

static void node_free(struct node *node) {
    setowire_swarm_free(node->swarm);
    free(node);
}

static void withdraw(const char *name, const char *key) {
    for (struct entry *entry = directory; entry < directory + 16; entry++) {
        if (strcmp(entry->name, name) == 0 && strcmp(entry->key, key) == 0) memset(entry, 0, sizeof *entry);
    }
}

static unsigned entries_of(const char *key) {
    unsigned count = 0;
    for (struct entry *entry = directory; entry < directory + 16; entry++) count += strcmp(entry->key, key) == 0;
    return count;
}

static void answer(struct node *node, const setowire_event *event) {
    const char *data = (const char *)setowire_event_data(event, NULL);
    char name[65], key[65];
    uint64_t query = setowire_event_query(event);
    uint8_t found[32];
    CHECK(query != 0 && setowire_event_peer(event) == 0 && setowire_event_topic(event) == 0);
    digits_of(data, "name", name);
    digits_of(data, "key", key);
    CHECK(strcmp(key, node->hex) == 0 && strstr(data, node->ports) != NULL);
    bool announce = strstr(data, "\"kind\":\"announce\"") != NULL;
    bool back = strstr(data, "\"kind\":\"lookup-and-unannounce\"") != NULL;
    CHECK(announce || back || strstr(data, "\"kind\":\"lookup\"") != NULL);
    node->announces += announce;
    node->lookups += !announce;
    node->clears += strstr(data, "\"clear\":true") != NULL;
    node->unanswered = query;
    if (node->silent) return;
    if (node->fails) {
        OK(setowire_swarm_round_done(node->swarm, query, false));
        return;
    }
    withdraw(name, key);
    for (struct entry *entry = directory; announce && entry < directory + 16; entry++) {
        if (entry->name[0] != 0) continue;
        strcpy(entry->name, name);
        strcpy(entry->key, key);
        snprintf(entry->address, sizeof entry->address, "127.0.0.1:%d", atoi(strstr(data, "\"port_v4\":") + 10));
        break;
    }
    for (struct entry *entry = directory; entry < directory + 16; entry++) {
        if (strcmp(entry->name, name) != 0) continue;
        bytes_of(entry->key, found);
        OK(setowire_swarm_found(node->swarm, query, found, 32, entry->address));
    }
    OK(setowire_swarm_round_done(node->swarm, query, true));
    /* Once more, and too late: no error. */
    OK(setowire_swarm_round_done(node->swarm, query, false));
    OK(setowire_swarm_found(node->swarm, query, node->key, 32, "127.0.0.1:9"));
}

/* Takes the next event, and is the source that it asks. */
static uint16_t take(struct node *node) {
    setowire_event *event = NULL;
    CHECK(setowire_event_wait(node->swarm, DEADLINE_S * 1000) == 1);
    CHECK(setowire_event_next(node->swarm, &event) == 1);
    uint16_t kind = setowire_event_kind(event);
    const char *data = (const char *)setowire_event_data(event, NULL);
    bool asks = kind == SETOWIRE_EVENT_ROUND || kind == SETOWIRE_EVENT_ROUND_CANCELLED;
    CHECK((setowire_event_query(event) != 0) == asks);
    if (kind == SETOWIRE_EVENT_ROUND) answer(node, event);
    if (kind == SETOWIRE_EVENT_ROUND_CANCELLED) node->cancelled = setowire_event_query(event);
    if (kind == SETOWIRE_EVENT_TOPIC_UPDATED) node->updated = setowire_event_code(event);
    if (kind == SETOWIRE_EVENT_CONNECTION) CHECK(strstr(data, "\"source\":") != NULL);
    if (kind == SETOWIRE_EVENT_UNANNOUNCE) {
        char name[65], key[65];
        uint8_t taken[32];
        digits_of(data, "name", name);
        digits_of(data, "key", key);
        CHECK(strcmp(key, node->hex) == 0);
        withdraw(name, key);
        bytes_of(name, taken);
        node->withdrawals++;
        int32_t told = setowire_swarm_unannounced(node->swarm, taken, 32);
        CHECK(told == 0 || told == SETOWIRE_ERR_CLOSED);
    }
    node->count[kind]++;
    setowire_event_free(event);
    return kind;
}

static void until(struct node *node, uint16_t kind, unsigned count) {
    while (node->count[kind] < count) take(node);
}

static uint64_t join(struct node *node, const char *name, uint32_t flags) {
    uint8_t topic[32] = {0};
    uint64_t id = 0;
    snprintf((char *)topic, 32, "%s", name);
    OK(setowire_swarm_join_as(node->swarm, topic, 32, NULL, 0, flags, 0, &id));
    return id;
}

static void through_a_directory(void) {
    struct node *a = node_new(NULL), *b = node_new(NULL);
    uint64_t of_a = join(a, "a topic", SETOWIRE_JOIN_SERVER);
    until(a, SETOWIRE_EVENT_TOPIC_UPDATED, 1);
    CHECK(a->updated == 0 && a->announces >= 1 && entries_of(a->hex) >= 1);
    join(b, "a topic", SETOWIRE_JOIN_CLIENT);
    until(b, SETOWIRE_EVENT_CONNECTION, 1);
    until(a, SETOWIRE_EVENT_CONNECTION, 1);
    CHECK(b->lookups == 1 && b->announces == 0 && entries_of(b->hex) == 0);
    /* Left: what was announced is taken back. */
    unsigned before = entries_of(a->hex), withdrawn = a->withdrawals;
    OK(setowire_topic_close(a->swarm, of_a));
    until(a, SETOWIRE_EVENT_UNANNOUNCE, withdrawn + 1);
    CHECK(entries_of(a->hex) == before - 1);
    /* By key alone. */
    struct node *c = node_new(NULL);
    OK(setowire_swarm_join_peer(c->swarm, a->key, 32, NULL));
    until(c, SETOWIRE_EVENT_CONNECTION, 1);
    /* The end takes back the rest. */
    OK(setowire_swarm_close(a->swarm));
    until(a, SETOWIRE_EVENT_CLOSED, 1);
    CHECK(entries_of(a->hex) == 0);
    node_free(a);
    node_free(b);
    node_free(c);
}

static void sources_that_fail(void) {
    struct node *a = node_new(NULL);
    uint64_t op = 0;
    a->fails = true;
    uint64_t id = join(a, "a topic", 0);
    until(a, SETOWIRE_EVENT_TOPIC_UPDATED, 1);
    CHECK(a->updated == SETOWIRE_ERR_UNREACHABLE);
    OK(setowire_topic_flushed(a->swarm, id, 7, &op));
    until(a, SETOWIRE_EVENT_OP_DONE, 1);
    /* One that says nothing: nobody waits for it any more when the topic is left. */
    a->silent = true;
    unsigned rounds = a->count[SETOWIRE_EVENT_ROUND];
    OK(setowire_topic_refresh(a->swarm, id, 0, 0, 8, &op));
    until(a, SETOWIRE_EVENT_ROUND, rounds + 1);
    uint64_t query = a->unanswered;
    OK(setowire_topic_close(a->swarm, id));
    until(a, SETOWIRE_EVENT_ROUND_CANCELLED, 1);
    CHECK(a->cancelled == query);
    OK(setowire_swarm_round_done(a->swarm, query, true));
    node_free(a);
}

static void another_port(void) {
    struct node *a = node_new("4077");
    join(a, "a topic", SETOWIRE_JOIN_SERVER);
    until(a, SETOWIRE_EVENT_TOPIC_UPDATED, 1);
    CHECK(entries_of(a->hex) >= 1);
    for (struct entry *entry = directory; entry < directory + 16; entry++) {
        CHECK(entry->name[0] == 0 || strcmp(entry->address, "127.0.0.1:4077") == 0);
    }
    node_free(a);
}

int main(void) {
    through_a_directory();
    memset(directory, 0, sizeof directory);
    sources_that_fail();
    memset(directory, 0, sizeof directory);
    another_port();
    return 0;
}
