/* One question to one DNS server: a socket of its own, so that each question leaves by a port of its own (RFC
 * 5452 9.2), bound as the egress says and connected to the server, so that the kernel passes on nobody else's
 * datagrams. What is truncated is asked for again over TCP (RFC 7766 5); where that brings nothing, what came
 * is used. A server on this machine's loopback is asked without being bound. */
#ifndef STEERWAY_DNS_DNS_EXCHANGE_H
#define STEERWAY_DNS_DNS_EXCHANGE_H

#include "dns/dns_message.h"
#include "dns/dns_way.h"

struct dns_exchange;
struct dns_stream;

/** Called once. The exchange is the callee's to close.
 *  @param reply  NULL: the server is not there, as the kernel says */
typedef void dns_exchange_done_fn(struct dns_exchange *e, const struct dns_reply *reply);

struct dns_exchange {
    struct list node; /* of its owner's list */
    struct dns_way *way;
    size_t server; /* by its index */
    dns_exchange_done_fn *done;
    void *arg; /* the owner's */
    double started_s;
    double truncated_s; /* when a truncated answer came; 0: none has */
    struct dns_query query;
    ev_io io;
    ev_timer late;             /* once it is kept for what it teaches */
    struct dns_stream *stream; /* over TCP; NULL over UDP */
};

/** @param query  copied @return 0 with *ret the caller's, or a negative errno: nothing was sent */
MUST_CHECK int dns_exchange_start(struct dns_exchange **ret, struct dns_way *way, size_t server,
                                  const struct dns_query *query, dns_exchange_done_fn *done, void *arg);

/** Seconds that it has been under way, or that the server took for its truncated answer. */
double dns_exchange_age_s(const struct dns_exchange *e);

/** Whether the server has answered, and is asked over TCP for the rest. */
static inline bool dns_exchange_was_answered(const struct dns_exchange *e)
{
    return e->truncated_s > 0;
}

/** The question is answered otherwise, or over: the way keeps the exchange for some seconds, for its scores.
 */
void dns_exchange_keep(struct dns_exchange *e);

/** In any state. */
void dns_exchange_close(struct dns_exchange *e);

#endif
