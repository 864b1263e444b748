/* Bounds how many names are asked for at once, in all and for one client. Further ones wait, and the clients
 * that wait take turns. So a client that asks for ever new names leaves descriptors and name servers to the
 * others. Pure.
 *
 * An IPv6 client counts by its /64 network, as a household has at least one (RFC 6177). */
#ifndef STEERWAY_DNS_DNS_TURNS_H
#define STEERWAY_DNS_DNS_TURNS_H

#include "addr/addr.h"
#include "base/list.h"

enum { DNS_TURNS_MAX = 1024, DNS_TURNS_CLIENT_MAX = 256, DNS_TURNS_WAITING_MAX = 16384 };

struct dns_turn;
struct dns_asker;

/** The turn has come. Never called from within dns_turns_take. */
typedef void dns_turn_fn(struct dns_turn *t);

/** Embedded in the object that asks. Zero-initialised: neither waiting nor granted. */
struct dns_turn {
    struct list node; /* in its asker's waiting list */
    struct dns_asker *asker;
    dns_turn_fn *come;
    bool waits;
};

struct dns_turns {
    struct list askers[256]; /* by hash of the client */
    struct list queue;       /* askers with waiting names */
    unsigned asked, waiting; /* names, of all clients */
    bool granting;
};

void dns_turns_init(struct dns_turns *t);

/** @param client  NULL: this program's own questions, which are not counted
 *  @return 1: granted; 0: it waits, and `come` is called later; -ENOMEM; -EBUSY: too many wait already */
MUST_CHECK int dns_turns_take(struct dns_turns *t, struct dns_turn *turn, const struct addr *client,
                              dns_turn_fn *come);

/** The name is resolved, or not wanted any more; harmless without a turn. May grant turns to others, and call
 * their `come`. */
void dns_turns_give_back(struct dns_turns *t, struct dns_turn *turn);

#endif
