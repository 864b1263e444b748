#include "relay/tunnel.h"

#include "net/egress.h"
#include "relay/worker.h"

#include <errno.h>

/* Tunnels are handed over together, at an age of one to two beats. */
static const double BEAT_S = 0.25;

static struct workers *workers_of(const struct relay *r)
{
    return container_of(r->room, struct workers, room);
}

/* --- handing over --------------------------------------------------------------------------------------- */

static struct worker *least_laden(const struct workers *h)
{
    struct worker *least = h->items[0];

    for (size_t i = 1; i < h->n_workers; i++)
        if (h->items[i]->n_tunnels < least->n_tunnels)
            least = h->items[i];
    return least;
}

static void hand_to_worker(struct tunnel *t)
{
    struct workers *h = workers_of(&t->relay);
    const struct relay *r = &t->relay;

    if (!relay_may_leave(r))
        return; /* it is about to end */
    if (!egress_source_of(r->dest.io.fd, &t->source, &t->link))
        t->source = (struct addr){.sa.sa_family = AF_UNSPEC};
    list_remove(&t->node);
    relay_leave(&t->relay);
    unwatch_fd(&h->unwatch, r->client.io.fd);
    unwatch_fd(&h->unwatch, r->dest.io.fd);
    t->worker = least_laden(h);
    t->worker->n_tunnels++;
    worker_carry(t->worker, t);
}

static void on_beat(struct ev_loop *loop, ev_timer *w, int events)
{
    struct workers *h = container_of(w, struct workers, beat);

    (void)events;
    LIST_EACH(&h->settled, node, next)
        hand_to_worker(container_of(node, struct tunnel, node));
    LIST_EACH(&h->young, node, next) {
        list_remove(node);
        list_push_back(&h->settled, node);
    }
    if (list_is_empty(&h->settled))
        ev_timer_stop(loop, w);
}

/* --- what tunnels tell ---------------------------------------------------------------------------------- */

static void on_done(struct relay *r, enum relay_end end)
{
    struct tunnel *t = container_of(r, struct tunnel, relay);

    list_remove(&t->node);
    workers_of(r)->events->ended(t, end);
}

static void on_woke(struct relay *r)
{
    workers_of(r)->events->woke(container_of(r, struct tunnel, relay));
}

static void on_bulk(struct relay *r)
{
    if (workers_of(r)->n_workers > 0)
        hand_to_worker(container_of(r, struct tunnel, relay));
}

static const struct relay_events EVENTS = {.done = on_done, .woke = on_woke, .bulk = on_bulk};

static void on_news(struct mailbox *m, struct message *l, unsigned bits)
{
    struct workers *h = container_of(m, struct workers, news);
    struct tunnel *t = container_of(l, struct tunnel, news);

    if (!(bits & NEWS_ENDED))
        return h->events->woke(t);
    t->worker->n_tunnels--;
    h->events->ended(t, t->end);
}

/* --- the workers ------------------------------------------------------------------------------------------
 */

void workers_init(struct workers *h, struct ev_loop *loop, double idle_s, const struct tunnel_events *events)
{
    h->events = events;
    h->guest = NULL;
    h->n_workers = 0;
    h->unwatch = (struct unwatch){.loop = NULL};
    relay_room_init(&h->room, loop, idle_s, &EVENTS);
    mailbox_init(&h->news, loop, on_news);
    list_init(&h->young);
    list_init(&h->settled);
    ev_timer_init(&h->beat, on_beat, BEAT_S, BEAT_S);
}

void workers_set_times(struct workers *h, double idle_s, double ack_s)
{
    relay_room_set_times(&h->room, idle_s, ack_s);
    for (size_t i = 0; i < h->n_workers; i++)
        worker_set_times(h->items[i], idle_s, ack_s);
}

int workers_start(struct workers *h, size_t n)
{
    if (n > 0 && unwatch_init(&h->unwatch, h->room.loop) < 0)
        return -ENOMEM;
    while (n-- > 0) {
        if (h->n_workers == WORKERS_MAX)
            return -ENOSPC;
        int err =
            worker_start(&h->items[h->n_workers], (unsigned)h->n_workers + 1, &h->room, &h->news, h->guest);
        if (err < 0)
            return err;
        h->n_workers++;
    }
    return 0;
}

void workers_stop(struct workers *h)
{
    ev_timer_stop(h->room.loop, &h->beat);
    for (size_t i = 0; i < h->n_workers; i++)
        worker_stop(h->items[i]);
    mailbox_empty(&h->news);
    if (h->guest)
        h->guest->ended(h->guest);
    while (h->n_workers > 0)
        worker_free(h->items[--h->n_workers]);
}

void workers_done(struct workers *h)
{
    mailbox_done(&h->news);
    unwatch_done(&h->unwatch);
    relay_room_done(&h->room);
}

/* --- tunnels -------------------------------------------------------------------------------------------- */

int tunnel_start(struct tunnel *t, struct workers *h, int client_fd, int dest_fd, struct slice from_client,
                 struct slice from_dest)
{
    *t = (struct tunnel){.worker = NULL};
    list_init(&t->node);
    int err = relay_start(&t->relay, &h->room, client_fd, dest_fd, from_client, from_dest);
    if (err < 0 || h->n_workers == 0)
        return err;
    list_push_back(&h->young, &t->node);
    if (!ev_is_active(&h->beat))
        ev_timer_again(h->room.loop, &h->beat);
    return 0;
}

void tunnel_stop(struct tunnel *t)
{
    if (t->worker)
        worker_order(t->worker, t, ORDER_STOP);
    else
        relay_stop(&t->relay);
}

void tunnel_cut(struct tunnel *t)
{
    if (t->worker)
        worker_order(t->worker, t, ORDER_CUT);
    else
        relay_cut(&t->relay);
}

bool tunnel_source(const struct tunnel *t, struct addr *ret, int *ret_link)
{
    if (!t->worker)
        return egress_source_of(t->relay.dest.io.fd, ret, ret_link);
    *ret = t->source;
    *ret_link = t->link;
    return addr_family(ret) != AF_UNSPEC;
}
