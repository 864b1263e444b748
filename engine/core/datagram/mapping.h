/* A mapping: the sockets by which the datagrams of one client's port leave (RFC 4787 section 4), or those of
 * one flow, if its policy asks for a mapping for each destination. The main loop makes it and keeps its
 * account. */
#ifndef STEERWAY_DATAGRAM_MAPPING_H
#define STEERWAY_DATAGRAM_MAPPING_H

#include "base/counters.h"
#include "base/list.h"
#include "datagram/batch.h"
#include "datagram/contacts.h"
#include "datagram/datagram_room.h"

#include <ev.h>

struct flow;
struct flow_answer;
struct port;

struct mapping_socket {
    struct batch_socket socket;
    struct mapping *mapping;
    ev_io io;
};

struct mapping {
    struct letter order, news;

    /* Constant. */
    struct port *port;
    struct addr client; /* with its port */
    double idle_s;
    bool hears;           /* a name server's answers: copies go to the main loop */
    struct addr reply_as; /* replies are said to come from there; AF_UNSPEC: from where they come */
    struct addr relay;    /* of the parent proxy, which all datagrams go by; AF_UNSPEC: none */

    /* Of the room's thread. */
    struct mapping_socket four, six;
    struct list node; /* in the port's mappings, once it has begun */
    struct list flows;
    struct contacts contacts;
    struct wheel_entry look;
    double last_s; /* of its latest datagram, monotonic */
    bool begun, ended;

    unsigned answers_due; /* with hears: copies that may go to the main loop. A server must not flood it */

    struct counters counters; /* bytes of payload: tx to destinations, rx from them */
};

/** Fill port, client, idle_s and contacts.filter first. The relay may be set until the first answer names the
 * mapping. */
void mapping_init(struct mapping *m);

/** On the room's thread: an answer names it, and may have a new socket for it.
 *  @return 0; -ESTALE: it has ended; -ENETDOWN: it has no socket for that destination */
MUST_CHECK int mapping_take(struct mapping *m, const struct flow_answer *answer);
/** Add a datagram of a flow that is open to the batch. */
void mapping_send(struct mapping *m, const struct flow *f, struct slice payload, double now);
void mapping_obey(struct mapping *m, unsigned bits);
void mapping_look(struct mapping *m);
/** Close its sockets, forget its flows, and report it. */
void mapping_end(struct mapping *m);

/** On the main thread: ask the room to end it. */
void mapping_order_end(struct mapping *m);

#endif
