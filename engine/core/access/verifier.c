#include "access/verifier.h"

#include "access/hashes.h"
#include "base/keyed_hash.h"
#include "base/list.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Room for 1,024 pairs: 8 KiB. A new pair replaces the oldest of four. */
enum { WAYS = 4, SETS = 256 };
/* crypt(3) takes its memory from the heap. */
enum { STACK_SIZE = 256 * 1024 };

struct check {
    struct list node; /* in waiting or done, or in none while it runs */
    bool waits;       /* under the lock */
    bool counts, right;
    verifier_done_fn *done; /* the loop's thread only; NULL: cancelled */
    void *arg;
    uint64_t pair;
    unsigned generation;
    char *hash, *pass;
};

/* The lock guards waiting, done, closing, and the checks' `waits`. */
struct verifier {
    pthread_mutex_t lock;
    pthread_cond_t asked;
    pthread_t thread;
    bool started, closing;
    struct list waiting, done;
    size_t n_waiting;
    struct ev_loop *loop;
    ev_async ready;
    struct hash_key key;
    unsigned generation;
    uint64_t known[SETS][WAYS]; /* the latest first; 0: free */
};

static void check_free(struct check *c)
{
    list_remove(&c->node);
    if (c->pass)
        explicit_bzero(c->pass, strlen(c->pass));
    free(c->pass);
    free(c->hash);
    free(c);
}

/* --- pairs ---------------------------------------------------------------------------------------------- */

static uint64_t pair_of(const struct verifier *v, struct slice user, struct slice pass)
{
    uint64_t name = keyed_hash(&v->key, user);
    const struct hash_key of_name = {.k0 = v->key.k0 ^ name, .k1 = v->key.k1};

    return keyed_hash(&of_name, pass) | 1;
}

bool verifier_knows(const struct verifier *v, struct slice user, struct slice pass)
{
    uint64_t pair = v ? pair_of(v, user, pass) : 0;
    bool found = false;

    for (size_t i = 0; v && i < WAYS; i++)
        found |= v->known[pair / 2 % SETS][i] == pair;
    return found;
}

void verifier_forget(struct verifier *v)
{
    if (!v)
        return;
    explicit_bzero(v->known, sizeof v->known);
    v->generation++;
}

static void note(struct verifier *v, const struct check *c)
{
    uint64_t *set = v->known[c->pair / 2 % SETS];

    if (c->generation != v->generation)
        return;
    for (size_t i = 0; i < WAYS; i++)
        if (set[i] == c->pair)
            return;
    memmove(set + 1, set, (WAYS - 1) * sizeof *set);
    set[0] = c->pair;
}

/* --- on the thread -------------------------------------------------------------------------------------- */

static void *run(void *arg)
{
    struct verifier *v = arg;

    pthread_mutex_lock(&v->lock);
    while (!v->closing) {
        if (list_is_empty(&v->waiting)) {
            pthread_cond_wait(&v->asked, &v->lock);
            continue;
        }
        struct check *c = container_of(v->waiting.next, struct check, node);
        list_remove(&c->node);
        c->waits = false;
        v->n_waiting--;
        pthread_mutex_unlock(&v->lock);
        c->right = hashes_check(c->hash, c->pass) && c->counts;
        pthread_mutex_lock(&v->lock);
        list_push_back(&v->done, &c->node);
        ev_async_send(v->loop, &v->ready);
    }
    pthread_mutex_unlock(&v->lock);
    return NULL;
}

/* Block signals: they are for the main thread. */
static int start_thread(struct verifier *v)
{
    pthread_attr_t attr;
    sigset_t all, before;

    if (v->started)
        return 0;
    int err = pthread_attr_init(&attr);
    if (err != 0)
        return -err;
    (void)pthread_attr_setstacksize(&attr, STACK_SIZE);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&v->thread, &attr, run, v);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    v->started = err == 0;
    return -err;
}

/* --- on the loop ---------------------------------------------------------------------------------------- */

static struct check *take_done(struct verifier *v)
{
    struct check *c = NULL;

    pthread_mutex_lock(&v->lock);
    if (!list_is_empty(&v->done)) {
        c = container_of(v->done.next, struct check, node);
        list_remove(&c->node);
    }
    pthread_mutex_unlock(&v->lock);
    return c;
}

static void on_ready(struct ev_loop *loop, ev_async *w, int events)
{
    struct verifier *v = container_of(w, struct verifier, ready);
    struct check *c;

    (void)loop;
    (void)events;
    while ((c = take_done(v))) {
        verifier_done_fn *done = c->done;
        void *arg = c->arg;
        bool right = c->right;
        if (right)
            note(v, c);
        check_free(c);
        if (done)
            done(arg, right);
    }
}

int verifier_new(struct verifier **ret, struct ev_loop *loop)
{
    struct verifier *v = calloc(1, sizeof *v);
    int r = v ? hash_key_make(&v->key) : -ENOMEM;

    if (r == 0)
        r = -pthread_mutex_init(&v->lock, NULL);
    if (r < 0) {
        free(v);
        return r;
    }
    (void)pthread_cond_init(&v->asked, NULL); /* cannot fail on Linux */
    list_init(&v->waiting);
    list_init(&v->done);
    v->loop = loop;
    ev_async_init(&v->ready, on_ready);
    ev_async_start(loop, &v->ready);
    ev_unref(loop);
    *ret = v;
    return 0;
}

static void free_all(struct list *checks)
{
    LIST_EACH(checks, node, next)
        check_free(container_of(node, struct check, node));
}

void verifier_free(struct verifier *v)
{
    if (!v)
        return;
    pthread_mutex_lock(&v->lock);
    v->closing = true;
    (void)pthread_cond_signal(&v->asked);
    pthread_mutex_unlock(&v->lock);
    if (v->started)
        (void)pthread_join(v->thread, NULL);
    ev_ref(v->loop);
    ev_async_stop(v->loop, &v->ready);
    free_all(&v->waiting);
    free_all(&v->done);
    (void)pthread_cond_destroy(&v->asked);
    (void)pthread_mutex_destroy(&v->lock);
    explicit_bzero(v, sizeof *v);
    free(v);
}

struct check *verifier_ask(struct verifier *v, const char *hash, bool counts, struct slice user,
                           struct slice pass, verifier_done_fn *done, void *arg)
{
    struct check *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    *c = (struct check){.waits = true, .done = done, .arg = arg};
    c->hash = strdup(hash);
    c->pass = pass.len > 0 ? strndup(pass.data, pass.len) : strdup("");
    c->pair = pair_of(v, user, pass);
    c->generation = v->generation;
    list_init(&c->node);
    /* A byte 0 would end the password early. */
    c->counts = counts && c->pass && strlen(c->pass) == pass.len;
    pthread_mutex_lock(&v->lock);
    bool takes = c->hash && c->pass && v->n_waiting < VERIFIER_WAITING_MAX && start_thread(v) == 0;
    if (takes) {
        list_push_back(&v->waiting, &c->node);
        v->n_waiting++;
        (void)pthread_cond_signal(&v->asked);
    }
    pthread_mutex_unlock(&v->lock);
    if (takes)
        return c;
    check_free(c);
    return NULL;
}

void verifier_cancel(struct verifier *v, struct check *c)
{
    pthread_mutex_lock(&v->lock);
    bool waits = c->waits;
    if (waits) {
        list_remove(&c->node);
        v->n_waiting--;
    }
    pthread_mutex_unlock(&v->lock);
    c->done = NULL;
    if (waits)
        check_free(c);
}
