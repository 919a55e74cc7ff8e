/* Greets everyone on the same topic. With `lo` as argument it stays on this machine. */
#include <setowire.h>
#include <stdio.h>

static const char topic[] = "hello from the setowire README!!"; /* any 32 bytes, usually the SHA-256 of a name */

/* Called for one event after the other, in a thread of the swarm. */
static void on_event(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    (void)user_data;
    uint64_t peer = setowire_event_peer(event);
    size_t len = 0;
    const uint8_t *data = setowire_event_data(event, &len);
    if (setowire_event_kind(event) == SETOWIRE_EVENT_CONNECTION) {
        setowire_peer_send(swarm, peer, (const uint8_t *)"hello", 5, 0);
    } else if (setowire_event_kind(event) == SETOWIRE_EVENT_MESSAGE) {
        printf("peer %llu says %.*s\n", (unsigned long long)peer, (int)len, (const char *)data);
        fflush(stdout);
    }
}

static int failed(const char *what) {
    char why[256];
    setowire_last_error_message(why, sizeof why);
    fprintf(stderr, "%s: %s\n", what, why);
    return 1;
}

int main(int argc, char **argv) {
    setowire_config *config = setowire_config_new();
    if (argc > 1 && setowire_config_set_lan_interfaces(config, argv[1]) < 0) return failed("interfaces");

    setowire_swarm *swarm = NULL;
    if (setowire_swarm_new(config, &swarm) < 0) return failed("swarm");
    setowire_config_free(config);
    if (setowire_swarm_set_callback(swarm, UINT64_MAX, on_event, NULL, NULL) < 0) return failed("callback");

    uint64_t joined = 0;
    if (setowire_swarm_join(swarm, (const uint8_t *)topic, 32, &joined) < 0) return failed("join");
    getchar(); /* until Enter */
    setowire_swarm_free(swarm);
    return 0;
}
