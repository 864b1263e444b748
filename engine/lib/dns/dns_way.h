/* One way to DNS servers: by which egress, whom, and what has been learned of them. All questions of a
 * resolver share it. Beside them it keeps exchanges that nobody needs any more for a short while, to learn
 * whether the server answers late or never. */
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
    double timeout_s; /* for a question, all servers and tries; > 0 */
    struct egress egress;
    struct dns_servers servers;
    struct dns_scores scores;
    struct list late; /* exchanges that are kept for what they teach */
    unsigned n_late;
    uint16_t ids[DNS_IDS]; /* random ones in stock */
    size_t n_ids;
};

void dns_way_init(struct dns_way *w, struct ev_loop *loop, double timeout_s);
/** Whom to ask from now on. Nothing may be under way. */
void dns_way_aim(struct dns_way *w, const struct egress *egress, const struct dns_servers *servers);
/** Forget the exchanges that are kept. */
void dns_way_done(struct dns_way *w);

/** An id that cannot be foreseen (RFC 5452 9.2). */
uint16_t dns_way_id(struct dns_way *w);

#endif
