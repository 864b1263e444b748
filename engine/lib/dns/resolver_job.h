/* A name that is being resolved, for all queries that wait for it. Only for the resolver's two files. */
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
    struct dns_system *system; /* NULL: not used on this way */
    struct dns_cache *cache;
    struct dns_way way;
    struct list queries;  /* running */
    struct list jobs;     /* all */
    struct list unwanted; /* jobs that continue only for the cache */
    unsigned n_unwanted;
    struct list buckets[RESOLVER_BUCKETS]; /* jobs by hash of the name */
    struct dns_silence silence;
    struct dns_question check; /* asks for a name that the servers answered before */
};

enum job_stage {
    JOB_WAITS,      /* until its turn comes */
    JOB_ASKS_FIRST, /* asks the system, before the servers */
    JOB_ASKS_SERVERS,
    JOB_ASKS_LAST, /* asks the system, after the servers */
};

struct resolver_job {
    struct list node, chain, unwanted;
    struct list waiters;
    struct resolver *resolver;
    struct dns_turn turn;
    enum job_stage stage;
    struct dns_question six, four;
    bool has_delayed; /* DELAY_S has passed for IPv6 */
    bool heard;       /* a server has answered */
    uint64_t answers; /* the resolver's answers before this job */
    bool told;        /* a query has reported the news */
    ev_timer delay;
    struct dns_system_question *system; /* running */
    struct dns_answer *from_servers;    /* JOB_ASKS_LAST: the servers' result */
    uint64_t hash;
    size_t len;
    char name[DNS_NAME_SIZE]; /* without a final dot */
};

struct resolver_job *resolver_job_find(struct resolver *r, struct slice name);

/** @param client  as for dns_turns_take @return NULL without memory, or if too many wait */
struct resolver_job *resolver_job_new(struct resolver *r, struct slice name, const struct addr *client);

/** Let the query wait for the job. A partial result is reported at once. */
void resolver_job_join(struct resolver_job *job, struct resolver_query *q);

/** Let the query wait no more. May free the job. */
void resolver_job_leave(struct resolver_query *q);

/** No server has answered so far. @return RESOLVER_SILENCE if that counts against the servers */
enum resolver_news resolver_job_unanswered(struct resolver_job *job);

/** End it with a fault, whatever it has found. Frees the job. */
void resolver_job_fail(struct resolver_job *job, enum fault fault);

/** Report the answer, or the fault, from the loop (resolver.c). That ends a query that has no job any more.
 */
void resolver_query_settle(struct resolver_query *q, enum fault fault, struct dns_answer *answer);

#endif
