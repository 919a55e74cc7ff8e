/* SHA-256, FIPS 180-4: the topic of a room is the hash of its name. */
#ifndef CHAT_SHA256_H
#define CHAT_SHA256_H

#include <stddef.h>
#include <stdint.h>

void sha256(const void *data, size_t len, uint8_t hash[32]);

#endif
