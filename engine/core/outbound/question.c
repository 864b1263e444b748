#include "outbound/question.h"

#include "dns/resolver.h"
#include "uplink/uplink.h"

const char QUESTION_NO_SERVER[] = "the uplink has no name server for captured questions: name one with --dns";

bool question_is(bool captured, uint16_t port)
{
    enum { DNS = 53 };

    return captured && port == DNS;
}

static bool asks_the_clients(const struct question_request *q, const struct uplink *u)
{
    char why[REACH_WHY_MAX];

    return u->parent && q->asked && !addr_is_private(q->asked) &&
           reach_allows(q->reach, q->client, q->user, q->asked, why);
}

static bool may_be_asked(const struct uplink *u, const struct addr *server)
{
    if (!egress_allows(&u->egress, addr_family(server)))
        return false;
    return !u->parent || !addr_is_private(server) || (u->names.named && !addr_is_loopback(server));
}

size_t question_servers(const struct question_request *q, const struct uplink *u,
                        struct addr ret[DNS_SERVERS_MAX])
{
    const struct dns_servers *servers = u->names.resolver ? resolver_servers(u->names.resolver) : NULL;
    size_t n = 0;

    if (asks_the_clients(q, u)) {
        ret[0] = *q->asked;
        return 1;
    }
    for (size_t i = 0; servers && i < servers->n; i++)
        if (may_be_asked(u, &servers->items[i]))
            ret[n++] = servers->items[i];
    return n;
}
