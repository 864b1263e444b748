/* Names to addresses by one way out of this machine: an uplink's, or the machine's own. Each way has its
 * servers, and remembers what they said; who asks the same while a question is under way waits for the same
 * answer.
 *
 * Both families are asked for at once, and one that is not answered does not hold up the other (RFC 8305 3):
 * IPv6 addresses are told at once, IPv4 addresses 50 ms later at most. What comes after that is told as well,
 * to those who can use it.
 *
 * A question that nobody waits for any more is abandoned. How many are under way is bounded (dns_turns.h). */
#ifndef STEERWAY_DNS_RESOLVER_H
#define STEERWAY_DNS_RESOLVER_H

#include "base/list.h"
#include "dns/dns_answer.h"
#include "dns/dns_hosts.h"
#include "dns/dns_servers.h"
#include "dns/dns_system.h"
#include "dns/dns_turns.h"
#include "net/dialer.h"
#include "net/egress.h"

#include <ev.h>

struct resolver;
struct resolver_query;

/** What became of a question. */
enum resolver_news {
    RESOLVER_NO_NEWS, /* nobody was asked, or somebody else's question told already */
    RESOLVER_HEARD,   /* a server has answered, be it that there is no such name */
    RESOLVER_SILENCE, /* none has, and that is the servers' (dns_silence.h) */
};

/** Called once, never from within resolver_start. addrs (in RFC 8305 4 order: families take turns, IPv6
 *  first) carry the port asked for and live until the callee returns; n >= 1 on FAULT_NONE. Faults:
 *  FAULT_NAME (does not exist, or has no address at all), FAULT_DNS (server failure or silence),
 *  FAULT_UNREACHABLE (has addresses, but none of a family that the egress allows), FAULT_RESOURCES.
 *  The query may be freed or started again from within. */
typedef void resolver_done_fn(struct resolver_query *q, enum fault fault, const struct addr *addrs, size_t n);

/** After done, where resolver_awaits_more said so: addresses of the family that came late; n may be 0. Called
 *  once; the query may be freed or started again from within. */
typedef void resolver_more_fn(struct resolver_query *q, const struct addr *addrs, size_t n);

/** Embedded by its owner; zero-initialised is "not running". Fields are the resolver's own, but for news,
 *  which done may read. */
struct resolver_query {
    struct resolver *resolver; /* NULL when not running */
    struct list node;          /* in the resolver's list of queries */
    struct list waiter;        /* in its job's */
    struct resolver_job *job;  /* that it waits for; NULL for none */
    struct dns_answer *answer; /* to be told of when the timer fires */
    resolver_done_fn *done;
    resolver_more_fn *more; /* NULL: of no use */
    uint16_t port;
    bool due;         /* the timer is that of an answer, and not the deadline */
    bool told;        /* done was called */
    int told_family;  /* then: of the addresses that it was told of */
    enum fault fault; /* to report when there is no answer */
    enum resolver_news news;
    ev_timer timer; /* the deadline, and the way out for what is settled at once */
};

/** What all resolvers of the process share: embedded by the owner of them all. */
struct resolver_commons {
    struct dns_hosts hosts;
    struct dns_turns turns;
};

/** @param hosts  path of the hosts file, which outlives it; NULL: "/etc/hosts" */
void resolver_commons_init(struct resolver_commons *c, const char *hosts);
/** After the resolvers. */
void resolver_commons_done(struct resolver_commons *c);

/** @param commons  outlives it
 *  @param timeout_s  for a whole query, all tries; > 0 @return 0, -ENOMEM */
MUST_CHECK int resolver_new(struct resolver **ret, struct ev_loop *loop, struct resolver_commons *commons,
                            double timeout_s);
/** Cancels what is running without calling back. NULL is let through. */
void resolver_free(struct resolver *r);

/** What the servers do not know is looked up as other programs of this machine do; names without a dot and
 * below "local", which are not the DNS' (RFC 6762 3), are looked up so first. @param system  outlives it */
void resolver_use_system(struct resolver *r, struct dns_system *system);

/** By which way, and whom to ask; until then by none. Where either is another than before, what was
 * remembered is forgotten, and what runs ends with FAULT_DNS. */
void resolver_aim(struct resolver *r, const struct egress *egress, const struct dns_servers *servers);
const struct dns_servers *resolver_servers(const struct resolver *r);

/** Resolve name (NUL-terminated). "localhost" and names below it are loopback without asking anybody (RFC
 *  6761 6.3); /etc/hosts counts. */
void resolver_start(struct resolver *r, struct resolver_query *q, const char *name, uint16_t port,
                    resolver_done_fn *done);

/** Let a query that was just started wait no longer than this: it ends with FAULT_DNS then. Or one of which
 *  resolver_awaits_more: it ends without more. */
void resolver_limit(struct resolver_query *q, double timeout_s);

/** The same, for a client of the proxy. @param client  read at once @param more  NULL: not wanted */
void resolver_start_for(struct resolver *r, struct resolver_query *q, const struct addr *client,
                        const char *name, uint16_t port, resolver_done_fn *done, resolver_more_fn *more);

/** Whether done has yet to be called. */
static inline bool resolver_awaits_answer(const struct resolver_query *q)
{
    return q->resolver && !q->told;
}

/** From within done and after it: whether more is going to be called. */
static inline bool resolver_awaits_more(const struct resolver_query *q)
{
    return q->resolver && q->told;
}

/** It has been waited for so long that this is strange. Before it is cancelled.
 *  @return RESOLVER_SILENCE where that counts against the servers, else RESOLVER_NO_NEWS */
enum resolver_news resolver_unanswered(struct resolver_query *q);

/** Stop without calling anybody; harmless when not running. The question is abandoned, unless others wait for
 * it. */
void resolver_cancel(struct resolver_query *q);

/** Answers that servers gave so far. */
uint64_t resolver_answers(const struct resolver *r);

#endif
