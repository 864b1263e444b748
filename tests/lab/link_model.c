#include "link_model.h"

#include <math.h>

/* Separate draws, so that jitter does not change which packets are lost. */
enum draw { DRAW_LOSS, DRAW_JITTER };

void link_model_init(struct link_model *m, const struct link_traits *traits, uint64_t seed,
                     uint64_t direction)
{
    *m = (struct link_model){.traits = *traits, .chance = {.k0 = seed, .k1 = direction}};
}

/* From 0 up to but not including 1. */
static double draw(const struct link_model *m, enum draw what)
{
    uint64_t of[] = {m->n, what};
    struct slice data = {.data = (const void *)of, .len = sizeof of};

    return ldexp((double)(keyed_hash(&m->chance, data) >> 11), -53); /* a double holds 53 bits */
}

enum link_fate link_model_take(struct link_model *m, double now_s, size_t bytes, double *ret_at_s)
{
    const struct link_traits *t = &m->traits;
    double wait_s = fmax(m->free_at_s - now_s, 0);
    bool lost = draw(m, DRAW_LOSS) < t->loss;
    double jitter_s = t->jitter_s * draw(m, DRAW_JITTER);

    m->n++;
    if (wait_s > 0 && wait_s * t->rate + (double)bytes > t->queue_bytes)
        return LINK_FULL;
    m->free_at_s = now_s + wait_s + (double)bytes / t->rate;
    if (lost)
        return LINK_LOST;
    m->latest_at_s = fmax(m->latest_at_s, m->free_at_s + t->delay_s + jitter_s);
    *ret_at_s = m->latest_at_s;
    return LINK_CARRIED;
}

void link_model_clear(struct link_model *m)
{
    m->free_at_s = m->latest_at_s = 0;
}
