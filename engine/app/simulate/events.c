#include "simulate/events.h"

#include "simulate/grow.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static bool before(const struct event *a, const struct event *b)
{
    return a->t < b->t || (a->t <= b->t && a->seq < b->seq);
}

int events_add(struct events *e, double t, uint32_t what, uint32_t whom, uint64_t version)
{
    struct event *heap = grow(e->heap, e->n, &e->cap, 256, sizeof *heap);

    if (!heap)
        return -ENOMEM;
    e->heap = heap;
    struct event own = {.t = t, .seq = e->seq++, .what = what, .whom = whom, .version = version};
    size_t i = e->n++;
    for (; i > 0 && before(&own, &e->heap[(i - 1) / 2]); i = (i - 1) / 2)
        e->heap[i] = e->heap[(i - 1) / 2];
    e->heap[i] = own;
    return 0;
}

bool events_take(struct events *e, struct event *ret)
{
    if (e->n == 0)
        return false;
    *ret = e->heap[0];
    struct event own = e->heap[--e->n];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= e->n)
            break;
        if (child + 1 < e->n && before(&e->heap[child + 1], &e->heap[child]))
            child++;
        if (!before(&e->heap[child], &own))
            break;
        e->heap[i] = e->heap[child];
        i = child;
    }
    if (e->n > 0)
        e->heap[i] = own;
    return true;
}

double events_next(const struct events *e)
{
    return e->n > 0 ? e->heap[0].t : INFINITY;
}

void events_done(struct events *e)
{
    free(e->heap);
    *e = (struct events){.n = 0};
}
