/* Chat with everybody in a room: chat <nick> [room] [--interfaces NAMES]
 *
 * Works with the chat programs of the older setowire packages and with examples/python/chat.py: the topic of a room
 * is SHA-256("chat:" + room), messages are JSON objects of type JOIN, MSG and LEAVE. --interfaces lo keeps it on
 * this machine. Build: make -C examples/c */
#include "json.h"
#include "sha256.h"
#include <pthread.h>
#include <setowire.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_NICK 64
#define MAX_TEXT 2000
#define MAX_PEERS 128

struct member {
    uint64_t peer; /* 0: this place is free */
    char nick[MAX_NICK];
};

/* Used by the callback's thread and by the one that reads the keyboard. */
struct chat {
    pthread_mutex_t lock;
    const char *nick;
    struct member members[MAX_PEERS];
};

static void show(const char *format, ...) {
    char clock[8] = "";
    time_t now = time(NULL);
    struct tm local;
    va_list arguments;
    if (localtime_r(&now, &local) != NULL) strftime(clock, sizeof clock, "%H:%M", &local);
    va_start(arguments, format);
    flockfile(stdout);
    printf("[%s] ", clock);
    vprintf(format, arguments);
    putchar('\n');
    fflush(stdout);
    funlockfile(stdout);
    va_end(arguments);
}

static int failed(const char *what) {
    char why[256];
    setowire_last_error_message(why, sizeof why);
    fprintf(stderr, "%s: %s\n", what, why);
    return 1;
}

/* {"type":TYPE,"nick":NICK} or {"type":TYPE,"nick":NICK,"text":TEXT}; false: it is too long. */
static bool compose(char *out, size_t cap, const char *type, const char *nick, const char *text) {
    snprintf(out, cap, "{\"type\":\"%s\",\"nick\":", type);
    if (!json_put(out, cap, nick)) return false;
    if (text != NULL) {
        if (strlen(out) + 9 > cap) return false;
        strcat(out, ",\"text\":");
        if (!json_put(out, cap, text)) return false;
    }
    if (strlen(out) + 2 > cap) return false;
    strcat(out, "}");
    return true;
}

static void greet(setowire_swarm *swarm, const struct chat *chat, uint64_t peer) {
    char message[256 + 6 * MAX_NICK];
    if (compose(message, sizeof message, "JOIN", chat->nick, NULL)) {
        setowire_peer_send(swarm, peer, (const uint8_t *)message, strlen(message), 0);
    }
}

/* The place of a peer, or with `peer` 0 a free one; NULL: there is none. */
static struct member *find(struct chat *chat, uint64_t peer) {
    for (size_t i = 0; i < MAX_PEERS; i++) {
        if (chat->members[i].peer == peer) return &chat->members[i];
    }
    return NULL;
}

static void on_message(setowire_swarm *swarm, struct chat *chat, uint64_t peer, const setowire_event *event) {
    char json[6 * MAX_TEXT + 1], type[16], nick[MAX_NICK], text[MAX_TEXT];
    size_t len;
    const uint8_t *data = setowire_event_data(event, &len);
    if (len >= sizeof json) return;
    memcpy(json, data, len);
    json[len] = 0;
    /* What is not of a chat is ignored: older peers also gossip about each other. */
    if (!json_get(json, "type", type, sizeof type) || !json_get(json, "nick", nick, sizeof nick)) return;
    struct member *member = find(chat, peer);
    if (strcmp(type, "JOIN") == 0 && member == NULL && (member = find(chat, 0)) != NULL) {
        member->peer = peer;
        memcpy(member->nick, nick, sizeof nick);
        show("* %s joined", nick);
        greet(swarm, chat, peer);
    } else if (strcmp(type, "MSG") == 0 && json_get(json, "text", text, sizeof text)) {
        show("%s: %s", nick, text);
    } else if (strcmp(type, "LEAVE") == 0 && member != NULL) {
        show("* %s left", member->nick);
        member->peer = 0;
    }
}

static void on_event(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    struct chat *chat = user_data;
    uint64_t peer = setowire_event_peer(event);
    struct member *member;
    pthread_mutex_lock(&chat->lock);
    switch (setowire_event_kind(event)) {
    case SETOWIRE_EVENT_CONNECTION: greet(swarm, chat, peer); break;
    case SETOWIRE_EVENT_MESSAGE: on_message(swarm, chat, peer, event); break;
    case SETOWIRE_EVENT_DISCONNECTION:
        if ((member = find(chat, peer)) != NULL) {
            show("* %s disconnected", member->nick);
            member->peer = 0;
        }
        break;
    }
    pthread_mutex_unlock(&chat->lock);
}

static void show_peers(setowire_swarm *swarm, struct chat *chat) {
    uint64_t ids[MAX_PEERS];
    size_t count = 0;
    if (setowire_swarm_peers(swarm, ids, MAX_PEERS, &count) < 0) return;
    show("* %zu connected", count);
    for (size_t i = 0; i < count && i < MAX_PEERS; i++) {
        setowire_peer_details peer = {.struct_size = sizeof peer};
        char address[64];
        if (setowire_peer_info(swarm, ids[i], &peer) < 0) continue; /* it left meanwhile */
        if (setowire_peer_address(swarm, ids[i], address, sizeof address) < 0) continue;
        pthread_mutex_lock(&chat->lock);
        const struct member *member = find(chat, ids[i]);
        show("*   %s nick=%s rtt=%.1f ms", address, member != NULL ? member->nick : "?", (double)peer.rtt_us / 1000);
        pthread_mutex_unlock(&chat->lock);
    }
}

static void show_ports(setowire_swarm *swarm) {
    setowire_swarm_details details = {.struct_size = sizeof details};
    if (setowire_swarm_info(swarm, &details) < 0) return;
    show("* nat=unknown (this version does not look for it), port %u", details.port_v4);
}

static void say(setowire_swarm *swarm, const char *type, const char *nick, const char *text) {
    char message[6 * MAX_TEXT];
    if (!compose(message, sizeof message, type, nick, text)) {
        show("* that is too long");
    } else if (setowire_swarm_broadcast(swarm, (const uint8_t *)message, strlen(message)) >= 0 && text != NULL) {
        show("%s: %s", nick, text);
    }
}

/* Does what is typed until /quit or the end of the input. */
static void talk(setowire_swarm *swarm, struct chat *chat) {
    char line[MAX_TEXT];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\r\n")] = 0;
        if (strcmp(line, "/quit") == 0) break;
        if (strcmp(line, "/peers") == 0) show_peers(swarm, chat);
        else if (strcmp(line, "/nat") == 0) show_ports(swarm);
        else if (line[0] == '/') show("* commands: /peers /nat /quit");
        else if (line[0] != 0) say(swarm, "MSG", chat->nick, line);
    }
    say(swarm, "LEAVE", chat->nick, NULL);
}

int main(int argc, char **argv) {
    static struct chat chat = {.lock = PTHREAD_MUTEX_INITIALIZER};
    const char *room = "general", *interfaces = "";
    int names = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--interfaces") == 0 && i + 1 < argc) interfaces = argv[++i];
        else if (names == 0) chat.nick = argv[i], names++;
        else room = argv[i], names++;
    }
    if (names < 1 || names > 2 || strlen(chat.nick) >= MAX_NICK || strlen(room) > 200) {
        fprintf(stderr, "usage: %s <nick> [room] [--interfaces NAMES]\n", argv[0]);
        return 2;
    }

    setowire_config *config = setowire_config_new();
    if (setowire_config_set_lan_interfaces(config, interfaces) < 0) return failed("--interfaces");
    setowire_swarm *swarm = NULL;
    if (setowire_swarm_new(config, &swarm) < 0) return failed("the swarm does not start");
    setowire_config_free(config);
    if (setowire_swarm_set_callback(swarm, SETOWIRE_EVENTS_ALL, on_event, &chat, NULL) < 0) return failed("callback");

    char name[256];
    uint8_t topic[32];
    uint64_t topic_id;
    snprintf(name, sizeof name, "chat:%s", room);
    sha256(name, strlen(name), topic);
    if (setowire_swarm_join(swarm, topic, sizeof topic, &topic_id) < 0) return failed("the room cannot be joined");
    show("* %s in %s; commands: /peers /nat /quit", chat.nick, room);
    talk(swarm, &chat);
    setowire_swarm_free(swarm);
    return 0;
}
