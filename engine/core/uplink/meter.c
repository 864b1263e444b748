#include "uplink/meter.h"

#include <math.h>
#include <string.h>

/* The contract with policies: rates are smoothed over a second. */
static const double SMOOTH_S = 1;
/* Nobody is busy, and a rate that was large once still fades: what is less than a packet in ten seconds is
 * nothing. */
static const double RATE_MIN = 100;

/* Seconds of a full line differ as TCP gives way and takes again: cubic by 0.7 at most (RFC 9438 4.6), and
 * several connections by less. */
static const double PLATEAU_EVENNESS = 0.75;
/* 128 kbit/s: a call over the phone network's codecs takes 64 kbit/s and its headers. */
static const double PLATEAU_MIN = 16000;
/* Long enough that an evening of films does not hide the line's worth, short enough that a new contract shows
 * the same day. */
static const double HALF_LIFE_S = 3600;

static void forget_plateau(struct meter *m)
{
    m->octets = m->s = 0;
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
    m->level[0] = m->octets / m->s;
    if (m->n_levels < METER_PLATEAU)
        m->n_levels++;
    if (m->n_levels == METER_PLATEAU)
        learn(m, m->s);
    m->octets = m->s = 0;
}

void meter_tick(struct meter *m, double octets, double s, bool busy)
{
    m->rate += (1 - exp(-s / SMOOTH_S)) * (octets / s - m->rate);
    if (!busy) {
        forget_plateau(m);
        if (m->rate < RATE_MIN)
            m->rate = 0;
        return;
    }
    m->octets += octets;
    m->s += s;
    if (m->s >= 1)
        end_second(m);
}
