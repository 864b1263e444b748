/* What connections to a destination need around them, on a loop of the test: address sets, and a resolver
 * that no test lets ask. Uplinks and the policy are up to the test. */
#ifndef STEERWAY_TEST_OUTBOUND_SCENE_H
#define STEERWAY_TEST_OUTBOUND_SCENE_H

#include "outbound/outbound.h"
#include "support/loopback.h"

struct scene {
    struct resolver_commons commons;
    struct cidr_set bypass, local;
    struct deny deny;
    struct own_addresses own;
};

static inline struct resolver *scene_resolver(struct scene *s, struct ev_loop *loop)
{
    struct resolver *r;
    struct dns_servers dns;

    assert_int_equal(dns_servers_parse(&dns, "127.0.0.1:9"), 0);
    assert_int_equal(resolver_new(&r, loop, &s->commons, PATIENCE_S), 0);
    resolver_aim(r, &EGRESS_DIRECT, &dns);
    return r;
}

/* @param s  zeroed */
static inline void scene_init(struct scene *s, struct outbounds *ret, double dial_timeout_s)
{
    struct ev_loop *loop = ev_loop_new(0);

    assert_non_null(loop);
    resolver_commons_init(&s->commons, NULL);
    *ret = (struct outbounds){.loop = loop,
                              .resolver = scene_resolver(s, loop),
                              .settings = {.bypass = &s->bypass,
                                           .local = &s->local,
                                           .reach = {.deny = &s->deny, .own = &s->own},
                                           .dial_timeout_s = dial_timeout_s}};
}

/* Nothing may be under way any more. */
static inline void scene_done(struct scene *s, struct outbounds *o)
{
    recent_done(&o->recent);
    resolver_free(o->resolver);
    resolver_commons_done(&s->commons);
    cidr_set_done(&s->bypass);
    cidr_set_done(&s->local);
    assert_idle(o->loop);
    ev_loop_destroy(o->loop);
}

#endif
