#include "net/wheel.h"

#include "base/clock.h"
#include "base/compiler.h"

#include <math.h>

static uint32_t tick_at(double s)
{
    return (uint32_t)(uint64_t)(s * WHEEL_TICKS_A_S);
}

static void occupy(struct wheel *w, uint32_t slot, bool taken)
{
    uint64_t bit = UINT64_C(1) << (slot % 64);

    if (taken)
        w->occupied[slot / 64] |= bit;
    else
        w->occupied[slot / 64] &= ~bit;
}

/* Seconds from now_s until a tick begins. */
static double until(uint32_t tick, double now_s)
{
    double ticks = now_s * WHEEL_TICKS_A_S;

    return ((double)(int32_t)(tick - tick_at(now_s)) - (ticks - floor(ticks))) / WHEEL_TICKS_A_S;
}

static void await(struct wheel *w, uint32_t tick, double now_s)
{
    w->next = tick;
    ev_timer_stop(w->loop, &w->timer);
    ev_timer_set(&w->timer, fmax(until(tick, now_s), 0.), 0.);
    ev_timer_start(w->loop, &w->timer);
}

/* A slot whose entries were all cancelled stays marked, which costs one look. */
static void await_next(struct wheel *w)
{
    for (uint32_t i = 1; i <= WHEEL_SLOTS; i++) {
        uint32_t slot = (w->done + i) % WHEEL_SLOTS;
        if (w->occupied[slot / 64] & UINT64_C(1) << (slot % 64))
            return await(w, w->done + i, clock_now_s());
    }
}

/* Move due entries to `due`. */
static void sift(struct wheel *w, uint32_t slot, uint32_t now, struct list *due)
{
    struct list *head = &w->slots[slot];

    LIST_EACH(head, node, next) {
        struct wheel_entry *e = container_of(node, struct wheel_entry, node);
        if ((int32_t)(e->due - now) > 0)
            continue;
        list_remove(node);
        list_push_back(due, node);
    }
    occupy(w, slot, !list_is_empty(head));
}

static void on_timer(struct ev_loop *loop, ev_timer *t, int events)
{
    struct wheel *w = container_of(t, struct wheel, timer);
    uint32_t now = tick_at(clock_now_s()), late = now - w->done;
    struct list due;

    (void)loop;
    (void)events;
    list_init(&due);
    for (uint32_t i = 1; i <= late && i <= WHEEL_SLOTS; i++)
        sift(w, (w->done + i) % WHEEL_SLOTS, now, &due);
    w->done = now;
    while (!list_is_empty(&due)) { /* a callback may cancel or free other due entries */
        struct wheel_entry *e = container_of(due.next, struct wheel_entry, node);
        wheel_cancel(e);
        w->rang(w, e);
    }
    await_next(w);
}

void wheel_init(struct wheel *w, struct ev_loop *loop, wheel_rang_fn *rang)
{
    *w = (struct wheel){.loop = loop, .rang = rang, .done = tick_at(clock_now_s())};
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        list_init(&w->slots[i]);
    ev_timer_init(&w->timer, on_timer, 0., 0.);
}

void wheel_done(struct wheel *w)
{
    if (w->loop)
        ev_timer_stop(w->loop, &w->timer);
}

void wheel_set(struct wheel *w, struct wheel_entry *e, double after_s)
{
    double now_s = clock_now_s();

    wheel_cancel(e);
    e->due = tick_at(now_s + fmax(after_s, 0.)) + 1;
    uint32_t slot = e->due % WHEEL_SLOTS;
    list_push_back(&w->slots[slot], &e->node);
    occupy(w, slot, true);
    if (!ev_is_active(&w->timer) || (int32_t)(e->due - w->next) < 0)
        await(w, e->due, now_s);
}

void wheel_cancel(struct wheel_entry *e)
{
    if (!wheel_is_set(e))
        return;
    list_remove(&e->node);
    e->node.next = e->node.prev = NULL;
}

double wheel_left_s(const struct wheel_entry *e)
{
    return until(e->due, clock_now_s());
}
