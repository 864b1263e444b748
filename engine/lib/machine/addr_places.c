#include "machine/addr_places.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_ip(const struct addr *a, const struct addr *b)
{
    size_t a_len, b_len;
    const uint8_t *a_ip = addr_ip(a, &a_len), *b_ip = addr_ip(b, &b_len);

    return a_len != b_len ? (a_len > b_len) - (a_len < b_len) : memcmp(a_ip, b_ip, a_len);
}

static int by_place(const void *a_arg, const void *b_arg)
{
    const struct addr_place *a = a_arg, *b = b_arg;
    int r = by_ip(&a->addr, &b->addr);

    return r != 0 ? r : (a->link > b->link) - (a->link < b->link);
}

int addr_places_init(struct addr_places *ret, const struct machine *m)
{
    struct addr_place *items = calloc(m->n_addrs + 1, sizeof *items);
    size_t n = 0;

    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < m->n_addrs; i++)
        if (!m->addrs[i].tentative)
            items[n++] = (struct addr_place){.addr = m->addrs[i].addr, .link = m->addrs[i].link};
    qsort(items, n, sizeof *items, by_place);
    *ret = (struct addr_places){.items = items, .n = n};
    return 0;
}

void addr_places_done(struct addr_places *p)
{
    free(p->items);
    *p = (struct addr_places){.n = 0};
}

/* @param link  an index; 0: any */
static bool has(const struct addr_places *p, const struct addr *a, int link)
{
    const struct addr_place wanted = {.addr = *a, .link = link};
    size_t from = 0, to = p->n;

    /* Find the first place that is not below it. No link has the index 0. */
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (by_place(&p->items[middle], &wanted) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from < p->n && by_ip(&p->items[from].addr, a) == 0 && (link == 0 || p->items[from].link == link);
}

bool addr_change_loses_any(const struct addr_change *c)
{
    for (size_t i = 0; i < c->before->n; i++)
        if (!has(c->now, &c->before->items[i].addr, c->before->items[i].link))
            return true;
    return false;
}

bool addr_change_loses(const struct addr_change *c, const struct addr *a, int link)
{
    if (!has(c->before, a, 0))
        return false;
    return !has(c->now, a, 0) || (link != 0 && has(c->before, a, link) && !has(c->now, a, link));
}
