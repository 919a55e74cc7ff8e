/* SHA-256, FIPS 180-4: topics are hashes of names. */
#ifndef EXAMPLE_SHA256_H
#define EXAMPLE_SHA256_H

#include <stddef.h>
#include <stdint.h>

void sha256(const void *data, size_t len, uint8_t hash[32]);

#endif
