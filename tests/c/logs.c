/* The log callback: off at first, set, replaced, removed, set by itself; its user data is destroyed exactly once,
 * and it is not running when the call that removed it returns. */
#include "check.h"
#include <stdatomic.h>

static atomic_uint lines, destroyed, running;

static void on_line(uint8_t level, const char *target, const char *message, size_t len, uint64_t time_us,
                    void *user_data) {
    (void)time_us;
    CHECK(atomic_fetch_add(&running, 1) == 0);
    CHECK(level >= SETOWIRE_LOG_ERROR && level <= SETOWIRE_LOG_TRACE);
    CHECK(strlen(target) > 0 && strlen(message) == len && len > 0);
    CHECK(*(unsigned *)user_data == 0xA11FE);
    atomic_fetch_add(&lines, 1);
    CHECK(atomic_fetch_sub(&running, 1) == 1);
}

static void destroy(void *user_data) {
    memset(user_data, 0xDD, sizeof(unsigned));
    free(user_data);
    atomic_fetch_add(&destroyed, 1);
}

static void *data_new(void) {
    unsigned *data = malloc(sizeof *data);
    CHECK(data != NULL);
    *data = 0xA11FE;
    return data;
}

static void set_itself_off(uint8_t level, const char *target, const char *message, size_t len, uint64_t time_us,
                           void *user_data) {
    OK(setowire_set_log_callback(0, NULL, NULL, NULL));
    on_line(level, target, message, len, time_us, user_data);
}

static void wait_for(atomic_uint *number, unsigned value) {
    time_t end = time(NULL) + DEADLINE_S;
    while (atomic_load(number) < value) {
        CHECK(time(NULL) < end);
        struct pair pair = pair_new(); /* something to log about */
        pair_free(&pair);
    }
}

int main(void) {
    OK(setowire_set_log_callback(SETOWIRE_LOG_TRACE, on_line, data_new(), destroy));
    wait_for(&lines, 1);
    for (unsigned i = 1; i <= 100; i++) {
        OK(setowire_set_log_callback(SETOWIRE_LOG_TRACE, on_line, data_new(), destroy));
        CHECK(atomic_load(&destroyed) == i);
    }
    struct pair pair = pair_new();
    OK(setowire_set_log_callback(0, NULL, NULL, NULL));
    CHECK(atomic_load(&destroyed) == 101 && atomic_load(&running) == 0);
    unsigned before = atomic_load(&lines);
    pair_free(&pair);
    CHECK(atomic_load(&lines) == before);
    OK(setowire_set_log_callback(SETOWIRE_LOG_TRACE, set_itself_off, data_new(), destroy));
    wait_for(&destroyed, 102);
    CHECK(atomic_load(&lines) == before + 1);
    return 0;
}
