#include "uplink/meter.h"

#include <math.h>
#include <string.h>

/* The contract with policies: rates are smoothed over a second. */
static const double SMOOTH_S = 1;
/* A large rate fades slowly once no connection is busy. Below this, less than a packet in ten seconds, it
 * becomes 0. */
static const double RATE_MIN = 100;

/* On a full line the seconds differ as TCP backs off and grows again: to 0.7 at the least with CUBIC (RFC
 * 9438 4.6). With several connections they differ less. */
static const double PLATEAU_EVENNESS = 0.75;
/* 128 kbit/s: a call with a telephone codec takes 64 kbit/s and its headers. */
static const double PLATEAU_MIN = 16000;
/* Long enough that an evening of films does not hide the capacity, short enough that a new contract shows the
 * same day. */
static const double HALF_LIFE_S = 3600;

static void forget_plateau(struct meter *m)
{
    m->bytes = m->s = 0;
    m->n_levels = 0;
}

static void learn(struct meter *m, double s)
{
    double least = m->level[0], most = m->level[0];

    for (size_t i = 1; i < METER_PLATEAU; i++) {
        least = fmin(least, m->level[i]);
        most = fmax(most, m->level[i]);
    }
    if (least < PLATEAU_MIN || least < PLATEAU_EVENNESS * most)
        return;
    m->capacity = fmax(least, m->capacity * exp2(-s / HALF_LIFE_S));
}

static void end_second(struct meter *m)
{
    memmove(m->level + 1, m->level, sizeof m->level - sizeof m->level[0]);
    m->level[0] = m->bytes / m->s;
    if (m->n_levels < METER_PLATEAU)
        m->n_levels++;
    if (m->n_levels == METER_PLATEAU)
        learn(m, m->s);
    m->bytes = m->s = 0;
}

void meter_tick(struct meter *m, double bytes, double s, bool busy)
{
    m->rate += (1 - exp(-s / SMOOTH_S)) * (bytes / s - m->rate);
    if (!busy) {
        forget_plateau(m);
        if (m->rate < RATE_MIN)
            m->rate = 0;
        return;
    }
    m->bytes += bytes;
    m->s += s;
    if (m->s >= 1)
        end_second(m);
}
