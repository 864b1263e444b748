#include "relay/mailbox.h"

#include "base/compiler.h"

static void on_wake(struct ev_loop *loop, ev_async *w, int events)
{
    (void)loop;
    (void)events;
    mailbox_empty(container_of(w, struct mailbox, wake));
}

void mailbox_init(struct mailbox *m, struct ev_loop *loop, mailbox_read_fn *read)
{
    m->loop = loop;
    m->read = read;
    atomic_init(&m->top, NULL);
    ev_async_init(&m->wake, on_wake);
    ev_async_start(loop, &m->wake);
    ev_unref(loop);
}

void mailbox_done(struct mailbox *m)
{
    if (!m->loop)
        return;
    ev_ref(m->loop);
    ev_async_stop(m->loop, &m->wake);
    m->loop = NULL;
}

void mailbox_send(struct mailbox *m, struct message *l, unsigned bits)
{
    if (atomic_fetch_or(&l->bits, bits) != 0)
        return;
    struct message *top = atomic_load(&m->top);
    do {
        l->next = top;
    } while (!atomic_compare_exchange_weak(&m->top, &top, l));
    ev_async_send(m->loop, &m->wake);
}

bool message_seal(struct message *l, unsigned bits)
{
    return atomic_fetch_or(&l->bits, bits) == 0;
}

/* The stack has the latest message on top. */
static struct message *oldest_first(struct message *top)
{
    struct message *first = NULL;

    while (top) {
        struct message *next = top->next;
        top->next = first;
        first = top;
        top = next;
    }
    return first;
}

void mailbox_empty(struct mailbox *m)
{
    struct message *l = oldest_first(atomic_exchange(&m->top, NULL)), *next;

    for (; l; l = next) {
        next = l->next; /* once its bits are taken, it may be sent again */
        m->read(m, l, atomic_exchange(&l->bits, 0));
    }
}
