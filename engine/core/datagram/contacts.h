/* The addresses that a client has sent to, by which replies are filtered (RFC 4787 section 5). */
#ifndef STEERWAY_DATAGRAM_CONTACTS_H
#define STEERWAY_DATAGRAM_CONTACTS_H

#include "addr/addr.h"
#include "base/keyed_hash.h"

/** Whose datagrams reach the client. */
enum udp_filter {
    UDP_FILTER_ENDPOINT,     /* everybody's, as long as the mapping lives */
    UDP_FILTER_ADDRESS,      /* those of addresses that the client has sent to */
    UDP_FILTER_ADDRESS_PORT, /* those of addresses and ports that it has sent to */
};
/** Parse "endpoint", "address" or "address-port". @return false for any other word */
bool udp_filter_parse(const char *word, enum udp_filter *ret);

struct contact {
    struct contact *next;
    struct addr at;   /* with UDP_FILTER_ADDRESS its port does not count */
    unsigned holders; /* flows to it */
    double last_s;    /* of a datagram to it, or from it; monotonic */
};

/** Zero-initialised: empty, with UDP_FILTER_ENDPOINT and a key of zeroes. */
struct contacts {
    enum udp_filter filter;
    struct hash_key key;
    struct contact **buckets;
    size_t n_buckets, n;
    struct contact *latest; /* of contacts_find */
};

void contacts_done(struct contacts *c);

/** Hold an address. @return NULL without memory */
struct contact *contacts_hold(struct contacts *c, const struct addr *at);
/** Let go of it: without holders it is forgotten. NULL is allowed. */
void contacts_release(struct contacts *c, struct contact *held);

/** @return NULL: the client has not sent to it */
struct contact *contacts_find(struct contacts *c, const struct addr *at);

#endif
