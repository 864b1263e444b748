/* The shares of clients in what they have in common: the flows of a port, or all mappings, which are `flows`
 * here as well. They are a tree: the whole, the networks of clients (client_key.h), and the addresses in
 * each. A household's devices have one IPv6 network, and a single device may use any number of addresses of
 * its network: so each level has its own order.
 *
 * Nothing here walks: a share is in a list with those that have as many flows as it. */
#ifndef STEERWAY_DATAGRAM_SHARES_H
#define STEERWAY_DATAGRAM_SHARES_H

#include "addr/addr.h"
#include "base/keyed_hash.h"
#include "base/list.h"

enum { SHARE_KEY_LEN = 17 };

struct share {
    struct share *up;     /* of an address its network; of a network the whole */
    size_t n;             /* flows */
    size_t n_settled;     /* of these, the ones that may be forgotten; the others wait for an answer */
    size_t queued;        /* bytes of datagrams that wait */
    struct list node;     /* in the ranks of `up`, those used latest last */
    struct list flows;    /* of an address: settled, the latest used last */
    struct list *ranks;   /* of network and whole: the shares below, by n_settled */
    size_t n_ranks, most; /* most: the last of the ranks that is not empty */

    struct share *next; /* in its bucket */
    uint64_t hash;
    uint8_t key[SHARE_KEY_LEN];
};

struct shares {
    struct hash_key key;
    struct share all;
    struct share **buckets;
    size_t n_buckets, n;
};

void shares_init(struct shares *s, const struct hash_key *key);
/** No flow may be left. Harmless on zeroes. */
void shares_done(struct shares *s);

/** Count one more flow, which waits. @return the share of its client's address; NULL without memory */
struct share *shares_enter(struct shares *s, const struct addr *client);
/** It has ended: not while it is settled. The share is freed with its last flow. */
void shares_leave(struct shares *s, struct share *mine);

/** A flow waits no more, or waits again. */
void share_settle(struct share *mine, struct list *flow);
void share_unsettle(struct share *mine, struct list *flow);
/** A settled flow was used. */
void share_touch(struct share *mine, struct list *flow);

/** Whether a flow that has entered may wait, where so many may wait in all. A part is always left to clients
 * that do not wait yet: one network gets at most half of the room, and one address a third (dynamic
 * thresholds of Choudhury and Hahne, 1998). */
bool share_may_wait(const struct share *mine, size_t max);
/** The same for bytes of datagrams. */
bool share_may_queue(const struct share *mine, size_t bytes, size_t max);
void share_queue(struct share *mine, size_t bytes);
void share_unqueue(struct share *mine, size_t bytes);

/** The flow that makes room for one that has entered: the one used longest ago of the client that has the
 * most flows, or of its own client, if none has more.
 *  @param ret_owed  whether it has to go even if it is in use
 *  @return NULL: none is settled */
struct list *shares_choose(const struct shares *s, const struct share *mine, bool *ret_owed);

#endif
