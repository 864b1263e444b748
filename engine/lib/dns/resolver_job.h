/* A name that is asked for, for all who wait for it: the resolver's own. */
#ifndef STEERWAY_DNS_RESOLVER_JOB_H
#define STEERWAY_DNS_RESOLVER_JOB_H

#include "dns/dns_cache.h"
#include "dns/dns_question.h"
#include "dns/dns_silence.h"
#include "dns/resolver.h"

enum { RESOLVER_BUCKETS = 512 };

struct resolver {
    struct ev_loop *loop;
    struct resolver_commons *commons;
    struct dns_system *system; /* NULL: of no use by this way */
    struct dns_cache *cache;
    struct dns_way way;
    struct list queries;  /* running */
    struct list jobs;     /* all */
    struct list unwanted; /* of them, those that go on for the cache alone */
    unsigned n_unwanted;
    struct list buckets[RESOLVER_BUCKETS]; /* jobs by name */
    struct dns_silence silence;
    struct dns_question check; /* whether the servers answer what they have answered before */
};

enum job_stage {
    JOB_WAITS,      /* for its turn */
    JOB_ASKS_FIRST, /* the system, before the servers */
    JOB_ASKS_SERVERS,
    JOB_ASKS_LAST, /* the system, after the servers */
};

struct resolver_job {
    struct list node, chain, unwanted;
    struct list waiters;
    struct resolver *resolver;
    struct dns_turn turn;
    enum job_stage stage;
    struct dns_question six, four;
    bool has_delayed; /* IPv6 has had its 50 ms */
    bool heard;       /* a server has answered */
    uint64_t answers; /* all that there were before */
    bool told;        /* the news of that */
    ev_timer delay;
    struct dns_system_question *system; /* under way */
    struct dns_answer *from_servers;    /* JOB_ASKS_LAST: what came of them */
    uint64_t hash;
    size_t len;
    char name[DNS_NAME_SIZE]; /* without a final dot */
};

struct resolver_job *resolver_job_find(struct resolver *r, struct slice name);

/** @param client  as dns_turns_take's @return NULL without memory, or when too many wait */
struct resolver_job *resolver_job_new(struct resolver *r, struct slice name, const struct addr *client);

/** The query waits for it, and is settled if there is something for it already. */
void resolver_job_join(struct resolver_job *job, struct resolver_query *q);

/** The query waits for it no more. The job may be gone. */
void resolver_job_leave(struct resolver_query *q);

/** Nobody has answered it so far. @return RESOLVER_SILENCE where that counts against the servers */
enum resolver_news resolver_job_unanswered(struct resolver_job *job);

/** End it with a fault, whatever it has found. */
void resolver_job_fail(struct resolver_job *job, enum fault fault);

/** Have the answer, or the fault, delivered from the loop (resolver.c). A query that is not in a job any more
 * ends with it. */
void resolver_query_settle(struct resolver_query *q, enum fault fault, struct dns_answer *answer);

#endif
