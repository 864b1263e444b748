/* Socket addresses and address ranges. */
#ifndef STEERWAY_ADDR_ADDR_H
#define STEERWAY_ADDR_ADDR_H

#include "base/compiler.h"
#include "base/slice.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* The longest text: "[fe80::…%interface]:65535". */
enum { ADDR_TEXT_MAX = 80 };

/** An IPv4 or IPv6 socket address. Family AF_UNSPEC (all zero) means "none". */
struct addr {
    union {
        struct sockaddr sa;
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
    };
};

static inline int addr_family(const struct addr *a)
{
    return a->sa.sa_family;
}
socklen_t addr_len(const struct addr *a);
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);

/** From raw bytes (4 or 16, network order). An IPv4-mapped IPv6 address becomes IPv4. @return 0, -EINVAL */
MUST_CHECK int addr_from_ip(struct addr *ret, const uint8_t *ip, size_t len, uint16_t port);
/** From text: dotted IPv4, or IPv6 with or without brackets and %scope. @return 0, -EINVAL */
MUST_CHECK int addr_parse_ip(struct addr *ret, struct slice text, uint16_t port);
/** From "192.0.2.1:port" or "[IPv6]:port". @return 0, -EINVAL */
MUST_CHECK int addr_parse(struct addr *ret, struct slice text);
/** From a kernel's sockaddr. An IPv4-mapped address becomes IPv4. @return 0, -EAFNOSUPPORT */
MUST_CHECK int addr_from_sockaddr(struct addr *ret, const struct sockaddr *sa, socklen_t len);

/** The bytes of the address, in network order. *ret_len is 4, 16, or 0 for none. */
const uint8_t *addr_ip(const struct addr *a, size_t *ret_len);

/** Text without port and brackets; "none" for AF_UNSPEC. @return out */
const char *addr_format_ip(const struct addr *a, char out[ADDR_TEXT_MAX]);
/** Text with port, IPv6 in brackets; "none" for AF_UNSPEC. @return out */
const char *addr_format(const struct addr *a, char out[ADDR_TEXT_MAX]);

/** Ports do not count. Two IPv6 addresses with different scopes differ; scope 0 equals any. */
bool addr_same_ip(const struct addr *a, const struct addr *b);
/** Whether addresses and ports are the same. */
bool addr_same_end(const struct addr *a, const struct addr *b);
/** 127.0.0.0/8, ::1, and the unspecified addresses, which Linux connects to loopback. */
bool addr_is_loopback(const struct addr *a);
/** Replace the unspecified address by loopback. Linux connects the unspecified address to this machine,
 * whatever link or address the socket is bound to. @return whether it was the unspecified address */
bool addr_name_this_machine(struct addr *a);
/** The IPv4 address inside an IPv6 address that a translator may use: NAT64 (64:ff9b::/96 of RFC 6052, and
 * the last 32 bits of 64:ff9b:1::/48 of RFC 8215), 6to4 (RFC 3056), IPv4-compatible (RFC 4291 2.5.5.1),
 * IPv4-translated (RFC 2765). @return false for any other address */
bool addr_embedded4(const struct addr *a, struct addr *ret);
/** fc00::/7, the private addresses of IPv6 (RFC 4193). */
bool addr_is_unique_local(const struct addr *a);
/** An address without routes on the internet: RFC 1918, 4193, 6598, loopback, link-local. */
bool addr_is_private(const struct addr *a);

/** An address range. */
struct cidr {
    uint8_t ip[16];
    uint8_t ip_len; /* 4 or 16 */
    uint8_t bits;
};

struct cidr_set {
    struct cidr *items;
    size_t n;
};

/** Parse "10.0.0.0/8", "fd00::/8" or a single address. Host bits are cleared. @return 0, -EINVAL */
MUST_CHECK int cidr_parse(struct cidr *ret, struct slice text);
void cidr_from_addr(struct cidr *ret, const struct addr *a, uint8_t bits);
bool cidr_contains(const struct cidr *c, const struct addr *a);
const char *cidr_format(const struct cidr *c, char out[ADDR_TEXT_MAX]);

/** @return 0, -ENOMEM */
MUST_CHECK int cidr_set_add(struct cidr_set *s, const struct cidr *c);
bool cidr_set_contains(const struct cidr_set *s, const struct addr *a);
void cidr_set_done(struct cidr_set *s);

#endif
