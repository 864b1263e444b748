#include "simulate/link.h"

#include "simulate/grow.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

static const double BIN_S = 0.05;
/* A flow with less than half a byte left is done: bytes are whole, and the rest is rounding. */
static const double LEVEL = 0.5;

void link_init(struct link *l, double capacity)
{
    *l = (struct link){.capacity = capacity, .bin_s = BIN_S};
}

void link_done(struct link *l)
{
    free(l->heap);
    l->heap = NULL;
}

/* --- accounts ------------------------------------------------------------------------------------------- */

static void widen_bins(struct link *l)
{
    for (size_t i = 0; i < LINK_BINS; i++)
        l->bins[i] = i < LINK_BINS / 2 ? l->bins[2 * i] + l->bins[2 * i + 1] : 0;
    l->bin_s *= 2;
}

static void fill_bins(struct link *l, double from, double to)
{
    while (to > l->bin_s * LINK_BINS)
        widen_bins(l);
    while (from < to) {
        size_t bin = (size_t)(from / l->bin_s);
        if ((double)(bin + 1) * l->bin_s <= from) /* the quotient was rounded down */
            bin++;
        if (bin >= LINK_BINS)
            return;
        double upto = fmin((double)(bin + 1) * l->bin_s, to);
        l->bins[bin] += (upto - from) * l->capacity;
        from = upto;
    }
}

void link_advance(struct link *l, double now)
{
    double dt = now - l->at;

    if (dt <= 0)
        return;
    if (l->n > 0) {
        l->served += dt * l->capacity / (double)l->n;
        l->carried += dt * l->capacity;
        fill_bins(l, l->at, now);
    }
    l->at = now;
}

double link_carried(const struct link *l, double from, double to)
{
    double sum = 0;

    for (size_t i = (size_t)(from / l->bin_s); i < LINK_BINS && (double)i * l->bin_s < to; i++) {
        double start = fmax(from, (double)i * l->bin_s), end = fmin(to, (double)(i + 1) * l->bin_s);
        if (end > start)
            sum += l->bins[i] * (end - start) / l->bin_s;
    }
    return sum;
}

/* --- the heap: on top the flow that ends next
 * ------------------------------------------------------------ */

static void sift_up(struct link *l, size_t i)
{
    struct link_flow own = l->heap[i];

    for (; i > 0 && l->heap[(i - 1) / 2].finish > own.finish; i = (i - 1) / 2)
        l->heap[i] = l->heap[(i - 1) / 2];
    l->heap[i] = own;
}

static void sift_down(struct link *l, size_t i)
{
    struct link_flow own = l->heap[i];

    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= l->n)
            break;
        if (child + 1 < l->n && l->heap[child + 1].finish < l->heap[child].finish)
            child++;
        if (l->heap[child].finish >= own.finish)
            break;
        l->heap[i] = l->heap[child];
        i = child;
    }
    l->heap[i] = own;
}

static uint32_t take_top(struct link *l)
{
    uint32_t flow = l->heap[0].flow;

    l->heap[0] = l->heap[--l->n];
    if (l->n > 0)
        sift_down(l, 0);
    l->version++;
    return flow;
}

int link_begin(struct link *l, double now, uint32_t flow, double bytes)
{
    link_advance(l, now);
    struct link_flow *heap = grow(l->heap, l->n, &l->cap, 64, sizeof *heap);
    if (!heap)
        return -ENOMEM;
    l->heap = heap;
    l->heap[l->n] = (struct link_flow){.finish = l->served + bytes, .flow = flow};
    sift_up(l, l->n++);
    l->version++;
    return 0;
}

double link_next(const struct link *l)
{
    if (l->n == 0)
        return INFINITY;
    double left = l->heap[0].finish - l->served;
    return l->at + (left > 0 ? left : 0) * (double)l->n / l->capacity;
}

bool link_take_done(struct link *l, double now, uint32_t *ret_flow)
{
    link_advance(l, now);
    if (l->n == 0 || l->heap[0].finish > l->served + LEVEL)
        return false;
    *ret_flow = take_top(l);
    return true;
}

bool link_break_one(struct link *l, double now, uint32_t *ret_flow)
{
    link_advance(l, now);
    if (l->n == 0)
        return false;
    *ret_flow = take_top(l);
    return true;
}
