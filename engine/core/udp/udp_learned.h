/* The names that captured clients have asked DNS for, by the addresses that they were told. A later
 * connection to such an address has that name, where its own bytes tell none. */
#ifndef STEERWAY_UDP_UDP_LEARNED_H
#define STEERWAY_UDP_UDP_LEARNED_H

#include "addr/addr.h"
#include "base/keyed_hash.h"

/* A newer name takes the seat of an older one. */
enum { UDP_LEARNED_SEATS = 4096 };

/** Zero-initialised is empty. The memory is made at the first name. */
struct udp_learned {
    struct hash_key key;
    struct udp_learned_seat {
        struct addr client, at; /* ports do not count */
        double until_s;         /* monotonic */
        char *name;
    } * seats;
};

/** Take an answer of a name server to a client. @param now  monotonic seconds */
void udp_learned_hear(struct udp_learned *l, const struct addr *client, const void *data, size_t len,
                      double now);

/** The name that this client was told, or else anybody. @return NULL: unknown; valid until the next call of
 * udp_learned_hear */
const char *udp_learned_name(const struct udp_learned *l, const struct addr *client, const struct addr *at,
                             double now);

void udp_learned_done(struct udp_learned *l);

#endif
