#include "dns/dns_cache.h"

#include "base/list.h"
#include "dns/dns_name.h"

#include <errno.h>
#include <string.h>

struct entry {
    struct list chain; /* in its bucket */
    struct list age;   /* least recently used first */
    struct dns_answer *answer;
    double until;
    uint64_t hash;
    size_t len;
    char name[];
};

struct dns_cache {
    struct list *buckets; /* their number is a power of two */
    size_t mask, capacity, count;
    struct list age;
};

int dns_cache_new(struct dns_cache **ret, size_t capacity)
{
    struct dns_cache *c = calloc(1, sizeof *c);
    size_t n = 16;

    while (n < capacity)
        n *= 2;
    if (c)
        c->buckets = calloc(n, sizeof *c->buckets);
    if (!c || !c->buckets) {
        free(c);
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        list_init(&c->buckets[i]);
    c->mask = n - 1;
    c->capacity = capacity;
    list_init(&c->age);
    *ret = c;
    return 0;
}

static void drop(struct dns_cache *c, struct entry *e)
{
    list_remove(&e->chain);
    list_remove(&e->age);
    dns_answer_unref(e->answer);
    free(e);
    c->count--;
}

void dns_cache_clear(struct dns_cache *c)
{
    LIST_EACH(&c->age, it, tmp) {
        drop(c, container_of(it, struct entry, age));
    }
}

void dns_cache_free(struct dns_cache *c)
{
    if (!c)
        return;
    dns_cache_clear(c);
    free(c->buckets);
    free(c);
}

static struct entry *find_entry(struct dns_cache *c, struct slice name, uint64_t hash)
{
    LIST_EACH(&c->buckets[hash & c->mask], it, tmp) {
        struct entry *e = container_of(it, struct entry, chain);
        if (e->hash == hash && slice_ieq(slice_of(e->name, e->len), name))
            return e;
    }
    return NULL;
}

struct dns_answer *dns_cache_find(struct dns_cache *c, struct slice name, double now)
{
    struct entry *e = find_entry(c, name, dns_name_hash(name));

    if (!e)
        return NULL;
    if (now >= e->until) {
        drop(c, e);
        return NULL;
    }
    list_remove(&e->age);
    list_push_back(&c->age, &e->age);
    return e->answer;
}

void dns_cache_put(struct dns_cache *c, struct slice name, struct dns_answer *a, double now)
{
    uint64_t hash = dns_name_hash(name);
    struct entry *e = find_entry(c, name, hash);

    if (e)
        drop(c, e);
    if (!(a->ttl_s > 0))
        return;
    e = malloc(sizeof *e + name.len);
    if (!e)
        return;
    if (c->count == c->capacity)
        drop(c, container_of(c->age.next, struct entry, age));
    *e = (struct entry){.answer = dns_answer_ref(a), .until = now + a->ttl_s, .hash = hash, .len = name.len};
    memcpy(e->name, name.data, name.len);
    list_push_back(&c->buckets[hash & c->mask], &e->chain);
    list_push_back(&c->age, &e->age);
    c->count++;
}

size_t dns_cache_count(const struct dns_cache *c)
{
    return c->count;
}
