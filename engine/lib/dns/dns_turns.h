/* How many names are asked for at once: so many in all, and of these so many for one client. What is beyond
 * waits for its turn, and the clients that wait are served one after the other. So a client that asks for
 * ever new names takes neither the descriptors nor the name servers from the others. Pure.
 *
 * An IPv6 client counts by its network of 64 bits, for such a network is a household's (RFC 6177). */
#ifndef STEERWAY_DNS_DNS_TURNS_H
#define STEERWAY_DNS_DNS_TURNS_H

#include "addr/addr.h"
#include "base/list.h"

enum { DNS_TURNS_MAX = 1024, DNS_TURNS_CLIENT_MAX = 256, DNS_TURNS_WAITING_MAX = 16384 };

struct dns_turn;
struct dns_asker;

/** Its turn has come: never from within dns_turns_take. */
typedef void dns_turn_fn(struct dns_turn *t);

/** Embedded by what is asked; zero-initialised is "neither waiting nor had". */
struct dns_turn {
    struct list node; /* of those of its asker that wait */
    struct dns_asker *asker;
    dns_turn_fn *come;
    bool waits;
};

struct dns_turns {
    struct list askers[256]; /* by hash */
    struct list queue;       /* askers of whom some wait */
    unsigned asked, waiting; /* names, in all */
    bool granting;
};

void dns_turns_init(struct dns_turns *t);

/** @param client  NULL: this program's own questions, which are not counted
 *  @return 1: it is its turn; 0: it waits, and `come` is called; -ENOMEM, -EBUSY: too many wait already */
MUST_CHECK int dns_turns_take(struct dns_turns *t, struct dns_turn *turn, const struct addr *client,
                              dns_turn_fn *come);

/** What was asked for is there, or nobody wants it any more; harmless where there was no turn. Others may get
 *  theirs from within. */
void dns_turns_give_back(struct dns_turns *t, struct dns_turn *turn);

#endif
