/* As much JSON as the chat needs: one object whose values are strings. */
#ifndef CHAT_JSON_H
#define CHAT_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* Finds the string `name` of the object in `json` and writes it to `out` as UTF-8, cut to `cap`, with a zero byte. What
 * could control a terminal becomes '?'. False: it is not there, or this is no such object. */
bool json_get(const char *json, const char *name, char *out, size_t cap);

/* Appends `text` to `out` as a JSON string with its quotes. False: it does not fit, and `out` is as before. */
bool json_put(char *out, size_t cap, const char *text);

#endif
