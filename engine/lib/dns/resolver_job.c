#include "dns/resolver_job.h"

#include "base/clock.h"
#include "dns/dns_name.h"
#include "net/defer.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* RFC 8305 3, "Resolution Delay". */
static const double DELAY_S = 0.05;
/* Negative answers are kept for less than the shortest negative TTL in use by zones (RFC 2308 5). Addresses
 * of one family, while the other failed, are kept not much longer. */
static const double TTL_NEGATIVE_S = 10, TTL_PARTIAL_S = 30;
/* A check fails if two questions a second apart are not answered. It continues, and may still pass. */
static const double CHECK_S = 2;
/* The most jobs that continue only for the cache. A query leaves with one family's addresses once it is
 * connected. */
enum { UNWANTED_MAX = 64 };

/* --- answers -------------------------------------------------------------------------------------------- */

static bool has_addrs(const struct dns_question *q)
{
    return q->way && !q->running && q->reply.says == DNS_SAYS_ADDRESSES;
}

static bool has_ended(const struct dns_question *q)
{
    return !q->running;
}

/* Some servers report that a name without IPv6 addresses does not exist (RFC 4074 4.2). So the question for
 * IPv4 decides, if there is one. */
static enum fault fault_of(const struct resolver_job *job)
{
    const struct dns_question *telling = job->four.way ? &job->four : &job->six;
    const struct dns_question *other = job->four.way && job->six.way ? &job->six : NULL;
    enum fault fault = dns_question_fault(telling);

    if (fault == FAULT_NONE ||
        telling->reply.says == DNS_SAYS_NO_DATA) /* no addresses, or none that the egress allows */
        fault = job->four.way && job->six.way ? FAULT_NAME : FAULT_UNREACHABLE;
    if (other && telling->reply.says == DNS_SAYS_NO_DATA && dns_question_fault(other) == FAULT_DNS)
        fault = FAULT_DNS; /* the failed question may have had addresses */
    return fault;
}

static size_t take_family(struct addr ret[DIAL_ADDRS_MAX], const struct resolver_job *job, int family)
{
    const struct dns_question *const both[] = {&job->six, &job->four};
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        const struct dns_reply *reply = &both[i]->reply;
        for (size_t k = 0; has_addrs(both[i]) && k < reply->n && n < DIAL_ADDRS_MAX; k++)
            if (addr_family(&reply->addrs[k]) == family && egress_allows(&job->resolver->way.egress, family))
                ret[n++] = reply->addrs[k];
    }
    return n;
}

/* Alternate the families, IPv6 first (RFC 8305 4); the rest of the longer one follows. */
static struct dns_answer *interleave(const struct addr *six, size_t n6, const struct addr *four, size_t n4)
{
    struct dns_answer *a = dns_answer_new(n6 + n4 < DIAL_ADDRS_MAX ? n6 + n4 : DIAL_ADDRS_MAX);
    size_t n = 0;

    for (size_t i = 0; a && n < a->n; i++) {
        if (i < n6)
            a->addrs[n++] = six[i];
        if (i < n4 && n < a->n)
            a->addrs[n++] = four[i];
    }
    return a;
}

/* The servers' result so far. @return NULL without memory */
static struct dns_answer *answer_of(const struct resolver_job *job)
{
    struct addr six[DIAL_ADDRS_MAX], four[DIAL_ADDRS_MAX];
    size_t n6 = take_family(six, job, AF_INET6), n4 = take_family(four, job, AF_INET);
    const struct dns_question *const both[] = {&job->six, &job->four};
    struct dns_answer *a = interleave(six, n6, four, n4);

    if (!a)
        return NULL;
    a->ttl_s = INFINITY;
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        if (!both[i]->way)
            continue;
        enum fault fault = dns_question_fault(both[i]);
        a->ttl_s = fmin(a->ttl_s, fault == FAULT_NONE   ? both[i]->reply.ttl_s
                                  : fault == FAULT_NAME ? INFINITY
                                                        : TTL_PARTIAL_S);
    }
    if (a->n > 0)
        return a;
    a->fault = job->four.way || job->six.way ? fault_of(job) : FAULT_DNS;
    a->ttl_s = a->fault == FAULT_NAME || a->fault == FAULT_UNREACHABLE ? TTL_NEGATIVE_S : 0;
    a->silent = !job->six.heard && !job->four.heard && a->fault == FAULT_DNS;
    return a;
}

/* --- waiting queries ------------------------------------------------------------------------------------ */

static void leave(struct resolver_query *q)
{
    list_remove(&q->waiter);
    q->job = NULL;
}

static void on_checked(struct dns_question *check)
{
    if (check->heard || !check->short_of)
        dns_silence_checked(&container_of(check, struct resolver, check)->silence, check->heard);
}

static void check_servers(struct resolver *r)
{
    if (r->check.running) {
        if (clock_now_s() >= r->silence.checked_at + CHECK_S)
            dns_silence_checked(&r->silence, false);
        return;
    }
    const char *name = dns_silence_check(&r->silence, clock_now_s());
    if (name)
        dns_question_start(&r->check, &r->way, name, r->way.egress.any4 ? DNS_TYPE_A : DNS_TYPE_AAAA,
                           on_checked);
}

enum resolver_news resolver_job_unanswered(struct resolver_job *job)
{
    struct resolver *r = job->resolver;

    if (job->stage != JOB_ASKS_SERVERS || job->heard || dns_question_is_heard(&job->six) ||
        dns_question_is_heard(&job->four))
        return RESOLVER_NO_NEWS;
    if (r->way.servers.n == 0)
        return RESOLVER_SILENCE;
    check_servers(r);
    bool counts = dns_silence_counts(&r->silence, slice_of(job->name, job->len), job->answers);
    return counts ? RESOLVER_SILENCE : RESOLVER_NO_NEWS;
}

/* One query reports the news to its uplink, as it happened once. */
static void tell_news(struct resolver_job *job, struct resolver_query *q, const struct dns_answer *answer)
{
    if (job->told || !answer || q->told)
        return;
    if (job->heard)
        q->news = RESOLVER_HEARD;
    else if (answer->silent)
        q->news = resolver_job_unanswered(job);
    job->told = q->news != RESOLVER_NO_NEWS;
}

/* One family has arrived, the other has not. A query without `more` gets only this part, after IPv6 had its
 * time. */
static void offer(struct resolver_job *job, struct resolver_query *q, struct dns_answer *part)
{
    if (q->told || q->due || (!q->more && !job->has_delayed))
        return;
    tell_news(job, q, part);
    if (!q->more)
        leave(q);
    resolver_query_settle(q, FAULT_NONE, part);
}

static bool has_part(const struct resolver_job *job)
{
    return has_addrs(&job->six) || (has_addrs(&job->four) && job->has_delayed);
}

/* --- the end -------------------------------------------------------------------------------------------- */

static void want_again(struct resolver_job *job)
{
    if (list_is_empty(&job->unwanted))
        return;
    list_remove(&job->unwanted);
    job->resolver->n_unwanted--;
}

static void job_free(struct resolver_job *job)
{
    struct resolver *r = job->resolver;

    want_again(job);
    dns_question_cancel(&job->six);
    dns_question_cancel(&job->four);
    if (job->system)
        dns_system_cancel(job->system);
    dns_answer_unref(job->from_servers);
    ev_timer_stop(r->loop, &job->delay);
    list_remove(&job->node);
    list_remove(&job->chain);
    struct dns_turn turn = job->turn;
    if (turn.asker && turn.waits) /* its node in the queue is inside the job */
        dns_turns_give_back(&r->commons->turns, &job->turn);
    free(job);
    if (!turn.waits)
        dns_turns_give_back(&r->commons->turns, &turn); /* may start other jobs */
}

static void remember(const struct resolver_job *job, struct dns_answer *answer)
{
    dns_cache_put(job->resolver->cache, slice_of(job->name, job->len), answer, clock_now_s());
}

/* @param answer  taken over; NULL without memory */
static void job_finish(struct resolver_job *job, enum fault fault, struct dns_answer *answer)
{
    LIST_EACH(&job->waiters, it, tmp) {
        struct resolver_query *q = container_of(it, struct resolver_query, waiter);
        tell_news(job, q, answer);
        leave(q);
        resolver_query_settle(q, fault, answer);
    }
    if (answer)
        remember(job, answer);
    dns_answer_unref(answer);
    job_free(job);
}

void resolver_job_fail(struct resolver_job *job, enum fault fault)
{
    job_finish(job, fault, NULL);
}

/* --- the system ----------------------------------------------------------------------------------------- */

static void ask_servers(struct resolver_job *job);

static void on_system(void *arg, struct dns_answer *answer)
{
    struct resolver_job *job = arg;
    struct dns_answer *from_servers = job->from_servers;

    job->system = NULL;
    job->from_servers = NULL;
    if (answer && answer->n > 0) {
        dns_answer_unref(from_servers);
        return job_finish(job, FAULT_NONE, dns_answer_ref(answer));
    }
    if (job->stage == JOB_ASKS_FIRST)
        return ask_servers(job);
    job_finish(job, FAULT_RESOURCES, from_servers);
}

/* @return whether the system is asked */
static bool ask_system(struct resolver_job *job, enum job_stage stage)
{
    struct resolver *r = job->resolver;

    if (!r->system || job->stage == JOB_ASKS_FIRST || job->stage == JOB_ASKS_LAST)
        return false;
    job->system = dns_system_ask(r->system, job->name, job->turn.asker, on_system, job);
    if (job->system)
        job->stage = stage;
    return job->system != NULL;
}

/* --- the servers ---------------------------------------------------------------------------------------- */

/* Both families have ended, or nothing useful can follow. */
static void conclude(struct resolver_job *job, bool asked_system)
{
    struct dns_answer *answer = answer_of(job);

    if (answer && answer->n == 0 && !asked_system && ask_system(job, JOB_ASKS_LAST)) {
        job->from_servers = answer;
        return;
    }
    job_finish(job, FAULT_RESOURCES, answer);
}

static void offer_to_all(struct resolver_job *job)
{
    struct dns_answer *part = answer_of(job);

    if (!part)
        return; /* retried at the end */
    LIST_EACH(&job->waiters, it, tmp) {
        offer(job, container_of(it, struct resolver_query, waiter), part);
    }
    dns_answer_unref(part);
}

static bool asked_system_first(const struct resolver_job *job)
{
    return job->resolver->system && dns_name_is_systems(slice_of(job->name, job->len));
}

static void on_delay(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct resolver_job *job = container_of(timer, struct resolver_job, delay);

    (void)loop;
    (void)events;
    job->has_delayed = true;
    if (has_part(job))
        return offer_to_all(job);
    dns_question_cancel(&job->six); /* the answer for IPv4 says that the name does not exist */
    conclude(job, asked_system_first(job));
}

static void note_heard(struct resolver_job *job, const struct dns_question *q)
{
    enum dns_says says = q->reply.says;

    if (job->heard || (says != DNS_SAYS_ADDRESSES && says != DNS_SAYS_NO_DATA && says != DNS_SAYS_NO_NAME))
        return;
    job->heard = true;
    dns_silence_answered(&job->resolver->silence, slice_of(job->name, job->len),
                         says == DNS_SAYS_ADDRESSES ? q->reply.ttl_s : -1, clock_now_s());
}

static void on_question(struct resolver_job *job, const struct dns_question *q)
{
    note_heard(job, q);
    if (has_ended(&job->six) && has_ended(&job->four))
        return conclude(job, asked_system_first(job));
    bool no_name = q == &job->four && q->reply.says == DNS_SAYS_NO_NAME;
    if (!has_addrs(q) && !no_name)
        return;
    ev_now_update(job->resolver->loop);
    ev_timer_set(&job->delay, DELAY_S, 0);
    ev_timer_start(job->resolver->loop, &job->delay);
    if (has_part(job))
        offer_to_all(job);
}

static void on_six(struct dns_question *q)
{
    on_question(container_of(q, struct resolver_job, six), q);
}

static void on_four(struct dns_question *q)
{
    on_question(container_of(q, struct resolver_job, four), q);
}

/* The question for IPv6 is sent first (RFC 8305 3). */
static void ask_servers(struct resolver_job *job)
{
    struct dns_way *way = &job->resolver->way;
    bool was_first = job->stage == JOB_ASKS_FIRST;

    job->stage = JOB_ASKS_SERVERS;
    if (way->servers.n == 0)
        return conclude(job, was_first);
    if (way->egress.any6)
        dns_question_start(&job->six, way, job->name, DNS_TYPE_AAAA, on_six);
    if (way->egress.any4)
        dns_question_start(&job->four, way, job->name, DNS_TYPE_A, on_four);
}

/* --- from new to free ----------------------------------------------------------------------------------- */

static void job_begin(struct resolver_job *job)
{
    if (asked_system_first(job) && ask_system(job, JOB_ASKS_FIRST))
        return;
    ask_servers(job);
}

static void on_turn(struct dns_turn *turn)
{
    job_begin(container_of(turn, struct resolver_job, turn));
}

static void on_turn_now(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    ev_set_cb(timer, on_delay);
    job_begin(container_of(timer, struct resolver_job, delay));
}

struct resolver_job *resolver_job_find(struct resolver *r, struct slice name)
{
    uint64_t hash = dns_name_hash(name);

    LIST_EACH(&r->buckets[hash % RESOLVER_BUCKETS], it, tmp) {
        struct resolver_job *job = container_of(it, struct resolver_job, chain);
        if (job->hash == hash && slice_ieq(slice_of(job->name, job->len), name))
            return job;
    }
    return NULL;
}

struct resolver_job *resolver_job_new(struct resolver *r, struct slice name, const struct addr *client)
{
    struct resolver_job *job = calloc(1, sizeof *job);

    if (!job)
        return NULL;
    int turn = dns_turns_take(&r->commons->turns, &job->turn, client, on_turn);
    if (turn < 0) {
        free(job);
        return NULL;
    }
    job->resolver = r;
    job->answers = r->silence.answers;
    job->hash = dns_name_hash(name);
    job->len = name.len;
    memcpy(job->name, name.data, name.len);
    list_init(&job->waiters);
    list_init(&job->unwanted);
    list_push_back(&r->jobs, &job->node);
    list_push_back(&r->buckets[job->hash % RESOLVER_BUCKETS], &job->chain);
    /* Deferred, as the job may end at once, and must not before a query has joined it. */
    ev_timer_init(&job->delay, turn ? on_turn_now : on_delay, 0, 0);
    if (turn)
        defer(r->loop, &job->delay);
    return job;
}

void resolver_job_join(struct resolver_job *job, struct resolver_query *q)
{
    want_again(job);
    q->job = job;
    list_push_back(&job->waiters, &q->waiter);
    if (job->stage != JOB_ASKS_SERVERS || !has_part(job))
        return;
    struct dns_answer *part = answer_of(job);
    if (part)
        offer(job, q, part);
    dns_answer_unref(part);
}

/* One family is known, and the next connection would ask for the other again, so the job continues. */
static bool is_worth_going_on(const struct resolver_job *job)
{
    return job->stage == JOB_ASKS_SERVERS && (has_addrs(&job->six) || has_addrs(&job->four));
}

static void free_unfinished(struct resolver_job *job)
{
    struct dns_answer *part = is_worth_going_on(job) ? answer_of(job) : NULL;

    if (part) {
        part->ttl_s = fmin(part->ttl_s, TTL_PARTIAL_S);
        remember(job, part);
    }
    dns_answer_unref(part);
    job_free(job);
}

void resolver_job_leave(struct resolver_query *q)
{
    struct resolver_job *job = q->job;

    if (!job)
        return list_remove(&q->waiter);
    leave(q);
    if (!list_is_empty(&job->waiters))
        return;
    if (!is_worth_going_on(job))
        return job_free(job);
    struct resolver *r = job->resolver;
    list_push_back(&r->unwanted, &job->unwanted);
    r->n_unwanted++;
    dns_turns_give_back(&r->commons->turns, &job->turn);
    if (r->n_unwanted > UNWANTED_MAX)
        free_unfinished(container_of(r->unwanted.next, struct resolver_job, unwanted));
}
