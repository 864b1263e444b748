#include "relay/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* Relays keep no large objects on the stack. */
enum { STACK_SIZE = 256 * 1024 };

static struct worker *worker_of(const struct relay *r)
{
    return container_of(r->room, struct worker, room);
}

/* Report the end of a tunnel, which the main thread may then free at once. An order may still be under
 * way, and its message lies in the tunnel. In that case on_order reads it first, and calls this again. */
static void let_go(struct worker *h, struct tunnel *t)
{
    if (message_seal(&t->order, ORDER_NO_MORE))
        mailbox_send(h->news, &t->news, NEWS_ENDED);
}

static void on_done(struct relay *r, enum relay_end end)
{
    struct tunnel *t = container_of(r, struct tunnel, relay);

    t->end = end;
    list_remove(&t->node);
    let_go(worker_of(r), t);
}

static void on_woke(struct relay *r)
{
    struct tunnel *t = container_of(r, struct tunnel, relay);

    mailbox_send(worker_of(r)->news, &t->news, NEWS_WOKE);
}

static const struct relay_events EVENTS = {.done = on_done, .woke = on_woke};

static void on_order(struct mailbox *m, struct message *l, unsigned bits)
{
    struct worker *h = container_of(m, struct worker, orders);
    struct tunnel *t = container_of(l, struct tunnel, order);

    if (bits & ORDER_NO_MORE)
        return let_go(h, t);
    if (bits & ORDER_CARRY) {
        list_push_back(&h->tunnels, &t->node);
        relay_join(&t->relay, &h->room);
    }
    if (bits & ORDER_CUT)
        relay_cut(&t->relay);
    else if (bits & ORDER_STOP)
        relay_stop(&t->relay);
}

static void on_quit(struct ev_loop *loop, ev_async *w, int events)
{
    struct worker *h = container_of(w, struct worker, quit);

    (void)events;
    mailbox_empty(&h->orders);
    LIST_EACH(&h->tunnels, node, next)
        relay_stop(&container_of(node, struct tunnel, node)->relay);
    mailbox_empty(&h->orders); /* these are orders for tunnels that have ended */
    ev_break(loop, EVBREAK_ALL);
}

static void *run(void *arg)
{
    struct worker *h = arg;

    ev_run(h->room.loop, 0);
    return NULL;
}

static int start_thread(struct worker *h, unsigned number)
{
    pthread_attr_t attr;
    sigset_t all, before;
    char name[16];

    if (pthread_attr_init(&attr) != 0)
        return -ENOMEM;
    (void)pthread_attr_setstacksize(&attr, STACK_SIZE);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&h->thread, &attr, run, h);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    (void)snprintf(name, sizeof name, "relay %u", number);
    if (err == 0)
        (void)pthread_setname_np(h->thread, name);
    return -err;
}

void worker_free(struct worker *h)
{
    struct ev_loop *loop = h->room.loop;

    mailbox_done(&h->orders);
    ev_async_stop(loop, &h->quit);
    relay_room_done(&h->room);
    ev_loop_destroy(loop);
    free(h);
}

int worker_start(struct worker **ret, unsigned number, const struct relay_room *like, struct mailbox *news,
                 struct workers_guest *guest)
{
    struct worker *h = calloc(1, sizeof *h);
    /* The same flags as the main loop; LIBEV_FLAGS is ignored. */
    struct ev_loop *loop = h ? ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV) : NULL;

    if (!loop) {
        free(h);
        return -ENOMEM;
    }
    relay_room_init(&h->room, loop, like->idle_s, &EVENTS);
    h->room.ack_s = like->ack_s;
    h->news = news;
    list_init(&h->tunnels);
    mailbox_init(&h->orders, loop, on_order);
    ev_async_init(&h->quit, on_quit);
    ev_async_start(loop, &h->quit); /* keeps the loop running */
    int err = guest ? guest->joins(guest, loop) : 0;
    if (err == 0) {
        err = start_thread(h, number);
        if (err < 0 && guest)
            guest->leaves(guest);
    }
    if (err < 0) {
        worker_free(h);
        return err;
    }
    *ret = h;
    return 0;
}

void worker_set_times(struct worker *h, double idle_s, double ack_s)
{
    relay_room_set_times(&h->room, idle_s, ack_s);
}

void worker_stop(struct worker *h)
{
    ev_async_send(h->room.loop, &h->quit);
    (void)pthread_join(h->thread, NULL);
}

void worker_carry(struct worker *h, struct tunnel *t)
{
    mailbox_send(&h->orders, &t->order, ORDER_CARRY);
}

void worker_order(struct worker *h, struct tunnel *t, enum worker_order order)
{
    mailbox_send(&h->orders, &t->order, order);
}
