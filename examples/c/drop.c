/* Sends a file to whoever waits for it under the same words, over a stream.
 *
 *   drop receive <words> <file> [--interfaces NAMES]   waits, then keeps the file
 *   drop send <words> <file> [--interfaces NAMES]      sends it to the first who waits
 *
 * The words make a private topic: only who knows them finds the other, so take words that nobody guesses. The end of
 * the stream says whether the file is complete, and an answer on the other direction that it was kept. Ends with 0 when
 * that is so; with 1, and no file left behind, when it is not; with 2 when it was called wrongly. --interfaces lo keeps
 * it on this machine. Build: make -C examples/c */
#include <errno.h>
#include <setowire.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sha256.h"

#define PIECE 65536
#define GAVE_UP 1 /* code of resets and stops: see the program that said so */
#define BUSY 2    /* another transfer is on its way */
#define GONE (-1) /* go on: the other side left, and STREAM_CLOSED tells */

struct drop {
    setowire_swarm *swarm;
    const char *name;
    char part[4096]; /* what is being received, until it is complete */
    FILE *file;
    bool sending;
    uint64_t topic;
    uint64_t stream; /* 0: none yet */
    uint8_t piece[PIECE];
    size_t held, gone; /* bytes of `piece`, and how many of them were written */
    unsigned long long total;
    bool finished; /* our direction */
    bool kept;     /* sending: the answer came; receiving: the file is in its place */
};

static int say(int status, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    return status;
}

static int failed(const char *what) {
    char why[512];
    setowire_last_error_message(why, sizeof why);
    return say(1, "%s: %s", what, why);
}

/* Ends both directions at once; the other side is told. */
static int give_up(struct drop *drop, const char *what) {
    int why = errno;
    setowire_stream_reset(drop->swarm, drop->stream, GAVE_UP);
    setowire_stream_stop(drop->swarm, drop->stream, GAVE_UP);
    return say(1, "%s: %s", what, strerror(why));
}

/* Whether a peer knows the words. Others may be connected too. */
static bool is_member(const struct drop *drop, uint64_t peer) {
    uint64_t topics[4];
    size_t count = 0;
    if (setowire_peer_topics(drop->swarm, peer, topics, 4, &count) < 0) return false;
    for (size_t i = 0; i < count && i < 4; i++) {
        if (topics[i] == drop->topic) return true;
    }
    return false;
}

/* Writes until the stream takes no more, or the file is at its end. Returns -1 to go on, else the exit status. */
static int send_pieces(struct drop *drop) {
    while (!drop->finished) {
        if (drop->gone == drop->held) {
            drop->gone = 0;
            drop->held = fread(drop->piece, 1, PIECE, drop->file);
            if (ferror(drop->file)) return give_up(drop, drop->name);
        }
        if (drop->held == 0) {
            int32_t ended = setowire_stream_finish(drop->swarm, drop->stream);
            if (ended < 0) return ended == SETOWIRE_ERR_NOT_FOUND ? GONE : failed("not taken");
            drop->finished = true;
            break;
        }
        size_t written = 0;
        int32_t got = setowire_stream_write(drop->swarm, drop->stream, drop->piece + drop->gone, drop->held - drop->gone,
                                            &written);
        drop->gone += written;
        drop->total += written;
        if (got == SETOWIRE_ERR_WOULD_BLOCK || (got == 0 && drop->gone < drop->held)) return -1; /* STREAM_WRITABLE follows */
        if (got < 0) return got == SETOWIRE_ERR_NOT_FOUND ? GONE : failed("not taken");
    }
    return -1;
}

/* The other side finished: all of the file is here. */
static int keep(struct drop *drop) {
    size_t written = 0;
    bool closed = fclose(drop->file) == 0;
    drop->file = NULL;
    if (!closed || rename(drop->part, drop->name) != 0) return give_up(drop, drop->name);
    drop->kept = true;
    if (setowire_stream_write(drop->swarm, drop->stream, (const uint8_t *)"k", 1, &written) < 0 ||
        setowire_stream_finish(drop->swarm, drop->stream) < 0) {
        return failed("received, but the other side is gone");
    }
    return -1; /* STREAM_CLOSED tells when the other side has it */
}

/* Reads until nothing is there: the file, or the answer. */
static int receive_pieces(struct drop *drop) {
    static uint8_t piece[PIECE];
    for (;;) {
        size_t read = 0;
        uint32_t end = SETOWIRE_END_NONE;
        uint64_t code = 0;
        int32_t got = setowire_stream_read(drop->swarm, drop->stream, piece, PIECE, &read, &end, &code);
        if (got == SETOWIRE_ERR_WOULD_BLOCK) return -1; /* STREAM_READABLE follows */
        if (got < 0) return got == SETOWIRE_ERR_NOT_FOUND ? GONE : failed("the stream");
        if (drop->sending) {
            drop->kept |= read == 1 && piece[0] == 'k';
        } else if (read > 0 && fwrite(piece, 1, read, drop->file) != read) {
            return give_up(drop, drop->part);
        }
        drop->total += drop->sending ? 0 : read;
        if (end == SETOWIRE_END_RESET && code == BUSY) return say(1, "the other side takes another file just now");
        if (end == SETOWIRE_END_RESET) return say(1, "the other side gave up after %llu bytes", drop->total);
        if (end == SETOWIRE_END_FINISHED) return drop->sending ? -1 : keep(drop);
        if (read < PIECE) return -1;
    }
}

/* Does what an event asks for. Returns -1 to go on, else the exit status. */
static int on_event(struct drop *drop, const setowire_event *event) {
    uint64_t peer = setowire_event_peer(event), stream = setowire_event_stream(event);
    uint16_t kind = setowire_event_kind(event);
    if (kind == SETOWIRE_EVENT_CONNECTION || kind == SETOWIRE_EVENT_UPDATE) {
        if (!drop->sending || drop->stream != 0 || !is_member(drop, peer)) return -1;
        if (setowire_stream_open(drop->swarm, peer, &drop->stream) < 0) return failed("no stream");
        return send_pieces(drop);
    }
    if (kind == SETOWIRE_EVENT_STREAM && stream != drop->stream) {
        if (!drop->sending && drop->stream == 0 && is_member(drop, peer)) {
            drop->stream = stream;
        } else {
            setowire_stream_reset(drop->swarm, stream, BUSY);
            setowire_stream_stop(drop->swarm, stream, BUSY);
        }
        return -1;
    }
    if (stream == 0 || stream != drop->stream) return -1;
    if (kind == SETOWIRE_EVENT_STREAM_WRITABLE && drop->sending) return send_pieces(drop);
    if (kind == SETOWIRE_EVENT_STREAM_READABLE) return receive_pieces(drop);
    if (kind != SETOWIRE_EVENT_STREAM_CLOSED) return -1;
    if (!drop->kept) return say(1, "the other side left after %llu bytes", drop->total);
    /* Either may leave first: what has come can be read then, too. */
    return say(0, "%llu bytes", drop->total);
}

static int run(struct drop *drop) {
    int status = -1;
    while (status < 0) {
        setowire_event *event = NULL;
        if (setowire_event_wait(drop->swarm, SETOWIRE_NO_TIMEOUT) < 0) return failed("the swarm ended");
        if (setowire_event_next(drop->swarm, &event) < 0) return failed("the swarm ended");
        if (event != NULL) status = on_event(drop, event);
        setowire_event_free(event);
    }
    return status;
}

/* The topic and the secret that the words make. */
static int32_t join(struct drop *drop, const char *words) {
    char text[300];
    uint8_t topic[32], secret[32];
    snprintf(text, sizeof text, "drop:%s", words);
    sha256(text, strlen(text), topic);
    snprintf(text, sizeof text, "drop secret:%s", words);
    sha256(text, strlen(text), secret);
    return setowire_swarm_join_private(drop->swarm, topic, sizeof topic, secret, sizeof secret, &drop->topic);
}

static int start(struct drop *drop, const char *words, const char *interfaces) {
    setowire_config *config = setowire_config_new();
    int32_t made = setowire_config_set_lan_interfaces(config, interfaces);
    if (made == 0) made = setowire_swarm_new(config, &drop->swarm);
    if (made < 0) made = failed("the swarm does not start");
    setowire_config_free(config);
    if (made != 0) return 1;
    if (join(drop, words) < 0) return failed("the topic cannot be joined");
    return run(drop);
}

int main(int argc, char **argv) {
    static struct drop drop;
    const char *names[3], *interfaces = "";
    int count = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--interfaces") == 0 && i + 1 < argc) interfaces = argv[++i];
        else if (count < 3) names[count++] = argv[i];
        else count = 4;
    }
    bool send = count == 3 && strcmp(names[0], "send") == 0, receive = count == 3 && strcmp(names[0], "receive") == 0;
    if ((!send && !receive) || strlen(names[1]) > 200 || strlen(names[2]) > sizeof drop.part - 6) {
        return say(2, "usage: %s send|receive <words> <file> [--interfaces NAMES]", argv[0]);
    }
    drop.sending = send;
    drop.name = names[2];
    snprintf(drop.part, sizeof drop.part, "%s.part", drop.name);
    FILE *there = receive ? fopen(drop.name, "rb") : NULL;
    if (there != NULL) {
        fclose(there);
        return say(1, "%s is there already", drop.name);
    }
    drop.file = send ? fopen(drop.name, "rb") : fopen(drop.part, "wb");
    if (drop.file == NULL) return say(1, "%s: %s", send ? drop.name : drop.part, strerror(errno));

    int status = start(&drop, names[1], interfaces);
    /* What was written last, a reset too, leaves before this returns. */
    setowire_swarm_free(drop.swarm);
    if (drop.file != NULL) fclose(drop.file);
    if (receive && !drop.kept) remove(drop.part);
    return status;
}
