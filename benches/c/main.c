/* bench-setowire MEASURE CIPHER SECONDS: two swarms of this process on loopback, through the C ABI.
 *
 * Each swarm has its network thread, and an application thread that reads its queue with setowire_event_drain(). Prints
 * one JSON object of numbers. */
#include "bench.h"

int main(int argc, char **argv) {
    if (argc != 4) {
        fputs("usage: bench-setowire MEASURE chacha20|fastest SECONDS\n", stderr);
        return 2;
    }
    const char *measure = argv[1], *cipher = argv[2];
    double seconds = atof(argv[3]);
    if (strcmp(measure, "bulk1") == 0) measure_bulk(cipher, seconds, 1);
    else if (strcmp(measure, "bulk16") == 0) measure_bulk(cipher, seconds, 16);
    else if (strcmp(measure, "datagrams100") == 0) measure_datagrams(cipher, seconds, 100);
    else if (strcmp(measure, "datagrams1100") == 0) measure_datagrams(cipher, seconds, 1100);
    else if (strcmp(measure, "messages") == 0) measure_messages(cipher, seconds);
    else if (strcmp(measure, "echo") == 0) measure_echo(cipher, seconds);
    else if (strcmp(measure, "connects1") == 0) measure_connects(cipher, seconds, 1);
    else if (strcmp(measure, "connects32") == 0) measure_connects(cipher, seconds, 32);
    else if (strcmp(measure, "memory") == 0) measure_memory(cipher);
    else {
        fprintf(stderr, "measure %s is not known\n", measure);
        return 2;
    }
    return 0;
}
