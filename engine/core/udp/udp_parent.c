/* Mappings whose uplink is a SOCKS5 parent proxy: a connection to it holds an association, which lives as
 * long as the mapping. */
#include "udp/udp_state.h"

#include "net/keepalive.h"
#include "parent/parent.h"
#include "uplink/uplink.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct udp_parent {
    struct udp_way *way;
    struct parent *talk; /* while it is asked; else NULL */
    ev_io control;       /* fd -1: no association */
};

bool udp_parent_is_awaited(const struct udp_way *w)
{
    return w->parent && w->parent->talk;
}

static void end_talk(struct udp_parent *p)
{
    if (p->talk)
        parent_cancel(p->talk);
    free(p->talk);
    p->talk = NULL;
}

/* By a reset: after a FIN, a proxy may keep the association for a while, as this one does. */
static void hang_up(int fd)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    (void)close(fd);
}

void udp_parent_free(struct udp_way *w)
{
    struct udp_parent *p = w->parent;

    if (!p)
        return;
    end_talk(p);
    if (p->control.fd >= 0) {
        ev_io_stop(w->port->udp->loop, &p->control);
        hang_up(p->control.fd);
    }
    free(p);
    w->parent = NULL;
}

/* --- the association ------------------------------------------------------------------------------------ */

/* The proxy ends the association by ending the connection. It has nothing to say by it. */
static void on_control(struct ev_loop *loop, ev_io *io, int events)
{
    struct udp_parent *p = container_of(io, struct udp_parent, control);
    char data[512];
    ssize_t n = recv(io->fd, data, sizeof data, 0);

    (void)events;
    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
        return;
    ev_io_stop(loop, io);
    udp_way_end(p->way, "parent-closed"); /* p may be freed by now */
}

static bool is_unspecified(const struct parent_relay *r)
{
    static const uint8_t zeroes[sizeof r->ip];

    return memcmp(r->ip, zeroes, r->ip_len) == 0;
}

/* A relay on loopback serves only clients of its own machine. Datagrams to it would reach this machine. */
static bool relay_of(const struct parent *talk, int fd, struct addr *ret)
{
    const struct parent_relay *r = &talk->talk.relay;
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    struct addr peer;

    if (getpeername(fd, (struct sockaddr *)&sa, &len) < 0 ||
        addr_from_sockaddr(&peer, (struct sockaddr *)&sa, len) < 0)
        return false;
    if (is_unspecified(r)) {
        *ret = peer;
        addr_set_port(ret, r->port);
        return true;
    }
    return addr_from_ip(ret, r->ip, r->ip_len, r->port) == 0 &&
           (!addr_is_loopback(ret) || addr_is_loopback(&peer));
}

static void hold(struct udp_parent *p, int fd, double took_s)
{
    struct udp_way *w = p->way;

    keepalive_set(fd);
    ev_io_set(&p->control, fd, EV_READ);
    ev_io_start(w->port->udp->loop, &p->control);
    outbound_associated(w->account, took_s);
    udp_way_follow(w);
    udp_decide_waiting(w);
}

/* If the parent proxy itself is unreachable, that is not the destination's fault. */
static enum fault fault_of(const struct parent *talk, enum fault fault)
{
    bool ours = fault == FAULT_TIMEOUT || fault == FAULT_BIND || fault == FAULT_RESOURCES;

    return talk->reached || ours ? fault : FAULT_PARENT;
}

static void try_another(struct udp_way *w);

static void on_done(struct parent *talk, enum fault fault, int fd)
{
    struct udp_parent *p = talk->owner;
    struct udp_way *w = p->way;
    double took_s = talk->took_s;
    bool unable = talk->reached && talk->talk.unsupported;
    struct addr relay;

    fault = fault_of(talk, fault);
    if (fault == FAULT_NONE && !relay_of(talk, fd, &relay)) {
        (void)close(fd);
        fault = FAULT_PARENT;
    }
    end_talk(p);
    if (fault == FAULT_NONE) {
        w->mapping.relay = relay;
        return hold(p, fd, took_s);
    }
    outbound_pick_failed(w->account, fault, unable ? OUTBOUND_PICK_UNABLE : OUTBOUND_PICK_FAILED);
    try_another(w);
}

/* --- asking --------------------------------------------------------------------------------------------- */

/* @return false without memory */
static bool have_parent(struct udp_way *w)
{
    if (w->parent)
        return true;
    w->parent = calloc(1, sizeof *w->parent);
    if (!w->parent)
        return false;
    w->parent->way = w;
    ev_io_init(&w->parent->control, on_control, -1, EV_READ);
    return true;
}

enum fault udp_parent_ask(struct udp_way *w, const char **ret_why)
{
    struct outbounds *shared = w->port->udp->outbounds;
    const struct uplink *u = w->account->lease.uplink;

    *ret_why = "no memory";
    if (loops_are_too_many(&shared->loops, u->parent, &w->account->target)) {
        *ret_why = "too many requests for this destination wait for this parent proxy: is it a loop?";
        loops_tell(&shared->loops, u->name, *ret_why);
        return FAULT_DENIED;
    }
    struct parent *talk = have_parent(w) ? calloc(1, sizeof *talk) : NULL;
    if (!talk)
        return FAULT_RESOURCES;
    w->parent->talk = talk;
    talk->owner = w->parent;
    parent_start(talk, shared->loop,
                 &(struct parent_request){.spec = u->parent,
                                          .target = &w->account->target,
                                          .datagrams = true,
                                          .egress = &u->egress,
                                          .resolver = u->names.resolver,
                                          .loops = &shared->loops,
                                          .uplink = u->name,
                                          .timeout_s = fmax(outbound_pick_timeout(w->account), 0.01)},
                 on_done);
    return FAULT_NONE;
}

/* No uplink is left: refuse the flows that wait. */
static void give_up(struct udp_way *w, enum fault fault, const char *why)
{
    udp_log_refused(w->port->udp, &w->mapping.client, &w->account->target, why);
    udp_refuse_waiting(w);
    udp_way_end(w, fault_name(fault));
}

static void try_another(struct udp_way *w)
{
    enum policy_per per; /* of the first choice stays */
    enum fault fault = outbound_pick(w->account, &per);
    const char *why = fault == FAULT_DENIED ? w->account->reason : fault_name(fault);

    if (fault == FAULT_NONE && w->account->lease.uplink->parent)
        fault = udp_parent_ask(w, &why);
    else if (fault == FAULT_NONE) {
        outbound_opened(w->account);
        udp_way_follow(w);
        return udp_decide_waiting(w);
    }
    if (fault != FAULT_NONE)
        give_up(w, fault, why ? why : "refused");
}

bool udp_parent_lose(struct udp_way *w)
{
    if (!udp_parent_is_awaited(w))
        return false;
    end_talk(w->parent);
    outbound_pick_failed(w->account, FAULT_UNREACHABLE, OUTBOUND_PICK_LOST);
    try_another(w); /* w may be freed by now */
    return true;
}
