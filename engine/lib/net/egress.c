#include "net/egress.h"

#include "machine/machine.h"

#include <errno.h>
#include <linux/in6.h> /* IPV6_PREFER_SRC_TMP */
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

/* One for the process, and not a field of each egress: a single socket without it would be captured, and its
 * connection would come back to the proxy. */
static uint32_t own_mark;

const struct egress EGRESS_DIRECT = {.any4 = true, .any6 = true};
const struct egress EGRESS_ON_LINK = {.any4 = true, .any6 = true, .on_link = true};

bool egress_ipv6_parse(const char *word, enum egress_ipv6 *ret)
{
    static const char *const words[] = {[EGRESS_IPV6_SYSTEM] = "system",
                                        [EGRESS_IPV6_TEMPORARY] = "temporary",
                                        [EGRESS_IPV6_STABLE] = "stable"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(word, words[i]) != 0)
            continue;
        *ret = (enum egress_ipv6)i;
        return true;
    }
    return false;
}

static int bind_device(int fd, const char *device)
{
    /* The length excludes the NUL. The kernel takes at most IFNAMSIZ - 1 bytes and adds it. */
    if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strnlen(device, IFNAMSIZ)) == 0)
        return 0;
    return errno == ENODEV ? -ENODEV : -EADDRNOTAVAIL;
}

static int bind_source(int fd, const struct addr *source, int type)
{
    /* Let connect() choose the port, once the destination is known. Then a source address has 28,000 ports
     * for each destination, and not for all of them. A datagram socket may be asked for its port before that.
     */
    if (type == SOCK_STREAM)
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
    struct addr any_port = *source;
    addr_set_port(&any_port, 0);
    return bind(fd, &any_port.sa, addr_len(&any_port)) == 0 ? 0 : -EADDRNOTAVAIL;
}

static int prefer(int fd, enum egress_ipv6 kind)
{
    int flags = kind == EGRESS_IPV6_TEMPORARY ? IPV6_PREFER_SRC_TMP : IPV6_PREFER_SRC_PUBLIC;

    if (kind == EGRESS_IPV6_SYSTEM ||
        setsockopt(fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &flags, sizeof flags) == 0)
        return 0;
    return -EADDRNOTAVAIL;
}

/* A closed IPv6 socket that still waits for the peer's FIN becomes an entry in TIME_WAIT, and Linux routes
 * its acknowledgements without the device: they would leave by the default route. The kernel keeps the socket
 * itself for as long as this time exceeds its 60 seconds; it allows 120. */
static void keep_device_after_close(int fd)
{
    (void)setsockopt(fd, IPPROTO_TCP, TCP_LINGER2, &(int){120}, sizeof(int));
}

/* The source to bind for a destination; NULL: the kernel chooses. */
static const struct addr *source_for(const struct egress *e, const struct addr *to)
{
    bool four = addr_family(to) == AF_INET;
    const struct addr *source = four ? &e->source4 : &e->source6;

    switch (four ? e->floats4 : e->floats6) {
    case EGRESS_FLOATS:
        return NULL;
    case EGRESS_FLOATS_IN_PRIVATE:
        if (addr_is_private(to))
            return NULL;
        break;
    case EGRESS_BOUND:
        break;
    }
    return addr_family(source) == AF_UNSPEC ? NULL : source;
}

int egress_bind(const struct egress *e, int fd, const struct addr *to, int type)
{
    const struct addr *source = source_for(e, to);
    const uint32_t mark = egress_mark(e->mark);
    int family = addr_family(to);
    int r = egress_allows(e, family) ? 0 : -EAFNOSUPPORT;

    /* Without it an IPv4-mapped destination would leave by IPv4 and ignore source4. */
    if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int)) < 0)
        r = -errno;
    if (r == 0 && e->on_link && setsockopt(fd, SOL_SOCKET, SO_DONTROUTE, &(int){1}, sizeof(int)) < 0)
        r = -errno;
    if (r == 0 && mark != 0 && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0)
        r = -EADDRNOTAVAIL;
    if (r == 0 && e->device[0]) {
        r = bind_device(fd, e->device);
        if (family == AF_INET6 && type == SOCK_STREAM)
            keep_device_after_close(fd);
    }
    if (r == 0 && family == AF_INET6)
        r = prefer(fd, e->ipv6);
    if (r == 0 && source)
        r = bind_source(fd, source, type);
    return r;
}

int egress_socket(const struct egress *e, const struct addr *to, int type)
{
    int family = addr_family(to);

    if (!egress_allows(e, family))
        return -EAFNOSUPPORT;
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int r = egress_bind(e, fd, to, type);
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    return fd;
}

/* Linux applies SO_DONTROUTE to IPv4 only, and even there allows a default route without a gateway. */
int egress_aim(const struct egress *e, int fd, const struct addr *to)
{
    char device[IFNAMSIZ];
    int link;

    if (!e->on_link)
        return 0;
    int r = machine_neighbour(to, &link);
    if (r < 0)
        return r;
    /* Packets to this machine use loopback, whichever link has the address. */
    if (link == 0)
        return 0;
    if (!if_indextoname((unsigned)link, device))
        return -ENODEV;
    return bind_device(fd, device);
}

void egress_mark_own(uint32_t bit)
{
    own_mark = bit;
}

uint32_t egress_own_mark(void)
{
    return own_mark;
}

uint32_t egress_mark(uint32_t mark)
{
    return mark | own_mark;
}

/* A connected datagram socket has a source address, and has sent nothing. */
int egress_find_source(const struct egress *e, const struct addr *to, struct addr *ret)
{
    struct addr at = *to;
    int link, fd = egress_socket(e, to, SOCK_DGRAM);

    if (fd < 0)
        return fd;
    addr_set_port(&at, 443); /* any one: port 0 would leave the socket without a source */
    int r = egress_aim(e, fd, to);
    if (r == 0 && connect(fd, &at.sa, addr_len(&at)) < 0)
        r = -errno;
    if (r == 0 && !egress_source_of(fd, ret, &link))
        r = -EADDRNOTAVAIL;
    (void)close(fd);
    if (r == 0)
        addr_set_port(ret, 0);
    return r;
}

bool egress_may_mark(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return true; /* unknown; the first connection shows it */
    bool may = setsockopt(fd, SOL_SOCKET, SO_MARK, &(uint32_t){1}, sizeof(uint32_t)) == 0 || errno != EPERM;
    (void)close(fd);
    return may;
}

bool egress_source_of(int fd, struct addr *ret, int *ret_link)
{
    struct sockaddr_storage local;
    socklen_t len = sizeof local;

    if (getsockname(fd, (struct sockaddr *)&local, &len) < 0 ||
        addr_from_sockaddr(ret, (struct sockaddr *)&local, len) < 0)
        return false;
    if (getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, ret_link, &(socklen_t){sizeof *ret_link}) < 0)
        *ret_link = 0;
    return true;
}
