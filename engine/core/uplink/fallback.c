#include "uplink/fallback.h"

#include "uplink/uplink.h"

/* Loads such as 3/0.3 and 7/0.7 are the same but for rounding. */
static const double LEVEL = 1 + 1e-9;

static double load(const struct uplink *u)
{
    return u->view.active / u->view.weight;
}

/* Between -1 and H(n) - 1 times the sum of weights, H being the harmonic number: no credit leaves these
 * bounds as long as the same n uplinks take turns. For the upper one, compare the mean credit of the k
 * richest with that of the k + 1 richest a turn before: it is higher by 1/(k + 1) of the sum at most, and the
 * mean of all n is 0. H(64) = 4.74. */
static const double CREDIT_MIN = -1, CREDIT_MAX = 4;

static double bounded(double credit, double sum)
{
    if (credit > CREDIT_MAX * sum)
        return CREDIT_MAX * sum;
    return credit < CREDIT_MIN * sum ? CREDIT_MIN * sum : credit;
}

/* Smooth weighted round robin: each is credited its weight, and the one with the most credit pays for all.
 * What an uplink earned or owes in other, perhaps heavier company is cut to the bounds of this one, so that
 * it neither floods nor starves. */
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
    double least = load(candidates[0]);

    for (size_t i = 1; i < n; i++) {
        if (load(candidates[i]) < least)
            least = load(candidates[i]);
    }
    for (size_t i = 0; i < n; i++) {
        if (load(candidates[i]) <= least * LEVEL)
            level[n_level++] = candidates[i];
    }
    /* Alone it has no turn to wait for, and its credit stays. */
    return n_level == 1 ? level[0] : take_turn(f, level, n_level);
}
