#include "socks/associate.h"

#include "proto/socks5.h"
#include "udp/udp.h"

#include <errno.h>

static const char *reason_of(int err)
{
    switch (err) {
    case -EDQUOT:
        return "too-many-associations";
    case -EEXIST:
        return "shared-port";
    case -ELOOP:
        return "loop";
    default:
        return "resources";
    }
}

/* The client's address and port in the request are a hint at most: clients send zeroes, the destination, or
 * their address behind a NAT. Datagrams of this connection's client are taken, from any of its ports. */
enum socks5_reply_code associate(struct session *s, const struct socks5_request *r, struct addr *ret_at)
{
    struct proxy *p = s->proxy;
    struct udp_request request = {.client = s->peer, .user = s->user, .listener = s->listener->text};
    struct udp_association *a;
    struct sockaddr_storage own;
    socklen_t len = sizeof own;

    if (!p->udp.loop)
        return SOCKS5_COMMAND_UNSUPPORTED;
    if (getsockname(s->fd, (struct sockaddr *)&own, &len) < 0 ||
        addr_from_sockaddr(&request.at, (struct sockaddr *)&own, len) < 0)
        return SOCKS5_GENERAL_FAILURE;
    if (r->objection == SOCKS5_SUCCEEDED)
        request.hint = r->target.port;
    int err = udp_associate(&p->udp, &request, &a, ret_at);
    if (err == 0) {
        session_associate(s, a);
        return SOCKS5_SUCCEEDED;
    }
    session_rejected(s, reason_of(err));
    return err == -EDQUOT || err == -EEXIST || err == -ELOOP ? SOCKS5_NOT_ALLOWED : SOCKS5_GENERAL_FAILURE;
}
