/* A hash that cannot be predicted without its key, for tables whose keys strangers choose. */
#ifndef STEERWAY_BASE_KEYED_HASH_H
#define STEERWAY_BASE_KEYED_HASH_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdint.h>

struct hash_key {
    uint64_t k0, k1;
};

/** A random key. @return 0 or negative errno */
MUST_CHECK int hash_key_make(struct hash_key *ret);

/** SipHash-2-4 (Aumasson and Bernstein, 2012). */
uint64_t keyed_hash(const struct hash_key *key, struct slice data);

#endif
