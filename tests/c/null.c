/* Every function with NULL and with wrong values in every position, on a live swarm, on one that is closed, on one
 * that was freed, and on pointers that never were swarms: an error code, what was to be written is 0, no crash.
 * tests/abi.rs checks that no function is missing here. */
#include "check.h"

static const uint8_t bytes[64] = {1};
/* An Ed25519 seed of zeros and its public key. */
static const uint8_t pair[64] = {[32] = 0x3b, 0x6a, 0x27, 0xbc, 0xce, 0xb6, 0xa4, 0x2d, 0x62, 0xa3, 0xa8,
                                 0xd0, 0x2a, 0x6f, 0x0d, 0x73, 0x65, 0x32, 0x15, 0x77, 0x1d, 0xe2, 0x43,
                                 0xa6, 0x3a, 0xc0, 0x48, 0xa1, 0x8b, 0x59, 0xda, 0x29};
static int released;

static void release(void *data, void *user_data) {
    (void)data;
    (void)user_data;
    released++;
}

static void on_event(setowire_swarm *swarm, const setowire_event *event, void *user_data) {
    (void)swarm, (void)event, (void)user_data;
}

static void on_line(uint8_t level, const char *target, const char *message, size_t len, uint64_t time_us,
                    void *user_data) {
    (void)level, (void)target, (void)message, (void)len, (void)time_us, (void)user_data;
}

static void count(void *user_data) {
    ++*(int *)user_data;
}

/* All calls that take a swarm, with good parameters otherwise: each fails with this code. */
static void all_fail(setowire_swarm *swarm, int32_t code) {
    uint64_t id = 7;
    uint32_t end = 7;
    size_t number = 7;
    intptr_t fd = 7;
    int destroyed = 0;
    uint8_t buffer[8] = {0};
    char text[8] = "before";
    setowire_event *event = (setowire_event *)&id;
    setowire_swarm_details details = {.struct_size = sizeof details, .port_v4 = 7};
    setowire_swarm_counters counters = {.struct_size = sizeof counters, .peers = 7};
    setowire_peer_details peer = {.struct_size = sizeof peer, .peer = 7};
    setowire_swarm_state_details state = {.struct_size = sizeof state, .known = 7};
    setowire_topic_details session = {.struct_size = sizeof session, .limit = 7};

    FAILS(code, setowire_swarm_close(swarm));
    FAILS(code, setowire_swarm_set_callback(swarm, 0, on_event, &destroyed, count));
    CHECK(destroyed == 1);
    FAILS(code, setowire_swarm_connect(swarm, "127.0.0.1:9", 0, 0, &id));
    CHECK(id == 0);
    id = 7;
    FAILS(code, setowire_swarm_connect_key(swarm, "127.0.0.1:9", bytes, 32, 0, 0, &id));
    CHECK(id == 0);
    FAILS(code, setowire_op_cancel(swarm, 1));
    FAILS(code, setowire_swarm_broadcast(swarm, bytes, 1));
    number = 7;
    FAILS(code, setowire_swarm_peers(swarm, &id, 1, &number));
    CHECK(number == 0);
    FAILS(code, setowire_swarm_info(swarm, &details));
    CHECK(details.port_v4 == 0);
    FAILS(code, setowire_swarm_stats(swarm, &counters));
    CHECK(counters.peers == 0);
    FAILS(code, setowire_swarm_network_changed(swarm));
    id = 7;
    FAILS(code, setowire_swarm_join(swarm, bytes, 32, &id));
    CHECK(id == 0);
    id = 7;
    FAILS(code, setowire_swarm_join_private(swarm, bytes, 32, bytes, 32, &id));
    CHECK(id == 0);
    FAILS(code, setowire_swarm_leave(swarm, bytes, 32));
    FAILS(code, setowire_topic_close(swarm, 1));
    FAILS(code, setowire_topic_broadcast(swarm, 1, bytes, 1));
    number = 7;
    FAILS(code, setowire_swarm_topics(swarm, &id, 1, &number));
    CHECK(number == 0);
    id = 7;
    FAILS(code, setowire_swarm_join_as(swarm, bytes, 32, NULL, 0, 0, 0, &id));
    CHECK(id == 0);
    id = 7;
    FAILS(code, setowire_topic_refresh(swarm, 1, 0, 0, 0, &id));
    CHECK(id == 0);
    id = 7;
    FAILS(code, setowire_topic_flushed(swarm, 1, 0, &id));
    CHECK(id == 0);
    id = 7;
    FAILS(code, setowire_swarm_flush(swarm, 0, &id));
    CHECK(id == 0);
    FAILS(code, setowire_topic_info(swarm, 1, &session));
    CHECK(session.limit == 0);
    number = 7;
    FAILS(code, setowire_topic_sessions(swarm, bytes, 32, &id, 1, &number));
    CHECK(number == 0);
    id = 7;
    FAILS(code, setowire_swarm_lookup(swarm, bytes, 32, NULL, 0, true, 0, &id));
    CHECK(id == 0);
    FAILS(code, setowire_swarm_unannounce(swarm, bytes, 32, NULL, 0));
    FAILS(code, setowire_swarm_found(swarm, 1, bytes, 32, "127.0.0.1:9"));
    FAILS(code, setowire_swarm_round_done(swarm, 1, true));
    FAILS(code, setowire_swarm_unannounced(swarm, bytes, 32));
    FAILS(code, setowire_swarm_listen(swarm));
    FAILS(code, setowire_swarm_suspend(swarm));
    FAILS(code, setowire_swarm_resume(swarm));
    FAILS(code, setowire_swarm_close_now(swarm));
    FAILS(code, setowire_swarm_state(swarm, &state));
    CHECK(state.known == 0);
    FAILS(code, setowire_swarm_set_firewall(swarm, true));
    FAILS(code, setowire_swarm_answer(swarm, 1, true));
    id = 7;
    FAILS(code, setowire_swarm_connect_peer(swarm, bytes, 32, 0, 0, &id));
    CHECK(id == 0);
    FAILS(code, setowire_swarm_join_peer(swarm, bytes, 32, NULL));
    FAILS(code, setowire_swarm_leave_peer(swarm, bytes, 32));
    FAILS(code, setowire_swarm_ban(swarm, bytes, 32, 0, true));
    FAILS(code, setowire_swarm_unban(swarm, bytes, 32));
    FAILS(code, setowire_swarm_set_reconnect(swarm, bytes, 32, false));
    FAILS(code, setowire_swarm_backoff(swarm, bytes, 32));
    FAILS(code, setowire_peer_deduplicate(swarm, 1, bytes, 1, bytes, 2));
    number = 7, text[0] = 7;
    FAILS(code, setowire_swarm_known_peers(swarm, text, sizeof text, &number));
    CHECK(number == 0 && text[0] == 0);
    number = 7, text[0] = 7;
    FAILS(code, setowire_swarm_known_peer(swarm, bytes, 32, text, sizeof text, &number));
    CHECK(number == 0 && text[0] == 0);
    text[0] = 7;
    FAILS(code, setowire_peer_send(swarm, 1, bytes, 1, 0));
    released = 0;
    FAILS(code, setowire_peer_send_owned(swarm, 1, buffer, 1, 0, release, NULL));
    CHECK(released == 1);
    number = 7;
    FAILS(code, setowire_peer_send_many(swarm, 1, bytes, 1, &(uint32_t){1}, 1, &number));
    CHECK(number == 0);
    FAILS(code, setowire_peer_send_datagram(swarm, 1, bytes, 1));
    number = 7;
    FAILS(code, setowire_peer_topics(swarm, 1, &id, 1, &number));
    CHECK(number == 0);
    number = 7;
    FAILS(code, setowire_peer_buffered(swarm, 1, &number));
    CHECK(number == 0);
    FAILS(code, setowire_peer_info(swarm, 1, &peer));
    CHECK(peer.peer == 0);
    FAILS(code, setowire_peer_address(swarm, 1, text, sizeof text));
    CHECK(text[0] == 0);
    FAILS(code, setowire_peer_close(swarm, 1));
    id = 7;
    FAILS(code, setowire_stream_open(swarm, 1, &id));
    CHECK(id == 0);
    number = 7;
    FAILS(code, setowire_stream_write(swarm, 1, bytes, 1, &number));
    CHECK(number == 0);
    number = 7, end = 7, id = 7;
    FAILS(code, setowire_stream_read(swarm, 1, buffer, sizeof buffer, &number, &end, &id));
    CHECK(number == 0 && end == SETOWIRE_END_NONE && id == 0);
    FAILS(code, setowire_stream_finish(swarm, 1));
    FAILS(code, setowire_stream_reset(swarm, 1, 0));
    FAILS(code, setowire_stream_stop(swarm, 1, 0));
    FAILS(code, setowire_stream_set_priority(swarm, 1, 0));
    id = 7;
    FAILS(code, setowire_stream_peer(swarm, 1, &id));
    CHECK(id == 0);
    FAILS(code, setowire_event_next(swarm, &event));
    CHECK(event == NULL);
    FAILS(code, setowire_event_fd(swarm, &fd));
    CHECK(fd == -1);
    number = 7;
    FAILS(code, setowire_event_drain(swarm, buffer, sizeof buffer, &number));
    CHECK(number == 0);
    FAILS(code, setowire_event_wait(swarm, 0));
    setowire_event_wake(swarm);
}

static void configs(void) {
    const char *text = "1";
    setowire_config *none = NULL;
    setowire_config *config = setowire_config_new();
    setowire_config_free(NULL);
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set(none, "lan", text));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set(config, NULL, text));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set(config, "lan", NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set(config, "lan", "perhaps"));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set(config, "no such option", text));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set(config, "l\xFF", text));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_identity_seed(none, bytes, 32));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_identity_seed(config, NULL, 32));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_identity_seed(config, NULL, 0));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_identity_seed(config, bytes, 31));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_identity_seed(config, bytes, 64));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_identity_seed(config, bytes, SIZE_MAX));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_key_pair(none, pair, 64));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_key_pair(config, NULL, 64));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_key_pair(config, NULL, 0));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_key_pair(config, pair, 32));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_key_pair(config, bytes, 64));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_key_pair(config, pair, SIZE_MAX));
    OK(setowire_config_set_key_pair(config, pair, 64));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_bind_addr(config, "0.0.0.0:2-1"));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_bind_addr(none, "0.0.0.0:0"));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_bind_addr(config, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_bind_addr(config, "here"));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_max_peers(none, 1));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_max_peers(config, 0));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_max_peers(config, UINT32_MAX));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_lan(none, true));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_lan_interfaces(none, "lo"));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_lan_interfaces(config, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_add_seed(none, "127.0.0.1:9"));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_add_seed(config, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_add_seed(config, "no port"));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_peer_cache(none, "[]"));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_peer_cache(config, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_peer_cache(config, "{"));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_clear_fragments(none, true));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_send_buffer(none, 1 << 20));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_send_buffer(config, 0));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_send_buffer(config, SIZE_MAX));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_event_queue(none, 100, 1 << 20));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_event_queue(config, 0, 1 << 20));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_event_queue(config, 100, 0));
    FAILS(SETOWIRE_ERR_INVALID, setowire_config_set_event_mask(none, 0));
    OK(setowire_config_set_event_mask(config, SETOWIRE_EVENTS_ALL));
    setowire_config_free(config);
}

/* NULL and wrong values in the positions after the swarm. */
static void parameters(setowire_swarm *swarm) {
    uint64_t id = 7;
    uint32_t end = 7;
    size_t number = 7;
    int destroyed = 0;
    uint8_t buffer[8] = {0};
    setowire_swarm_details details = {.struct_size = 0};
    setowire_swarm_counters counters = {.struct_size = 7};
    setowire_peer_details peer = {.struct_size = UINT32_MAX};

    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_new(NULL, NULL));
    OK(setowire_swarm_set_callback(swarm, UINT64_MAX, NULL, NULL, NULL));
    OK(setowire_swarm_set_callback(swarm, UINT64_MAX, NULL, &destroyed, count));
    CHECK(destroyed == 1);
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_connect(swarm, NULL, 0, 0, &id));
    CHECK(id == 0);
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_connect(swarm, "127.0.0.1:9", 0, 0, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_connect(swarm, "127.0.0.1", 0, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_connect(swarm, "127.0.0.1:0", 0, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_connect(swarm, "\xFF:9", 0, 0, &id));
    id = 7;
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_connect_key(swarm, NULL, bytes, 32, 0, 0, &id));
    CHECK(id == 0);
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_connect_key(swarm, "127.0.0.1:9", NULL, 32, 0, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_connect_key(swarm, "127.0.0.1:9", bytes, 31, 0, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_connect_key(swarm, "127.0.0.1:9", NULL, 0, 0, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_connect_key(swarm, "127.0.0.1:9", bytes, 32, 0, 0, NULL));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_op_cancel(swarm, 0));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_op_cancel(swarm, UINT64_MAX));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_broadcast(swarm, NULL, 1));
    FAILS(SETOWIRE_ERR_TOO_LARGE, setowire_swarm_broadcast(swarm, bytes, SIZE_MAX));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_peers(swarm, NULL, 1, &number));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_peers(swarm, &id, 1, NULL));
    OK(setowire_swarm_peers(swarm, NULL, 0, &number));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_info(swarm, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_info(swarm, &details));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_stats(swarm, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_stats(swarm, &counters));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join(swarm, NULL, 32, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join(swarm, bytes, 31, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join(swarm, bytes, SIZE_MAX, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join(swarm, bytes, 32, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_private(swarm, NULL, 32, bytes, 32, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_private(swarm, bytes, 31, bytes, 32, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_private(swarm, bytes, 32, NULL, 32, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_private(swarm, bytes, 32, NULL, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_private(swarm, bytes, 32, bytes, 31, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_private(swarm, bytes, 32, bytes, 32, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_leave(swarm, NULL, 32));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_leave(swarm, bytes, 0));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_swarm_leave(swarm, bytes, 32));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_topic_close(swarm, 0));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_topic_close(swarm, UINT64_MAX));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_topic_broadcast(swarm, 0, bytes, 1));
    FAILS(SETOWIRE_ERR_INVALID, setowire_topic_broadcast(swarm, 1, NULL, 1));
    FAILS(SETOWIRE_ERR_TOO_LARGE, setowire_topic_broadcast(swarm, 1, bytes, SIZE_MAX));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_topics(swarm, NULL, 1, &number));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_topics(swarm, &id, 1, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_send(swarm, 1, NULL, 1, 0));
    FAILS(SETOWIRE_ERR_TOO_LARGE, setowire_peer_send(swarm, 1, bytes, SIZE_MAX, 0));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_peer_send(swarm, 0, bytes, 1, 0));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_peer_send(swarm, UINT64_MAX, bytes, 1, 9));
    released = 0;
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_send_owned(swarm, 1, NULL, 1, 0, release, NULL));
    FAILS(SETOWIRE_ERR_TOO_LARGE, setowire_peer_send_owned(swarm, 1, buffer, SIZE_MAX, 0, release, NULL));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_peer_send_owned(swarm, 1, buffer, 1, 0, release, NULL));
    CHECK(released == 3);
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_peer_send_owned(swarm, 1, buffer, 1, 0, NULL, NULL));
    const uint32_t sizes[3] = {1, 2, UINT32_MAX};
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_send_many(swarm, 1, NULL, 3, sizes, 2, &number));
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_send_many(swarm, 1, bytes, 3, NULL, 2, &number));
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_send_many(swarm, 1, bytes, 3, sizes, 2, NULL));
    FAILS(SETOWIRE_ERR_TOO_LARGE, setowire_peer_send_many(swarm, 1, bytes, SIZE_MAX, sizes, 2, &number));
    FAILS(SETOWIRE_ERR_TOO_LARGE, setowire_peer_send_many(swarm, 1, bytes, 3, sizes, SIZE_MAX, &number));
    FAILS(SETOWIRE_ERR_TOO_LARGE, setowire_peer_send_many(swarm, 1, bytes, 3, sizes, SIZE_MAX / 64 + 2, &number));
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_send_many(swarm, 1, bytes, 3, sizes, 3, &number));
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_send_many(swarm, 1, bytes, 2, sizes, 2, &number));
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_send_many(swarm, 1, bytes, 3, NULL, 0, &number));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_peer_send_many(swarm, 1, bytes, 3, sizes, 2, &number));
    CHECK(number == 0);
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_send_datagram(swarm, 1, NULL, 1));
    FAILS(SETOWIRE_ERR_TOO_LARGE, setowire_peer_send_datagram(swarm, 1, bytes, SIZE_MAX));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_peer_send_datagram(swarm, 1, NULL, 0));
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_topics(swarm, 1, NULL, 1, &number));
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_topics(swarm, 1, &id, 1, NULL));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_peer_topics(swarm, 1, NULL, 0, &number));
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_buffered(swarm, 1, NULL));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_peer_buffered(swarm, 1, &number));
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_info(swarm, 1, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_info(swarm, 1, &peer));
    peer.struct_size = sizeof peer;
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_peer_info(swarm, 1, &peer));
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_address(swarm, 1, NULL, 1));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_peer_address(swarm, 1, NULL, 0));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_peer_close(swarm, 1));
    FAILS(SETOWIRE_ERR_INVALID, setowire_stream_open(swarm, 1, NULL));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_open(swarm, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_stream_write(swarm, 1, bytes, 1, NULL));
    number = 7;
    FAILS(SETOWIRE_ERR_INVALID, setowire_stream_write(swarm, 1, NULL, 1, &number));
    CHECK(number == 0);
    FAILS(SETOWIRE_ERR_INVALID, setowire_stream_write(swarm, 1, bytes, SIZE_MAX, &number));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_write(swarm, 1, NULL, 0, &number));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_write(swarm, UINT64_MAX, bytes, 1, &number));
    number = 7, end = 7, id = 7;
    FAILS(SETOWIRE_ERR_INVALID, setowire_stream_read(swarm, 1, buffer, 0, &number, &end, &id));
    CHECK(number == 0 && end == SETOWIRE_END_NONE && id == 0);
    number = 7, end = 7, id = 7;
    FAILS(SETOWIRE_ERR_INVALID, setowire_stream_read(swarm, 1, NULL, 1, &number, &end, &id));
    CHECK(number == 0 && end == SETOWIRE_END_NONE && id == 0);
    end = 7, id = 7;
    FAILS(SETOWIRE_ERR_INVALID, setowire_stream_read(swarm, 1, buffer, 1, NULL, &end, &id));
    CHECK(end == SETOWIRE_END_NONE && id == 0);
    FAILS(SETOWIRE_ERR_INVALID, setowire_stream_read(swarm, 1, buffer, 1, &number, NULL, &id));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_read(swarm, 1, buffer, 1, &number, &end, NULL));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_read(swarm, 1, buffer, SIZE_MAX, &number, &end, NULL));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_finish(swarm, 0));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_reset(swarm, UINT64_MAX, UINT32_MAX));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_stop(swarm, UINT64_MAX, UINT32_MAX));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_set_priority(swarm, 1, INT32_MIN));
    FAILS(SETOWIRE_ERR_INVALID, setowire_stream_peer(swarm, 1, NULL));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_stream_peer(swarm, 1, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_event_next(swarm, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_event_fd(swarm, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_event_drain(swarm, NULL, 1, &number));
    FAILS(SETOWIRE_ERR_INVALID, setowire_event_drain(swarm, buffer, sizeof buffer, NULL));
}

/* The same for topics as client and server, peers by key, and the firewall. */
static void more_parameters(setowire_swarm *swarm) {
    uint64_t id = 7;
    size_t number = 7;
    char text[8] = "before";
    setowire_swarm_state_details state = {.struct_size = 7};
    setowire_topic_details session = {.struct_size = 0};

    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_as(swarm, NULL, 32, NULL, 0, 0, 0, &id));
    CHECK(id == 0);
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_as(swarm, bytes, 31, NULL, 0, 0, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_as(swarm, bytes, 32, NULL, 32, 0, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_as(swarm, bytes, 32, bytes, 0, 0, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_as(swarm, bytes, 32, bytes, SIZE_MAX, 0, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_as(swarm, bytes, 32, NULL, 0, 4, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_as(swarm, bytes, 32, NULL, 0, UINT32_MAX, UINT64_MAX, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_as(swarm, bytes, 32, NULL, 0, 0, 0, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_topic_refresh(swarm, 1, 4, 0, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_topic_refresh(swarm, 1, 0, 0, 0, NULL));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_topic_refresh(swarm, 0, 0, 0, 0, &id));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_topic_refresh(swarm, UINT64_MAX, 1, 1, UINT64_MAX, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_topic_flushed(swarm, 1, 0, NULL));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_topic_flushed(swarm, 0, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_flush(swarm, 0, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_topic_info(swarm, 1, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_topic_info(swarm, 1, &session));
    session.struct_size = sizeof session;
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_topic_info(swarm, 1, &session));
    FAILS(SETOWIRE_ERR_INVALID, setowire_topic_sessions(swarm, NULL, 32, &id, 1, &number));
    FAILS(SETOWIRE_ERR_INVALID, setowire_topic_sessions(swarm, bytes, 33, &id, 1, &number));
    FAILS(SETOWIRE_ERR_INVALID, setowire_topic_sessions(swarm, bytes, 32, NULL, 1, &number));
    FAILS(SETOWIRE_ERR_INVALID, setowire_topic_sessions(swarm, bytes, 32, &id, 1, NULL));
    number = 7;
    OK(setowire_topic_sessions(swarm, bytes, 32, NULL, 0, &number));
    CHECK(number == 0);
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_lookup(swarm, NULL, 32, NULL, 0, false, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_lookup(swarm, bytes, 0, NULL, 0, false, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_lookup(swarm, bytes, 32, bytes, 31, false, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_lookup(swarm, bytes, 32, NULL, 0, false, 0, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_unannounce(swarm, NULL, 32, NULL, 0));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_unannounce(swarm, bytes, SIZE_MAX, NULL, 0));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_unannounce(swarm, bytes, 32, NULL, 1));
    OK(setowire_swarm_unannounce(swarm, bytes, 32, NULL, 0));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_found(swarm, 1, NULL, 32, "127.0.0.1:9"));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_found(swarm, 1, bytes, 31, "127.0.0.1:9"));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_found(swarm, 1, bytes, 32, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_found(swarm, 1, bytes, 32, "example.org:9"));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_found(swarm, 1, bytes, 32, "0.0.0.0:9"));
    OK(setowire_swarm_found(swarm, UINT64_MAX, bytes, 32, "127.0.0.1:9"));
    OK(setowire_swarm_round_done(swarm, 0, true));
    OK(setowire_swarm_round_done(swarm, UINT64_MAX, false));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_unannounced(swarm, NULL, 32));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_unannounced(swarm, bytes, 33));
    OK(setowire_swarm_unannounced(swarm, bytes, 32));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_state(swarm, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_state(swarm, &state));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_swarm_answer(swarm, 0, true));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_swarm_answer(swarm, UINT64_MAX, false));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_connect_peer(swarm, NULL, 32, 0, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_connect_peer(swarm, bytes, 20, 0, 0, &id));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_connect_peer(swarm, bytes, 32, 0, 0, NULL));
    const size_t wrong[] = {0, 7, 21, 31, 33, SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_peer(swarm, bytes, wrong[i], NULL));
        FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_leave_peer(swarm, bytes, wrong[i]));
        FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_ban(swarm, bytes, wrong[i], 0, false));
        FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_unban(swarm, bytes, wrong[i]));
        FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_set_reconnect(swarm, bytes, wrong[i], true));
        FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_backoff(swarm, bytes, wrong[i]));
        FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_known_peer(swarm, bytes, wrong[i], text, sizeof text, &number));
    }
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_peer(swarm, NULL, 32, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_peer(swarm, bytes, 32, "here"));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_peer(swarm, bytes, 32, "127.0.0.1:0"));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_join_peer(swarm, bytes, 32, "\xFF:9"));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_leave_peer(swarm, NULL, 32));
    OK(setowire_swarm_leave_peer(swarm, bytes, 8));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_ban(swarm, NULL, 32, 0, false));
    OK(setowire_swarm_ban(swarm, bytes, 20, UINT64_MAX, true));
    OK(setowire_swarm_known_peers(swarm, text, sizeof text, &number));
    CHECK(number > sizeof text && strncmp(text, "[{\"", 3) == 0 && strlen(text) == 7);
    OK(setowire_swarm_known_peer(swarm, bytes, 8, NULL, 0, &number));
    CHECK(number > sizeof text);
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_unban(swarm, NULL, 32));
    OK(setowire_swarm_unban(swarm, bytes, 20));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_set_reconnect(swarm, NULL, 32, true));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_swarm_set_reconnect(swarm, bytes, 32, true));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_backoff(swarm, NULL, 32));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_swarm_backoff(swarm, bytes, 32));
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_deduplicate(swarm, 1, NULL, 1, bytes, 1));
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_deduplicate(swarm, 1, bytes, 1, NULL, 1));
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_deduplicate(swarm, 1, NULL, 0, bytes, 1));
    FAILS(SETOWIRE_ERR_INVALID, setowire_peer_deduplicate(swarm, 1, bytes, 1, bytes, SIZE_MAX));
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_peer_deduplicate(swarm, 1, bytes, 1, bytes, 2));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_known_peers(swarm, NULL, 1, &number));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_known_peers(swarm, text, sizeof text, NULL));
    OK(setowire_swarm_known_peers(swarm, text, sizeof text, &number));
    CHECK(number == 2 && strcmp(text, "[]") == 0);
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_known_peer(swarm, NULL, 32, text, sizeof text, &number));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_known_peer(swarm, bytes, 32, NULL, 1, &number));
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_known_peer(swarm, bytes, 32, text, sizeof text, NULL));
    number = 7;
    FAILS(SETOWIRE_ERR_NOT_FOUND, setowire_swarm_known_peer(swarm, bytes, 32, text, sizeof text, &number));
    CHECK(number == 0 && text[0] == 0);
}

static void events(void) {
    size_t len = 7;
    setowire_event_free(NULL);
    CHECK(setowire_event_kind(NULL) == 0);
    CHECK(setowire_event_seq(NULL) == 0);
    CHECK(setowire_event_peer(NULL) == 0);
    CHECK(setowire_event_topic(NULL) == 0);
    CHECK(setowire_event_question(NULL) == 0);
    CHECK(setowire_event_query(NULL) == 0);
    CHECK(setowire_event_stream(NULL) == 0);
    CHECK(setowire_event_op(NULL) == 0);
    CHECK(setowire_event_tag(NULL) == 0);
    CHECK(setowire_event_code(NULL) == 0);
    CHECK(setowire_event_flags(NULL) == 0);
    CHECK(setowire_event_author(NULL) == NULL);
    CHECK(setowire_event_data(NULL, &len) == NULL && len == 0);
    CHECK(setowire_event_data(NULL, NULL) == NULL);
}

static void process(void) {
    int destroyed = 0;
    char text[4] = "abc";
    FAILS(SETOWIRE_ERR_INVALID, setowire_swarm_new(NULL, NULL));
    FAILS(SETOWIRE_ERR_INVALID, setowire_last_error_message(NULL, 1));
    int32_t len = setowire_last_error_message(NULL, 0);
    CHECK(len > 3 && setowire_last_error_message(text, sizeof text) == len && strlen(text) == 3);
    CHECK(setowire_last_error_message(text, 1) == len && text[0] == 0);
    for (int code = -400; code < 100; code++) {
        CHECK(strlen(setowire_error_name(code)) > 0 && strlen(setowire_error_string(code)) > 0);
    }
    CHECK(strcmp(setowire_error_name(0), "OK") == 0);
    CHECK(strcmp(setowire_error_name(INT32_MIN), "UNKNOWN") == 0);
    CHECK(strcmp(setowire_error_name(SETOWIRE_ERR_TOO_LARGE), "TOO_LARGE") == 0);
    FAILS(SETOWIRE_ERR_INVALID, setowire_set_log_callback(0, on_line, &destroyed, count));
    FAILS(SETOWIRE_ERR_INVALID, setowire_set_log_callback(6, on_line, &destroyed, count));
    OK(setowire_set_log_callback(0, NULL, &destroyed, count));
    OK(setowire_set_log_callback(0, NULL, NULL, NULL));
    CHECK(destroyed == 3);
    CHECK(setowire_version_number() == SETOWIRE_VERSION_NUMBER);
    CHECK(setowire_abi_version() == SETOWIRE_ABI_VERSION);
    snprintf(text, sizeof text, "%d.%d", SETOWIRE_VERSION_MAJOR, SETOWIRE_VERSION_MINOR);
    CHECK(strncmp(setowire_version_string(), text, strlen(text)) == 0);
}

int main(void) {
    int local = 0;
    all_fail(NULL, SETOWIRE_ERR_INVALID);
    all_fail((setowire_swarm *)&local, SETOWIRE_ERR_INVALID);
    all_fail((setowire_swarm *)(uintptr_t)1, SETOWIRE_ERR_INVALID);
    all_fail((setowire_swarm *)UINTPTR_MAX, SETOWIRE_ERR_INVALID);
    setowire_swarm_free(NULL);
    setowire_swarm_free((setowire_swarm *)&local);
    configs();
    events();
    process();

    setowire_swarm *swarm = quiet_swarm();
    parameters(swarm);
    more_parameters(swarm);
    setowire_swarm_free(swarm);
    all_fail(swarm, SETOWIRE_ERR_CLOSED);
    setowire_swarm_free(swarm);
    return 0;
}
