/* A port: a socket to which clients send their datagrams. A SOCKS association has one of its own for one
 * client. A forward's port serves any allowed client. */
#ifndef STEERWAY_DATAGRAM_PORT_H
#define STEERWAY_DATAGRAM_PORT_H

#include "base/list.h"
#include "datagram/batch.h"
#include "datagram/datagram_room.h"
#include "datagram/replies.h"
#include "datagram/shares.h"

#include <ev.h>

/* Destinations in use at a time: a torrent client with DHT has some two thousand. A port of many clients
 * takes more, at some 600 bytes for each. */
enum { PORT_FLOWS_MAX = 4096, PORT_SHARED_FLOWS_MAX = 4 * PORT_FLOWS_MAX };
/* What waits for answers in all flows together: a client may send faster than the main loop decides. A single
 * client address gets a third (shares.h). */
enum { PORT_QUEUE_BYTES = 3 << 20 };

enum port_kind {
    PORT_SOCKS,   /* each datagram names its destination (RFC 1928 section 7) */
    PORT_FORWARD, /* all go to one destination */
    PORT_TPROXY,  /* captured: each was sent to its destination */
};

struct flow;

struct port {
    struct letter order, news;

    /* Constant once it has begun. */
    struct datagram_room *room;
    enum port_kind kind;
    struct batch_socket socket;
    struct addr
        client; /* datagrams of others are dropped; ports do not count. AF_UNSPEC: the main loop decides */
    struct addr to; /* PORT_FORWARD: AF_UNSPEC for a name */
    uint16_t to_port;
    struct slice to_name; /* borrowed */
    size_t flows_max;     /* set by port_begin */

    /* Of the room's thread. */
    ev_io io;
    struct flow **buckets;
    size_t n_buckets, n_asked;
    struct shares shares; /* of the flows, by client */
    struct flow *latest;
    struct list refused, mappings; /* flows, the first refused first */
    bool ending;
    struct replies replies; /* PORT_TPROXY; its mark is constant */
    double peek_s; /* PORT_TPROXY: wait for a name in QUIC's first datagrams; 0: do not look. Constant */
};

/** Fill the constant part first. From then on its room's thread has it. */
void port_begin(struct port *p);

/** On the room's thread. */
void port_obey(struct port *p, unsigned bits);
/** It is ending: report it when no question is pending any more. */
void port_end(struct port *p);
/** Once its end was reported, or if it has never begun: free what it owns. */
void port_done(struct port *p);

/** Add a reply to the batch. @param source  where it came from */
void port_reply(struct port *p, const struct addr *client, const struct addr *source, struct slice payload);

#endif
