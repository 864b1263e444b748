/* Finds objects by an address and a port, without a walk. Strangers choose these, so the hash has a key. */
#ifndef STEERWAY_UDP_UDP_INDEX_H
#define STEERWAY_UDP_UDP_INDEX_H

#include "addr/addr.h"
#include "base/keyed_hash.h"

/** Embedded in the object. Zero-initialised: in no index. */
struct udp_index_entry {
    struct udp_index_entry *next; /* in its bucket */
    const void *of;
    struct addr end;
    uint64_t hash;
    bool present;
};

struct udp_index {
    struct hash_key key;
    struct udp_index_entry **buckets;
    size_t n_buckets, n;
};

/** Its entries are left as they are. */
void udp_index_done(struct udp_index *x);

/** @param of  what it belongs to: entries of others are not found; NULL is allowed
 *  @return false without memory */
bool udp_index_put(struct udp_index *x, struct udp_index_entry *e, const void *of, const struct addr *end);
/** Harmless if it is not present. */
void udp_index_remove(struct udp_index *x, struct udp_index_entry *e);
/** @return one of them; NULL: none is present */
struct udp_index_entry *udp_index_find(const struct udp_index *x, const void *of, const struct addr *end);

#endif
