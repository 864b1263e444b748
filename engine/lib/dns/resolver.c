#include "dns/resolver.h"

#include "base/clock.h"
#include "dns/dns_name.h"
#include "dns/resolver_job.h"
#include "net/defer.h"

#include <errno.h>
#include <string.h>

/* The names of a busy household in an hour. */
enum { CACHE_CAPACITY = 1024 };

/* --- queries -------------------------------------------------------------------------------------------- */

static void query_detach(struct resolver_query *q)
{
    ev_timer_stop(q->resolver->loop, &q->timer);
    list_remove(&q->node);
    q->resolver = NULL;
}

void resolver_cancel(struct resolver_query *q)
{
    if (!q->resolver)
        return;
    query_detach(q);
    dns_answer_unref(q->answer);
    q->answer = NULL;
    resolver_job_leave(q);
}

/* The addresses that the query has not reported yet, with its port. */
static size_t addrs_for(const struct resolver_query *q, const struct dns_answer *answer,
                        struct addr ret[DIAL_ADDRS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; answer && i < answer->n && n < DIAL_ADDRS_MAX; i++) {
        if (q->told && addr_family(&answer->addrs[i]) == q->told_family)
            continue;
        ret[n] = answer->addrs[i];
        addr_set_port(&ret[n++], q->port);
    }
    return n;
}

enum resolver_news resolver_unanswered(struct resolver_query *q)
{
    return q->job ? resolver_job_unanswered(q->job) : RESOLVER_NO_NEWS;
}

static void on_deadline(struct resolver_query *q)
{
    const struct resolver_job *job = q->job;

    q->news = resolver_unanswered(q);
    enum fault fault = job && job->stage == JOB_WAITS ? FAULT_RESOURCES : q->fault;
    query_detach(q);
    resolver_job_leave(q);
    if (q->told)
        q->more(q, NULL, 0); /* q may be gone */
    else
        q->done(q, fault, NULL, 0); /* q may be gone */
}

/* The only place that reports results of queries. */
static void on_query_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct resolver_query *q = container_of(timer, struct resolver_query, timer);
    struct dns_answer *answer = q->answer;
    struct addr addrs[DIAL_ADDRS_MAX];
    bool was_told = q->told;

    (void)loop;
    (void)events;
    if (!q->due)
        return on_deadline(q);
    size_t n = addrs_for(q, answer, addrs);
    enum fault fault = answer ? answer->fault : q->fault;
    q->due = false;
    q->answer = NULL;
    dns_answer_unref(answer);
    if (q->job) { /* a part; the rest follows when the job ends */
        q->told = true;
        q->told_family = addr_family(&addrs[0]);
    } else {
        query_detach(q);
    }
    if (was_told)
        q->more(q, n ? addrs : NULL, n); /* q may be gone */
    else
        q->done(q, fault, n ? addrs : NULL, n); /* q may be gone */
}

/* Deferred: this may run within resolver_start, or below a caller that would not survive the query's end. */
void resolver_query_settle(struct resolver_query *q, enum fault fault, struct dns_answer *answer)
{
    dns_answer_unref(q->answer);
    q->fault = fault;
    q->answer = answer ? dns_answer_ref(answer) : NULL;
    q->due = true;
    defer(q->resolver->loop, &q->timer);
}

static void query_ask(struct resolver *r, struct resolver_query *q, struct slice name,
                      const struct addr *client)
{
    struct resolver_job *job = resolver_job_find(r, name);

    if (!job)
        job = resolver_job_new(r, name, client);
    if (!job)
        return resolver_query_settle(q, FAULT_RESOURCES, NULL);
    ev_timer_set(&q->timer, r->way.timeout_s, 0);
    ev_timer_start(r->loop, &q->timer);
    resolver_job_join(job, q);
}

/* --- answers without a server --------------------------------------------------------------------------- */

static void add_if_allowed(const struct resolver *r, struct dns_answer *answer, const struct addr *a)
{
    if (egress_allows(&r->way.egress, addr_family(a)))
        answer->addrs[answer->n++] = *a;
}

/* Answer from the hosts file, if it has a usable address. */
static bool answer_by_hosts(struct resolver *r, struct dns_answer *ret, struct slice name)
{
    struct addr known[DNS_ADDRS_MAX];
    size_t n = dns_hosts_find(&r->commons->hosts, name, clock_coarse_s(), known, DNS_ADDRS_MAX);
    static const int families[] = {AF_INET6, AF_INET};

    for (size_t f = 0; f < ARRAY_LEN(families); f++)
        for (size_t i = 0; i < n; i++)
            if (addr_family(&known[i]) == families[f])
                add_if_allowed(r, ret, &known[i]);
    return ret->n > 0;
}

/* Answer without a server. @return false if name needs one; else ret has its addresses, and must have room
 * for DNS_ADDRS_MAX */
static bool answer_here(struct resolver *r, struct dns_answer *ret, struct slice name)
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
        return answer_by_hosts(r, ret, name);
    add_if_allowed(r, ret, &literal);
    return true;
}

void resolver_start_for(struct resolver *r, struct resolver_query *q, const struct addr *client,
                        const char *name, uint16_t port, resolver_done_fn *done, resolver_more_fn *more)
{
    *q = (struct resolver_query){.resolver = r, .done = done, .more = more, .port = port, .fault = FAULT_DNS};
    list_push_back(&r->queries, &q->node);
    list_init(&q->waiter);
    ev_timer_init(&q->timer, on_query_timer, 0, 0);
    ev_now_update(r->loop); /* the timeout counts from now, and not from when the loop last woke up */

    const struct slice text = slice_of(name, dns_name_length(name));
    if (text.len == 0)
        return resolver_query_settle(q, FAULT_NAME, NULL);
    if (!r->way.egress.any4 && !r->way.egress.any6)
        return resolver_query_settle(q, FAULT_UNREACHABLE, NULL);
    struct dns_answer *known = dns_cache_find(r->cache, text, clock_now_s());
    if (known)
        return resolver_query_settle(q, FAULT_NONE, known);
    struct dns_answer *here = dns_answer_new(DNS_ADDRS_MAX);
    if (!here)
        return resolver_query_settle(q, FAULT_RESOURCES, NULL);
    here->n = 0;
    bool is_here = answer_here(r, here, text);
    here->fault = here->n > 0 ? FAULT_NONE : FAULT_UNREACHABLE;
    if (is_here)
        resolver_query_settle(q, FAULT_NONE, here);
    dns_answer_unref(here);
    if (!is_here)
        query_ask(r, q, text, client);
}

void resolver_start(struct resolver *r, struct resolver_query *q, const char *name, uint16_t port,
                    resolver_done_fn *done)
{
    resolver_start_for(r, q, NULL, name, port, done, NULL);
}

void resolver_set_timeout(struct resolver *r, double timeout_s)
{
    r->way.timeout_s = timeout_s;
}

void resolver_limit(struct resolver_query *q, double timeout_s)
{
    struct resolver *r = q->resolver;

    if (!q->job || q->due || timeout_s >= r->way.timeout_s)
        return;
    ev_timer_stop(r->loop, &q->timer);
    ev_timer_set(&q->timer, timeout_s, 0);
    ev_timer_start(r->loop, &q->timer);
}

/* --- from new to free ----------------------------------------------------------------------------------- */

void resolver_commons_init(struct resolver_commons *c, const char *hosts)
{
    dns_hosts_init(&c->hosts, hosts);
    dns_turns_init(&c->turns);
}

void resolver_commons_done(struct resolver_commons *c)
{
    dns_hosts_done(&c->hosts);
}

int resolver_new(struct resolver **ret, struct ev_loop *loop, struct resolver_commons *commons,
                 double timeout_s)
{
    struct resolver *r = calloc(1, sizeof *r);

    if (!r || dns_cache_new(&r->cache, CACHE_CAPACITY) < 0) {
        free(r);
        return -ENOMEM;
    }
    r->loop = loop;
    r->commons = commons;
    dns_way_init(&r->way, loop, timeout_s);
    list_init(&r->queries);
    list_init(&r->jobs);
    list_init(&r->unwanted);
    for (size_t i = 0; i < RESOLVER_BUCKETS; i++)
        list_init(&r->buckets[i]);
    *ret = r;
    return 0;
}

/* The end of one job may begin another, which ends here as well. */
static void forget(struct resolver *r)
{
    while (!list_is_empty(&r->jobs))
        resolver_job_fail(container_of(r->jobs.next, struct resolver_job, node), FAULT_DNS);
    dns_question_cancel(&r->check);
    r->silence = (struct dns_silence){.answers = r->silence.answers};
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
    dns_way_done(&r->way);
    dns_cache_free(r->cache);
    free(r);
}

void resolver_use_system(struct resolver *r, struct dns_system *system)
{
    r->system = system;
}

void resolver_aim(struct resolver *r, const struct egress *egress, const struct dns_servers *servers)
{
    if (egress_same(&r->way.egress, egress) && dns_servers_same(&r->way.servers, servers))
        return;
    forget(r);
    dns_way_aim(&r->way, egress, servers);
}

const struct dns_servers *resolver_servers(const struct resolver *r)
{
    return &r->way.servers;
}

uint64_t resolver_answers(const struct resolver *r)
{
    return r->silence.answers;
}
