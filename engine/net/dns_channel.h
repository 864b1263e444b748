/* Questions for a name's addresses to DNS servers, asynchronously, by c-ares on the event loop. Its sockets
 * are bound as the egress says, so that no question leaves by another way; only what goes to this machine's
 * own loopback, such as a stub resolver, is not bound. */
#ifndef STEERWAY_NET_DNS_CHANNEL_H
#define STEERWAY_NET_DNS_CHANNEL_H

#include "net/dns_answer.h"
#include "net/dns_servers.h"
#include "net/egress.h"

#include <ev.h>

struct dns_channel;

struct dns_channel_options {
    const struct dns_servers *servers; /* copied, as egress is */
    const struct egress *egress;       /* its families are those that are asked for */
    bool search;      /* try the system's search domains, too, for what is not found as it is */
    double timeout_s; /* in which all servers are tried, some several times; > 0 */
};

/** @return 0, -ENOMEM, -EINVAL */
MUST_CHECK int dns_channel_open(struct dns_channel **ret, struct ev_loop *loop,
                                const struct dns_channel_options *options);

/** Called once for each question, maybe from within dns_channel_ask. The channel must not be closed from
 *  within. @param answer  with a reference for the callee; NULL without memory */
typedef void dns_channel_done_fn(void *arg, struct dns_answer *answer);

/** /etc/hosts counts. @param name  NUL-terminated, fit for the DNS */
void dns_channel_ask(struct dns_channel *c, const char *name, dns_channel_done_fn *done, void *arg);

/** Ends what runs with FAULT_DNS. NULL is let through. */
void dns_channel_close(struct dns_channel *c);

#endif
