#include "socks/associate.h"

#include "proto/socks5.h"
#include "udp/udp.h"

#include <errno.h>

/* The client's address and port in the request are a hint at most: clients send zeroes, the destination, or
 * their address behind a NAT. Datagrams of this connection's client are taken, from any of its ports. */
enum socks5_reply_code associate(struct session *s, struct addr *ret_at)
{
    struct proxy *p = s->proxy;
    struct udp_port_request request = {
        .kind = PORT_SOCKS, .client = s->peer, .user = s->user, .listener = s->listener->text};
    struct udp_port *port;
    struct sockaddr_storage own;
    socklen_t len = sizeof own;

    if (!p->udp.loop)
        return SOCKS5_COMMAND_UNSUPPORTED;
    if (getsockname(s->fd, (struct sockaddr *)&own, &len) < 0 ||
        addr_from_sockaddr(&request.at, (struct sockaddr *)&own, len) < 0)
        return SOCKS5_GENERAL_FAILURE;
    addr_set_port(&request.at, 0);
    int err = udp_port_open(&p->udp, &request, &port, ret_at);
    if (err < 0) {
        session_rejected(s, err == -EDQUOT ? "too-many-associations" : "resources");
        return err == -EDQUOT ? SOCKS5_NOT_ALLOWED : SOCKS5_GENERAL_FAILURE;
    }
    session_associate(s, port);
    return SOCKS5_SUCCEEDED;
}
