#include "relay/tunnel.h"

#include "net/egress.h"
#include "relay/hand.h"

#include <errno.h>

/* Tunnels that have lived for one to two of these are handed over, together. */
static const double BEAT_S = 0.25;

static struct hands *hands_of(const struct relay *r)
{
    return container_of(r->room, struct hands, room);
}

/* --- handing over --------------------------------------------------------------------------------------- */

static struct hand *least_laden(const struct hands *h)
{
    struct hand *least = h->hands[0];

    for (size_t i = 1; i < h->n_hands; i++)
        if (h->hands[i]->n_tunnels < least->n_tunnels)
            least = h->hands[i];
    return least;
}

static void hand_over(struct tunnel *t)
{
    struct hands *h = hands_of(&t->relay);
    const struct relay *r = &t->relay;

    if (!relay_may_leave(r))
        return; /* its end is near */
    if (!egress_source_of(r->upstream.io.fd, &t->source, &t->link))
        t->source = (struct addr){.sa.sa_family = AF_UNSPEC};
    list_remove(&t->node);
    relay_leave(&t->relay);
    unwatch_fd(&h->unwatch, r->client.io.fd);
    unwatch_fd(&h->unwatch, r->upstream.io.fd);
    t->hand = least_laden(h);
    t->hand->n_tunnels++;
    hand_carry(t->hand, t);
}

static void on_beat(struct ev_loop *loop, ev_timer *w, int events)
{
    struct hands *h = container_of(w, struct hands, beat);

    (void)events;
    LIST_EACH(&h->settled, node, next)
        hand_over(container_of(node, struct tunnel, node));
    LIST_EACH(&h->young, node, next) {
        list_remove(node);
        list_push_back(&h->settled, node);
    }
    if (h->settled.next == &h->settled)
        ev_timer_stop(loop, w);
}

/* --- what tunnels tell ---------------------------------------------------------------------------------- */

static void on_done(struct relay *r, enum relay_end end)
{
    struct tunnel *t = container_of(r, struct tunnel, relay);

    list_remove(&t->node);
    hands_of(r)->events->ended(t, end);
}

static void on_woke(struct relay *r)
{
    hands_of(r)->events->woke(container_of(r, struct tunnel, relay));
}

static void on_bulk(struct relay *r)
{
    if (hands_of(r)->n_hands > 0)
        hand_over(container_of(r, struct tunnel, relay));
}

static const struct relay_events EVENTS = {.done = on_done, .woke = on_woke, .bulk = on_bulk};

static void on_news(struct mailbox *m, struct letter *l, unsigned bits)
{
    struct hands *h = container_of(m, struct hands, news);
    struct tunnel *t = container_of(l, struct tunnel, news);

    if (!(bits & NEWS_ENDED))
        return h->events->woke(t);
    t->hand->n_tunnels--;
    h->events->ended(t, t->end);
}

/* --- the hands ------------------------------------------------------------------------------------------ */

void hands_init(struct hands *h, struct ev_loop *loop, double idle_s, const struct tunnel_events *events)
{
    h->events = events;
    h->n_hands = 0;
    h->unwatch = (struct unwatch){.loop = NULL};
    relay_room_init(&h->room, loop, idle_s, &EVENTS);
    mailbox_init(&h->news, loop, on_news);
    list_init(&h->young);
    list_init(&h->settled);
    ev_timer_init(&h->beat, on_beat, BEAT_S, BEAT_S);
}

int hands_start(struct hands *h, size_t n)
{
    if (n > 0 && unwatch_init(&h->unwatch, h->room.loop) < 0)
        return -ENOMEM;
    while (n-- > 0) {
        if (h->n_hands == HANDS_MAX)
            return -ENOSPC;
        int err = hand_start(&h->hands[h->n_hands], (unsigned)h->n_hands + 1, &h->room, &h->news);
        if (err < 0)
            return err;
        h->n_hands++;
    }
    return 0;
}

void hands_stop(struct hands *h)
{
    ev_timer_stop(h->room.loop, &h->beat);
    for (size_t i = 0; i < h->n_hands; i++)
        hand_stop(h->hands[i]);
    mailbox_empty(&h->news);
    while (h->n_hands > 0)
        hand_free(h->hands[--h->n_hands]);
}

void hands_done(struct hands *h)
{
    mailbox_done(&h->news);
    unwatch_done(&h->unwatch);
    relay_room_done(&h->room);
}

/* --- tunnels -------------------------------------------------------------------------------------------- */

int tunnel_start(struct tunnel *t, struct hands *h, int client_fd, int upstream_fd, struct slice from_client,
                 struct slice from_upstream)
{
    *t = (struct tunnel){.hand = NULL};
    list_init(&t->node);
    int err = relay_start(&t->relay, &h->room, client_fd, upstream_fd, from_client, from_upstream);
    if (err < 0 || h->n_hands == 0)
        return err;
    list_push_back(&h->young, &t->node);
    if (!ev_is_active(&h->beat))
        ev_timer_again(h->room.loop, &h->beat);
    return 0;
}

void tunnel_stop(struct tunnel *t)
{
    if (t->hand)
        hand_order(t->hand, t, ORDER_STOP);
    else
        relay_stop(&t->relay);
}

void tunnel_cut(struct tunnel *t)
{
    if (t->hand)
        hand_order(t->hand, t, ORDER_CUT);
    else
        relay_cut(&t->relay);
}

bool tunnel_source(const struct tunnel *t, struct addr *ret, int *ret_link)
{
    if (!t->hand)
        return egress_source_of(t->relay.upstream.io.fd, ret, ret_link);
    *ret = t->source;
    *ret_link = t->link;
    return addr_family(ret) != AF_UNSPEC;
}
