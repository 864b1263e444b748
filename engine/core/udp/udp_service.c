/* Ports that any admitted client may use: forwards, and captured datagrams. */
#include "udp/udp_state.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

/* The room's thread closes the socket of a port that was ended, and may not have done so yet. */
static bool is_closing_at(const struct udp *u, const struct addr *at)
{
    LIST_EACH(&u->ports, node, next) {
        const struct udp_port *p = container_of(node, struct udp_port, node);
        if (p->closing && addr_same_end(&p->at, at))
            return true;
    }
    return false;
}

/* A loopback address is missing only with its family. */
static int listen_at(const struct udp *u, const struct addr *at, const struct udp_service *service,
                     struct addr *ret_at)
{
    bool waits = service->waits && !addr_is_loopback(at);
    int fd = service->bound ? udp_listen_on(*service->bound, ret_at) : udp_listen_at(at, 0, 0, waits, ret_at);

    if (fd == -EADDRINUSE && !service->bound && is_closing_at(u, at))
        fd = udp_listen_beside(at, waits, ret_at);
    if (fd >= 0)
        replies_beside(fd);
    return fd;
}

/* Takes fd. It is served at once, or from udp_start on. */
static int serve(struct udp *u, enum port_kind kind, int fd, const struct udp_service *service,
                 const struct target *to, struct udp_port **ret)
{
    const struct udp_request anybody = {.client = {.sa.sa_family = AF_UNSPEC}, .listener = service->listener};
    struct udp_port *p = udp_port_new(u, kind, fd);
    int err = 0;

    if (!p)
        return -ENOMEM;
    p->service = *service;
    if (to) {
        p->to = malloc(sizeof *p->to);
        if (!p->to)
            err = -ENOMEM;
        else
            *p->to = *to;
        p->port.to_port = to->port;
    }
    if (err == 0 && to && to->kind == TARGET_NAME)
        p->port.to_name = slice_str(p->to->host);
    else if (err == 0 && to)
        err = addr_from_ip(&p->port.to, to->ip, to->kind == TARGET_IPV4 ? 4 : 16, to->port);
    if (err == 0 && !udp_association_new(p, &anybody))
        err = -ENOMEM;
    if (err == 0 && u->started && !udp_port_go(p))
        err = -ENOMEM;
    if (err < 0)
        udp_port_close(p);
    else
        *ret = p;
    return err;
}

int udp_forward(struct udp *u, const struct addr *at, const struct target *to,
                const struct udp_service *service, struct udp_port **ret, struct addr *ret_at)
{
    int fd = listen_at(u, at, service, ret_at);

    int err = fd < 0 ? fd : serve(u, PORT_FORWARD, fd, service, to, ret);
    if (err == 0)
        (*ret)->at = *ret_at;
    return err;
}

/* Receive what was sent to any address, and be told which. */
static int be_transparent(int fd, int family)
{
    const int on = 1;
    bool six = family == AF_INET6;

    if (setsockopt(fd, six ? SOL_IPV6 : SOL_IP, six ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof on) <
            0 ||
        setsockopt(fd, six ? SOL_IPV6 : SOL_IP, six ? IPV6_RECVORIGDSTADDR : IP_RECVORIGDSTADDR, &on,
                   sizeof on) < 0)
        return -errno;
    return 0;
}

int udp_tproxy(struct udp *u, const struct addr *at, const struct udp_tproxy *how,
               const struct udp_service *service, struct udp_port **ret, struct addr *ret_at)
{
    struct udp_port *p;
    int fd = listen_at(u, at, service, ret_at);

    if (fd < 0)
        return fd;
    if (!u->own_ports)
        u->own_ports = calloc(UINT16_MAX + 1, sizeof *u->own_ports);
    int err = !u->own_ports ? -ENOMEM : be_transparent(fd, addr_family(at));
    if (err < 0) {
        (void)close(fd);
        return err;
    }
    err = serve(u, PORT_TPROXY, fd, service, NULL, &p);
    if (err < 0)
        return err;
    p->port.peek_s = how->peek_s;
    p->port.replies.mark = how->mark;
    p->at = *ret_at;
    p->resolves = how->resolve;
    *ret = p;
    return 0;
}

/* Its place may be wanted at once, by a config that was read again. */
void udp_service_close(struct udp_port *p)
{
    if (!p->closing)
        (void)!udp_allow_beside(p->port.socket.fd, true);
    udp_port_close(p);
}
