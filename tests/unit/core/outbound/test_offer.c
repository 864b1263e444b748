/* Of uplinks only the best are offered, and an open connection holds no longer than a new one would be given.
 */
#include "outbound/offer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { NOW = 1000 };

/* Two uplinks of both families, of which nothing bad is known. */
struct two {
    struct uplink a, b;
    struct uplink_set set;
};

static void two_init(struct two *t)
{
    *t = (struct two){.a = {.view = {.id = 1, .up = true, .ipv4 = true, .ipv6 = true}}};
    t->b = t->a;
    t->b.view.id = 2;
    t->set.items[0] = &t->a;
    t->set.items[1] = &t->b;
    t->set.n = 2;
}

/* One of the ways in which nothing new should go by an uplink. */
typedef void spoil_fn(struct uplink *u);

static void silence(struct health *h)
{
    for (int i = 0; i < HEALTH_SILENCES; i++)
        (void)health_silent(h, 0, NOW);
}

static void is_not_up(struct uplink *u) /* no link or address, draining, or over a hard quota */
{
    u->view.up = false;
}

static void lacks_the_family(struct uplink *u)
{
    u->view.ipv4 = false;
}

static void is_suspect(struct uplink *u)
{
    silence(&u->health4);
}

static void breaks_connections(struct uplink *u)
{
    for (int i = 0; i < HEALTH_RESETS; i++)
        (void)health_reset(&u->health4, 0, NOW);
}

static void is_down_by_checks(struct uplink *u)
{
    for (int i = 0; i < HEALTH_FAILED_CHECKS; i++)
        (void)health_check_failed(&u->health4, 0, NOW);
}

static void is_captive(struct uplink *u)
{
    (void)health_check_captive(&u->health4);
}

static spoil_fn *const spoils[] = {is_not_up,          lacks_the_family,  is_suspect,
                                   breaks_connections, is_down_by_checks, is_captive};

static void assert_offered(const struct two *t, const struct offer_request *r, unsigned expected)
{
    struct uplink *ret[UPLINK_MAX];
    unsigned ids = 0;
    size_t n = offer_all(&t->set, r, ret);

    for (size_t i = 0; i < n; i++)
        ids |= 1u << (ret[i]->view.id - 1);
    assert_int_equal(ids, expected);
}

static void one_that_is_unfit_is_left_out_and_its_connections_rest(void **state)
{
    const struct offer_request r = {.family = AF_INET, .now = NOW};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(spoils); i++) {
        struct two t;
        two_init(&t);
        assert_true(offer_holds(&t.set, &t.a, AF_INET, &r));
        spoils[i](&t.a);
        assert_offered(&t, &r, 2);
        assert_false(offer_holds(&t.set, &t.a, AF_INET, &r));
        assert_true(offer_holds(&t.set, &t.b, AF_INET, &r));
    }
}

/* As there is no better one. But not what cannot carry anything. */
static void where_all_are_alike_they_serve(void **state)
{
    const struct offer_request r = {.family = AF_INET, .now = NOW};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(spoils); i++) {
        struct two t;
        bool dead = spoils[i] == is_not_up || spoils[i] == lacks_the_family;
        two_init(&t);
        spoils[i](&t.a);
        spoils[i](&t.b);
        assert_offered(&t, &r, dead ? 0 : 3);
        assert_int_equal(offer_holds(&t.set, &t.a, AF_INET, &r), !dead);
    }
}

static void a_suspect_gets_tries_but_its_open_connections_none(void **state)
{
    const struct offer_request later = {.family = AF_INET, .now = NOW + 2 * HEALTH_RETRY_S};
    struct two t;
    (void)state;
    two_init(&t);
    is_suspect(&t.a);
    assert_offered(&t, &later, 3);
    assert_false(offer_holds(&t.set, &t.a, AF_INET, &later));
}

static void a_suspect_comes_before_a_portal_and_that_only_first(void **state)
{
    struct offer_request r = {.family = AF_INET, .now = NOW};
    struct two t;
    (void)state;
    two_init(&t);
    is_suspect(&t.a);
    is_captive(&t.b);
    assert_offered(&t, &r, 1);
    assert_false(offer_holds(&t.set, &t.b, AF_INET, &r));
    r.tried = 1;
    assert_offered(&t, &r, 0);
}

static void hosts_of_a_portal_go_by_it_alone_while_it_is_captive(void **state)
{
    static char hosts[] = "portal.example,10.0.0.1";
    static const struct {
        const char *host;
        bool is_portal;
    } cases[] = {
        {"portal.example", true},   {"a.b.portal.example", true}, {"10.0.0.1", true},
        {"xportal.example", false}, {"example", false},           {"portal.example.org", false},
        {"10.0.0.10", false},       {"110.0.0.1", false},         {"", false},
    };
    struct two t;
    (void)state;
    two_init(&t);
    t.a.portal = hosts;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct offer_request r = {.host = cases[i].host, .family = AF_UNSPEC, .now = NOW};
        t.a.health4.captive = false;
        assert_offered(&t, &r, 3);
        assert_true(offer_holds(&t.set, &t.b, AF_INET, &r));
        is_captive(&t.a);
        assert_offered(&t, &r, cases[i].is_portal ? 1 : 2);
        assert_int_equal(offer_holds(&t.set, &t.b, AF_INET, &r), !cases[i].is_portal);
        assert_int_equal(offer_holds(&t.set, &t.a, AF_INET, &r), cases[i].is_portal);
        /* Neither a retry nor a race takes it elsewhere. */
        const struct offer_request retry = {
            .host = cases[i].host, .family = AF_UNSPEC, .now = NOW, .tried = 1, .against = &t.a};
        assert_offered(&t, &retry, cases[i].is_portal ? 0 : 2);
    }
}

/* A name leads to either family; the connection that is open is of one. */
static void of_a_name_the_connections_family_counts(void **state)
{
    const struct offer_request r = {.family = AF_UNSPEC, .now = NOW};
    struct two t;
    (void)state;
    two_init(&t);
    (void)health_answered(&t.a.health6);
    silence(&t.a.health4);
    assert_offered(&t, &r, 3);
    assert_false(offer_holds(&t.set, &t.a, AF_INET, &r));
    assert_true(offer_holds(&t.set, &t.a, AF_INET6, &r));
}

static void what_was_tried_is_over(void **state)
{
    const struct offer_request r = {.family = AF_INET, .now = NOW, .tried = 2};
    struct two t;
    (void)state;
    two_init(&t);
    assert_offered(&t, &r, 1);
    is_suspect(&t.a);
    assert_offered(&t, &r, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_is_unfit_is_left_out_and_its_connections_rest),
        cmocka_unit_test(where_all_are_alike_they_serve),
        cmocka_unit_test(a_suspect_gets_tries_but_its_open_connections_none),
        cmocka_unit_test(a_suspect_comes_before_a_portal_and_that_only_first),
        cmocka_unit_test(hosts_of_a_portal_go_by_it_alone_while_it_is_captive),
        cmocka_unit_test(of_a_name_the_connections_family_counts),
        cmocka_unit_test(what_was_tried_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
