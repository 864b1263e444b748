#include "net/machine.h"

#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

void machine_done(struct machine *m)
{
    free(m->links);
    free(m->addrs);
    *m = (struct machine){.links = NULL};
}

const struct machine_link *machine_link_by_name(const struct machine *m, const char *name)
{
    for (size_t i = 0; i < m->n_links; i++) {
        if (strcmp(m->links[i].name, name) == 0)
            return &m->links[i];
    }
    return NULL;
}

const struct machine_link *machine_link_by_index(const struct machine *m, int index)
{
    for (size_t i = 0; i < m->n_links; i++) {
        if (m->links[i].index == index)
            return &m->links[i];
    }
    return NULL;
}

/* The whole network of a loopback link's IPv4 address is this machine: 127.0.0.2 needs no entry of its own.
 */
static bool is_had(const struct machine_addr *had, const struct machine_link *link, const struct addr *a)
{
    struct cidr network;

    if (had->tentative)
        return false;
    if (!link->loopback || addr_family(a) != AF_INET)
        return addr_same_ip(&had->addr, a);
    cidr_from_addr(&network, &had->addr, had->prefix);
    return cidr_contains(&network, a);
}

const struct machine_link *machine_link_of_addr(const struct machine *m, const struct addr *a)
{
    const struct machine_link *found = NULL;

    if (addr_family(a) == AF_UNSPEC)
        return NULL;
    for (size_t i = 0; i < m->n_addrs; i++) {
        const struct machine_link *link = machine_link_by_index(m, m->addrs[i].link);
        if (!link || !is_had(&m->addrs[i], link, a))
            continue;
        if (link->up && link->carrier)
            return link;
        if (!found)
            found = link;
    }
    return found;
}

bool machine_link_is_line(const struct machine_link *link)
{
    return !link->loopback && strcmp(link->kind, "dummy") != 0;
}

/* How well an address suits as a source; 0 for not at all. Beside a public address, a unique local one is the
 * one that does not reach the internet. */
static int source_rank(const struct machine_addr *a)
{
    if (a->deprecated || a->tentative)
        return 0;
    if (a->scope >= RT_SCOPE_LINK)
        return a->scope == RT_SCOPE_LINK && addr_family(&a->addr) == AF_INET ? 1 : 0;
    return 2 + (a->temporary ? 0 : 1) + (addr_is_unique_local(&a->addr) ? 0 : 2);
}

const struct addr *machine_source(const struct machine *m, int link_index, int family)
{
    const struct machine_addr *best = NULL;

    for (size_t i = 0; i < m->n_addrs; i++) {
        const struct machine_addr *a = &m->addrs[i];
        if (a->link != link_index || addr_family(&a->addr) != family)
            continue;
        /* The first of equals: the kernel lists an interface's primary address before its secondary ones. */
        if (source_rank(a) > (best ? source_rank(best) : 0))
            best = a;
    }
    return best ? &best->addr : NULL;
}
