/* Connect to the first of several addresses that answers, by one egress. */
#ifndef STEERWAY_NET_DIALER_H
#define STEERWAY_NET_DIALER_H

#include "base/buf.h"
#include "base/fault.h"
#include "net/egress.h"
#include "net/own_ends.h"

#include <ev.h>

/* Addresses tried in one dial; further ones are ignored. */
enum { DIAL_ADDRS_MAX = 16 };

struct dial;

/** Called once, never from within dial_start. With FAULT_NONE, fd is a connected non-blocking socket that the
 * callee owns; else fd is -1. The dial is over: the callee may free it or start it again. */
typedef void dial_done_fn(struct dial *d, enum fault fault, int fd);

struct dial_attempt {
    ev_io io; /* fd -1: ended */
    struct addr to;
    double started_s;
    struct dial *dial;
    struct dial_attempt *before; /* the attempt before this one; NULL for the first */
};

/** The result for one family's addresses. */
struct dial_family {
    bool answered;   /* an address accepted or refused */
    double waited_s; /* the longest wait for an address that did not answer; 0 for none */
};

/** Embedded by its owner. Zero-initialised: not running. */
struct dial {
    struct ev_loop *loop;
    dial_done_fn *done;
    struct egress egress;
    struct dial_attempt lone;    /* the first attempt; further ones are allocated */
    struct dial_attempt *latest; /* the latest attempt; NULL for none */
    struct addr *queue;          /* addresses to try, from next to n_queue; &lone.to, or allocated */
    size_t n_queue, next;
    size_t n_taken;               /* addresses accepted so far, tried or not */
    size_t pending;               /* attempts that run */
    bool expecting;               /* dial_add has not been called yet */
    bool has_waited;              /* GRACE_S has passed with nothing to do but wait for dial_add */
    enum fault worst;             /* the most informative failure so far */
    double connect_s;             /* once connected: duration of TCP's handshake with that address */
    int family;                   /* once connected: that address's family */
    struct dial_family four, six; /* valid when the dial is over or cancelled */
    struct own_ends *ends;        /* notes what this dial connects (dial_note_ends); NULL: nothing does */
    const struct buf *early;      /* see dial_early; NULL for none */
    size_t early_len;
    const struct dial_attempt *early_by; /* the attempt whose SYN had early bytes */
    size_t early_sent;                   /* the number of these; once connected, by that connection */
    ev_timer deadline, stagger;
    bool running;
};

/** Start to connect to addrs, in order. The next address is tried when one fails, or has not answered after
 * 250 ms (RFC 8305 5, "Connection Attempt Delay"). The first to connect wins, and the others are closed. All
 * failures come through done, immediate ones too.
 *  @param addrs      1..DIAL_ADDRS_MAX used, with ports; copied
 *  @param egress     copied
 *  @param timeout_s  for the whole dial, > 0 */
void dial_start(struct dial *d, struct ev_loop *loop, const struct addr *addrs, size_t n,
                const struct egress *egress, double timeout_s, dial_done_fn *done);

/** Note the ends of each connection that this dial begins. Call it right after dial_start. @param ends
 * outlives the dial; may be NULL */
void dial_note_ends(struct dial *d, struct own_ends *ends);

/** Announce more addresses by dial_add. When all others have failed, the dial then waits half a second for
 * them before it ends. Call it right after dial_start. */
void dial_expect(struct dial *d);

/** Add the addresses that dial_expect announced, maybe none. With `behind` they come last. Else they join
 * those that have not been tried, and the families alternate from then on (RFC 8305 4).
 *  @param addrs  with ports; copied. Together with those of dial_start, DIAL_ADDRS_MAX are used. */
void dial_add(struct dial *d, const struct addr *addrs, size_t n, bool behind);

/** Use TCP Fast Open (RFC 7413): if the kernel has the server's cookie, send the first bytes with the SYN.
 * The dial still ends when the server has answered. Its early_sent then says how many bytes were sent. One
 * attempt at a time sends them, but the next one repeats what a failed one sent. So use it only for data that
 * may reach a server twice. Call it right after dial_start.
 *  @param early  outlives the dial; meanwhile bytes may be appended
 *  @param len    how many bytes to send, at most early->len */
void dial_early(struct dial *d, const struct buf *early, size_t len);

/** Whether this kernel allows TCP Fast Open for clients (net.ipv4.tcp_fastopen, for both families). If not,
 * dial_early has no effect. */
bool dial_early_is_allowed(void);

/** Stop without calling done; harmless if not running. */
void dial_cancel(struct dial *d);

#endif
