/* Hand-made machines, small enough to see at a glance. */
#ifndef STEERWAY_TESTS_UPLINK_MACHINES_H
#define STEERWAY_TESTS_UPLINK_MACHINES_H

#include "machine/machine.h"
#include "support/ip.h"

#include <linux/rtnetlink.h>

/* A machine with a loopback link and whatever a test adds. Lives on the stack. */
struct made {
    struct machine m;
    struct machine_link links[8];
    struct machine_addr addrs[16];
};

static inline void assert_near(double value, double expected, double tolerance)
{
    if (!(value >= expected - tolerance && value <= expected + tolerance))
        fail_msg("%.17g is not within %g of %.17g", value, tolerance, expected);
}

static inline void assert_number(double value, double expected)
{
    assert_near(value, expected, 0);
}

/* An Ethernet card that is up. */
static inline struct machine_link *made_link(struct made *made, const char *name)
{
    assert_true(made->m.n_links < ARRAY_LEN(made->links));
    struct machine_link *link = &made->links[made->m.n_links++];
    *link = (struct machine_link){.index = (int)made->m.n_links, .up = true, .carrier = true};
    (void)snprintf(link->name, sizeof link->name, "%s", name);
    made->m.links = made->links;
    return link;
}

static inline struct machine_addr *made_addr(struct made *made, const struct machine_link *link,
                                             const char *text)
{
    assert_true(made->m.n_addrs < ARRAY_LEN(made->addrs));
    struct machine_addr *a = &made->addrs[made->m.n_addrs++];
    *a = (struct machine_addr){.link = link->index, .addr = ip(text), .prefix = 24};
    made->m.addrs = made->addrs;
    return a;
}

static inline void made_init(struct made *made)
{
    *made = (struct made){.m = {.n_links = 0}};
    struct machine_link *lo = made_link(made, "lo");
    lo->loopback = true;
    struct machine_addr *a = made_addr(made, lo, "127.0.0.1");
    a->prefix = 8;
    a->scope = RT_SCOPE_HOST;
    a = made_addr(made, lo, "::1");
    a->prefix = 128;
    a->scope = RT_SCOPE_HOST;
}

#endif
