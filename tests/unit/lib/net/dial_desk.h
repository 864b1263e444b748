/* Shared by the tests of the dialer: one dial, its result, and addresses that answer, refuse or stay silent.
 */
#ifndef STEERWAY_TESTS_NET_DIAL_DESK_H
#define STEERWAY_TESTS_NET_DIAL_DESK_H

#include "net/dialer.h"

#include "base/clock.h"
#include "support/loopback.h"

struct desk {
    struct dial dial; /* first: found by its address */
    struct ev_loop *loop;
    struct buf early;
    struct addr good, refusing, silent;
    int good_fd;
    int fds; /* open when a dial begins */
    double started, took_s;
    enum fault fault;
    int fd, calls;
    bool done;
};

static inline void on_done(struct dial *d, enum fault fault, int fd)
{
    struct desk *k = (struct desk *)d;
    k->fault = fault;
    k->fd = fd;
    k->calls++;
    k->took_s = clock_now_s() - k->started;
    k->done = true;
}

static inline struct desk *desk_new(void **state)
{
    struct desk *k = calloc(1, sizeof *k);
    assert_non_null(k);
    *state = k;
    k->fd = -1;
    k->loop = ev_loop_new(0);
    return k;
}

/* Bound, so that no other program gets the port, but not listening. */
static inline void desk_refuse(struct desk *k)
{
    (void)socket_at_loopback(AF_INET, SOCK_STREAM, &k->refusing);
}

static inline int desk_close(void **state)
{
    struct desk *k = *state;
    dial_cancel(&k->dial);
    buf_done(&k->early);
    ev_loop_destroy(k->loop);
    free(k);
    closefrom(STDERR_FILENO + 1);
    return 0;
}

#endif
