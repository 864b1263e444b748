#include "net/original.h"

#include <errno.h>

/* From the headers of netfilter, which clash with <netinet/in.h>. */
#define IPV4_ORIGINAL_DST 80 /* SO_ORIGINAL_DST, linux/netfilter_ipv4.h */
#define IPV6_ORIGINAL_DST 80 /* IP6T_SO_ORIGINAL_DST, linux/netfilter_ipv6/ip6_tables.h */

int original_tproxied(int fd, struct addr *ret)
{
    struct sockaddr_storage to;
    socklen_t len = sizeof to;

    if (getsockname(fd, (struct sockaddr *)&to, &len) < 0)
        return -errno;
    return addr_from_sockaddr(ret, (struct sockaddr *)&to, len);
}

int original_redirected(int fd, struct addr *ret)
{
    struct sockaddr_storage to;
    socklen_t len = sizeof to;
    struct addr local;
    int r = original_tproxied(fd, &local);

    if (r < 0)
        return r;
    bool four = addr_family(&local) == AF_INET;
    if (getsockopt(fd, four ? IPPROTO_IP : IPPROTO_IPV6, four ? IPV4_ORIGINAL_DST : IPV6_ORIGINAL_DST, &to,
                   &len) < 0)
        return -errno;
    return addr_from_sockaddr(ret, (struct sockaddr *)&to, len);
}
