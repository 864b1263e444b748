/* A tunnel is a relay as the thread that decides (the main loop's) knows it. It begins on the main loop,
 * since most connections are over sooner than another thread could be woken; those that live on, or prove to
 * be bulk, are handed to the relay threads. All of this file is for the main loop's thread. */
#ifndef STEERWAY_RELAY_TUNNEL_H
#define STEERWAY_RELAY_TUNNEL_H

#include "addr/addr.h"
#include "base/list.h"
#include "net/unwatch.h"
#include "relay/mailbox.h"
#include "relay/relay.h"

enum { WORKERS_MAX = 64 };

struct worker;
struct workers;

struct tunnel {
    struct relay relay;
    struct worker *worker;      /* who carries it; NULL: the main loop */
    struct list node;           /* of the young ones of the main thread; then of its worker's */
    struct message order, news; /* to, and from, its worker */
    enum relay_end end;         /* once its worker tells of it */
    /* Once a worker has it: whence its destination side goes out, and the link that it is bound to, or 0. */
    struct addr source;
    int link;
};

struct tunnel_events {
    /** Once, when both descriptors are closed and the counters are final; never from within tunnel_start. The
     * tunnel may be freed from within. */
    void (*ended)(struct tunnel *t, enum relay_end end);
    /** An octet has come while the counters rested. */
    void (*woke)(struct tunnel *t);
};

/** What all tunnels share. */
struct workers {
    const struct tunnel_events *events;
    struct relay_room room; /* of the main loop */
    struct unwatch unwatch;
    struct mailbox news;
    struct list young, settled; /* on the main loop's loop since less, and more, than a beat of the timer */
    ev_timer beat;
    struct worker *items[WORKERS_MAX];
    size_t n_workers;
};

/** There are no relay threads at first: tunnels stay on the loop. Must not move afterwards.
 *  @param idle_s  silence after which a tunnel ends; 0 for never */
void workers_init(struct workers *h, struct ev_loop *loop, double idle_s, const struct tunnel_events *events);
/** Start n relay threads, at most WORKERS_MAX; once. @return 0, or negative errno: those that did start serve
 */
MUST_CHECK int workers_start(struct workers *h, size_t n);
/** End the relay threads and all that they carry: `ended` is called for it from within. */
void workers_stop(struct workers *h);
/** After workers_stop, and once no tunnel is left. */
void workers_done(struct workers *h);

/** See relay_start. */
MUST_CHECK int tunnel_start(struct tunnel *t, struct workers *h, int client_fd, int dest_fd,
                            struct slice from_client, struct slice from_dest);

/** See relay_stop and relay_cut; `ended` may be called from within, or later. */
void tunnel_stop(struct tunnel *t);
void tunnel_cut(struct tunnel *t);

/** The address its destination side goes out from, and the link that is bound to, or 0. @return whether it is
 * known */
bool tunnel_source(const struct tunnel *t, struct addr *ret, int *ret_link);

#endif
