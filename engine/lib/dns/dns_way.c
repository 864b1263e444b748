#include "dns/dns_way.h"

#include "dns/dns_exchange.h"

#include <string.h>
#include <sys/random.h>

void dns_way_init(struct dns_way *w, struct ev_loop *loop, double timeout_s)
{
    *w = (struct dns_way){.loop = loop, .timeout_s = timeout_s};
    list_init(&w->late);
}

void dns_way_done(struct dns_way *w)
{
    LIST_EACH(&w->late, it, tmp) {
        dns_exchange_close(container_of(it, struct dns_exchange, node));
    }
}

void dns_way_aim(struct dns_way *w, const struct egress *egress, const struct dns_servers *servers)
{
    dns_way_done(w);
    w->egress = *egress;
    w->servers = *servers;
    dns_scores_init(&w->scores, servers->n);
}

uint16_t dns_way_id(struct dns_way *w)
{
    if (w->n_ids == 0) {
        /* Requests up to 256 bytes neither fail nor are cut short (getrandom(2)). */
        (void)!getrandom(w->ids, sizeof w->ids, 0);
        w->n_ids = DNS_IDS;
    }
    return w->ids[--w->n_ids];
}
