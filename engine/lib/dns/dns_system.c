#include "dns/dns_system.h"

#include "base/list.h"
#include "dns/dns_message.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Modules load libraries and talk to daemons. */
enum { STACK_SIZE = 1024 * 1024 };
/* getaddrinfo returns no TTL. */
static const double TTL_S = 10;

enum stage { WAITS, RUNS, IS_DONE };

struct dns_system_question {
    struct list node; /* in waiting, running or done */
    struct dns_system *system;
    enum stage stage;
    bool wanted; /* not cancelled */
    const void *asker;
    unsigned place; /* questions of the same asker that were there before */
    dns_system_done_fn *done;
    void *arg;
    struct dns_answer *answer;
    char name[DNS_NAME_SIZE];
};

/* The lock guards everything but the loop's side of ready. */
struct dns_system {
    pthread_mutex_t lock;
    struct list waiting, running, done; /* waiting is sorted by place */
    unsigned threads;
    bool open; /* not freed yet */
    struct ev_loop *loop;
    ev_async ready; /* a question is done */
};

/* --- on a thread ---------------------------------------------------------------------------------------- */

/* getaddrinfo has sorted them (RFC 6724). */
static struct dns_answer *look_up(const char *name)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    struct dns_answer *answer = dns_answer_new(DNS_ADDRS_MAX);

    if (!answer)
        return NULL;
    answer->n = 0;
    answer->ttl_s = TTL_S;
    if (getaddrinfo(name, NULL, &hints, &found) != 0)
        found = NULL;
    for (const struct addrinfo *it = found; it && answer->n < DNS_ADDRS_MAX; it = it->ai_next)
        if (addr_from_sockaddr(&answer->addrs[answer->n], it->ai_addr, it->ai_addrlen) == 0)
            answer->n++;
    if (found)
        freeaddrinfo(found);
    return answer;
}

static void question_free(struct dns_system_question *q)
{
    list_remove(&q->node);
    dns_answer_unref(q->answer);
    free(q);
}

static void system_free_locked(struct dns_system *s)
{
    pthread_mutex_unlock(&s->lock);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

static unsigned count_questions_of(const struct list *questions, const void *asker)
{
    unsigned n = 0;

    LIST_EACH(questions, it, tmp) {
        n += container_of(it, struct dns_system_question, node)->asker == asker;
    }
    return n;
}

/* With the lock held. @return the first question that may run now; NULL for none */
static struct dns_system_question *next_question(const struct dns_system *s)
{
    LIST_EACH(&s->waiting, it, tmp) {
        struct dns_system_question *q = container_of(it, struct dns_system_question, node);
        if (!q->asker || count_questions_of(&s->running, q->asker) < DNS_SYSTEM_THREADS_ASKER)
            return q;
    }
    return NULL;
}

/* With the lock held. Each asker's first question precedes all second ones, so that an asker of many names
 * does not delay others. dns_turns.h bounds the number that wait. */
static void enqueue(struct dns_system *s, struct dns_system_question *q)
{
    struct list *before = s->waiting.prev;

    q->place = count_questions_of(&s->running, q->asker) + count_questions_of(&s->waiting, q->asker);
    while (before != &s->waiting && container_of(before, struct dns_system_question, node)->place > q->place)
        before = before->prev;
    list_push_back(before->next, &q->node);
}

/* With the lock held. */
static void system_finish(struct dns_system *s, struct dns_system_question *q, struct dns_answer *answer)
{
    list_remove(&q->node);
    q->answer = answer;
    q->stage = IS_DONE;
    if (!s->open || !q->wanted)
        return question_free(q);
    list_push_back(&s->done, &q->node);
    ev_async_send(s->loop, &s->ready);
}

static void *run(void *arg)
{
    struct dns_system *s = arg;

    pthread_mutex_lock(&s->lock);
    struct dns_system_question *q;
    while (s->open && (q = next_question(s))) {
        list_remove(&q->node);
        list_push_back(&s->running, &q->node);
        q->stage = RUNS;
        pthread_mutex_unlock(&s->lock);
        struct dns_answer *answer = look_up(q->name);
        pthread_mutex_lock(&s->lock);
        system_finish(s, q, answer);
    }
    s->threads--;
    if (!s->open && s->threads == 0)
        system_free_locked(s);
    else
        pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Block signals: the watchdog's must reach the main thread. */
static int start_thread(struct dns_system *s)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, before;

    if (pthread_attr_init(&attr) != 0)
        return -ENOMEM;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attr, STACK_SIZE);
    int r = pthread_create(&thread, &attr, run, s);
    if (r == 0)
        (void)pthread_setname_np(thread, "steerway-names");
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    return -r;
}

/* --- on the loop ---------------------------------------------------------------------------------------- */

static void on_ready(struct ev_loop *loop, ev_async *ready, int events)
{
    struct dns_system *s = container_of(ready, struct dns_system, ready);

    (void)loop;
    (void)events;
    for (;;) {
        struct dns_system_question *q = NULL;
        pthread_mutex_lock(&s->lock);
        if (!list_is_empty(&s->done)) {
            q = container_of(s->done.next, struct dns_system_question, node);
            list_remove(&q->node);
        }
        pthread_mutex_unlock(&s->lock);
        if (!q)
            return;
        q->done(q->arg, q->answer); /* which must not free s */
        question_free(q);
    }
}

int dns_system_new(struct dns_system **ret, struct ev_loop *loop)
{
    struct dns_system *s = calloc(1, sizeof *s);

    if (!s)
        return -ENOMEM;
    int r = pthread_mutex_init(&s->lock, NULL);
    if (r != 0) {
        free(s);
        return -r;
    }
    list_init(&s->waiting);
    list_init(&s->running);
    list_init(&s->done);
    s->open = true;
    s->loop = loop;
    ev_async_init(&s->ready, on_ready);
    ev_async_start(loop, &s->ready);
    ev_unref(loop); /* it must not keep the loop running */
    *ret = s;
    return 0;
}

void dns_system_free(struct dns_system *s)
{
    if (!s)
        return;
    ev_ref(s->loop);
    ev_async_stop(s->loop, &s->ready);
    pthread_mutex_lock(&s->lock);
    s->open = false;
    struct list *const all[] = {&s->waiting, &s->done};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        LIST_EACH(all[i], it, tmp) {
            question_free(container_of(it, struct dns_system_question, node));
        }
    if (s->threads == 0)
        system_free_locked(s);
    else
        pthread_mutex_unlock(&s->lock);
}

struct dns_system_question *dns_system_ask(struct dns_system *s, const char *name, const void *asker,
                                           dns_system_done_fn *done, void *arg)
{
    struct dns_system_question *q = calloc(1, sizeof *q);

    if (!q)
        return NULL;
    q->system = s;
    q->wanted = true;
    q->asker = asker;
    q->done = done;
    q->arg = arg;
    (void)snprintf(q->name, sizeof q->name, "%s", name);
    pthread_mutex_lock(&s->lock);
    enqueue(s, q);
    bool more = s->threads < DNS_SYSTEM_THREADS && next_question(s);
    if (more && start_thread(s) == 0)
        s->threads++;
    if (s->threads == 0) {
        question_free(q);
        q = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    return q;
}

void dns_system_cancel(struct dns_system_question *q)
{
    struct dns_system *s = q->system;

    pthread_mutex_lock(&s->lock);
    q->wanted = false;
    if (q->stage != RUNS)
        question_free(q);
    pthread_mutex_unlock(&s->lock);
}
