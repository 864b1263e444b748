/* Reaches a destination through a parent proxy. It connects to that proxy and carries out the dialogue
 * (proto/parent_talk.h) until the destination is reached, or until the proxy relays datagrams. */
#ifndef STEERWAY_PARENT_PARENT_H
#define STEERWAY_PARENT_PARENT_H

#include "dns/resolver.h"
#include "net/dialer.h"
#include "parent/loops.h"
#include "proto/parent_talk.h"
#include "uplink/parent_spec.h"

struct parent;

/** Called once, never within parent_start. On FAULT_NONE, fd is the connection to the destination, with no
 * byte of it read; the callee owns it. For datagrams, it is the connection that holds the association, and
 * talk.relay is valid. Else fd is -1. When `reached` is set, the fault is one of
 * parent_talk_take, FAULT_TIMEOUT, or FAULT_PARENT for a closed connection. Otherwise it is about
 * reaching the parent proxy; FAULT_NAME means that it has no address of the egress' families. The callee
 * may free or restart the parent. */
typedef void parent_done_fn(struct parent *u, enum fault fault, int fd);

struct parent_request {
    const struct parent_spec *spec; /* must outlive the parent, like target */
    const struct target *target;    /* SOCKS4a cannot reach an IPv6 address */
    bool datagrams; /* of a SOCKS5 parent proxy: have it relay datagrams; the target only tells loops apart */
    const struct egress *egress; /* egress to the parent proxy; copied */
    struct resolver *resolver;   /* resolves the parent proxy's name */
    struct loops *loops;         /* must outlive the parent; NULL: no loops are possible */
    const char *uplink;          /* the uplink's name; must outlive the parent */
    double timeout_s;            /* for the name, the dial and the dialogue together; > 0 */
};

/** Embedded by its owner; zero-initialised is "not running". */
struct parent {
    struct ev_loop *loop;
    parent_done_fn *done;
    void *owner; /* the caller's */
    struct parent_request request;
    struct egress egress;
    struct list under_way; /* in the list of loops */
    struct addr local;     /* local address of the connection, once connected */
    bool running;
    bool held;      /* this proxy listens at all addresses so far; those of the other family are pending */
    bool reached;   /* the parent proxy is connected */
    double until_s; /* monotonic deadline */
    double since_s; /* monotonic: begin of the dial */
    double took_s;  /* at the end: seconds since since_s */
    struct resolver_query query;
    struct dial dial;
    ev_io io;
    ev_timer deadline;
    struct parent_talk talk;
};

void parent_start(struct parent *u, struct ev_loop *loop, const struct parent_request *request,
                  parent_done_fn *done);

/** Stop without calling done, and close the connection. Harmless when not running. */
void parent_cancel(struct parent *u);

#endif
