/* The talk with an upstream proxy over a connection to it (proto/upstream_talk.h), until the destination is
 * reached. */
#ifndef STEERWAY_SESSION_UPSTREAM_H
#define STEERWAY_SESSION_UPSTREAM_H

#include "proto/upstream_talk.h"

#include <ev.h>

struct upstream;

/** Called once, never from within upstream_start. On FAULT_NONE fd is the way to the destination, of which
 * nothing has been read, and the callee's; else -1. Faults as upstream_talk_take has them, FAULT_TIMEOUT, and
 * FAULT_UPSTREAM for one that ends the connection. The upstream may be freed or started again from within. */
typedef void upstream_done_fn(struct upstream *u, enum fault fault, int fd);

/** Embedded by its owner; zero-initialised is "not running". */
struct upstream {
    struct ev_loop *loop;
    upstream_done_fn *done;
    void *owner; /* the caller's */
    bool running;
    ev_io io;
    ev_timer deadline;
    struct upstream_talk talk;
};

/** @param fd  connected, non-blocking; the upstream's until done
 *  @param timeout_s  for all of it, > 0 */
void upstream_start(struct upstream *u, struct ev_loop *loop, int fd,
                    const struct upstream_talk_request *request, double timeout_s, upstream_done_fn *done);

/** Stop without calling done, and close the connection; harmless when not running. */
void upstream_cancel(struct upstream *u);

#endif
