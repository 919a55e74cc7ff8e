/* A panic in every function, made by a library built with the feature `panic-injection` where SETOWIRE_PANIC_IN
 * names the function: it comes back as SETOWIRE_ERR_PANIC or as the value that the header promises, what was to be
 * written is 0, and what was to be given back is given back. A panic while a swarm is used ends that swarm alone. */
#include "check.h"

static const uint8_t bytes[64] = {1};
static unsigned functions, destroyed, released;

static void aim(const char *name) {
    functions++;
    setenv("SETOWIRE_PANIC_IN", name, 1);
}

#define PANICS(name, ...)                                                                         \
    do {                                                                                          \
        char why_[256];                                                                           \
        aim(#name);                                                                               \
        FAILS(SETOWIRE_ERR_PANIC, name(__VA_ARGS__));                                             \
        unsetenv("SETOWIRE_PANIC_IN");                                                            \
        CHECK(setowire_last_error_message(why_, sizeof why_) > 0 && strstr(why_, #name) != NULL); \
    } while (0)

/* A function without a code: what it gives is as the header promises. */
#define GIVES(name, expected)                                                                     \
    do {                                                                                          \
        aim(#name);                                                                               \
        CHECK(name expected);                                                                     \
        unsetenv("SETOWIRE_PANIC_IN");                                                            \
    } while (0)

#define SURVIVES(name, ...)                                                                       \
    do {                                                                                          \
        aim(#name);                                                                               \
        name(__VA_ARGS__);                                                                        \
        unsetenv("SETOWIRE_PANIC_IN");                                                            \
    } while (0)

static void ignore_event(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    (void)swarm, (void)event, (void)user_data;
}

static void ignore_line(uint8_t level, const char *target, const char *message, size_t len, uint64_t time_us,
                        void *user_data) {
    (void)level, (void)target, (void)message, (void)len, (void)time_us, (void)user_data;
}

static void destroy(void *user_data) {
    (void)user_data;
    destroyed++;
}

static void release(void *data, void *user_data) {
    (void)data, (void)user_data;
    released++;
}

static void every_function(void) {
    uint64_t id = 0;
    size_t number = 0;
    uint32_t end = 0;
    intptr_t fd = 0;
    uint8_t buffer[64];
    char text[64];
    setowire_swarm *swarm = quiet_swarm(), *none = NULL;
    setowire_config *config = setowire_config_new();
    setowire_event *event = NULL;
    setowire_swarm_details details = {.struct_size = sizeof details};
    setowire_swarm_counters counters = {.struct_size = sizeof counters};
    setowire_peer_details peer = {.struct_size = sizeof peer};
    setowire_swarm_state_details state = {.struct_size = sizeof state};
    setowire_topic_details session = {.struct_size = sizeof session};

    GIVES(setowire_config_new, () == NULL);
    SURVIVES(setowire_config_free, NULL);
    PANICS(setowire_config_set, config, "lan", "1");
    PANICS(setowire_config_set_identity_seed, config, bytes, 32);
    PANICS(setowire_config_set_key_pair, config, bytes, 64);
    PANICS(setowire_config_set_bind_addr, config, "0.0.0.0:0");
    PANICS(setowire_config_set_max_peers, config, 1);
    PANICS(setowire_config_set_lan, config, true);
    PANICS(setowire_config_set_lan_interfaces, config, "lo");
    PANICS(setowire_config_add_seed, config, "127.0.0.1:9");
    PANICS(setowire_config_set_peer_cache, config, "[]");
    PANICS(setowire_config_set_clear_fragments, config, true);
    PANICS(setowire_config_set_send_buffer, config, 1 << 20);
    PANICS(setowire_config_set_event_queue, config, 100, 1 << 20);
    PANICS(setowire_config_set_event_mask, config, 0);
    PANICS(setowire_swarm_new, config, &none);
    CHECK(none == NULL);
    PANICS(setowire_swarm_close, swarm);
    SURVIVES(setowire_swarm_free, swarm);
    PANICS(setowire_swarm_set_callback, swarm, 0, ignore_event, NULL, destroy);
    CHECK(destroyed == 1);
    PANICS(setowire_swarm_connect, swarm, "127.0.0.1:9", 0, 0, &id);
    PANICS(setowire_swarm_connect_key, swarm, "127.0.0.1:9", bytes, 32, 0, 0, &id);
    PANICS(setowire_op_cancel, swarm, 1);
    PANICS(setowire_swarm_broadcast, swarm, bytes, 1);
    PANICS(setowire_swarm_peers, swarm, &id, 1, &number);
    PANICS(setowire_swarm_info, swarm, &details);
    PANICS(setowire_swarm_stats, swarm, &counters);
    PANICS(setowire_swarm_network_changed, swarm);
    PANICS(setowire_swarm_join, swarm, bytes, 32, &id);
    PANICS(setowire_swarm_join_private, swarm, bytes, 32, bytes, 32, &id);
    PANICS(setowire_swarm_leave, swarm, bytes, 32);
    PANICS(setowire_topic_close, swarm, 1);
    PANICS(setowire_topic_broadcast, swarm, 1, bytes, 1);
    PANICS(setowire_swarm_topics, swarm, &id, 1, &number);
    PANICS(setowire_swarm_listen, swarm);
    PANICS(setowire_swarm_suspend, swarm);
    PANICS(setowire_swarm_resume, swarm);
    PANICS(setowire_swarm_close_now, swarm);
    PANICS(setowire_swarm_state, swarm, &state);
    PANICS(setowire_swarm_set_firewall, swarm, true);
    PANICS(setowire_swarm_answer, swarm, 1, true);
    PANICS(setowire_swarm_join_as, swarm, bytes, 32, NULL, 0, 0, 0, &id);
    PANICS(setowire_topic_refresh, swarm, 1, 0, 0, 0, &id);
    PANICS(setowire_topic_flushed, swarm, 1, 0, &id);
    PANICS(setowire_swarm_flush, swarm, 0, &id);
    PANICS(setowire_topic_info, swarm, 1, &session);
    PANICS(setowire_topic_sessions, swarm, bytes, 32, &id, 1, &number);
    PANICS(setowire_swarm_lookup, swarm, bytes, 32, NULL, 0, false, 0, &id);
    PANICS(setowire_swarm_unannounce, swarm, bytes, 32, NULL, 0);
    PANICS(setowire_swarm_found, swarm, 1, bytes, 32, "127.0.0.1:9");
    PANICS(setowire_swarm_round_done, swarm, 1, true);
    PANICS(setowire_swarm_unannounced, swarm, bytes, 32);
    PANICS(setowire_swarm_connect_peer, swarm, bytes, 32, 0, 0, &id);
    PANICS(setowire_swarm_join_peer, swarm, bytes, 32, NULL);
    PANICS(setowire_swarm_leave_peer, swarm, bytes, 32);
    PANICS(setowire_swarm_ban, swarm, bytes, 32, 0, false);
    PANICS(setowire_swarm_unban, swarm, bytes, 32);
    PANICS(setowire_swarm_set_reconnect, swarm, bytes, 32, false);
    PANICS(setowire_swarm_backoff, swarm, bytes, 32);
    PANICS(setowire_peer_deduplicate, swarm, 1, bytes, 1, bytes, 2);
    PANICS(setowire_swarm_known_peers, swarm, text, sizeof text, &number);
    PANICS(setowire_swarm_known_peer, swarm, bytes, 32, text, sizeof text, &number);
    PANICS(setowire_peer_send, swarm, 1, bytes, 1, 0);
    PANICS(setowire_peer_send_owned, swarm, 1, buffer, 1, 0, release, NULL);
    CHECK(released == 1);
    PANICS(setowire_peer_send_many, swarm, 1, bytes, 1, &(uint32_t){1}, 1, &number);
    PANICS(setowire_peer_send_datagram, swarm, 1, bytes, 1);
    PANICS(setowire_peer_topics, swarm, 1, &id, 1, &number);
    PANICS(setowire_peer_buffered, swarm, 1, &number);
    PANICS(setowire_peer_info, swarm, 1, &peer);
    PANICS(setowire_peer_address, swarm, 1, text, sizeof text);
    PANICS(setowire_peer_close, swarm, 1);
    PANICS(setowire_stream_open, swarm, 1, &id);
    PANICS(setowire_stream_write, swarm, 1, bytes, 1, &number);
    PANICS(setowire_stream_read, swarm, 1, buffer, sizeof buffer, &number, &end, &id);
    PANICS(setowire_stream_finish, swarm, 1);
    PANICS(setowire_stream_reset, swarm, 1, 0);
    PANICS(setowire_stream_stop, swarm, 1, 0);
    PANICS(setowire_stream_set_priority, swarm, 1, 0);
    PANICS(setowire_stream_peer, swarm, 1, &id);
    PANICS(setowire_event_next, swarm, &event);
    SURVIVES(setowire_event_free, NULL);
    PANICS(setowire_event_fd, swarm, &fd);
    PANICS(setowire_event_drain, swarm, buffer, sizeof buffer, &number);
    PANICS(setowire_event_wait, swarm, 0);
    SURVIVES(setowire_event_wake, swarm);
    PANICS(setowire_last_error_message, text, sizeof text);
    GIVES(setowire_error_name, (0) != NULL);
    GIVES(setowire_error_string, (0) != NULL);
    GIVES(setowire_version_number, () == 0);
    GIVES(setowire_version_string, () != NULL);
    GIVES(setowire_abi_version, () == 0);
    PANICS(setowire_set_log_callback, SETOWIRE_LOG_INFO, ignore_line, NULL, destroy);
    CHECK(destroyed == 2);

    /* Those panics were before anything happened: the swarm lives, and gives an event for the accessors. */
    OK(setowire_swarm_connect(swarm, "127.0.0.1:9", 1, 9, &id));
    CHECK(setowire_event_wait(swarm, SETOWIRE_NO_TIMEOUT) == 1);
    CHECK(setowire_event_next(swarm, &event) == 1);
    GIVES(setowire_event_kind, (event) == 0);
    GIVES(setowire_event_seq, (event) == 0);
    GIVES(setowire_event_peer, (event) == 0);
    GIVES(setowire_event_topic, (event) == 0);
    GIVES(setowire_event_question, (event) == 0);
    GIVES(setowire_event_query, (event) == 0);
    GIVES(setowire_event_stream, (event) == 0);
    GIVES(setowire_event_op, (event) == 0);
    GIVES(setowire_event_tag, (event) == 0);
    GIVES(setowire_event_code, (event) == 0);
    GIVES(setowire_event_flags, (event) == 0);
    GIVES(setowire_event_author, (event) == NULL);
    GIVES(setowire_event_data, (event, &number) == NULL);
    CHECK(setowire_event_tag(event) == 9);
    setowire_event_free(event);
    setowire_swarm_free(swarm);
    setowire_config_free(config);
}

/* The place "swarm" is inside every function that uses one. */
static void a_panic_ends_that_swarm_alone(void) {
    struct pair pair = pair_new();
    setowire_swarm *other = quiet_swarm();
    uint64_t id = 0;
    OK(setowire_swarm_connect(pair.a, "127.0.0.1:9", SETOWIRE_NO_TIMEOUT, 1, &id));
    setenv("SETOWIRE_PANIC_IN", "swarm", 1);
    FAILS(SETOWIRE_ERR_PANIC, setowire_swarm_join(pair.a, bytes, 32, &id));
    unsetenv("SETOWIRE_PANIC_IN");
    AWAIT(pair.of_a, CLOSED, 1);
    CHECK(pair.of_a->closed_code == SETOWIRE_ERR_PANIC);
    CHECK(pair.of_a->done[1] == 1);
    FAILS(SETOWIRE_ERR_CLOSED, setowire_swarm_join(pair.a, bytes, 32, &id));
    OK(setowire_swarm_join(other, bytes, 32, &id));
    OK(setowire_swarm_join(pair.b, bytes, 32, &id));
    setowire_swarm_free(pair.a);
    setowire_swarm_free(pair.b);
    setowire_swarm_free(other);
    CHECK(pair.of_a->destroyed == 1 && pair.of_a->count[SETOWIRE_EVENT_CLOSED] == 1);
    CHECK(pair.of_b->destroyed == 1 && pair.of_b->closed_code == 0);
    watch_free(pair.of_a);
    watch_free(pair.of_b);
}

int main(void) {
    every_function();
    a_panic_ends_that_swarm_alone();
    printf("%u functions\n", functions);
    return 0;
}
