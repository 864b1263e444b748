#include "uplink/uplink.h"

#include <assert.h>

/* How much one outcome moves fail_rate: the last ten or so decide it. */
static const double FAIL_GAIN = 0.1;
/* And one connection the smoothed time to connect: that of TCP's own smoothed round trip (RFC 6298 2). */
static const double CONNECT_GAIN = 0.125;

/* --- who is busy ---------------------------------------------------------------------------------------- */

/* For each event that moves octets: no clock is read and nothing is searched. */
static void note_busy(struct uplink_lease *l)
{
    struct uplink *u = l->uplink;
    struct uplink_pulse *p = u->pulse;

    if (!p)
        return;
    l->moved = p->ticks;
    if (l->busy)
        return;
    l->busy = true;
    list_push_back(&u->busy, &l->node);
    u->view.busy++;
    if (p->beats || !p->wake)
        return;
    p->beats = true;
    p->wake(p->arg);
}

static void note_idle(struct uplink_lease *l)
{
    if (!l->busy)
        return;
    l->busy = false;
    list_remove(&l->node);
    l->uplink->view.busy--;
}

static void collect(struct uplink_lease *l)
{
    if (!l->counters)
        return;
    uint64_t tx = counters_get(&l->counters->tx), rx = counters_get(&l->counters->rx);
    uplink_note_bytes(l, tx - l->tx_seen, rx - l->rx_seen);
    l->tx_seen = tx;
    l->rx_seen = rx;
}

/* Not looked at any more until it tells of an octet; what came just before it knew of that is seen here. */
static void rest(struct uplink_lease *l)
{
    note_idle(l);
    if (!l->counters)
        return;
    atomic_store(&l->counters->resting, true);
    collect(l);
    if (l->busy)
        atomic_store(&l->counters->resting, false);
}

static void read_meters(struct uplink *u, double s)
{
    struct uplink_view *v = &u->view;
    double tx = v->tx_bytes - u->tx_read, rx = v->rx_bytes - u->rx_read;
    bool busy = v->busy > 0 || tx > 0 || rx > 0; /* who moved it may have ended since */

    meter_tick(&u->tx, tx, s, busy);
    meter_tick(&u->rx, rx, s, busy);
    u->tx_read = v->tx_bytes;
    u->rx_read = v->rx_bytes;
    v->tx_rate = u->tx.rate;
    v->rx_rate = u->rx.rate;
    v->tx_capacity = u->tx.capacity;
    v->rx_capacity = u->rx.capacity;
    if (!quota_is_set(&u->quota))
        return;
    u->quota.used += tx + rx;
    uplink_settle(u);
}

void uplink_set_collect(struct uplink_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        LIST_EACH(&set->items[i]->busy, node, next)
            collect(container_of(node, struct uplink_lease, node));
}

bool uplink_set_tick(struct uplink_set *set, double s)
{
    struct uplink_pulse *p = &set->pulse;
    bool beats = false;

    uplink_set_collect(set);
    p->ticks++;
    for (size_t i = 0; i < set->n; i++) {
        struct uplink *u = set->items[i];
        read_meters(u, s);
        LIST_EACH(&u->busy, node, next) {
            struct uplink_lease *l = container_of(node, struct uplink_lease, node);
            if (p->ticks - l->moved > UPLINK_BUSY_TICKS)
                rest(l);
        }
        beats = beats || u->view.busy > 0 || !meter_rests(&u->tx) || !meter_rests(&u->rx);
    }
    p->beats = beats;
    return beats;
}

/* --- leases --------------------------------------------------------------------------------------------- */

void uplink_acquire(struct uplink_lease *lease, struct uplink *u)
{
    assert(!lease->uplink);
    lease->uplink = u;
    lease->family = AF_UNSPEC;
    u->view.active++;
    note_busy(lease);
}

void uplink_release(struct uplink_lease *lease)
{
    if (!lease->uplink)
        return;
    assert(lease->uplink->view.active >= 1);
    assert(!lease->counters);
    note_idle(lease);
    lease->uplink->view.active--;
    lease->uplink = NULL;
}

void uplink_lease_move(struct uplink_lease *to, struct uplink_lease *from)
{
    assert(!to->uplink && !from->counters);
    to->uplink = from->uplink;
    to->moved = from->moved;
    to->family = from->family;
    to->busy = from->busy;
    if (from->busy) {
        list_push_back(&from->uplink->busy, &to->node);
        list_remove(&from->node);
    }
    from->busy = false;
    from->uplink = NULL;
}

/* --- what is counted ------------------------------------------------------------------------------------ */

static void note_outcome(struct uplink *u, bool failed)
{
    u->view.fail_rate += FAIL_GAIN * ((failed ? 1 : 0) - u->view.fail_rate);
}

/* The first says it all. */
static void smooth(double *value, double sample)
{
    if (*value <= 0)
        *value = sample;
    *value += CONNECT_GAIN * (sample - *value);
}

void uplink_note_connected(struct uplink *u, double connect_s)
{
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

void uplink_note_race_lost(struct uplink *u)
{
    u->view.races_lost++;
}

void uplink_note_bytes(struct uplink_lease *lease, uint64_t tx, uint64_t rx)
{
    if (!lease->uplink || (tx == 0 && rx == 0))
        return;
    note_busy(lease);
    lease->uplink->view.tx_bytes += (double)tx;
    lease->uplink->view.rx_bytes += (double)rx;
    if (lease->family == AF_INET || lease->uplink->parent)
        lease->uplink->received4 += (double)rx;
    else if (lease->family == AF_INET6)
        lease->uplink->received6 += (double)rx;
}

/* --- what others carry ---------------------------------------------------------------------------------- */

void uplink_lease_follow(struct uplink_lease *lease, struct counters *counters, uint64_t rx_counted)
{
    assert(!lease->counters);
    if (!lease->uplink)
        return;
    lease->counters = counters;
    lease->tx_seen = 0;
    lease->rx_seen = rx_counted;
    note_busy(lease);
}

void uplink_lease_wake(struct uplink_lease *lease)
{
    collect(lease);
}

void uplink_lease_settle(struct uplink_lease *lease)
{
    collect(lease);
    lease->counters = NULL;
}
