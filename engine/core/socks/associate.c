#include "socks/associate.h"

#include "inbound/gate.h"
#include "inbound/reply.h"
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
    case -EADDRINUSE:
        return "port-in-use";
    case -EACCES:
        return "port-not-permitted";
    default:
        return "resources";
    }
}

/* @return the port that the client will send from; 0: it does not say. Many programs name the destination: a
 * host, or a public address that is not the client's. A private address may be the client's behind a NAT. */
static uint16_t hint_of(const struct session *s, const struct socks5_request *r)
{
    const struct target *t = &r->target;
    struct addr at;

    if (r->objection != SOCKS5_SUCCEEDED || t->kind == TARGET_NAME ||
        addr_from_ip(&at, t->ip, t->kind == TARGET_IPV4 ? 4 : 16, t->port) < 0)
        return 0;
    return addr_is_private(&at) || addr_same_ip(&at, &s->peer) ? t->port : 0;
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
    enum fault fault = gate_serves(s);
    if (fault != FAULT_NONE)
        return reply_socks5(fault);
    request.hint = hint_of(s, r);
    int err = udp_associate(&p->udp, &request, &a, ret_at);
    if (err == 0) {
        session_associate(s, a);
        return SOCKS5_SUCCEEDED;
    }
    session_rejected(s, reason_of(err));
    return err == -EDQUOT || err == -EEXIST || err == -ELOOP ? SOCKS5_NOT_ALLOWED : SOCKS5_GENERAL_FAILURE;
}
