#include "udp/udp_index.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS_FIRST = 8 };

/* Scopes do not count, as one of them may be unknown (addr_same_end). */
static uint64_t hash_of(const struct udp_index *x, const void *of, const struct addr *end)
{
    char data[16 + sizeof(uint16_t) + sizeof of];
    size_t len;
    const uint8_t *ip = addr_ip(end, &len);
    uint16_t port = addr_port(end);

    memcpy(data, ip, len);
    memcpy(data + len, &port, sizeof port);
    memcpy(data + len + sizeof port, &of, sizeof of);
    return keyed_hash(&x->key, slice_of(data, len + sizeof port + sizeof of));
}

static bool grow(struct udp_index *x)
{
    size_t n = x->n_buckets ? 2 * x->n_buckets : BUCKETS_FIRST;
    struct udp_index_entry **buckets = calloc(n, sizeof(struct udp_index_entry *));

    if (!buckets)
        return x->n_buckets > 0; /* slower, but it works */
    for (size_t i = 0; i < x->n_buckets; i++) {
        for (struct udp_index_entry *e = x->buckets[i], *next; e; e = next) {
            next = e->next;
            e->next = buckets[e->hash & (n - 1)];
            buckets[e->hash & (n - 1)] = e;
        }
    }
    free(x->buckets);
    x->buckets = buckets;
    x->n_buckets = n;
    return true;
}

void udp_index_done(struct udp_index *x)
{
    free(x->buckets);
    x->buckets = NULL;
    x->n_buckets = x->n = 0;
}

bool udp_index_put(struct udp_index *x, struct udp_index_entry *e, const void *of, const struct addr *end)
{
    if (x->n >= x->n_buckets && !grow(x))
        return false;
    *e = (struct udp_index_entry){.of = of, .end = *end, .hash = hash_of(x, of, end), .present = true};
    struct udp_index_entry **bucket = &x->buckets[e->hash & (x->n_buckets - 1)];
    e->next = *bucket;
    *bucket = e;
    x->n++;
    return true;
}

void udp_index_remove(struct udp_index *x, struct udp_index_entry *e)
{
    if (!e->present)
        return;
    struct udp_index_entry **at = &x->buckets[e->hash & (x->n_buckets - 1)];
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    e->present = false;
    x->n--;
}

struct udp_index_entry *udp_index_find(const struct udp_index *x, const void *of, const struct addr *end)
{
    uint64_t hash = hash_of(x, of, end);
    struct udp_index_entry *e = x->n_buckets > 0 ? x->buckets[hash & (x->n_buckets - 1)] : NULL;

    while (e && !(e->hash == hash && e->of == of && addr_same_end(&e->end, end)))
        e = e->next;
    return e;
}
