#include "net/resolver.h"

#include "base/clock.h"
#include "net/dns_cache.h"
#include "net/dns_channel.h"
#include "net/dns_name.h"
#include "net/soon.h"

#include <errno.h>
#include <string.h>

/* Names of a busy household for an hour. */
enum { CACHE_CAPACITY = 1024, NAME_SIZE = 256 };

struct resolver {
    struct ev_loop *loop;
    double timeout_s;
    struct egress egress;
    struct dns_servers servers;
    struct dns_channel *channel; /* NULL until somebody asks */
    struct dns_cache *cache;
    struct list queries; /* running */
    struct list jobs;
    uint64_t answers;
};

/* A question that is under way, for all who ask it. c-ares cannot be told to forget a single one, so it goes
 * on when nobody waits any more, for the cache. */
struct resolver_job {
    struct list node;
    struct list waiters;
    struct resolver *resolver;
    char name[NAME_SIZE]; /* without a final dot */
    size_t len;
};

/* --- queries -------------------------------------------------------------------------------------------- */

static void query_leave_job(struct resolver_query *q)
{
    list_remove(&q->waiter);
    q->job = NULL;
}

static void query_detach(struct resolver_query *q)
{
    ev_timer_stop(q->resolver->loop, &q->timer);
    list_remove(&q->node);
    query_leave_job(q);
    q->resolver = NULL;
}

void resolver_cancel(struct resolver_query *q)
{
    if (!q->resolver)
        return;
    query_detach(q);
    dns_answer_unref(q->answer);
    q->answer = NULL;
}

/* The one place where queries end. */
static void on_query_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct resolver_query *q = container_of(timer, struct resolver_query, timer);
    struct dns_answer *answer = q->answer;
    struct addr addrs[DIAL_ADDRS_MAX];
    size_t n = answer ? answer->n : 0;

    (void)loop;
    (void)events;
    if (q->job) /* the deadline */
        q->news = RESOLVER_SILENCE;
    query_detach(q);
    q->answer = NULL;
    for (size_t i = 0; i < n; i++) {
        addrs[i] = answer->addrs[i];
        addr_set_port(&addrs[i], q->port);
    }
    enum fault fault = answer ? answer->fault : q->fault;
    dns_answer_unref(answer);
    q->done(q, fault, n ? addrs : NULL, n); /* q may be gone */
}

static void query_timer_set(struct resolver_query *q, double after_s)
{
    ev_timer_stop(q->resolver->loop, &q->timer);
    ev_timer_set(&q->timer, after_s, 0);
    ev_timer_start(q->resolver->loop, &q->timer);
}

/* Have the fault, or the answer, delivered from the loop. Never at once: this may be within resolver_start,
 * or within c-ares, which must not be destroyed there. */
static void query_settle(struct resolver_query *q, enum fault fault, struct dns_answer *answer)
{
    q->fault = fault;
    q->answer = answer ? dns_answer_ref(answer) : NULL;
    query_leave_job(q);
    soon(q->resolver->loop, &q->timer);
}

/* --- jobs ----------------------------------------------------------------------------------------------- */

/* One of those who waited tells the news: it is the uplink's, and happened once. */
static void job_settle(struct resolver_job *job, struct dns_answer *answer, enum resolver_news news)
{
    LIST_EACH(&job->waiters, it, tmp) {
        struct resolver_query *q = container_of(it, struct resolver_query, waiter);
        q->news = news;
        news = RESOLVER_NO_NEWS;
        query_settle(q, FAULT_RESOURCES, answer);
    }
}

static void on_answer(void *arg, struct dns_answer *answer)
{
    struct resolver_job *job = arg;
    struct resolver *r = job->resolver;
    bool silent = answer && answer->silent;
    bool heard = answer && !silent && answer->fault != FAULT_RESOURCES && answer->fault != FAULT_DNS;

    r->answers += heard;
    job_settle(job, answer, silent ? RESOLVER_SILENCE : heard ? RESOLVER_HEARD : RESOLVER_NO_NEWS);
    if (answer)
        dns_cache_put(r->cache, slice_of(job->name, job->len), answer, clock_now_s());
    dns_answer_unref(answer);
    list_remove(&job->node);
    free(job);
}

static struct resolver_job *job_of(struct resolver *r, struct slice name)
{
    LIST_EACH(&r->jobs, it, tmp) {
        struct resolver_job *job = container_of(it, struct resolver_job, node);
        if (slice_ieq(slice_of(job->name, job->len), name))
            return job;
    }
    return NULL;
}

static bool channel_ready(struct resolver *r)
{
    /* Search domains are the machine's own, and no affair of an uplink's servers. */
    const struct dns_channel_options options = {.servers = &r->servers,
                                                .egress = &r->egress,
                                                .search = egress_same(&r->egress, &EGRESS_DIRECT),
                                                .timeout_s = r->timeout_s};

    return r->channel || dns_channel_open(&r->channel, r->loop, &options) == 0;
}

static void query_wait_for(struct resolver_query *q, struct resolver_job *job)
{
    q->job = job;
    list_push_back(&job->waiters, &q->waiter);
    query_timer_set(q, q->resolver->timeout_s);
}

static void ask(struct resolver *r, struct resolver_query *q, struct slice name)
{
    struct resolver_job *job = job_of(r, name);

    if (job)
        return query_wait_for(q, job);
    job = channel_ready(r) ? calloc(1, sizeof *job) : NULL;
    if (!job)
        return query_settle(q, FAULT_RESOURCES, NULL);
    *job = (struct resolver_job){.resolver = r, .len = name.len};
    memcpy(job->name, name.data, name.len);
    list_init(&job->waiters);
    list_push_back(&r->jobs, &job->node);
    query_wait_for(q, job);
    dns_channel_ask(r->channel, job->name, on_answer, job); /* job may be gone */
}

/* --- what need not be asked ----------------------------------------------------------------------------- */

static void add_if_allowed(const struct resolver *r, struct dns_answer *answer, const struct addr *a)
{
    if (egress_allows(&r->egress, addr_family(a)))
        answer->addrs[answer->n++] = *a;
}

/* Names that nobody need be asked about. @return whether name was one; its addresses are then in ret, which
 * has room for two */
static bool answer_here(const struct resolver *r, struct dns_answer *ret, struct slice name)
{
    struct addr six = {.in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}};
    struct addr four = {.in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    struct addr literal;

    if (dns_name_is_localhost(name)) {
        add_if_allowed(r, ret, &six);
        add_if_allowed(r, ret, &four);
        return true;
    }
    if (addr_parse_ip(&literal, name, 0) < 0)
        return false;
    add_if_allowed(r, ret, &literal);
    return true;
}

void resolver_start(struct resolver *r, struct resolver_query *q, const char *name, uint16_t port,
                    resolver_done_fn *done)
{
    *q = (struct resolver_query){.resolver = r, .done = done, .port = port, .fault = FAULT_DNS};
    list_push_back(&r->queries, &q->node);
    list_init(&q->waiter);
    ev_timer_init(&q->timer, on_query_timer, 0, 0);
    ev_now_update(r->loop); /* the deadline counts from now, not from when the loop last woke up */

    const struct slice text = slice_of(name, dns_name_length(name));
    if (text.len == 0)
        return query_settle(q, FAULT_NAME, NULL);
    if (!r->egress.any4 && !r->egress.any6)
        return query_settle(q, FAULT_UNREACHABLE, NULL);
    struct dns_answer *known = dns_cache_find(r->cache, text, clock_now_s());
    if (known)
        return query_settle(q, FAULT_NONE, known);
    struct dns_answer *here = dns_answer_new(2);
    if (!here)
        return query_settle(q, FAULT_RESOURCES, NULL);
    here->n = 0;
    bool is_here = answer_here(r, here, text);
    here->fault = here->n > 0 ? FAULT_NONE : FAULT_UNREACHABLE;
    if (is_here)
        query_settle(q, FAULT_NONE, here);
    dns_answer_unref(here);
    if (!is_here)
        ask(r, q, text);
}

/* --- from new to free ----------------------------------------------------------------------------------- */

int resolver_new(struct resolver **ret, struct ev_loop *loop, double timeout_s)
{
    struct resolver *r = calloc(1, sizeof *r);

    if (!r || dns_cache_new(&r->cache, CACHE_CAPACITY) < 0) {
        free(r);
        return -ENOMEM;
    }
    r->loop = loop;
    r->timeout_s = timeout_s;
    list_init(&r->queries);
    list_init(&r->jobs);
    *ret = r;
    return 0;
}

static void forget(struct resolver *r)
{
    dns_channel_close(r->channel);
    r->channel = NULL;
    dns_cache_clear(r->cache);
}

void resolver_free(struct resolver *r)
{
    if (!r)
        return;
    LIST_EACH(&r->queries, it, tmp) {
        resolver_cancel(container_of(it, struct resolver_query, node));
    }
    forget(r);
    dns_cache_free(r->cache);
    free(r);
}

void resolver_aim(struct resolver *r, const struct egress *egress, const struct dns_servers *servers)
{
    if (egress_same(&r->egress, egress) && dns_servers_same(&r->servers, servers))
        return;
    forget(r);
    r->egress = *egress;
    r->servers = *servers;
}

const struct dns_servers *resolver_servers(const struct resolver *r)
{
    return &r->servers;
}

uint64_t resolver_answers(const struct resolver *r)
{
    return r->answers;
}
