#include "access/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A client that has left is forgotten when its bucket is full again. This bounds the memory that many
 * addresses take meanwhile: about 100 bytes each. */
enum { CLIENTS_RESTING = 4096, SLOTS_MIN = 64 };

struct limits_capped {
    struct limits_capped *next;
    struct cap cap;
    char name[];
};

void limits_init(struct limits *l)
{
    *l = (struct limits){.n_slots = 0};
    list_init(&l->resting);
}

static size_t slot_of(const struct limits *l, const struct client_key *key)
{
    uint64_t hash = keyed_hash(&l->key, slice_of((const char *)key->bytes, sizeof key->bytes));

    return (size_t)hash & (l->n_slots - 1);
}

static void forget(struct limits *l, struct limits_client *c)
{
    struct limits_client **at = &l->slots[slot_of(l, &c->key)];

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    list_remove(&c->resting);
    l->n_resting--;
    l->n_known--;
    free(c);
}

void limits_done(struct limits *l)
{
    LIST_EACH(&l->resting, node, next)
        forget(l, container_of(node, struct limits_client, resting));
    assert(l->n_known == 0);
    free(l->slots);
    for (struct limits_capped *u = l->capped, *next; u; u = next) {
        next = u->next;
        free(u);
    }
    limits_init(l);
}

/* --- the limits ----------------------------------------------------------------------------------------- */

static void set_bucket(const struct limits *l, struct limits_client *c)
{
    bucket_set(&c->fresh, l->most.client_new, l->most.client_new * LIMITS_BURST_S);
    cap_set(&c->cap, l->most.client_rate);
}

static struct limits_capped *capped_of(const struct limits *l, const char *name)
{
    struct limits_capped *u = l->capped;

    while (u && strcmp(u->name, name) != 0)
        u = u->next;
    return u;
}

static void set_user(struct limits *l, const struct limits_user *user)
{
    struct limits_capped *u = capped_of(l, user->name);
    size_t size = strlen(user->name) + 1;

    if (!u) {
        u = calloc(1, sizeof *u + size);
        if (!u)
            return; /* without memory, the user has no cap */
        memcpy(u->name, user->name, size);
        u->next = l->capped;
        l->capped = u;
    }
    cap_set(&u->cap, user->rate);
}

struct cap *limits_cap_of(const struct limits *l, const char *user)
{
    struct limits_capped *u = user ? capped_of(l, user) : NULL;

    return u && cap_rate(&u->cap) > 0 ? &u->cap : NULL;
}

void limits_set(struct limits *l, const struct limits_settings *most)
{
    for (struct limits_capped *u = l->capped; u; u = u->next)
        cap_set(&u->cap, 0);
    for (size_t i = 0; i < most->n_users; i++)
        set_user(l, &most->users[i]);
    l->most = *most;
    l->most.users = NULL;
    for (size_t i = 0; i < l->n_slots; i++)
        for (struct limits_client *c = l->slots[i]; c; c = c->next)
            set_bucket(l, c);
}

size_t limits_most(const struct limits *l, enum limit which)
{
    switch (which) {
    case LIMIT_CLIENTS:
        return l->most.clients;
    case LIMIT_CONNECTIONS:
        return l->most.connections;
    case LIMIT_CLIENT_CONNECTIONS:
        return l->most.client_connections;
    case LIMIT_CLIENT_NEW:
        return l->most.client_new;
    case LIMIT_CLIENT_HANDSHAKES:
        return l->most.client_handshakes;
    case LIMIT_NONE:
    case N_LIMITS:
        break;
    }
    return 0;
}

const char *limits_name(enum limit which)
{
    static const char *const names[N_LIMITS] = {
        [LIMIT_NONE] = "none",
        [LIMIT_CLIENTS] = "max-clients",
        [LIMIT_CONNECTIONS] = "max-connections",
        [LIMIT_CLIENT_CONNECTIONS] = "client-connections",
        [LIMIT_CLIENT_NEW] = "client-new",
        [LIMIT_CLIENT_HANDSHAKES] = "client-handshakes",
    };

    return names[which];
}

/* --- clients -------------------------------------------------------------------------------------------- */

/* Have at least as many slots as clients. */
static bool grow(struct limits *l)
{
    size_t n = l->n_slots > 0 ? 2 * l->n_slots : SLOTS_MIN, n_before = l->n_slots;
    struct limits_client **before = l->slots, **slots = calloc(n, sizeof(struct limits_client *));

    if (!slots || (n_before == 0 && hash_key_make(&l->key) < 0)) {
        free(slots);
        return false;
    }
    l->slots = slots;
    l->n_slots = n;
    for (size_t i = 0; i < n_before; i++) {
        for (struct limits_client *c = before[i], *next; c; c = next) {
            struct limits_client **at = &l->slots[slot_of(l, &c->key)];
            next = c->next;
            c->next = *at;
            *at = c;
        }
    }
    free(before);
    return true;
}

static struct limits_client *find(const struct limits *l, const struct client_key *key)
{
    struct limits_client *c = l->n_slots > 0 ? l->slots[slot_of(l, key)] : NULL;

    while (c && memcmp(&c->key, key, sizeof *key) != 0)
        c = c->next;
    return c;
}

static struct limits_client *make(struct limits *l, const struct client_key *key)
{
    if (l->n_known == l->n_slots && !grow(l) && l->n_slots == 0)
        return NULL;
    struct limits_client *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    struct limits_client **at = &l->slots[slot_of(l, key)];
    *c = (struct limits_client){.key = *key, .next = *at};
    list_init(&c->resting);
    set_bucket(l, c);
    *at = c;
    l->n_known++;
    return c;
}

/* Those at the front have rested for longest. */
static void forget_some(struct limits *l, uint64_t now_ns)
{
    while (l->n_resting > 0) {
        struct limits_client *c = container_of(l->resting.next, struct limits_client, resting);
        if (c->fresh.full_at_ns > now_ns && l->n_resting <= CLIENTS_RESTING)
            return;
        forget(l, c);
    }
}

struct limits_client *limits_client(struct limits *l, const struct addr *at, uint64_t now_ns)
{
    const struct client_key key = client_key_of(at);
    struct limits_client *c = find(l, &key);

    if (c && c->refs == 0) {
        list_remove(&c->resting);
        l->n_resting--;
    }
    if (!c)
        c = make(l, &key);
    if (c)
        c->refs++;
    forget_some(l, now_ns);
    return c;
}

void limits_leave(struct limits *l, struct limits_client *c)
{
    if (!c)
        return;
    assert(c->refs > 0);
    if (--c->refs > 0)
        return;
    assert(c->connections == 0 && c->handshakes == 0);
    list_push_back(&l->resting, &c->resting);
    l->n_resting++;
}

/* --- counts --------------------------------------------------------------------------------------------- */

static bool reached(size_t most, size_t n)
{
    return most > 0 && n >= most;
}

static enum limit refuse(struct limits *l, enum limit which)
{
    l->refused[which]++;
    return which;
}

enum limit limits_begin_handshake(struct limits *l, struct limits_client *c)
{
    if (!c)
        return LIMIT_NONE;
    if (reached(l->most.client_handshakes, c->handshakes))
        return refuse(l, LIMIT_CLIENT_HANDSHAKES);
    c->handshakes++;
    return LIMIT_NONE;
}

void limits_end_handshake(struct limits_client *c)
{
    if (c)
        c->handshakes--;
}

/* The bucket comes last: who is refused for another reason takes nothing from it. */
enum limit limits_begin(struct limits *l, struct limits_client *c, uint64_t now_ns)
{
    if (!c)
        return LIMIT_NONE;
    if (reached(l->most.client_connections, c->connections))
        return refuse(l, LIMIT_CLIENT_CONNECTIONS);
    if (reached(l->most.connections, l->n_connections))
        return refuse(l, LIMIT_CONNECTIONS);
    if (c->connections == 0 && reached(l->most.clients, l->n_clients))
        return refuse(l, LIMIT_CLIENTS);
    if (!bucket_take(&c->fresh, now_ns))
        return refuse(l, LIMIT_CLIENT_NEW);
    l->n_connections++;
    l->n_clients += c->connections++ == 0;
    return LIMIT_NONE;
}

void limits_end(struct limits *l, struct limits_client *c)
{
    if (!c)
        return;
    l->n_connections--;
    l->n_clients -= --c->connections == 0;
}
