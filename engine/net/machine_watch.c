#include "net/machine_watch.h"

#include "base/clock.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

/* One change comes as several messages: a link that is set up, its addresses, their end of being tentative. A
 * look at the machine costs more than a message, so a storm of them (containers, VPNs) is met at this pace.
 */
static const double SETTLE_S = 0.005, PACE_S = 0.05;
enum { MESSAGES_MAX = 64 }; /* read in a turn of the loop */

static void on_settled(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct machine_watch *w = container_of(timer, struct machine_watch, settle);

    (void)loop;
    (void)events;
    w->told_s = clock_now_s();
    w->changed(w);
}

/* What the messages say is looked up, so they are thrown away; so are those that did not fit (ENOBUFS). */
static void on_message(struct ev_loop *loop, ev_io *io, int events)
{
    struct machine_watch *w = container_of(io, struct machine_watch, io);
    _Alignas(struct nlmsghdr) char message[8192];

    (void)events;
    for (int i = 0; i < MESSAGES_MAX; i++)
        if (mnl_socket_recvfrom(w->nl, message, sizeof message) < 0 && errno != ENOBUFS && errno != ENOSPC)
            break;
    if (ev_is_active(&w->settle))
        return;
    double rest = w->told_s + PACE_S - clock_now_s();
    ev_timer_set(&w->settle, rest > SETTLE_S ? rest : SETTLE_S, 0.);
    ev_timer_start(loop, &w->settle);
}

int machine_watch_start(struct machine_watch *w, struct ev_loop *loop, machine_changed_fn *changed)
{
    static const unsigned groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
    struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (!nl)
        return -errno;
    if (mnl_socket_bind(nl, groups, MNL_SOCKET_AUTOPID) < 0) {
        int r = -errno;
        (void)mnl_socket_close(nl);
        return r;
    }
    *w = (struct machine_watch){.loop = loop, .nl = nl, .changed = changed};
    ev_timer_init(&w->settle, on_settled, 0., 0.);
    ev_io_init(&w->io, on_message, mnl_socket_get_fd(nl), EV_READ);
    ev_io_start(loop, &w->io);
    return 0;
}

void machine_watch_stop(struct machine_watch *w)
{
    if (!w->loop)
        return;
    ev_io_stop(w->loop, &w->io);
    ev_timer_stop(w->loop, &w->settle);
    (void)mnl_socket_close(w->nl);
    w->loop = NULL;
}
