#include "relay/pace.h"

#include "base/clock.h"
#include "base/compiler.h"

#include <stdlib.h>

/* Reads for each second of a rate. More would cost system calls, fewer would make others wait longer. */
enum { READS_A_S = 64 };
/* A read of at least a packet, and of no more than usual. */
enum { READ_MIN = 1460, READ_MAX = 64 * 1024 };

struct way {
    ev_timer wait; /* exact, as late wake-ups would give the first to wake more than its share */
    struct pace *pace;
    bool up;
};

struct pace {
    struct ev_loop *loop;
    pace_woke_fn *woke;
    void *arg;
    struct way up, down;
    struct cap own;
    size_t n;
    struct cap *caps[PACE_CAPS_MAX + 1];
};

static void on_wait_over(struct ev_loop *loop, ev_timer *w, int events)
{
    struct way *way = container_of(w, struct way, wait);

    (void)loop;
    (void)events;
    way->pace->woke(way->pace->arg, way->up);
}

struct pace *pace_new(const struct pace_caps *caps, pace_woke_fn *woke, void *arg)
{
    struct pace *p = caps->n > 0 || caps->own > 0 ? calloc(1, sizeof *p) : NULL;

    if (!p)
        return NULL;
    p->woke = woke;
    p->arg = arg;
    p->up.pace = p->down.pace = p;
    p->up.up = true;
    ev_timer_init(&p->up.wait, on_wait_over, 0., 0.);
    ev_timer_init(&p->down.wait, on_wait_over, 0., 0.);
    for (size_t i = 0; i < caps->n; i++)
        p->caps[p->n++] = caps->shared[i];
    cap_set(&p->own, caps->own);
    if (caps->own > 0)
        p->caps[p->n++] = &p->own;
    return p;
}

void pace_free(struct pace *p)
{
    if (p)
        pace_leave(p);
    free(p);
}

void pace_join(struct pace *p, struct ev_loop *loop)
{
    p->loop = loop;
}

void pace_leave(struct pace *p)
{
    if (!p->loop)
        return;
    ev_timer_stop(p->loop, &p->up.wait);
    ev_timer_stop(p->loop, &p->down.wait);
    p->loop = NULL;
}

size_t pace_most(const struct pace *p)
{
    uint64_t most = READ_MAX;

    for (size_t i = 0; i < p->n; i++) {
        uint64_t rate = cap_rate(p->caps[i]);
        if (rate > 0 && rate / READS_A_S < most)
            most = rate / READS_A_S;
    }
    return most > READ_MIN ? (size_t)most : READ_MIN;
}

void pace_note(struct pace *p, bool up, uint64_t n)
{
    ev_timer *wait = up ? &p->up.wait : &p->down.wait;
    uint64_t now_ns = (uint64_t)(clock_now_s() * 1e9), until_ns = now_ns;

    for (size_t i = 0; i < p->n; i++) {
        uint64_t at_ns = bucket_book(up ? &p->caps[i]->up : &p->caps[i]->down, n, now_ns);
        until_ns = at_ns > until_ns ? at_ns : until_ns;
    }
    if (until_ns <= now_ns)
        return;
    ev_timer_stop(p->loop, wait);
    ev_timer_set(wait, (double)(until_ns - now_ns) * 1e-9, 0.);
    ev_timer_start(p->loop, wait);
}

bool pace_is_waiting(const struct pace *p, bool up)
{
    return ev_is_active(up ? &p->up.wait : &p->down.wait);
}
