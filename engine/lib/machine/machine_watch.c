#include "machine/machine_watch.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <stddef.h>

/* One change causes several messages: a link goes up, gets addresses, and these stop being tentative. A
 * snapshot costs more than a message, so a storm of messages (containers, VPNs) is slowed to this pace. */
static const double SETTLE_S = 0.005, PACE_S = 0.05;
enum { MESSAGES_MAX = 64 }; /* read in one turn of the loop */

static void on_settled(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct machine_watch *w = container_of(timer, struct machine_watch, settle);

    (void)loop;
    (void)events;
    w->told_s = clock_now_s();
    w->changed(w);
}

/* The snapshot has what the messages say, so they are dropped, as are those that did not fit (ENOBUFS). */
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

/* Only default routes pass: a router may learn a million others. Our own routes would cause endless
 * snapshots. */
static int leave_out_routes(int fd)
{
    enum { TYPE = offsetof(struct nlmsghdr, nlmsg_type), ROUTE = sizeof(struct nlmsghdr) };
    /* BPF loads a field of more than one byte in network order. */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, TYPE),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_NEWROUTE), 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(RTM_DELROUTE), 0, 4),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ROUTE + offsetof(struct rtmsg, rtm_dst_len)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ROUTE + offsetof(struct rtmsg, rtm_protocol)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE_ROUTES_OWN, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    const struct sock_fprog program = {.len = ARRAY_LEN(code), .filter = code};

    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? -errno : 0;
}

/* If the kernel refuses the filter, changes of routes and rules are not watched. */
static unsigned groups_of(int fd)
{
    static const unsigned links = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
                          routes = RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_RULE |
                                   1U << (RTNLGRP_IPV6_RULE - 1);

    return leave_out_routes(fd) < 0 ? links : links | routes;
}

int machine_watch_start(struct machine_watch *w, struct ev_loop *loop, machine_changed_fn *changed)
{
    struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (!nl)
        return -errno;
    if (mnl_socket_bind(nl, groups_of(mnl_socket_get_fd(nl)), MNL_SOCKET_AUTOPID) < 0) {
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
