/* The objects of this room, for its files only. */
#ifndef STEERWAY_UDP_UDP_STATE_H
#define STEERWAY_UDP_UDP_STATE_H

#include "datagram/flow.h"
#include "datagram/mapping.h"
#include "outbound/outbound_pick.h"
#include "udp/udp.h"

struct udp_parent;

struct udp_port {
    struct port port;
    struct udp *udp;
    struct list node; /* in the udp's ports */
    struct list associations, ways;
    struct contacts names;      /* holders: names that wait, by client address */
    struct contacts clients;    /* shared. Holders: associations, by client address */
    struct target *to;          /* PORT_FORWARD */
    struct udp_service service; /* of ports that any admitted client may use */
    struct addr at;             /* but for a SOCKS client's own port: where it listens */
    bool resolves;              /* PORT_TPROXY: go to the name that the client sent */
    bool shared;                /* the fixed port of many associations: it stays open */
    bool closing;
};

struct udp_association {
    struct udp_port *port;
    struct list node;   /* in the port's associations */
    struct addr client; /* AF_UNSPEC: any client that the port allows */
    uint16_t hint;
    struct udp_index_entry by_hint; /* of a shared port */
    struct contact *client_of;      /* of a shared port */
    char *user;
    const char *listener;
    struct list ways;
    size_t n_ways;
    uint64_t ended_bytes; /* of mappings that have ended */
    bool closing;         /* freed with its last mapping */
};

/** A mapping, as the main loop sees it: its uplink and its account. */
struct udp_way {
    struct mapping mapping;
    struct udp_port *port;
    struct udp_association *association;
    struct list node, sibling; /* in the port's ways, and in the association's */
    struct list asks;
    struct udp_index_entry by_client, by_source4, by_source6;
    struct share *share; /* of the client's address in all mappings; NULL: it does not count any more */
    struct list in_share;
    struct outbound *account;
    struct udp_parent *parent; /* the association with its uplink's parent proxy; NULL: none */
    const char *outcome;       /* once it ends */
    bool per_destination;
    bool given;      /* the room knows it, and reports its end */
    double given_s;  /* to a flow, the latest time */
    bool has4, has6; /* sockets were made for it */
    struct addr source4, source6;
    uint64_t tx, rx;     /* bytes at the last tick */
    double tx_s, rx_s;   /* when these changed; 0: never */
    double unanswered_s; /* when the first datagram since the latest answer was sent; 0: none was */
};

/** A destination whose name is being resolved, or which waits for a parent proxy's relay. */
struct udp_ask {
    struct udp_association *association;
    struct list node; /* in the way's asks */
    struct flow *flow;
    struct contact *name_of; /* while its name is being resolved */
    struct udp_way *way;     /* by which its name is resolved, or its datagrams will go */
    bool for_relay;
    struct addr to; /* for_relay: its address; AF_UNSPEC: it is a name */
    struct target target;
    struct resolver_query query;
};

/* udp_rooms.c */
/** A room on this loop. @return 0 or negative errno */
MUST_CHECK int udp_room_add(struct udp *u, struct ev_loop *loop);
/** Undo the latest udp_room_add; its thread has ended, or never ran. */
void udp_room_drop(struct udp *u);
/** The room for a new port. @return NULL without memory */
struct datagram_room *udp_room(struct udp *u);

/* udp_port.c */
/** A bound socket. @param low, high  a range of ports; low 0: the port of `at`
 *  @param waits  this machine may lack the address, and have it later
 *  @return descriptor, or negative errno */
MUST_CHECK int udp_listen_at(const struct addr *at, uint16_t low, uint16_t high, bool waits,
                             struct addr *ret_at);
/** The same where a socket of ours that allows it has the port still. @return as udp_listen_at */
MUST_CHECK int udp_listen_beside(const struct addr *at, bool waits, struct addr *ret_at);
/** Let another socket that allows it be bound at the same end. @return 0 or negative errno */
MUST_CHECK int udp_allow_beside(int fd, bool allow);
/** The same for a socket that is bound already; takes fd, on failure too. */
MUST_CHECK int udp_listen_on(int fd, struct addr *ret_at);
/** Takes fd, on failure too. It begins with udp_port_go. @return NULL without memory */
struct udp_port *udp_port_new(struct udp *u, enum port_kind kind, int fd);
/** Give it a room, and serve. @return false without memory */
bool udp_port_go(struct udp_port *p);
/** @return NULL without memory */
struct udp_association *udp_association_new(struct udp_port *p, const struct udp_request *r);
/** The association that a client's datagrams belong to. @return NULL: they are a stranger's */
struct udp_association *udp_association_of(struct udp_port *p, const struct addr *client);
/** It has closed, or one of its mappings has ended: free it if it is closed and has none any more. */
void udp_association_rest(struct udp_association *a);
/** End the port, and all that it has. It is freed when the room has reported its end. */
void udp_port_close(struct udp_port *p);
void udp_port_free(struct udp_port *p);

/* udp_decide.c */
/** Answer a flow's question, now or when its name is resolved. */
void udp_decide(struct udp_port *p, struct flow *f);
/** The way has another uplink, or its parent proxy relays: decide the flows that wait for that. */
void udp_decide_waiting(struct udp_way *w);
/** Give up what waits for the way: refuse the flows. */
void udp_refuse_waiting(struct udp_way *w);
/** The way ends: let the flows that wait for it ask again, for another one. */
void udp_ask_waiting_again(struct udp_way *w);

/* udp_way.c */
/** Log that a destination was refused, a few times in ten seconds. */
void udp_log_refused(struct udp *u, const struct addr *client, const struct target *target, const char *why);
/** The uplink for a flow of this port: the mapping of its client, or a new one.
 *  @param alone  a mapping of its own in any case
 *  @return NULL: refused, and logged */
struct udp_way *udp_way_for(struct udp_association *a, const struct flow *f, const struct target *target,
                            bool alone);
/** A mapping that goes direct, for this flow alone. @return NULL without memory, or over a limit */
struct udp_way *udp_way_direct(struct udp_association *a, const struct flow *f, const struct target *target);
/** A socket for a destination. @return 0, or negative errno; *ret_fd is -1 if it has one already */
MUST_CHECK int udp_way_socket(struct udp_way *w, const struct egress *egress, const struct addr *to,
                              int *ret_fd);
/** The uplink is in use: count the mapping's bytes for it. */
void udp_way_follow(struct udp_way *w);
/** Whether it was not given to a flow lately, which may not have sent by it yet, and none waits for it. */
bool udp_way_is_idle(const struct udp_way *w);
/** Give it to no more flows; those that wait for it ask again. @param outcome  a constant text for the
 * account */
void udp_way_retire(struct udp_way *w, const char *outcome);
/** End it. @param outcome  a constant text for the account */
void udp_way_end(struct udp_way *w, const char *outcome);
/** Its uplink serves no more: end it, or try another uplink while it waits for a parent proxy. */
void udp_way_cut(struct udp_way *w);
/** The room has ended it: write the account, and free it. */
void udp_way_ended(struct udp_way *w);

/* udp_limit.c */
/** Count one more mapping of its client. @return false: the client, or the proxy, has too many, or no memory
 */
MUST_CHECK bool udp_limit_enter(struct udp_way *w);
/** The mapping that has to end because this one has entered, and not before it has begun: the one used
 * longest ago of the client that has the most. @return NULL: there is room */
struct udp_way *udp_limit_displaced(const struct udp_way *w);
/** A flow gets it as its answer. From the first time on it may be displaced. */
void udp_limit_give(struct udp_way *w);
/** It has passed datagrams. */
void udp_limit_use(struct udp_way *w);
/** It ends. Harmless if it has left, or has never entered. */
void udp_limit_leave(struct udp_way *w);

/* udp_parent.c */
/** Ask the parent proxy of the way's uplink for an association. The flows wait meanwhile.
 *  @return FAULT_NONE, or why it is not asked, with *ret_why for the log */
MUST_CHECK enum fault udp_parent_ask(struct udp_way *w, const char **ret_why);
/** Whether the flows have to wait for the relay. */
bool udp_parent_is_awaited(const struct udp_way *w);
/** The uplink has lost its link or addresses, or does not answer: try another one while the relay is awaited.
 * The way may end. @return false: no relay is awaited */
bool udp_parent_lose(struct udp_way *w);
/** End the association. Harmless without one. */
void udp_parent_free(struct udp_way *w);

/* udp_silence.c */
/** Twice a second: notice lines that answer no datagrams, and move mappings from dead lines. */
void udp_silence_look(struct udp *u);

#endif
