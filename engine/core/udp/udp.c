#include "udp/udp.h"

#include "base/clock.h"
#include "base/counters.h"
#include "machine/addr_places.h"
#include "udp/udp_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const double TICK_S = 0.5;
enum { MAPPINGS_MAX = 65536 };

/* --- news of the rooms ---------------------------------------------------------------------------------- */

static void on_mapping_news(struct udp_way *w, unsigned bits)
{
    if (bits & NEWS_ENDED_DATAGRAMS)
        return udp_way_ended(w);
    if (bits & NEWS_WOKE_DATAGRAMS)
        outbound_wake(w->account);
    if ((bits & NEWS_IDLE) && udp_way_is_idle(w))
        udp_way_end(w, "idle");
}

static void on_news(struct mailbox *m, struct message *message, unsigned bits)
{
    struct letter *l = container_of(message, struct letter, message);

    switch (l->of) {
    case LETTER_PORT:
        return udp_port_free(container_of(container_of(l, struct port, news), struct udp_port, port));
    case LETTER_FLOW: {
        struct flow *f = container_of(l, struct flow, news);
        return udp_decide(container_of(f->port, struct udp_port, port), f);
    }
    case LETTER_HEARD: {
        struct heard *h = container_of(l, struct heard, letter);
        struct udp *u = container_of(m, struct udp, news);
        udp_learned_hear(&u->learned, &h->client, h->bytes, h->len, clock_coarse_s());
        return free(h);
    }
    case LETTER_MAPPING:
        return on_mapping_news(container_of(container_of(l, struct mapping, news), struct udp_way, mapping),
                               bits);
    }
}

/* --- rooms ---------------------------------------------------------------------------------------------- */

static int on_worker_joins(struct workers_guest *g, struct ev_loop *loop)
{
    return udp_room_add(container_of(g, struct udp, guest), loop);
}

static void on_worker_leaves(struct workers_guest *g)
{
    udp_room_drop(container_of(g, struct udp, guest));
}

/* Orders and news that are under way, until all ports have reported their end. */
static void settle(struct udp *u)
{
    while (!list_is_empty(&u->ports)) {
        for (size_t i = 0; i < u->n_rooms; i++)
            mailbox_empty(&u->rooms[i]->orders);
        mailbox_empty(&u->news);
    }
}

static void on_workers_ended(struct workers_guest *g)
{
    struct udp *u = container_of(g, struct udp, guest);

    settle(u);
    while (u->n_rooms > 0)
        udp_room_drop(u);
}

/* --- all of them ---------------------------------------------------------------------------------------- */

static bool loses(const struct udp_way *w, const struct addr_change *change)
{
    return (addr_family(&w->source4) != AF_UNSPEC && addr_change_loses(change, &w->source4, 0)) ||
           (addr_family(&w->source6) != AF_UNSPEC && addr_change_loses(change, &w->source6, 0));
}

size_t udp_cut(struct udp *udp, const struct uplink *u, const struct addr_change *change)
{
    size_t n = 0;

    if (!udp->loop)
        return 0;
    LIST_EACH(&udp->ports, port, next_port) {
        LIST_EACH(&container_of(port, struct udp_port, node)->ways, node, next) {
            struct udp_way *w = container_of(node, struct udp_way, node);
            if (w->outcome || w->account->lease.uplink != u || (change && !loses(w, change)))
                continue;
            udp_way_cut(w);
            n++;
        }
    }
    return n;
}

const char *udp_mapping_state(const struct outbound *account)
{
    const struct udp_way *w = account->owner;

    return w->outcome ? "ending" : udp_parent_is_awaited(w) ? "connecting" : "open";
}

bool udp_mapping_close(struct outbound *account, const char *outcome)
{
    struct udp_way *w = account->owner;

    if (w->outcome)
        return false;
    udp_way_end(w, outcome);
    return true;
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
    struct udp *u = container_of(w, struct udp, tick);

    (void)events;
    udp_silence_look(u);
    if (u->n_ways == 0)
        ev_timer_stop(loop, w);
}

struct udp_counts udp_counts(const struct udp *u)
{
    struct udp_counts c = {.associations = u->n_associations, .mappings = u->n_ways};

    for (size_t i = 0; i < u->n_rooms; i++) {
        const struct datagram_room *room = u->rooms[i];
        c.moved += counters_get(&room->moved);
        c.in_fragments += counters_get(&room->in_fragments);
        for (size_t k = 0; k < N_DATAGRAM_DROPS; k++)
            c.drops[k] += counters_get(&room->drops[k]);
    }
    return c;
}

/* A mapping takes a descriptor, or two. */
static void set_limits(struct udp_settings *s)
{
    struct rlimit files;

    if (s->mappings_max == 0)
        s->mappings_max = getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / 4 < MAPPINGS_MAX
                              ? files.rlim_cur / 4
                              : MAPPINGS_MAX;
    if (s->client_max == 0)
        s->client_max = s->mappings_max / 8 > UDP_CLIENT_LEAST ? s->mappings_max / 8 : UDP_CLIENT_LEAST;
}

void udp_settle(struct udp *u, const struct udp_settings *settings)
{
    u->settings = *settings;
    set_limits(&u->settings);
}

int udp_init(struct udp *u, struct outbounds *outbounds, struct workers *workers,
             const struct udp_settings *settings)
{
    *u = (struct udp){
        .loop = outbounds->loop, .outbounds = outbounds, .workers = workers, .settings = *settings};
    set_limits(&u->settings);
    u->guest = (struct workers_guest){
        .joins = on_worker_joins, .leaves = on_worker_leaves, .ended = on_workers_ended};
    u->associations_of.filter = UDP_FILTER_ADDRESS;
    struct hash_key key;
    int err = hash_key_make(&key);
    if (err < 0)
        return err;
    shares_init(&u->mappings, &key);
    u->associations_of.key = u->by_client.key = u->by_hint.key = u->by_source.key = key;
    list_init(&u->ports);
    mailbox_init(&u->news, u->loop, on_news);
    ev_timer_init(&u->tick, on_tick, TICK_S, TICK_S);
    workers->guest = &u->guest;
    return 0;
}

void udp_stop(struct udp *u)
{
    if (!u->loop)
        return;
    LIST_EACH(&u->ports, node, next)
        udp_port_close(container_of(node, struct udp_port, node));
}

void udp_done(struct udp *u)
{
    if (!u->loop)
        return;
    settle(u); /* without workers */
    while (u->n_rooms > 0)
        udp_room_drop(u);
    ev_timer_stop(u->loop, &u->tick);
    mailbox_done(&u->news);
    shares_done(&u->mappings);
    contacts_done(&u->associations_of);
    udp_index_done(&u->by_client);
    udp_index_done(&u->by_hint);
    udp_index_done(&u->by_source);
    udp_learned_done(&u->learned);
    free(u->own_ports);
}
