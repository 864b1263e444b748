#include "uplink/uplink_lease.h"

#include "base/counters.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include <assert.h>

/* --- busy or idle --------------------------------------------------------------------------------------- */

/* Runs for each event that moves bytes, so it reads no clock and searches nothing. */
static void note_busy(struct uplink_lease *l)
{
    struct uplink *u = l->uplink;
    struct uplink_pulse *p = u->meters.pulse;

    if (!p)
        return;
    l->moved = p->ticks;
    if (l->busy)
        return;
    l->busy = true;
    list_push_back(&u->meters.busy, &l->node);
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
        list_push_back(&from->uplink->meters.busy, &to->node);
        list_remove(&from->node);
    }
    from->busy = false;
    from->uplink = NULL;
}

static void count(struct uplink_lease *lease, uint64_t tx, uint64_t rx, uint64_t left)
{
    if (!lease->uplink || (tx == 0 && rx == 0 && left == 0))
        return;
    note_busy(lease);
    lease->uplink->meters.left += (double)left;
    lease->uplink->view.tx_bytes += (double)tx;
    lease->uplink->view.rx_bytes += (double)rx;
    if (lease->family == AF_INET || lease->uplink->parent)
        lease->uplink->four.received += (double)rx;
    else if (lease->family == AF_INET6)
        lease->uplink->six.received += (double)rx;
}

void uplink_note_bytes(struct uplink_lease *lease, uint64_t tx, uint64_t rx)
{
    count(lease, tx, rx, tx);
}

/* --- connections that the relay carries ----------------------------------------------------------------- */

void uplink_lease_follow(struct uplink_lease *lease, struct counters *counters, uint64_t rx_counted)
{
    assert(!lease->counters);
    if (!lease->uplink)
        return;
    lease->counters = counters;
    lease->tx_seen = lease->left_seen = 0;
    lease->rx_seen = rx_counted;
    note_busy(lease);
}

void uplink_lease_collect(struct uplink_lease *lease)
{
    if (!lease->counters)
        return;
    uint64_t tx = counters_get(&lease->counters->tx), rx = counters_get(&lease->counters->rx);
    uint64_t left = counters_left(lease->counters);
    if (left < lease->left_seen)
        left = lease->left_seen; /* more had been expected to leave */
    count(lease, tx - lease->tx_seen, rx - lease->rx_seen, left - lease->left_seen);
    lease->tx_seen = tx;
    lease->rx_seen = rx;
    lease->left_seen = left;
}

/* Bytes may move just before the worker sees `resting`: the second look counts them. */
void uplink_lease_rest(struct uplink_lease *lease)
{
    note_idle(lease);
    if (!lease->counters)
        return;
    atomic_store(&lease->counters->resting, true);
    uplink_lease_collect(lease);
    if (lease->busy)
        atomic_store(&lease->counters->resting, false);
}

void uplink_lease_settle(struct uplink_lease *lease)
{
    uplink_lease_collect(lease);
    lease->counters = NULL;
}
