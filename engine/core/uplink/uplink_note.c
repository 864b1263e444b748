#include "uplink/uplink_note.h"

#include "base/clock.h"
#include "uplink/uplink.h"

/* The weight of one outcome in fail_rate: about the last ten decide it. */
static const double FAIL_GAIN = 0.1;
/* The weight of one sample in the smoothed times: as in TCP's smoothed round trip (RFC 6298 2). */
static const double SMOOTH_GAIN = 0.125;

static const double DATAGRAMS_AGAIN_S = 300;

static void note_outcome(struct uplink *u, bool failed)
{
    u->view.fail_rate += FAIL_GAIN * ((failed ? 1 : 0) - u->view.fail_rate);
}

/* The first sample becomes the value. */
static void smooth(double *value, double sample)
{
    if (*value <= 0)
        *value = sample;
    *value += SMOOTH_GAIN * (sample - *value);
}

void uplink_note_connected(struct uplink *u, double connect_s)
{
    if (connect_s > 0)
        smooth(&u->view.connect_time, connect_s);
    u->view.total++;
    note_outcome(u, false);
}

void uplink_note_rtt(struct uplink *u, double rtt_s)
{
    smooth(&u->view.rtt, rtt_s);
}

void uplink_note_failed(struct uplink *u)
{
    u->view.failures++;
    note_outcome(u, true);
}

void uplink_note_no_datagrams(struct uplink *u)
{
    u->no_datagrams_until_s = clock_coarse_s() + DATAGRAMS_AGAIN_S;
}

void uplink_note_race_lost(struct uplink *u)
{
    u->view.races_lost++;
}
