/* A way to DNS servers: the egress, the servers, and their scores. All questions of a resolver share it. It
 * keeps exchanges that are not needed any more for a short while, to learn whether the server answers late or
 * never. */
#ifndef STEERWAY_DNS_DNS_WAY_H
#define STEERWAY_DNS_DNS_WAY_H

#include "base/list.h"
#include "dns/dns_scores.h"
#include "dns/dns_servers.h"
#include "net/egress.h"

#include <ev.h>

struct dns_exchange;

enum { DNS_IDS = 64 };

/** Embedded by its owner. */
struct dns_way {
    struct ev_loop *loop;
    double timeout_s; /* for a question, with all servers and rounds; > 0 */
    struct egress egress;
    struct dns_servers servers;
    struct dns_scores scores;
    struct list late; /* exchanges kept for their scores */
    unsigned n_late;
    uint16_t ids[DNS_IDS]; /* random ids in stock */
    size_t n_ids;
};

void dns_way_init(struct dns_way *w, struct ev_loop *loop, double timeout_s);
/** Set the egress and the servers. No question may be running. */
void dns_way_aim(struct dns_way *w, const struct egress *egress, const struct dns_servers *servers);
/** Close the exchanges that are kept. */
void dns_way_done(struct dns_way *w);

/** An unpredictable id (RFC 5452 9.2). */
uint16_t dns_way_id(struct dns_way *w);

#endif
