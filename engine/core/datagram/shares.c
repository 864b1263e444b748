#include "datagram/shares.h"

#include "base/compiler.h"
#include "net/client_key.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS_FIRST = 8, RANKS_FIRST = 4 };

/* --- the table ------------------------------------------------------------------------------------------ */

static void write_address_key(uint8_t key[SHARE_KEY_LEN], const struct addr *client)
{
    size_t len;
    const uint8_t *ip = addr_ip(client, &len);

    memset(key, 0, SHARE_KEY_LEN);
    key[0] = (uint8_t)len;
    memcpy(key + 1, ip, len);
}

static void write_network_key(uint8_t key[SHARE_KEY_LEN], const struct addr *client)
{
    const struct client_key network = client_key_of(client);

    memset(key, 0, SHARE_KEY_LEN); /* the first one tells it from an address */
    memcpy(key + 1, network.bytes, sizeof network.bytes);
}

static bool grow(struct shares *s)
{
    size_t n = s->n_buckets ? 2 * s->n_buckets : BUCKETS_FIRST;
    struct share **buckets = calloc(n, sizeof(struct share *));

    if (!buckets)
        return s->n_buckets > 0; /* slower, but it works */
    for (size_t i = 0; i < s->n_buckets; i++) {
        for (struct share *it = s->buckets[i], *next; it; it = next) {
            next = it->next;
            it->next = buckets[it->hash & (n - 1)];
            buckets[it->hash & (n - 1)] = it;
        }
    }
    free(s->buckets);
    s->buckets = buckets;
    s->n_buckets = n;
    return true;
}

static struct share *find(const struct shares *s, const uint8_t *key, uint64_t hash)
{
    struct share *it = s->n_buckets > 0 ? s->buckets[hash & (s->n_buckets - 1)] : NULL;

    while (it && !(it->hash == hash && memcmp(it->key, key, SHARE_KEY_LEN) == 0))
        it = it->next;
    return it;
}

static struct share *find_or_make(struct shares *s, struct share *up, const uint8_t *key)
{
    uint64_t hash = keyed_hash(&s->key, slice_of((const char *)key, SHARE_KEY_LEN));
    struct share *it = find(s, key, hash);

    if (it || (s->n >= s->n_buckets && !grow(s)))
        return it;
    it = calloc(1, sizeof *it);
    if (!it)
        return NULL;
    it->up = up;
    it->hash = hash;
    memcpy(it->key, key, SHARE_KEY_LEN);
    list_init(&it->node);
    list_init(&it->flows);
    struct share **bucket = &s->buckets[hash & (s->n_buckets - 1)];
    it->next = *bucket;
    *bucket = it;
    s->n++;
    return it;
}

/* Free those without flows, from an address up. */
static void rest(struct shares *s, struct share *it)
{
    while (it->up && it->n == 0) {
        struct share **at = &s->buckets[it->hash & (s->n_buckets - 1)], *up = it->up;
        while (*at != it)
            at = &(*at)->next;
        *at = it->next;
        s->n--;
        free(it->ranks);
        free(it);
        it = up;
    }
}

/* --- ranks ---------------------------------------------------------------------------------------------- */

/* @return false without memory */
static bool ranks_reach(struct share *up, size_t n)
{
    size_t size = up->n_ranks ? up->n_ranks : RANKS_FIRST;

    while (size <= n)
        size *= 2;
    if (size == up->n_ranks)
        return true;
    struct list *ranks = malloc(size * sizeof *ranks);
    if (!ranks)
        return false;
    for (size_t i = 0; i < size; i++) {
        list_init(&ranks[i]);
        if (i >= up->n_ranks || list_is_empty(&up->ranks[i]))
            continue;
        ranks[i] = up->ranks[i];
        ranks[i].next->prev = ranks[i].prev->next = &ranks[i];
    }
    free(up->ranks);
    up->ranks = ranks;
    up->n_ranks = size;
    return true;
}

/* It has one settled flow more or less, or was used. */
static void rank(struct share *it)
{
    struct share *up = it->up;

    list_remove(&it->node);
    if (it->n_settled > 0)
        list_push_back(&up->ranks[it->n_settled], &it->node);
    if (it->n_settled > up->most)
        up->most = it->n_settled;
    else if (up->most > 0 && list_is_empty(&up->ranks[up->most]))
        up->most--; /* there it is itself, or nothing is settled */
}

/* --- flows ---------------------------------------------------------------------------------------------- */

void shares_init(struct shares *s, const struct hash_key *key)
{
    *s = (struct shares){.key = *key};
}

void shares_done(struct shares *s)
{
    free(s->buckets);
    free(s->all.ranks);
    *s = (struct shares){.n = 0};
}

struct share *shares_enter(struct shares *s, const struct addr *client)
{
    uint8_t key[SHARE_KEY_LEN];

    write_network_key(key, client);
    struct share *network = find_or_make(s, &s->all, key);
    if (!network)
        return NULL;
    write_address_key(key, client);
    struct share *mine = find_or_make(s, network, key);
    if (!mine || !ranks_reach(network, mine->n + 1) || !ranks_reach(&s->all, network->n + 1)) {
        rest(s, mine ? mine : network);
        return NULL;
    }
    for (struct share *it = mine; it; it = it->up)
        it->n++;
    return mine;
}

void shares_leave(struct shares *s, struct share *mine)
{
    for (struct share *it = mine; it; it = it->up)
        it->n--;
    rest(s, mine);
}

void share_settle(struct share *mine, struct list *flow)
{
    list_push_back(&mine->flows, flow);
    for (struct share *it = mine; it; it = it->up) {
        it->n_settled++;
        if (it->up)
            rank(it);
    }
}

void share_unsettle(struct share *mine, struct list *flow)
{
    list_remove(flow);
    for (struct share *it = mine; it; it = it->up) {
        it->n_settled--;
        if (it->up)
            rank(it);
    }
}

void share_touch(struct share *mine, struct list *flow)
{
    list_remove(flow);
    list_push_back(&mine->flows, flow);
    for (struct share *it = mine; it->up; it = it->up)
        rank(it);
}

/* --- limits --------------------------------------------------------------------------------------------- */

static bool is_fair(size_t of_address, size_t of_network, size_t of_all, size_t max)
{
    return of_all <= max && of_network <= max - of_all && of_address <= (max - of_all) / 2;
}

static size_t waiting(const struct share *it)
{
    return it->n - it->n_settled;
}

bool share_may_wait(const struct share *mine, size_t max)
{
    return is_fair(waiting(mine), waiting(mine->up), waiting(mine->up->up), max);
}

bool share_may_queue(const struct share *mine, size_t bytes, size_t max)
{
    return is_fair(mine->queued + bytes, mine->up->queued + bytes, mine->up->up->queued + bytes, max);
}

void share_queue(struct share *mine, size_t bytes)
{
    for (struct share *it = mine; it; it = it->up)
        it->queued += bytes;
}

void share_unqueue(struct share *mine, size_t bytes)
{
    for (struct share *it = mine; it; it = it->up)
        it->queued -= bytes;
}

/* --- making room ---------------------------------------------------------------------------------------- */

/* Of those below `up`: the one with the most settled flows, unless its own client has more. */
static const struct share *largest(const struct share *up, const struct share *own)
{
    if (up->most == 0 || (own && up->most < own->n))
        return own;
    return container_of(up->ranks[up->most].next, struct share, node);
}

struct list *shares_choose(const struct shares *s, const struct share *mine, bool *ret_owed)
{
    const struct share *network = largest(&s->all, mine->up);
    bool near = network == mine->up;
    const struct share *it = largest(network, near ? mine : NULL);

    /* Both would have as many afterwards, or the other one still more. */
    *ret_owed = near ? it->n_settled > mine->n : network->n_settled > mine->up->n;
    return list_is_empty(&it->flows) ? NULL : it->flows.next;
}
