#include "dns/dns_turns.h"

#include "net/client_key.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A client while one of its names is asked for or waits. */
struct dns_asker {
    struct list chain, queue;
    struct list waiting;
    unsigned asked, refs;
    struct client_key key;
};

/* FNV-1a. It needs no secret, as the number of clients here is bounded by that of names. */
static unsigned hash_of(const struct client_key *key)
{
    uint32_t h = 0x811c9dc5;

    for (size_t i = 0; i < CLIENT_KEY_LEN; i++)
        h = (h ^ key->bytes[i]) * 0x01000193;
    return (h ^ h >> 16) & 0xff;
}

static struct dns_asker *asker_of(struct dns_turns *t, const struct addr *client)
{
    const struct client_key key = client_key_of(client);
    struct list *chain = &t->askers[hash_of(&key)];

    LIST_EACH(chain, it, tmp) {
        struct dns_asker *known = container_of(it, struct dns_asker, chain);
        if (memcmp(&known->key, &key, sizeof key) == 0)
            return known;
    }
    struct dns_asker *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->key = key;
    list_init(&a->queue);
    list_init(&a->waiting);
    list_push_back(chain, &a->chain);
    return a;
}

static void asker_unref(struct dns_asker *a)
{
    if (--a->refs > 0)
        return;
    list_remove(&a->chain);
    list_remove(&a->queue);
    free(a);
}

void dns_turns_init(struct dns_turns *t)
{
    *t = (struct dns_turns){.asked = 0};
    for (size_t i = 0; i < ARRAY_LEN(t->askers); i++)
        list_init(&t->askers[i]);
    list_init(&t->queue);
}

static void grant(struct dns_turns *t, struct dns_turn *turn)
{
    turn->waits = false;
    turn->asker->asked++;
    t->asked++;
}

int dns_turns_take(struct dns_turns *t, struct dns_turn *turn, const struct addr *client, dns_turn_fn *come)
{
    *turn = (struct dns_turn){.come = come};
    list_init(&turn->node);
    if (!client)
        return 1;
    if (t->waiting == DNS_TURNS_WAITING_MAX)
        return -EBUSY;
    struct dns_asker *a = asker_of(t, client);
    if (!a)
        return -ENOMEM;
    a->refs++;
    turn->asker = a;
    if (t->asked < DNS_TURNS_MAX && a->asked < DNS_TURNS_CLIENT_MAX && list_is_empty(&a->waiting)) {
        grant(t, turn);
        return 1;
    }
    turn->waits = true;
    t->waiting++;
    list_push_back(&a->waiting, &turn->node);
    if (list_is_empty(&a->queue))
        list_push_back(&t->queue, &a->queue);
    return 0;
}

/* The next client in the queue that may have another turn, which moves to the end of the queue. @return NULL
 * for none */
static struct dns_turn *next_turn(struct dns_turns *t)
{
    if (t->asked >= DNS_TURNS_MAX)
        return NULL;
    LIST_EACH(&t->queue, it, tmp) {
        struct dns_asker *a = container_of(it, struct dns_asker, queue);
        if (a->asked >= DNS_TURNS_CLIENT_MAX)
            continue;
        struct dns_turn *turn = container_of(a->waiting.next, struct dns_turn, node);
        list_remove(&turn->node);
        list_remove(&a->queue);
        if (!list_is_empty(&a->waiting))
            list_push_back(&t->queue, &a->queue);
        t->waiting--;
        return turn;
    }
    return NULL;
}

static void grant_others(struct dns_turns *t)
{
    struct dns_turn *turn;

    if (t->granting) /* a callback gave its turn back at once: the loop below continues */
        return;
    t->granting = true;
    while ((turn = next_turn(t))) {
        grant(t, turn);
        turn->come(turn);
    }
    t->granting = false;
}

void dns_turns_give_back(struct dns_turns *t, struct dns_turn *turn)
{
    struct dns_asker *a = turn->asker;

    if (!a)
        return;
    turn->asker = NULL;
    if (turn->waits) {
        turn->waits = false;
        list_remove(&turn->node);
        if (list_is_empty(&a->waiting))
            list_remove(&a->queue);
        t->waiting--;
    } else {
        a->asked--;
        t->asked--;
    }
    asker_unref(a);
    grant_others(t);
}
