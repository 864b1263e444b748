#include "machine/machine.h"

#include "base/nearest.h"

#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

void machine_done(struct machine *m)
{
    free(m->links);
    free(m->addrs);
    free(m->altnames);
    *m = (struct machine){.links = NULL};
}

const struct machine_link *machine_link_by_name(const struct machine *m, const char *name)
{
    for (size_t i = 0; i < m->n_links; i++) {
        if (strcmp(m->links[i].name, name) == 0)
            return &m->links[i];
    }
    for (size_t i = 0; i < m->n_altnames; i++)
        if (strcmp(m->altnames[i].name, name) == 0)
            return machine_link_by_index(m, m->altnames[i].link);
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

/* Every address in the network of a loopback link's IPv4 address is this machine's, such as 127.0.0.2. */
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

bool machine_can_listen(const struct machine *m, const struct addr *a)
{
    const struct machine_link *link = machine_link_of_addr(m, a);

    return addr_is_loopback(a) || (link && link->up);
}

bool machine_link_is_line(const struct machine_link *link)
{
    return !link->loopback && strcmp(link->kind, "dummy") != 0;
}

/* A sum of powers of two: the larger ones decide first. 0 for an address that cannot be a source. */
static int source_rank(const struct machine_addr *a, bool temporary)
{
    enum { USABLE = 1, WANTED = 2, PUBLIC = 4, PREFERRED = 8, GLOBAL = 16 };
    bool global = a->scope < RT_SCOPE_LINK;

    if (a->tentative || (!global && (a->scope != RT_SCOPE_LINK || addr_family(&a->addr) != AF_INET)))
        return 0;
    return USABLE + (a->temporary == temporary ? WANTED : 0) + (addr_is_unique_local(&a->addr) ? 0 : PUBLIC) +
           (a->deprecated ? 0 : PREFERRED) + (global ? GLOBAL : 0);
}

size_t machine_sources(const struct machine *m, int link_index, int family, bool temporary,
                       const struct addr *ret[MACHINE_SOURCES_MAX])
{
    int ranks[MACHINE_SOURCES_MAX];
    size_t n = 0;

    for (size_t i = 0; i < m->n_addrs; i++) {
        const struct machine_addr *a = &m->addrs[i];
        int rank = source_rank(a, temporary);
        if (a->link != link_index || addr_family(&a->addr) != family || rank == 0)
            continue;
        size_t at = n;
        while (at > 0 && ranks[at - 1] < rank)
            at--;
        if (at == MACHINE_SOURCES_MAX)
            continue;
        n += n < MACHINE_SOURCES_MAX;
        memmove(&ranks[at + 1], &ranks[at], (n - 1 - at) * sizeof *ranks);
        memmove(&ret[at + 1], &ret[at], (n - 1 - at) * sizeof *ret);
        ranks[at] = rank;
        ret[at] = &a->addr;
    }
    return n;
}

const struct addr *machine_source(const struct machine *m, int link_index, int family)
{
    const struct machine_link *link = machine_link_by_index(m, link_index);
    const struct addr *all[MACHINE_SOURCES_MAX];

    return machine_sources(m, link_index, family, link && link->temporary6, all) > 0 ? all[0] : NULL;
}

const char *machine_link_nearest(const struct machine *m, const char *name)
{
    struct nearest near;

    nearest_init(&near, slice_str(name));
    for (size_t i = 0; i < m->n_links; i++)
        if (!m->links[i].loopback)
            nearest_offer(&near, m->links[i].name);
    return near.best;
}
