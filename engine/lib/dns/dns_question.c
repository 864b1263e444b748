#include "dns/dns_question.h"

#include "base/clock.h"
#include "dns/dns_exchange.h"
#include "dns/dns_name.h"
#include "net/defer.h"

#include <errno.h>
#include <math.h>

/* Rounds through all servers. The wait after a round is a share of the timeout, and doubles. Packets may be
 * lost, and RFC 1035 4.2.1 wants a few seconds between the first two questions to a server. */
enum {
    ROUNDS = 3,
    ALIASES_MAX = 8,
    EXCHANGES_MAX = 4, /* exchanges of one question; each has a descriptor */
};
static const double ROUND_MIN_S = 0.1, ROUND_MAX_S = 1;

static void set_timer(struct dns_question *q, double after_s)
{
    ev_timer_stop(q->way->loop, &q->timer);
    ev_timer_set(&q->timer, fmax(after_s, 0), 0);
    ev_timer_start(q->way->loop, &q->timer);
}

/* --- the end -------------------------------------------------------------------------------------------- */

/* A server that did not answer in time is silent for now. The exchange is kept for a while, as the answer may
 * be late. */
static void part_with(struct dns_question *q, struct dns_exchange *e, bool keep)
{
    struct dns_scores *scores = &q->way->scores;

    q->n_exchanges--;
    if (dns_exchange_was_answered(e)) {
        q->heard = true;
        dns_scores_heard(scores, e->server, dns_exchange_age_s(e));
    } else if (dns_exchange_age_s(e) >= dns_scores_patience_s(scores, e->server))
        dns_scores_silent(scores, e->server, clock_now_s());
    if (keep)
        dns_exchange_keep(e);
    else
        dns_exchange_close(e);
}

static void part_with_all(struct dns_question *q, bool keep)
{
    LIST_EACH(&q->exchanges, it, tmp) {
        part_with(q, container_of(it, struct dns_exchange, node), keep);
    }
}

static void stop(struct dns_question *q, bool keep)
{
    q->running = false;
    ev_timer_stop(q->way->loop, &q->timer);
    part_with_all(q, keep);
}

static void question_finish(struct dns_question *q, enum dns_says says)
{
    q->reply.says = says;
    stop(q, says != DNS_SAYS_NOTHING);
    q->done(q); /* q may be gone */
}

void dns_question_cancel(struct dns_question *q)
{
    if (q->running)
        stop(q, false);
}

bool dns_question_is_heard(const struct dns_question *q)
{
    if (!q->running)
        return q->heard;
    LIST_EACH(&q->exchanges, it, tmp) {
        if (dns_exchange_was_answered(container_of(it, struct dns_exchange, node)))
            return true;
    }
    return q->heard;
}

enum fault dns_question_fault(const struct dns_question *q)
{
    if (q->reply.says == DNS_SAYS_ADDRESSES)
        return FAULT_NONE;
    if (q->reply.says == DNS_SAYS_NO_DATA || q->reply.says == DNS_SAYS_NO_NAME)
        return FAULT_NAME;
    return q->short_of && !q->heard ? FAULT_RESOURCES : FAULT_DNS;
}

/* --- asking --------------------------------------------------------------------------------------------- */

static void step(struct dns_question *q);
static void on_done(struct dns_exchange *e, const struct dns_reply *reply);

static bool question_ask(struct dns_question *q, size_t server)
{
    struct dns_exchange *e;

    if (q->n_exchanges == EXCHANGES_MAX)
        part_with(q, container_of(q->exchanges.next, struct dns_exchange, node), false);
    int r = dns_exchange_start(&e, q->way, server, &q->query, on_done, q);
    if (r < 0) {
        q->short_of = q->short_of || fault_from_errno(-r) == FAULT_RESOURCES;
        return false;
    }
    list_push_back(&q->exchanges, &e->node);
    q->n_exchanges++;
    return true;
}

static double round_s(const struct dns_question *q)
{
    double share_s = q->way->timeout_s / (ROUNDS + 1);

    return fmin(fmax(share_s, ROUND_MIN_S), ROUND_MAX_S) * exp2(q->round);
}

/* Wait until the next server is asked, or the next round, or the end. */
static void wait_for_server(struct dns_question *q, size_t server)
{
    double left_s = q->started_s + q->way->timeout_s - clock_now_s();
    double wait_s = dns_scores_patience_s(&q->way->scores, server);

    if (q->next == q->order.n)
        wait_s = q->round + 1 == ROUNDS ? left_s : fmax(round_s(q), wait_s);
    set_timer(q, fmin(wait_s, left_s));
}

/* Ask the next server; skip those to which nothing can be sent. */
static void step(struct dns_question *q)
{
    if (clock_now_s() >= q->started_s + q->way->timeout_s)
        return question_finish(q, DNS_SAYS_NOTHING);
    if (q->next == q->order.n) {
        q->next = 0;
        q->round++;
    }
    while (q->round < ROUNDS && q->next < q->order.n) {
        size_t server = q->order.server[q->next++];
        if (question_ask(q, server))
            return wait_for_server(q, server);
    }
    if (list_is_empty(&q->exchanges)) /* nothing can be sent to any server */
        return question_finish(q, DNS_SAYS_NOTHING);
    wait_for_server(q, q->order.server[0]);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct dns_question *q = container_of(timer, struct dns_question, timer);

    (void)loop;
    (void)events;
    if (q->round + 1 == ROUNDS && q->next == q->order.n)
        return question_finish(q, DNS_SAYS_NOTHING);
    step(q);
}

/* Start with the first server, for the name or for an alias. */
static void question_begin(struct dns_question *q)
{
    dns_scores_order(&q->way->scores, clock_now_s(), &q->order);
    q->next = 0;
    q->round = 0;
    if (q->order.beside >= 0)
        (void)question_ask(q, (size_t)q->order.beside);
}

/* --- answers -------------------------------------------------------------------------------------------- */

static void follow_alias(struct dns_question *q)
{
    if (++q->aliases > ALIASES_MAX || dns_name_length(q->reply.alias) == 0 ||
        dns_query_make(&q->query, q->reply.alias, q->type) < 0)
        return question_finish(q, DNS_SAYS_FAILED);
    part_with_all(q, true);
    question_begin(q);
    step(q);
}

/* This server does not help. Ask the next one at once; after the last, wait for those that have not answered.
 */
static void on_failure(struct dns_question *q)
{
    bool all_asked = q->next == q->order.n, none_left = list_is_empty(&q->exchanges);

    if (!all_asked)
        return step(q);
    if (none_left)
        question_finish(q, q->heard ? DNS_SAYS_FAILED : DNS_SAYS_NOTHING);
}

static void on_done(struct dns_exchange *e, const struct dns_reply *reply)
{
    struct dns_question *q = e->arg;
    struct dns_scores *scores = &q->way->scores;
    enum dns_says says = reply ? reply->says : DNS_SAYS_NOTHING;

    q->heard = q->heard || reply;
    if (says == DNS_SAYS_NOTHING || says == DNS_SAYS_UNWILLING)
        dns_scores_silent(scores, e->server, clock_now_s());
    else
        dns_scores_heard(scores, e->server, dns_exchange_age_s(e));
    if (reply)
        q->reply = *reply;
    q->ttl_s = q->reply.ttl_s = fmin(q->ttl_s, q->reply.ttl_s);
    q->n_exchanges--;
    dns_exchange_close(e);
    if (says == DNS_SAYS_ADDRESSES || says == DNS_SAYS_NO_DATA || says == DNS_SAYS_NO_NAME)
        question_finish(q, says);
    else if (says == DNS_SAYS_ALIAS)
        follow_alias(q);
    else
        on_failure(q);
}

static void on_first_step(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    ev_set_cb(timer, on_timer);
    step(container_of(timer, struct dns_question, timer));
}

void dns_question_start(struct dns_question *q, struct dns_way *way, const char *name, enum dns_type type,
                        dns_question_done_fn *done)
{
    q->way = way;
    q->done = done;
    q->type = type;
    q->running = true;
    q->heard = q->short_of = false;
    q->aliases = 0;
    q->ttl_s = INFINITY;
    q->reply.says = DNS_SAYS_NOTHING;
    q->reply.n = 0;
    q->reply.ttl_s = INFINITY;
    q->started_s = clock_now_s();
    list_init(&q->exchanges);
    q->n_exchanges = 0;
    q->order.n = q->next = 0;
    if (dns_query_make(&q->query, name, type) == 0)
        question_begin(q);
    /* Deferred, as the first step may be the last, and done must not be called from here. */
    ev_timer_init(&q->timer, on_first_step, 0, 0);
    defer(way->loop, &q->timer);
}
