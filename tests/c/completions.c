/* Operations complete exactly once: connects to somebody and to nobody, sends with tags, cancelled at random, and the
 * swarm closed or freed in the middle. */
#include "check.h"

#define OPERATIONS 120

static void round_of(uint64_t *random, int end) {
    struct pair pair = pair_new();
    char address[64];
    unsigned char begun[OPERATIONS + 1] = {0};
    uint64_t ops[OPERATIONS + 1] = {0};
    unsigned total = 1; /* that of the pair, with tag 0 */
    address_of(pair.b, address, sizeof address);

    unsigned close_at = 1 + next_random(random) % OPERATIONS;
    for (unsigned tag = 1; tag <= OPERATIONS; tag++) {
        int32_t got;
        switch (next_random(random) % 4) {
        case 0: got = setowire_swarm_connect(pair.a, address, 0, tag, &ops[tag]); break;
        case 1: got = setowire_swarm_connect(pair.a, "127.0.0.1:9", 1 + next_random(random) % 50, tag, &ops[tag]); break;
        case 2: got = setowire_swarm_connect(pair.a, "localhost:9", SETOWIRE_NO_TIMEOUT, tag, &ops[tag]); break;
        default: got = setowire_peer_send(pair.a, pair.of_a->peer, (const uint8_t *)"with a tag", 10, tag); break;
        }
        begun[tag] = got == 0;
        total += begun[tag];
        CHECK(got == 0 || got == SETOWIRE_ERR_CLOSED || got == SETOWIRE_ERR_NOT_FOUND ||
              got == SETOWIRE_ERR_WOULD_BLOCK);
        uint64_t other = ops[1 + next_random(random) % tag];
        if (other != 0) {
            got = setowire_op_cancel(pair.a, other);
            CHECK(got == 0 || got == SETOWIRE_ERR_NOT_FOUND || got == SETOWIRE_ERR_CLOSED);
        }
        if (tag == close_at && end == 1) OK(setowire_swarm_close(pair.a));
        if (tag == close_at && end == 2) OK(setowire_peer_close(pair.a, pair.of_a->peer));
    }
    for (unsigned tag = 1; tag <= OPERATIONS && end == 0; tag++) {
        if (ops[tag] != 0) setowire_op_cancel(pair.a, ops[tag]);
    }
    if (end == 0) AWAIT(pair.of_a, OP_DONE, total);
    if (end == 1) AWAIT(pair.of_a, CLOSED, 1);
    /* With 2 and 3 the swarm is freed while operations are open. */
    setowire_swarm_free(pair.a);
    setowire_swarm_free(pair.b);
    CHECK(pair.of_a->count[SETOWIRE_EVENT_OP_DONE] == total);
    for (unsigned tag = 1; tag <= OPERATIONS; tag++) CHECK(pair.of_a->done[tag] == begun[tag]);
    watch_free(pair.of_a);
    watch_free(pair.of_b);
}

int main(void) {
    uint64_t random = 2;
    for (int i = 0; i < 12; i++) round_of(&random, i % 4);
    return 0;
}
