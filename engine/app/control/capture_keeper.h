/* Keeps the capture that is on up to date: when the machine's networks change, the sets of its table do.
 *
 * One change of the table is made at a time. One that is asked for while the table is brought up to date
 * waits. */
#ifndef STEERWAY_CONTROL_CAPTURE_KEEPER_H
#define STEERWAY_CONTROL_CAPTURE_KEEPER_H

#include "capture/capture_holder.h"
#include "capture/capture_shape.h"

struct machine;
struct proxy;

enum capture_change { CAPTURE_CHANGE_NONE, CAPTURE_CHANGE_ON, CAPTURE_CHANGE_OFF, CAPTURE_CHANGE_UPDATE };

/** A change of the table, and the function that its requester wants called. */
struct capture_errand {
    enum capture_change change;
    struct capture_request request;
    struct capture_shape shape; /* of the table after it */
    bool whole;                 /* by other rules, too */
    bool fits;                  /* nothing is wrong with the table after it */
    capture_holder_done_fn *done;
    void *arg;
};

/** Embedded by its owner, who must not move it; zero-initialised with the holder's loop and the proxy is off.
 */
struct capture_keeper {
    struct capture_holder holder;
    struct proxy *proxy;
    bool on; /* a table is there, for this request, of this shape as far as it is known */
    struct capture_request request;
    struct capture_shape shape;
    struct capture_errand now, waiting; /* under way, and after it */
    struct capture_ranges networks;     /* at the latest attempt to bring it up to date */
    bool lent;                          /* another process is about to go on with it: nothing changes */
    struct addr to4, to6;               /* the proxy's listeners then */
    bool udp;                           /* and whether all of them took datagrams */
    bool fixed;   /* the rules could not be replaced, so updates replace the sets only, until a later look
                     succeeds with the rules */
    bool again;   /* the machine has changed during a change */
    bool settled; /* routes have followed, and have not been read since then */
    double read_after_s; /* reading them may wait until then, monotonic */
    double failed_s;     /* when an attempt has left the table other than wanted, monotonic; 0: it has not */
    char told[CAPTURE_ERROR_MAX]; /* what the log has said of it */
};

/** Capture by a new table. @return 0: done is called later; or negative errno with one line in err
 * (CAPTURE_ERROR_MAX) */
MUST_CHECK int capture_keeper_on(struct capture_keeper *k, const struct capture_request *request,
                                 capture_holder_done_fn *done, void *arg, char *err);
/** Let go of the table; one that stays is not followed any more. @return as capture_keeper_on; done may have
 * been called */
MUST_CHECK int capture_keeper_off(struct capture_keeper *k, capture_holder_done_fn *done, void *arg,
                                  char *err);

/** Take over a table that an earlier run has left (--when-gone stop), if the record of the capture says that
 * it is of the proxy at this control socket. */
void capture_keeper_adopt(struct capture_keeper *k, const char *control);

/** Whether a change of the table is under way, or waits. */
bool capture_keeper_is_busy(const struct capture_keeper *k);
/** Go on with the capture of another process, whose child holds the table; takes the descriptors. The rules
 * are those of that process until the machine is looked at. @param pid  of the child */
void capture_keeper_take_over(struct capture_keeper *k, const struct capture_request *request, bool six,
                              int in_fd, int said_fd, pid_t pid);

/** The machine was looked at. @param m  of machine_read_links
 *  @param settled  some time after a change: its routes are there, too */
void capture_keeper_look(struct capture_keeper *k, const struct machine *m, bool settled);

/** Let go at once; nothing is called back. Harmless when off. */
void capture_keeper_close(struct capture_keeper *k);

#endif
