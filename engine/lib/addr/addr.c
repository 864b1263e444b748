#include "addr/addr.h"

#include "base/digits.h"
#include "base/host_port.h"
#include "base/ip_text.h"
#include "netlink/link_index.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IPV4_BYTES = 4, IPV6_BYTES = 16, MAPPED_PREFIX_BITS = 96 };

/* The prefix of IPv4-mapped addresses (RFC 4291 2.5.5.2). */
static const uint8_t MAPPED_PREFIX[12] = {[10] = 0xff, [11] = 0xff};

socklen_t addr_len(const struct addr *a)
{
    switch (addr_family(a)) {
    case AF_INET:
        return sizeof a->in4;
    case AF_INET6:
        return sizeof a->in6;
    default:
        return 0;
    }
}

uint16_t addr_port(const struct addr *a)
{
    switch (addr_family(a)) {
    case AF_INET:
        return ntohs(a->in4.sin_port);
    case AF_INET6:
        return ntohs(a->in6.sin6_port);
    default:
        return 0;
    }
}

void addr_set_port(struct addr *a, uint16_t port)
{
    if (addr_family(a) == AF_INET)
        a->in4.sin_port = htons(port);
    else if (addr_family(a) == AF_INET6)
        a->in6.sin6_port = htons(port);
}

int addr_from_ip(struct addr *ret, const uint8_t *ip, size_t len, uint16_t port)
{
    struct addr a = {.in6 = {.sin6_family = AF_UNSPEC}};

    if (len == IPV6_BYTES && memcmp(ip, MAPPED_PREFIX, sizeof MAPPED_PREFIX) == 0) {
        ip += sizeof MAPPED_PREFIX;
        len = IPV4_BYTES;
    }
    if (len == IPV4_BYTES) {
        a.in4.sin_family = AF_INET;
        memcpy(&a.in4.sin_addr, ip, len);
    } else if (len == IPV6_BYTES) {
        a.in6.sin6_family = AF_INET6;
        memcpy(&a.in6.sin6_addr, ip, len);
    } else {
        return -EINVAL;
    }
    addr_set_port(&a, port);
    *ret = a;
    return 0;
}

/* Decimal digits only. */
static int parse_number(struct slice text, uint32_t max, uint32_t *ret)
{
    uint64_t n = 0;

    if (text.len == 0 || text.len > 10)
        return -EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -EINVAL;
        n = n * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (n > max)
        return -EINVAL;
    *ret = (uint32_t)n;
    return 0;
}

static int parse_scope(struct slice text, uint32_t *ret)
{
    char name[LINK_NAME_SIZE];
    uint32_t index;

    if (text.len == 0 || memchr(text.data, '\0', text.len))
        return -EINVAL;
    if (parse_number(text, UINT32_MAX, &index) < 0) {
        if (text.len >= sizeof name)
            return -EINVAL;
        memcpy(name, text.data, text.len);
        name[text.len] = '\0';
        index = (uint32_t)link_index(name);
    }
    if (index == 0)
        return -EINVAL;
    *ret = index;
    return 0;
}

int addr_parse_ip(struct addr *ret, struct slice text, uint16_t port)
{
    char copy[INET6_ADDRSTRLEN];
    uint8_t ip[IPV6_BYTES];
    uint32_t scope = 0;
    bool bracketed = host_port_unbracket(&text);
    const char *percent = text.len ? memchr(text.data, '%', text.len) : NULL;
    if (percent) {
        size_t at = (size_t)(percent - text.data);
        if (parse_scope(slice_of(percent + 1, text.len - at - 1), &scope) < 0)
            return -EINVAL;
        text.len = at;
    }
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.data, '\0', text.len))
        return -EINVAL;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';

    int family = strchr(copy, ':') ? AF_INET6 : AF_INET;
    if (family == AF_INET && (bracketed || percent))
        return -EINVAL;
    if (inet_pton(family, copy, ip) != 1)
        return -EINVAL;
    struct addr a;
    int r = addr_from_ip(&a, ip, family == AF_INET6 ? IPV6_BYTES : IPV4_BYTES, port);
    if (r < 0)
        return r;
    if (percent && addr_family(&a) != AF_INET6)
        return -EINVAL;
    if (addr_family(&a) == AF_INET6)
        a.in6.sin6_scope_id = scope;
    *ret = a;
    return 0;
}

int addr_parse(struct addr *ret, struct slice text)
{
    const struct host_port split = host_port_split(text);
    uint16_t port;

    return host_port_number(split.port, &port) < 0 ? -EINVAL : addr_parse_ip(ret, split.place, port);
}

int addr_from_sockaddr(struct addr *ret, const struct sockaddr *sa, socklen_t len)
{
    if (len >= sizeof(struct sockaddr_in) && sa->sa_family == AF_INET) {
        struct sockaddr_in in4;
        memcpy(&in4, sa, sizeof in4);
        return addr_from_ip(ret, (const uint8_t *)&in4.sin_addr, IPV4_BYTES, ntohs(in4.sin_port));
    }
    if (len >= sizeof(struct sockaddr_in6) && sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        int r = addr_from_ip(ret, in6.sin6_addr.s6_addr, IPV6_BYTES, ntohs(in6.sin6_port));
        if (r == 0 && addr_family(ret) == AF_INET6)
            ret->in6.sin6_scope_id = in6.sin6_scope_id;
        return r;
    }
    return -EAFNOSUPPORT;
}

const uint8_t *addr_ip(const struct addr *a, size_t *ret_len)
{
    switch (addr_family(a)) {
    case AF_INET:
        *ret_len = IPV4_BYTES;
        return (const uint8_t *)&a->in4.sin_addr;
    case AF_INET6:
        *ret_len = IPV6_BYTES;
        return a->in6.sin6_addr.s6_addr;
    default:
        *ret_len = 0;
        return (const uint8_t *)a;
    }
}

const char *addr_format_ip(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    size_t len;
    const uint8_t *ip = addr_ip(a, &len);

    if (len == 0) {
        (void)snprintf(out, ADDR_TEXT_MAX, "none");
        return out;
    }
    size_t at = ip_text(ip, len, out);
    if (addr_family(a) == AF_INET6 && a->in6.sin6_scope_id != 0) {
        char name[IF_NAMESIZE];
        if (if_indextoname(a->in6.sin6_scope_id, name))
            (void)snprintf(out + at, ADDR_TEXT_MAX - at, "%%%s", name);
        else
            (void)snprintf(out + at, ADDR_TEXT_MAX - at, "%%%u", a->in6.sin6_scope_id);
    }
    return out;
}

const char *addr_format(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    char ip[ADDR_TEXT_MAX];
    if (addr_family(a) == AF_INET) { /* the fast path: each connection writes some */
        size_t len, at = ip_text(addr_ip(a, &len), IPV4_BYTES, out);
        out[at++] = ':';
        at += digits_put(out + at, addr_port(a));
        out[at] = '\0';
        return out;
    }
    (void)addr_format_ip(a, ip);
    if (addr_family(a) == AF_UNSPEC)
        (void)memcpy(out, ip, sizeof ip);
    else
        (void)host_port_format(out, ADDR_TEXT_MAX, slice_str(ip), addr_port(a));
    return out;
}

bool addr_same_ip(const struct addr *a, const struct addr *b)
{
    size_t a_len, b_len;
    const uint8_t *a_ip = addr_ip(a, &a_len), *b_ip = addr_ip(b, &b_len);

    if (a_len != b_len || memcmp(a_ip, b_ip, a_len) != 0)
        return false;
    /* The same link-local address on another link is another address. Scope 0 means any link. */
    return addr_family(a) != AF_INET6 || a->in6.sin6_scope_id == b->in6.sin6_scope_id ||
           a->in6.sin6_scope_id == 0 || b->in6.sin6_scope_id == 0;
}

bool addr_same_end(const struct addr *a, const struct addr *b)
{
    return addr_port(a) == addr_port(b) && addr_same_ip(a, b);
}

bool addr_is_loopback(const struct addr *a)
{
    if (addr_family(a) == AF_INET) {
        uint32_t ip = ntohl(a->in4.sin_addr.s_addr);
        return ip >> 24 == IN_LOOPBACKNET || ip == INADDR_ANY;
    }
    return addr_family(a) == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr));
}

bool addr_name_this_machine(struct addr *a)
{
    if (addr_family(a) == AF_INET && a->in4.sin_addr.s_addr == htonl(INADDR_ANY))
        a->in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else if (addr_family(a) == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr))
        a->in6.sin6_addr = in6addr_loopback;
    else
        return false;
    return true;
}

bool addr_embedded4(const struct addr *a, struct addr *ret)
{
    static const struct {
        uint8_t prefix[12], len, at; /* at: offset of the IPv4 address */
    } forms[] = {
        {{0, 0x64, 0xff, 0x9b}, 12, 12},
        {{0, 0x64, 0xff, 0x9b, 0, 1}, 6, 12},
        {{0x20, 0x02}, 2, 2},
        {{0}, 12, 12},
        {{[8] = 0xff, [9] = 0xff}, 12, 12},
    };
    size_t len;
    const uint8_t *ip = addr_ip(a, &len);

    if (len != IPV6_BYTES || IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr) ||
        IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (memcmp(ip, forms[i].prefix, forms[i].len) == 0)
            return addr_from_ip(ret, ip + forms[i].at, IPV4_BYTES, addr_port(a)) == 0;
    return false;
}

bool addr_is_unique_local(const struct addr *a)
{
    return addr_family(a) == AF_INET6 && (a->in6.sin6_addr.s6_addr[0] & 0xfe) == 0xfc;
}

bool addr_is_private(const struct addr *a)
{
    if (addr_family(a) == AF_INET) {
        uint32_t ip = ntohl(a->in4.sin_addr.s_addr);
        return ip >> 24 == 10 || ip >> 20 == 0xac1 || ip >> 16 == 0xc0a8 || ip >> 22 == 0x191 ||
               ip >> 16 == 0xa9fe || addr_is_loopback(a);
    }
    return addr_is_unique_local(a) || addr_is_loopback(a) ||
           (addr_family(a) == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&a->in6.sin6_addr));
}

int cidr_parse(struct cidr *ret, struct slice text)
{
    const char *slash = text.len ? memchr(text.data, '/', text.len) : NULL;
    struct slice ip = slice_of(text.data, slash ? (size_t)(slash - text.data) : text.len);
    struct addr a;

    /* A range has no scope. */
    if (ip.len == 0 || memchr(ip.data, '%', ip.len) || addr_parse_ip(&a, ip, 0) < 0)
        return -EINVAL;
    uint32_t whole = addr_family(&a) == AF_INET ? IPV4_BYTES * 8 : IPV6_BYTES * 8, bits = whole;
    if (slash) {
        bool mapped = addr_family(&a) == AF_INET && memchr(ip.data, ':', ip.len);
        uint32_t less = mapped ? MAPPED_PREFIX_BITS : 0;
        if (parse_number(slice_of(slash + 1, text.len - ip.len - 1), whole + less, &bits) < 0 || bits < less)
            return -EINVAL;
        bits -= less;
    }
    cidr_from_addr(ret, &a, (uint8_t)bits);
    return 0;
}

/* The mask for byte i of an address with a prefix of that many bits. */
static uint8_t prefix_mask(size_t i, uint8_t bits)
{
    if (bits >= (i + 1) * 8)
        return 0xff;
    if (bits <= i * 8)
        return 0;
    return (uint8_t)(0xffu << ((i + 1) * 8 - bits));
}

void cidr_from_addr(struct cidr *ret, const struct addr *a, uint8_t bits)
{
    size_t len;
    const uint8_t *ip = addr_ip(a, &len);

    *ret = (struct cidr){.ip_len = (uint8_t)len, .bits = bits < len * 8 ? bits : (uint8_t)(len * 8)};
    for (size_t i = 0; i < len; i++)
        ret->ip[i] = ip[i] & prefix_mask(i, ret->bits);
}

static uint32_t word_at(const uint8_t *bytes)
{
    uint32_t word;

    memcpy(&word, bytes, sizeof word);
    return ntohl(word);
}

/* Runs for each range and each connection, so it compares words and not bytes. */
static bool covers(const struct cidr *c, const uint8_t *ip, size_t len)
{
    if (len == 0 || len != c->ip_len)
        return false;
    for (unsigned at = 0; at < c->bits; at += 32) {
        unsigned others = c->bits - at < 32 ? 32 - (c->bits - at) : 0;
        if ((word_at(ip + at / 8) ^ word_at(c->ip + at / 8)) >> others != 0)
            return false;
    }
    return true;
}

bool cidr_contains(const struct cidr *c, const struct addr *a)
{
    size_t len;
    const uint8_t *ip = addr_ip(a, &len);

    return covers(c, ip, len);
}

const char *cidr_format(const struct cidr *c, char out[ADDR_TEXT_MAX])
{
    if (c->ip_len == 0) {
        (void)snprintf(out, ADDR_TEXT_MAX, "none");
        return out;
    }
    size_t at = ip_text(c->ip, c->ip_len, out);
    (void)snprintf(out + at, ADDR_TEXT_MAX - at, "/%u", c->bits);
    return out;
}

int cidr_set_add(struct cidr_set *s, const struct cidr *c)
{
    struct cidr *items = reallocarray(s->items, s->n + 1, sizeof *items);
    if (!items)
        return -ENOMEM;
    items[s->n] = *c;
    s->items = items;
    s->n++;
    return 0;
}

bool cidr_set_contains(const struct cidr_set *s, const struct addr *a)
{
    size_t len;
    const uint8_t *ip = addr_ip(a, &len);

    for (size_t i = 0; i < s->n; i++) {
        if (covers(&s->items[i], ip, len))
            return true;
    }
    return false;
}

void cidr_set_done(struct cidr_set *s)
{
    free(s->items);
    *s = (struct cidr_set){.n = 0};
}
