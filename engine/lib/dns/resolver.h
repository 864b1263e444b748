/* Resolves names by one way out of this machine: an uplink's, or the machine's own. Each way has its servers,
 * and caches their answers. Queries for the same name share one job.
 *
 * Both families are asked for at once, and a missing one does not delay the other (RFC 8305 3). IPv6
 * addresses are reported at once, IPv4 addresses at most 50 ms later. Addresses that arrive after that are
 * reported to callers that can use them.
 *
 * A name that no query waits for is abandoned. dns_turns.h bounds the number of names at a time. */
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

/** What a query says about its servers. */
enum resolver_news {
    RESOLVER_NO_NEWS, /* no server was asked, or another query reports it */
    RESOLVER_HEARD,   /* a server answered, if only that the name does not exist */
    RESOLVER_SILENCE, /* none answered, and that counts against the servers (dns_silence.h) */
};

/** Called once, never from within resolver_start. addrs have the port of the query and live until the callee
 * returns; families alternate, IPv6 first (RFC 8305 4). On FAULT_NONE n >= 1. Other faults: FAULT_NAME (the
 * name does not exist, or has no address), FAULT_DNS (server failure or silence), FAULT_UNREACHABLE (no
 * address of a family that the egress allows), FAULT_RESOURCES. The callee may free the query or start it
 * again. */
typedef void resolver_done_fn(struct resolver_query *q, enum fault fault, const struct addr *addrs, size_t n);

/** Called once after done, if resolver_awaits_more said so: addresses of the family that came late; n may be
 * 0. The callee may free the query or start it again. */
typedef void resolver_more_fn(struct resolver_query *q, const struct addr *addrs, size_t n);

/** Embedded by its owner. Zero-initialised: not running. The fields are private, except that done may read
 * news. */
struct resolver_query {
    struct resolver *resolver; /* NULL if not running */
    struct list node;          /* in the resolver's list of queries */
    struct list waiter;        /* in its job's list of waiters */
    struct resolver_job *job;  /* the job that it waits for; NULL for none */
    struct dns_answer *answer; /* the answer to report when the timer fires */
    resolver_done_fn *done;
    resolver_more_fn *more; /* NULL: not wanted */
    uint16_t port;
    bool due;         /* the timer is for an answer, and not for the timeout */
    bool told;        /* done was called */
    int told_family;  /* then: the family of the reported addresses */
    enum fault fault; /* to report without an answer */
    enum resolver_news news;
    ev_timer timer; /* for the timeout, and to report results that are known at once */
};

/** Shared by all resolvers of the process; embedded by the owner of them all. */
struct resolver_commons {
    struct dns_hosts hosts;
    struct dns_turns turns;
};

/** @param hosts  path of the hosts file, which outlives c; NULL: "/etc/hosts" */
void resolver_commons_init(struct resolver_commons *c, const char *hosts);
/** Call it after the resolvers are freed. */
void resolver_commons_done(struct resolver_commons *c);

/** @param commons    outlives it
 *  @param timeout_s  for a whole query, all rounds; > 0
 *  @return 0, -ENOMEM */
MUST_CHECK int resolver_new(struct resolver **ret, struct ev_loop *loop, struct resolver_commons *commons,
                            double timeout_s);
/** Cancels running queries without calling back. NULL is allowed. */
void resolver_free(struct resolver *r);

/** Also ask the system, as other programs of this machine do: for names that the servers do not know, after
 * them. Names without a dot and names below "local" are not the DNS's (RFC 6762 3), so the system is asked
 * first. @param system  outlives r */
void resolver_use_system(struct resolver *r, struct dns_system *system);

/** Set the egress and the servers; before that there are none. If either changes, the cache is cleared, and
 * running queries end with FAULT_DNS. */
void resolver_aim(struct resolver *r, const struct egress *egress, const struct dns_servers *servers);
const struct dns_servers *resolver_servers(const struct resolver *r);

/** Resolve a NUL-terminated name. "localhost" and names below it are loopback, without a question (RFC 6761
 * 6.3). /etc/hosts precedes the servers. */
void resolver_start(struct resolver *r, struct resolver_query *q, const char *name, uint16_t port,
                    resolver_done_fn *done);

/** Change the time for a whole query; those that run keep theirs in part. */
void resolver_set_timeout(struct resolver *r, double timeout_s);
/** Shorten the timeout of a query that was just started: it then ends with FAULT_DNS. Or that of a query for
 * which resolver_awaits_more: it then ends without more. */
void resolver_limit(struct resolver_query *q, double timeout_s);

/** The same, for a client of the proxy. @param client  read at once @param more  NULL: not wanted */
void resolver_start_for(struct resolver *r, struct resolver_query *q, const struct addr *client,
                        const char *name, uint16_t port, resolver_done_fn *done, resolver_more_fn *more);

/** Whether done has not been called yet. */
static inline bool resolver_awaits_answer(const struct resolver_query *q)
{
    return q->resolver && !q->told;
}

/** From within done, and after it: whether more will be called. */
static inline bool resolver_awaits_more(const struct resolver_query *q)
{
    return q->resolver && q->told;
}

/** The caller has waited suspiciously long, and is about to cancel.
 *  @return RESOLVER_SILENCE if that counts against the servers, else RESOLVER_NO_NEWS */
enum resolver_news resolver_unanswered(struct resolver_query *q);

/** Stop without calling back; harmless if not running. The name is abandoned unless other queries wait for
 * it. */
void resolver_cancel(struct resolver_query *q);

/** Answers from servers so far. */
uint64_t resolver_answers(const struct resolver *r);

#endif
