/* A tunnel is a relay as the thread that decides (the brain) knows it. It begins on the brain's own loop,
 * since most connections are over sooner than another thread could be woken; those that live on, or prove to
 * be bulk, are handed to the relay threads. All of this file is for the brain. */
#ifndef STEERWAY_RELAY_TUNNEL_H
#define STEERWAY_RELAY_TUNNEL_H

#include "addr/addr.h"
#include "base/list.h"
#include "net/unwatch.h"
#include "relay/mailbox.h"
#include "relay/relay.h"

enum { HANDS_MAX = 64 };

struct hand;
struct hands;

struct tunnel {
    struct relay relay;
    struct hand *hand;         /* who carries it; NULL: the brain's own loop */
    struct list node;          /* of the young ones of the brain; then of its hand's */
    struct letter order, news; /* to, and from, its hand */
    enum relay_end end;        /* once its hand tells of it */
    /* Once a hand has it: whence its upstream side goes out, and the link that it is bound to, or 0. */
    struct addr source;
    int link;
};

struct tunnel_events {
    /** Once, when both descriptors are closed and the tally is final; never from within tunnel_start. The
     * tunnel may be freed from within. */
    void (*ended)(struct tunnel *t, enum relay_end end);
    /** An octet has come while the tally rested. */
    void (*woke)(struct tunnel *t);
};

/** What all tunnels share. */
struct hands {
    const struct tunnel_events *events;
    struct relay_room room; /* of the brain's own loop */
    struct unwatch unwatch;
    struct mailbox news;
    struct list young, settled; /* on the brain's loop since less, and more, than a beat of the timer */
    ev_timer beat;
    struct hand *hands[HANDS_MAX];
    size_t n_hands;
};

/** There are no relay threads at first: tunnels stay on the loop. Must not move afterwards.
 *  @param idle_s  silence after which a tunnel ends; 0 for never */
void hands_init(struct hands *h, struct ev_loop *loop, double idle_s, const struct tunnel_events *events);
/** Start n relay threads, at most HANDS_MAX; once. @return 0, or negative errno: those that did start serve
 */
MUST_CHECK int hands_start(struct hands *h, size_t n);
/** End the relay threads and all that they carry: `ended` is called for it from within. */
void hands_stop(struct hands *h);
/** After hands_stop, and once no tunnel is left. */
void hands_done(struct hands *h);

/** See relay_start. */
MUST_CHECK int tunnel_start(struct tunnel *t, struct hands *h, int client_fd, int upstream_fd,
                            struct slice from_client, struct slice from_upstream);

/** See relay_stop and relay_cut; `ended` may be called from within, or later. */
void tunnel_stop(struct tunnel *t);
void tunnel_cut(struct tunnel *t);

/** The address its upstream side goes out from, and the link that is bound to, or 0. @return whether it is
 * known */
bool tunnel_source(const struct tunnel *t, struct addr *ret, int *ret_link);

#endif
