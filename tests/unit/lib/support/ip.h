/* Addresses from the texts that tests use. */
#ifndef STEERWAY_TESTS_NET_IP_H
#define STEERWAY_TESTS_NET_IP_H

#include "support/loopback.h"

static inline struct addr ip(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse_ip(&a, slice_str(text), 0), 0);
    return a;
}

/* Some destination on the internet. @return until the next call */
static inline const struct addr *to_some(int family)
{
    static struct addr a;
    a = ip(family == AF_INET6 ? "2001:db8:9::9" : "203.0.113.9");
    a.sa.sa_family = (sa_family_t)family;
    return &a;
}

/* "none" for no address. */
static inline void assert_ip(const struct addr *a, const char *text)
{
    char out[ADDR_TEXT_MAX];
    assert_non_null(a);
    assert_string_equal(addr_format_ip(a, out), text);
}

#endif
