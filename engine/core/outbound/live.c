#include "outbound/live.h"

#include "outbound/outbound.h"

static void prepare(struct live *l)
{
    if (l->accounts.next)
        return;
    list_init(&l->accounts);
    list_init(&l->walks);
}

void live_add(struct live *l, struct outbound *o)
{
    prepare(l);
    l->last_id = o->id;
    list_push_back(&l->accounts, &o->node);
}

void live_remove(struct live *l, struct outbound *o)
{
    LIST_EACH(&l->walks, node, next) {
        struct live_walk *w = container_of(node, struct live_walk, node);
        if (w->next == &o->node)
            w->next = o->node.next;
    }
    list_remove(&o->node);
}

void live_walk_begin(struct live_walk *w, struct live *l)
{
    prepare(l);
    *w = (struct live_walk){.live = l, .next = l->accounts.next, .last_id = l->last_id};
    list_push_back(&l->walks, &w->node);
}

struct outbound *live_walk_next(struct live_walk *w)
{
    if (!w->live)
        return NULL;
    struct outbound *o = container_of(w->next, struct outbound, node);
    /* Accounts that were opened since are left out, or a walk under load would not end. */
    if (w->next == &w->live->accounts || o->id > w->last_id) {
        live_walk_end(w);
        return NULL;
    }
    w->next = o->node.next;
    return o;
}

void live_walk_end(struct live_walk *w)
{
    if (!w->live)
        return;
    list_remove(&w->node);
    w->live = NULL;
}
