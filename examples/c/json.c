#include "json.h"
#include <stdio.h>
#include <string.h>

/* Where a string is written while it is read; without room it is only skipped. */
struct sink {
    char *at, *end;
};

/* A code point as UTF-8, all of it or nothing. */
static void put(struct sink *sink, unsigned c) {
    char bytes[4];
    size_t count = 0;
    if (c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0xD800 && c < 0xE000)) c = '?';
    if (c < 0x80) {
        bytes[count++] = (char)c;
    } else if (c < 0x800) {
        bytes[count++] = (char)(0xC0 | c >> 6);
    } else if (c < 0x10000) {
        bytes[count++] = (char)(0xE0 | c >> 12);
        bytes[count++] = (char)(0x80 | (c >> 6 & 0x3F));
    } else {
        bytes[count++] = (char)(0xF0 | c >> 18);
        bytes[count++] = (char)(0x80 | (c >> 12 & 0x3F));
        bytes[count++] = (char)(0x80 | (c >> 6 & 0x3F));
    }
    if (c >= 0x80) bytes[count++] = (char)(0x80 | (c & 0x3F));
    if (sink->at != NULL && (size_t)(sink->end - sink->at) > count) {
        memcpy(sink->at, bytes, count);
        sink->at += count;
    } else {
        sink->end = sink->at; /* full: nothing more is added */
    }
}

static bool hex4(const char **json, unsigned *value) {
    *value = 0;
    for (int i = 0; i < 4; i++) {
        char c = *(*json)++;
        unsigned digit;
        if (c >= '0' && c <= '9') digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f') digit = (unsigned)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F') digit = (unsigned)(c - 'A') + 10;
        else return false;
        *value = *value * 16 + digit;
    }
    return true;
}

/* One code point of UTF-8 text that is not checked: a broken one becomes '?'. */
static unsigned utf8(const char **text) {
    unsigned char first = (unsigned char)*(*text)++;
    if (first < 0x80) return first;
    int more = first >= 0xF0 && first < 0xF5 ? 3 : first >= 0xE0 ? 2 : first >= 0xC2 ? 1 : 0;
    if (more == 0 || first >= 0xF5) return '?';
    unsigned c = first & (0x3Fu >> more);
    for (; more > 0; more--) {
        if (((unsigned char)**text & 0xC0) != 0x80) return '?';
        c = c << 6 | ((unsigned char)*(*text)++ & 0x3F);
    }
    return c < 0x110000 ? c : '?';
}

/* Reads a string after its first quote. */
static bool string(const char **json, struct sink *sink) {
    for (;;) {
        unsigned c;
        if (**json == '"') break;
        if (**json == 0) return false;
        if (**json != '\\') {
            put(sink, utf8(json));
            continue;
        }
        (*json)++;
        switch (*(*json)++) {
        case '"': put(sink, '"'); break;
        case '\\': put(sink, '\\'); break;
        case '/': put(sink, '/'); break;
        case 'b': case 'f': case 'n': case 'r': case 't': put(sink, ' '); break;
        case 'u':
            if (!hex4(json, &c)) return false;
            if (c >= 0xD800 && c < 0xDC00 && (*json)[0] == '\\' && (*json)[1] == 'u') {
                unsigned low;
                const char *next = *json + 2;
                if (hex4(&next, &low) && low >= 0xDC00 && low < 0xE000) {
                    c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
                    *json = next;
                }
            }
            put(sink, c);
            break;
        default: return false;
        }
    }
    (*json)++;
    if (sink->at != NULL) *sink->at = 0;
    return true;
}

static void blank(const char **json) {
    *json += strspn(*json, " \t\r\n");
}

bool json_get(const char *json, const char *name, char *out, size_t cap) {
    char key[32];
    if (cap == 0) return false;
    out[0] = 0;
    blank(&json);
    if (*json++ != '{') return false;
    for (;;) {
        struct sink to_key = {key, key + sizeof key}, nowhere = {NULL, NULL}, to_out = {out, out + cap};
        blank(&json);
        if (*json++ != '"' || !string(&json, &to_key)) return false;
        blank(&json);
        if (*json++ != ':') return false;
        blank(&json);
        if (*json == '"') {
            bool wanted = strcmp(key, name) == 0;
            json++;
            if (!string(&json, wanted ? &to_out : &nowhere)) return false;
            if (wanted) return true;
        } else {
            /* A number, true, false or null; objects and lists are not of the chat. */
            if (*json == '{' || *json == '[') return false;
            json += strcspn(json, ",}");
        }
        blank(&json);
        if (*json++ != ',') return false;
    }
}

bool json_put(char *out, size_t cap, const char *text) {
    size_t begin = strlen(out), at = begin;
    bool fits = at + 3 <= cap;
    if (fits) out[at++] = '"';
    for (; fits && *text != 0; text++) {
        char piece[8];
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') snprintf(piece, sizeof piece, "\\%c", c);
        else if (c < 0x20) snprintf(piece, sizeof piece, "\\u%04x", c);
        else snprintf(piece, sizeof piece, "%c", c);
        fits = at + strlen(piece) + 2 <= cap;
        if (fits) {
            memcpy(out + at, piece, strlen(piece));
            at += strlen(piece);
        }
    }
    if (fits) {
        out[at++] = '"';
        out[at] = 0;
    } else {
        out[begin] = 0;
    }
    return fits;
}
