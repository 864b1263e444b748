/* Connect to the first of several addresses that answers, leaving by one egress. */
#ifndef STEERWAY_NET_DIALER_H
#define STEERWAY_NET_DIALER_H

#include "base/buf.h"
#include "base/fault.h"
#include "net/egress.h"

#include <ev.h>

/* Addresses tried for one dial; a name with more is cut. */
enum { DIAL_ADDRS_MAX = 16 };

struct dial;

/** Called once, never from within dial_start. On FAULT_NONE fd is a connected non-blocking socket that the
 *  callee owns; else it is -1. The dial is finished and may be freed or started again from within. */
typedef void dial_done_fn(struct dial *d, enum fault fault, int fd);

struct dial_attempt {
    ev_io io; /* fd -1: not under way */
    struct addr to;
    double started_s;
    struct dial *dial;
    struct dial_attempt *before; /* begun before this one; NULL for the first */
};

/** What one family's addresses came to. */
struct dial_family {
    bool answered;   /* one has, be it with a refusal */
    double waited_s; /* the longest that one was waited for in vain; 0 for none */
};

/** Embedded by its owner; zero-initialised is "not running". */
struct dial {
    struct ev_loop *loop;
    dial_done_fn *done;
    struct egress egress;
    struct dial_attempt lone;    /* the first; the others are allocated when they begin */
    struct dial_attempt *latest; /* begun; NULL for none */
    struct addr *queue;          /* not tried yet: &lone.to, or allocated; next to n_queue */
    size_t n_queue, next;
    size_t n_taken;               /* addresses, tried or not */
    size_t pending;               /* attempts under way */
    bool expecting;               /* dial_add is yet to be called */
    bool has_waited;              /* for that, with nothing else to do */
    enum fault worst;             /* the most telling failure so far */
    double connect_s;             /* once connected: what TCP's handshake with that address took */
    int family;                   /* once connected: of that address */
    struct dial_family four, six; /* when it is over, or cancelled */
    const struct buf *early;      /* see dial_early; NULL for none */
    size_t early_len;
    const struct dial_attempt *early_by; /* whose SYN took some of it */
    size_t early_sent;                   /* how much; once connected: by that connection */
    ev_timer deadline, stagger;
    bool running;
};

/** Start to connect to addrs, in order: the next address is tried when one fails or has not answered after
 *  250 ms (RFC 8305 5, "Connection Attempt Delay"); the first to connect wins, the others are closed.
 *  @param addrs      1..DIAL_ADDRS_MAX used, with ports; copied
 *  @param egress     copied
 *  @param timeout_s  for the whole dial, > 0
 *  Failures, immediate ones too, come through done. */
void dial_start(struct dial *d, struct ev_loop *loop, const struct addr *addrs, size_t n,
                const struct egress *egress, double timeout_s, dial_done_fn *done);

/** More addresses will come by dial_add: the dial does not end for want of them, but waits half a second for
 * them when all others have failed. Call it right after dial_start. */
void dial_expect(struct dial *d);

/** The addresses that dial_expect announced, maybe none. They join those that have not been tried yet, and
 * the families take turns from here on (RFC 8305 4); or they come behind them.
 *  @param addrs  with ports; copied. With those of dial_start, DIAL_ADDRS_MAX are used. */
void dial_add(struct dial *d, const struct addr *addrs, size_t n, bool behind);

/** TCP Fast Open (RFC 7413): send with the SYN as much as the kernel takes of what waits for the destination,
 *  where it knows that server's cookie. The dial is over when it would be without: when the server has
 * answered. The dial's early_sent then tells how many octets need not be sent any more. Only one attempt at a
 * time bears them, but what one that fails has sent is sent again by the next: only for what may reach a
 * server twice. Call it right after dial_start.
 *  @param early  outlives the dial; meanwhile octets may be added
 *  @param len    only the first so many, at most early->len */
void dial_early(struct dial *d, const struct buf *early, size_t len);

/** Whether this kernel lets clients use TCP Fast Open (net.ipv4.tcp_fastopen, for both families); where it
 * does not, dial_early changes nothing. */
bool dial_early_is_allowed(void);

/** Stop without calling done; harmless when not running. */
void dial_cancel(struct dial *d);

#endif
