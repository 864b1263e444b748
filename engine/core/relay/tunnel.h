/* A tunnel is a relay as the main thread sees it. It begins on the main loop, since most connections end
 * before another thread could be woken. Long-lived and bulk connections are handed to workers. All
 * functions here are for the main thread. */
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
    struct worker *worker;      /* NULL: the main loop carries it */
    struct list node;           /* in workers.young or settled; later in its worker's list */
    struct message order, news; /* to, and from, its worker */
    enum relay_end end;         /* set when its worker reports it */
    /* Once a worker has it: the local address of the destination's socket, and its bound link or 0. */
    struct addr source;
    int link;
};

struct tunnel_events {
    /** Called once, with both descriptors closed and the counters final. Never called within tunnel_start.
     * The callee may free the tunnel. */
    void (*ended)(struct tunnel *t, enum relay_end end);
    /** A byte was counted while the counters rested. */
    void (*woke)(struct tunnel *t);
};

/** What else uses the workers' loops. */
struct workers_guest {
    /** A worker's loop is made, and does not run yet. @return 0 or negative errno: the worker is not started
     */
    int (*joins)(struct workers_guest *g, struct ev_loop *loop);
    /** The worker that joined last did not start. */
    void (*leaves)(struct workers_guest *g);
    /** All workers have ended. Their loops exist until this returns. */
    void (*ended)(struct workers_guest *g);
};

/** Shared by all tunnels. */
struct workers {
    struct workers_guest *guest; /* set it before workers_start; NULL for none */
    const struct tunnel_events *events;
    struct relay_room room; /* the main loop's */
    struct unwatch unwatch;
    struct mailbox news;
    struct list young, settled; /* tunnels on the main loop for less than, and more than, one beat */
    ev_timer beat;
    struct worker *items[WORKERS_MAX];
    size_t n_workers;
};

/** Begin without threads: tunnels stay on the main loop. Must not move afterwards.
 *  @param idle_s  silence after which a tunnel ends; 0 for never */
void workers_init(struct workers *h, struct ev_loop *loop, double idle_s, const struct tunnel_events *events);
/** Change both times of relay_room. Relays that run notice it at their next look. */
void workers_set_times(struct workers *h, double idle_s, double ack_s);
/** Start n relay threads, at most WORKERS_MAX. Call it once. @return 0, or negative errno; threads that
 * did start are used */
MUST_CHECK int workers_start(struct workers *h, size_t n);
/** End the relay threads and their tunnels. `ended` is called within. */
void workers_stop(struct workers *h);
/** Call it after workers_stop, without tunnels left. */
void workers_done(struct workers *h);

/** See relay_start. */
MUST_CHECK int tunnel_start(struct tunnel *t, struct workers *h, int client_fd, int dest_fd,
                            struct slice from_client, struct slice from_dest);

/** See relay_stop and relay_cut. `ended` is called within, or later. */
void tunnel_stop(struct tunnel *t);
void tunnel_cut(struct tunnel *t);

/** The local address of the destination's socket, and its bound link or 0. @return whether it is known */
bool tunnel_source(const struct tunnel *t, struct addr *ret, int *ret_link);

#endif
