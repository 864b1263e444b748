#include "netlink/rtnl.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/time.h>

/* The size of the kernel's largest dump messages. */
enum { ANSWER_MAX = 32768 };
/* The kernel answers at once. The timeout is there because the caller has connections to serve. */
enum { ANSWER_S = 2 };

/* An acknowledgement is an error message with code 0. A dump that fails ends with DONE, which has the error
 * inside. */
static int on_end(const struct nlmsghdr *nlh, void *data)
{
    int err = 0;

    (void)data;
    if (mnl_nlmsg_get_payload_len(nlh) >= sizeof err)
        memcpy(&err, mnl_nlmsg_get_payload(nlh), sizeof err);
    if (err >= 0)
        return MNL_CB_STOP;
    errno = -err;
    return MNL_CB_ERROR;
}

static int receive(struct mnl_socket *nl, unsigned seq, mnl_cb_t cb, void *data)
{
    mnl_cb_t control[] = {[NLMSG_ERROR] = on_end, [NLMSG_DONE] = on_end};
    _Alignas(struct nlmsghdr) char answer[ANSWER_MAX];
    int r;

    do {
        ssize_t n = mnl_socket_recvfrom(nl, answer, sizeof answer);
        if (n < 0)
            return -errno;
        r = mnl_cb_run2(answer, (size_t)n, seq, mnl_socket_get_portid(nl), cb, data, control,
                        ARRAY_LEN(control));
    } while (r > MNL_CB_STOP);
    return r == MNL_CB_STOP ? 0 : -errno;
}

/* @param strict  the kernel applies each field of the request as a filter, or refuses it */
static int send_request(struct nlmsghdr *request, bool strict, mnl_cb_t cb, void *data)
{
    static const struct timeval patience = {.tv_sec = ANSWER_S};
    /* Each request has its own socket, so the rest of an abandoned answer disappears with it. */
    struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    int r;

    if (!nl)
        return -errno;
    request->nlmsg_seq = 1;
    if (strict && mnl_socket_setsockopt(nl, NETLINK_GET_STRICT_CHK, &(int){1}, sizeof(int)) < 0)
        r = -EOPNOTSUPP;
    else if (setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
             mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ||
             mnl_socket_sendto(nl, request, request->nlmsg_len) < 0)
        r = -errno;
    else
        r = receive(nl, request->nlmsg_seq, cb, data);
    (void)mnl_socket_close(nl);
    return r;
}

int rtnl_ask(struct nlmsghdr *request, mnl_cb_t cb, void *data)
{
    return send_request(request, false, cb, data);
}

int rtnl_dump(uint16_t type, size_t head, int family, mnl_cb_t cb, void *data)
{
    struct rtnl_request request;
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(request.space);

    nlh->nlmsg_type = type;
    nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    unsigned char *info = mnl_nlmsg_put_extra_header(nlh, head); /* zeroed */
    info[0] = (unsigned char)family;
    return rtnl_ask(nlh, cb, data);
}

int rtnl_dump_table(uint8_t table, int family, mnl_cb_t cb, void *data)
{
    struct rtnl_request request;
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(request.space);

    nlh->nlmsg_type = RTM_GETROUTE;
    nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    struct rtmsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof *info);
    info->rtm_family = (unsigned char)family;
    info->rtm_table = table;
    return send_request(nlh, true, cb, data);
}

/* MNL_ALIGN mixes signed and unsigned numbers. */
static size_t aligned(size_t n)
{
    return (n + NLMSG_ALIGNTO - 1) / NLMSG_ALIGNTO * NLMSG_ALIGNTO;
}

void rtnl_table(const void *attrs, size_t len, const struct nlattr *table[], size_t max)
{
    const char *at = attrs;

    for (size_t i = 0; i <= max; i++)
        table[i] = NULL;
    while (len <= INT_MAX && mnl_attr_ok((const void *)at, (int)len)) {
        const struct nlattr *attr = (const void *)at;
        size_t step = aligned(attr->nla_len);
        if (mnl_attr_get_type(attr) <= max)
            table[mnl_attr_get_type(attr)] = attr;
        if (step >= len)
            return;
        at += step;
        len -= step;
    }
}

void rtnl_message_table(const struct nlmsghdr *nlh, size_t head, const struct nlattr *table[], size_t max)
{
    size_t len = mnl_nlmsg_get_payload_len(nlh);

    head = aligned(head);
    rtnl_table(mnl_nlmsg_get_payload_offset(nlh, head), len > head ? len - head : 0, table, max);
}

const struct nlattr *rtnl_next(const struct nlattr *nested, size_t *at)
{
    const char *data = mnl_attr_get_payload(nested);
    size_t len = mnl_attr_get_payload_len(nested);

    if (*at >= len || !mnl_attr_ok((const void *)(data + *at), (int)(len - *at)))
        return NULL;
    const struct nlattr *attr = (const void *)(data + *at);
    *at += aligned(attr->nla_len);
    return attr;
}

uint32_t rtnl_u32(const struct nlattr *attr)
{
    return attr && mnl_attr_get_payload_len(attr) >= sizeof(uint32_t) ? mnl_attr_get_u32(attr) : 0;
}

void rtnl_text(const struct nlattr *attr, char *out, size_t size)
{
    size_t len = attr ? strnlen(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr)) : 0;

    if (len >= size)
        len = size - 1;
    if (len > 0)
        memcpy(out, mnl_attr_get_payload(attr), len);
    out[len] = '\0';
}
