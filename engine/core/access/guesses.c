#include "access/guesses.h"

#include "net/client_key.h"

#include <stdlib.h>
#include <string.h>

/* Room for 4,096 guessing addresses, and for 16,384 pairs of user and address. That is 256 KiB, of which
 * only used pages take memory. */
enum { WAYS = 4, ADDRESS_SETS = 1024, USER_SETS = 4096 };
/* One guess is forgiven after this time. */
static const double FORGIVEN_S = 6;
/* After its last guess, an address counts as guessing for at most another minute. */
static const double WRONG_MAX = 2 * GUESSES_FREE;
static const double WAIT_S = 1, WAIT_MAX_S = 10;

struct guesser {
    uint64_t hash;        /* of the address; 0: free */
    double wrong, seen_s; /* wrong passwords that were not forgiven at seen_s */
    double next_s;        /* earliest time of the next check */
};

struct guess_tables {
    struct guesser addresses[ADDRESS_SETS][WAYS];
    uint64_t users[USER_SETS][WAYS]; /* the latest first */
};

void guesses_done(struct guesses *g)
{
    free(g->tables);
    *g = (struct guesses){.tables = NULL};
}

/* Without memory or a key, logins are not limited. */
static bool is_ready(struct guesses *g)
{
    if (!g->tables && hash_key_make(&g->key) == 0)
        g->tables = calloc(1, sizeof *g->tables);
    return g->tables != NULL;
}

static uint64_t hash_of(const struct guesses *g, const struct addr *client, struct slice user)
{
    const struct client_key key = client_key_of(client);
    uint64_t address = keyed_hash(&g->key, slice_of((const char *)key.bytes, sizeof key.bytes));
    const struct hash_key of_address = {.k0 = g->key.k0 ^ address, .k1 = g->key.k1};

    return (user.len > 0 ? keyed_hash(&of_address, user) : address) | 1;
}

/* --- addresses ------------------------------------------------------------------------------------------ */

static const struct slice NOBODY = {.data = "", .len = 0};

/* @return NULL for an address without recent guesses */
static struct guesser *find_guesser(struct guesses *g, uint64_t hash)
{
    struct guesser *set = g->tables->addresses[hash / 2 % ADDRESS_SETS];

    for (size_t i = 0; i < WAYS; i++)
        if (set[i].hash == hash)
            return &set[i];
    return NULL;
}

static struct guesser *make(struct guesses *g, uint64_t hash)
{
    struct guesser *set = g->tables->addresses[hash / 2 % ADDRESS_SETS], *oldest = set;

    for (size_t i = 0; i < WAYS; i++)
        if (set[i].seen_s < oldest->seen_s)
            oldest = &set[i];
    *oldest = (struct guesser){.hash = hash};
    return oldest;
}

static double wrong_at(const struct guesser *a, double now_s)
{
    double left = a->wrong - (now_s - a->seen_s) / FORGIVEN_S;

    return left > 0 ? left : 0;
}

static bool is_guesser(const struct guesser *a, double now_s)
{
    return wrong_at(a, now_s) > GUESSES_FREE - 1;
}

bool guesses_note_wrong(struct guesses *g, const struct addr *client, double now_s)
{
    if (!is_ready(g))
        return false;
    uint64_t hash = hash_of(g, client, NOBODY);
    struct guesser *a = find_guesser(g, hash);
    if (!a)
        a = make(g, hash);
    bool before = is_guesser(a, now_s);
    double wrong = wrong_at(a, now_s) + 1;
    a->wrong = wrong < WRONG_MAX ? wrong : WRONG_MAX;
    a->seen_s = now_s;
    return !before && is_guesser(a, now_s);
}

/* --- users ---------------------------------------------------------------------------------------------- */

static bool knows_user(const struct guesses *g, uint64_t hash)
{
    const uint64_t *set = g->tables->users[hash / 2 % USER_SETS];

    for (size_t i = 0; i < WAYS; i++)
        if (set[i] == hash)
            return true;
    return false;
}

bool guesses_know(const struct guesses *g, const struct addr *client, struct slice user)
{
    return g->tables && knows_user(g, hash_of(g, client, user));
}

void guesses_note_right(struct guesses *g, const struct addr *client, struct slice user)
{
    if (!is_ready(g))
        return;
    uint64_t hash = hash_of(g, client, user);
    if (knows_user(g, hash))
        return;
    uint64_t *set = g->tables->users[hash / 2 % USER_SETS];
    memmove(set + 1, set, (WAYS - 1) * sizeof *set);
    set[0] = hash;
}

/* --- turns ---------------------------------------------------------------------------------------------- */

double guesses_wait(struct guesses *g, const struct addr *client, double now_s)
{
    struct guesser *a = g->tables ? find_guesser(g, hash_of(g, client, NOBODY)) : NULL;

    if (!a || !is_guesser(a, now_s))
        return 0;
    double at = a->next_s > now_s + WAIT_S ? a->next_s : now_s + WAIT_S;
    if (at > now_s + WAIT_MAX_S)
        return -1;
    a->next_s = at + 1. / GUESSES_PER_SECOND;
    return at - now_s;
}
