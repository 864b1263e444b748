/* Holds the table of nftables for the running proxy: by a child process nft, which keeps its netlink socket
 * open. The kernel removes a table with `flags owner` once that socket is closed. The child ends with the
 * proxy, as it then reads the end of its input. Another process that takes over from the proxy goes on with
 * the child, by the pipes to it. */
#ifndef STEERWAY_CAPTURE_CAPTURE_HOLDER_H
#define STEERWAY_CAPTURE_CAPTURE_HOLDER_H

#include "capture/capture_request.h"

#include <ev.h>

struct buf;

enum { CAPTURE_SAID_MAX = 8192 };

/** @param error  one line; NULL: the table is as wanted */
typedef void capture_holder_done_fn(void *arg, const char *error);

enum capture_holder_state {
    CAPTURE_IDLE,       /* no child */
    CAPTURE_INSTALLING, /* the child has been given a table */
    CAPTURE_HELD,       /* the child holds the table */
    CAPTURE_RELEASING,  /* the child is about to end */
};

/** Embedded by its owner, who must not move it; zero-initialised with a loop is idle. */
struct capture_holder {
    struct ev_loop *loop;
    enum capture_holder_state state;
    struct capture_request request, next; /* of the table that is held, and of the one being installed */
    bool owns;                            /* the child has installed a table, which goes with it */
    bool late;                            /* its answer to an earlier change is still to come */
    bool unsure;                          /* the latest change has failed, and may be made all the same */
    void (*answered_late)(struct capture_holder *h); /* that answer has come; NULL for none */
    pid_t pid;                                       /* 0: reaped */
    bool adopted; /* the child of another process, which is not reaped here */
    int in_fd, said_fd;
    ev_io said;
    ev_child exited;
    ev_timer deadline;
    char text[CAPTURE_SAID_MAX]; /* what the child has said of the present change */
    size_t len;
    capture_holder_done_fn *done; /* of the present change; NULL for none */
    void *done_arg;
};

/** Replace the table by this script (capture_plan_table), as a whole or not at all. One that stays without
 * the proxy (request->stops) is not held.
 *  @return 0: done is called later; -EBUSY during another change; or negative errno */
MUST_CHECK int capture_holder_install(struct capture_holder *h, const struct capture_request *request,
                                      const struct buf *script, capture_holder_done_fn *done, void *arg);
/** The same for a table that is there, if nothing in it is of others; else done gets an error. */
MUST_CHECK int capture_holder_replace(struct capture_holder *h, const struct capture_request *request,
                                      const struct buf *script, capture_holder_done_fn *done, void *arg);
/** Change the table that is there by this script (capture_plan_sets), as a whole or not at all.
 *  @param request  the one that it was installed for @return as capture_holder_install */
MUST_CHECK int capture_holder_update(struct capture_holder *h, const struct capture_request *request,
                                     const struct buf *script, capture_holder_done_fn *done, void *arg);
/** Let go of the table that goes with the proxy. @return as capture_holder_install */
MUST_CHECK int capture_holder_release(struct capture_holder *h, capture_holder_done_fn *done, void *arg);
/** Go on with the child of another process; takes the descriptors. @param pid  of the child */
void capture_holder_take_over(struct capture_holder *h, const struct capture_request *request, int in_fd,
                              int said_fd, pid_t pid);
/** Let go at once; nothing is called back. Harmless when idle, and where another process has taken over. */
void capture_holder_close(struct capture_holder *h);

#endif
