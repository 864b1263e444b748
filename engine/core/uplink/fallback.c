#include "uplink/fallback.h"

#include "uplink/uplink.h"

/* Equal but for rounding: loads such as 3/0.3 and 7/0.7. */
static const double LEVEL = 1 + 1e-9;

static double load_per_weight(const struct uplink *u)
{
    return u->view.active / u->view.weight;
}

/* In units of the sum of weights. While the same n uplinks take turns, each credit stays between -1 and H(n)
 * - 1, where H is the harmonic number; H(64) = 4.74. Proof of the upper bound: compare the mean credit of the
 * k richest with that of the k + 1 richest one turn earlier. It is at most 1/(k + 1) of the sum higher, and
 * the mean of all n is 0. */
static const double CREDIT_MIN = -1, CREDIT_MAX = 4;

static double bounded(double credit, double sum)
{
    if (credit > CREDIT_MAX * sum)
        return CREDIT_MAX * sum;
    return credit < CREDIT_MIN * sum ? CREDIT_MIN * sum : credit;
}

/* Smooth weighted round robin: each uplink earns its weight as credit, and the one with the most pays the
 * sum. A credit from a set of heavier uplinks is cut to the bounds of this set, so that its uplink neither
 * floods nor starves. */
static struct uplink *take_turn(struct fallback *f, struct uplink *const *level, size_t n)
{
    struct uplink *best = NULL;
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += level[i]->view.weight;
    for (size_t i = 0; i < n; i++) {
        double *credit = &f->credit[level[i]->view.id - 1];
        *credit = bounded(*credit, sum) + level[i]->view.weight;
        if (!best || *credit > f->credit[best->view.id - 1])
            best = level[i];
    }
    f->credit[best->view.id - 1] -= sum;
    return best;
}

struct uplink *fallback_pick(struct fallback *f, struct uplink *const *candidates, size_t n)
{
    struct uplink *level[UPLINK_MAX];
    size_t n_level = 0;
    double least = load_per_weight(candidates[0]);

    for (size_t i = 1; i < n; i++) {
        if (load_per_weight(candidates[i]) < least)
            least = load_per_weight(candidates[i]);
    }
    for (size_t i = 0; i < n; i++) {
        if (load_per_weight(candidates[i]) <= least * LEVEL)
            level[n_level++] = candidates[i];
    }
    /* A single uplink does not take a turn, and keeps its credit. */
    return n_level == 1 ? level[0] : take_turn(f, level, n_level);
}
