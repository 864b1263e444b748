#include "datagram/contacts.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS_FIRST = 8 };

bool udp_filter_parse(const char *word, enum udp_filter *ret)
{
    static const char *const words[] = {[UDP_FILTER_ENDPOINT] = "endpoint",
                                        [UDP_FILTER_ADDRESS] = "address",
                                        [UDP_FILTER_ADDRESS_PORT] = "address-port"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(word, words[i]) != 0)
            continue;
        *ret = (enum udp_filter)i;
        return true;
    }
    return false;
}

static bool same(const struct contacts *c, const struct addr *a, const struct addr *b)
{
    return addr_same_ip(a, b) && (c->filter != UDP_FILTER_ADDRESS_PORT || addr_port(a) == addr_port(b));
}

static struct contact **bucket_of(const struct contacts *c, const struct addr *at)
{
    size_t len;
    const uint8_t *ip = addr_ip(at, &len);
    char data[18];
    uint16_t port = c->filter == UDP_FILTER_ADDRESS_PORT ? addr_port(at) : 0;

    memcpy(data, ip, len);
    memcpy(data + len, &port, sizeof port);
    return &c->buckets[keyed_hash(&c->key, slice_of(data, len + sizeof port)) & (c->n_buckets - 1)];
}

static bool grow(struct contacts *c)
{
    struct contacts bigger = *c;

    bigger.n_buckets = c->n_buckets ? 2 * c->n_buckets : BUCKETS_FIRST;
    bigger.buckets = calloc(bigger.n_buckets, sizeof(struct contact *));
    if (!bigger.buckets)
        return c->n_buckets > 0; /* slower, but it works */
    for (size_t i = 0; i < c->n_buckets; i++) {
        for (struct contact *it = c->buckets[i], *next; it; it = next) {
            next = it->next;
            struct contact **to = bucket_of(&bigger, &it->at);
            it->next = *to;
            *to = it;
        }
    }
    free(c->buckets);
    *c = bigger;
    return true;
}

void contacts_done(struct contacts *c)
{
    for (size_t i = 0; i < c->n_buckets; i++) {
        for (struct contact *it = c->buckets[i], *next; it; it = next) {
            next = it->next;
            free(it);
        }
    }
    free(c->buckets);
    c->buckets = NULL;
    c->latest = NULL;
    c->n_buckets = c->n = 0;
}

struct contact *contacts_find(struct contacts *c, const struct addr *at)
{
    if (c->latest && same(c, &c->latest->at, at))
        return c->latest;
    if (c->n_buckets == 0)
        return NULL;
    for (struct contact *it = *bucket_of(c, at); it; it = it->next)
        if (same(c, &it->at, at))
            return c->latest = it;
    return NULL;
}

struct contact *contacts_hold(struct contacts *c, const struct addr *at)
{
    struct contact *it = contacts_find(c, at);

    if (it) {
        it->holders++;
        return it;
    }
    if (c->n >= c->n_buckets && !grow(c))
        return NULL;
    it = malloc(sizeof *it);
    if (!it)
        return NULL;
    struct contact **to = bucket_of(c, at);
    *it = (struct contact){.next = *to, .at = *at, .holders = 1};
    *to = it;
    c->n++;
    return it;
}

void contacts_release(struct contacts *c, struct contact *held)
{
    if (!held || --held->holders > 0)
        return;
    struct contact **at = bucket_of(c, &held->at);
    while (*at != held)
        at = &(*at)->next;
    *at = held->next;
    if (c->latest == held)
        c->latest = NULL;
    c->n--;
    free(held);
}
