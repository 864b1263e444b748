/* A flow: the datagrams of one client to one destination of a port. Its first datagram is a question to the
 * main loop, which answers with a mapping (by which socket they leave) and an address, or refuses. */
#ifndef STEERWAY_DATAGRAM_FLOW_H
#define STEERWAY_DATAGRAM_FLOW_H

#include "base/buf.h"
#include "base/list.h"
#include "datagram/datagram_room.h"

struct contact;
struct mapping;
struct quic_peek;
struct port;
struct share;

enum {
    FLOW_QUEUE_MAX = 16,                             /* datagrams that wait for the answer */
    FLOW_QUEUE_BYTES = BATCH_MESSAGE_MAX + 16 * 1024 /* and their bytes: the largest one fits */
};
/* A refused destination is asked for again after that time. */
#define FLOW_REFUSED_S 5.
/* Questions, beside the first one, of a flow whose mapping ends before it has it. A line that comes and goes
 * must not keep the main loop busy. */
enum { FLOW_AGAIN_MAX = 3 };

enum flow_state {
    FLOW_PEEKING, /* the name is looked for in its first datagrams (QUIC) */
    FLOW_ASKED,   /* the main loop reads the question, and writes the answer */
    FLOW_OPEN,
    FLOW_REFUSED,
};

/** A destination as it stands in a datagram. */
struct flow_key {
    const struct addr *client;
    struct addr to;    /* AF_UNSPEC: a name */
    uint16_t port;     /* of the name */
    struct slice name; /* as the client wrote it; a valid name (proto/target.h) */
};

struct flow_answer {
    struct mapping *mapping; /* NULL: refused, or ask again */
    bool again;              /* the mapping that it has waited for has ended */
    struct addr dest;
    bool by_name; /* the mapping's parent proxy resolves the flow's name: dest has only its port */
    int fd; /* a new socket of the mapping, for the family of dest, or of the parent proxy's relay; -1: it
               has one */
};

struct flow {
    struct letter order, news;
    struct flow *next; /* in its bucket */
    struct share *share;
    struct list node; /* once it is open or refused: in its share's flows */
    double placed_s;  /* the use for which it was moved to their end */
    uint64_t hash;
    struct port *port;
    enum flow_state state;

    /* The question: constant. */
    struct addr client, to;
    uint16_t to_port;

    char *host;             /* the name in its first datagrams; NULL for none. Constant once it asks */
    struct quic_peek *peek; /* FLOW_PEEKING */

    struct flow_answer answer;

    struct list sibling; /* FLOW_OPEN: in the mapping's flows; FLOW_REFUSED: in the port's */
    struct contact *contact;
    char *header; /* by a parent proxy: in front of each datagram (by_parent.h); else NULL */
    size_t header_len;
    struct buf queue; /* until FLOW_OPEN: datagrams, each behind its length */
    unsigned n_queued, n_again;
    double last_s; /* of a datagram to it, monotonic */
    struct wheel_entry look;
    uint8_t name_len; /* 0: the destination is the address `to` */
    char name[];
};

/** The flow of a datagram; a new one asks the main loop. @return NULL without memory */
struct flow *flow_of(struct port *p, const struct flow_key *key);

/** A datagram to its destination: add it to the room's batch, or let it wait for the answer. */
void flow_send(struct flow *f, struct slice payload, double now);

/** The answer has come. */
void flow_answered(struct flow *f);
/** The time of its look: end it if it is idle. */
void flow_look(struct flow *f);
/** Forget it. Not while FLOW_ASKED: the main loop reads it. */
void flow_free(struct flow *f);

#endif
