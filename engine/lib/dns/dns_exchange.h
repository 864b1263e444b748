/* One question to one DNS server. Each has its own socket, so that each leaves by its own port (RFC 5452
 * 9.2). The socket is bound as the egress says, and connected, so that only the server's datagrams arrive.
 * After a truncated answer the question is repeated over TCP (RFC 7766 5); if that fails, the truncated
 * answer is used. A server on loopback is asked without binding. */
#ifndef STEERWAY_DNS_DNS_EXCHANGE_H
#define STEERWAY_DNS_DNS_EXCHANGE_H

#include "dns/dns_message.h"
#include "dns/dns_way.h"

struct dns_exchange;
struct dns_stream;

/** Called once. The callee closes or keeps the exchange.
 *  @param reply  NULL: the kernel reports that the server cannot be reached */
typedef void dns_exchange_done_fn(struct dns_exchange *e, const struct dns_reply *reply);

struct dns_exchange {
    struct list node; /* in its owner's list */
    struct dns_way *way;
    size_t server; /* its index in the way */
    dns_exchange_done_fn *done;
    void *arg; /* for the owner */
    double started_s;
    double truncated_s; /* when a truncated answer arrived; 0: none did */
    struct dns_query query;
    ev_io io;
    ev_timer late;             /* runs once it is kept for its score */
    struct dns_stream *stream; /* NULL while over UDP */
};

/** @param query  copied; gets a fresh id @return 0 with *ret the caller's, or a negative errno: nothing was
 *  sent */
MUST_CHECK int dns_exchange_start(struct dns_exchange **ret, struct dns_way *way, size_t server,
                                  const struct dns_query *query, dns_exchange_done_fn *done, void *arg);

/** Seconds since it was sent, or that the server took for its truncated answer. */
double dns_exchange_age_s(const struct dns_exchange *e);

/** Whether the server answered over UDP, and is now asked over TCP. */
static inline bool dns_exchange_was_answered(const struct dns_exchange *e)
{
    return e->truncated_s > 0;
}

/** The owner does not need it any more: the way keeps it for a few seconds, for its score. */
void dns_exchange_keep(struct dns_exchange *e);

/** Close it, in any state. */
void dns_exchange_close(struct dns_exchange *e);

#endif
