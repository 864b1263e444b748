/* Names to addresses by one way out of this machine: an uplink's, or the machine's own. Each way has its
 * servers, and remembers what they said; who asks the same while a question is under way waits for the same
 * answer. */
#ifndef STEERWAY_NET_RESOLVER_H
#define STEERWAY_NET_RESOLVER_H

#include "base/list.h"
#include "net/dialer.h"
#include "net/dns_answer.h"
#include "net/dns_servers.h"
#include "net/egress.h"

#include <ev.h>

struct resolver;
struct resolver_query;

/** What became of a question. */
enum resolver_news {
    RESOLVER_NO_NEWS, /* nobody was asked, or somebody else's question told already */
    RESOLVER_HEARD,   /* a server has answered, be it that there is no such name */
    RESOLVER_SILENCE, /* none has */
};

/** Called once, never from within resolver_start. addrs (in RFC 8305 4 order: families take turns, IPv6
 *  first) carry the port asked for and live until the callee returns; n >= 1 on FAULT_NONE. Faults:
 *  FAULT_NAME (does not exist, or has no address at all), FAULT_DNS (server failure or silence),
 *  FAULT_UNREACHABLE (has addresses, but none of a family that the egress allows), FAULT_RESOURCES.
 *  The query may be freed or started again from within. */
typedef void resolver_done_fn(struct resolver_query *q, enum fault fault, const struct addr *addrs, size_t n);

/** Embedded by its owner; zero-initialised is "not running". Fields are the resolver's own, but for news,
 *  which done may read. */
struct resolver_query {
    struct resolver *resolver; /* NULL when not running */
    struct list node;          /* in the resolver's list of queries */
    struct list waiter;        /* in its job's */
    struct resolver_job *job;  /* that it waits for; NULL for none */
    struct dns_answer *answer; /* to be told of when the timer fires */
    resolver_done_fn *done;
    uint16_t port;
    enum fault fault; /* to report when there is no answer */
    enum resolver_news news;
    ev_timer timer; /* the deadline, and the way out for what is settled at once */
};

/** @param timeout_s  for a whole query, all tries; > 0 @return 0, -ENOMEM */
MUST_CHECK int resolver_new(struct resolver **ret, struct ev_loop *loop, double timeout_s);
/** Cancels what is running without calling back. NULL is let through. */
void resolver_free(struct resolver *r);

/** By which way, and whom to ask; until then by none. Where either is another than before, what was
 * remembered is forgotten, and what runs ends with FAULT_DNS. */
void resolver_aim(struct resolver *r, const struct egress *egress, const struct dns_servers *servers);
const struct dns_servers *resolver_servers(const struct resolver *r);

/** Resolve name (NUL-terminated). "localhost" and names below it are loopback without asking anybody (RFC
 *  6761 6.3); /etc/hosts counts. */
void resolver_start(struct resolver *r, struct resolver_query *q, const char *name, uint16_t port,
                    resolver_done_fn *done);

/** Stop without calling done; harmless when not running. The answer is remembered all the same. */
void resolver_cancel(struct resolver_query *q);

/** Answers that servers gave so far. */
uint64_t resolver_answers(const struct resolver *r);

#endif
