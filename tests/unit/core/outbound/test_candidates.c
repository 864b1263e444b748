/* Only the best uplinks are candidates, and an open connection holds no longer than a new one would be
 * given. */
#include "base/clock.h"
#include "outbound/candidates.h"
#include "uplink/parent_spec.h"
#include "uplink/uplink.h"
#include "uplink/uplink_health.h"
#include "uplink/uplink_note.h"
#include "uplink/uplink_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { NOW = 1000 };

/* Two healthy uplinks with both families. */
struct two {
    struct uplink a, b;
    struct uplink_set set;
};

static void two_init(struct two *t)
{
    *t = (struct two){.a = {.view = {.id = 1, .up = true, .ipv4 = true, .ipv6 = true}}};
    t->b = t->a;
    t->b.view.id = 2;
    uplink_set_put(&t->set, &t->a);
    uplink_set_put(&t->set, &t->b);
}

/* A state in which nothing new may use an uplink. */
typedef void spoil_fn(struct uplink *u);

static void silence(struct health *h)
{
    for (int i = 0; i < HEALTH_SILENCES; i++)
        (void)health_silent(h, 0, NOW);
}

static void is_not_up(struct uplink *u)
{
    u->view.up = u->view.ipv4 = u->view.ipv6 = false;
}

static void lacks_the_family(struct uplink *u)
{
    u->view.ipv4 = false;
}

static void is_suspect(struct uplink *u)
{
    silence(&u->four.health);
}

static void breaks_connections(struct uplink *u)
{
    for (int i = 0; i < HEALTH_RESETS; i++)
        (void)health_reset(&u->four.health, 0, NOW);
}

static void is_down_by_checks(struct uplink *u)
{
    for (int i = 0; i < HEALTH_FAILED_CHECKS; i++)
        (void)health_check_failed(&u->four.health, 0, NOW);
}

static void is_captive(struct uplink *u)
{
    (void)health_check_captive(&u->four.health);
}

static spoil_fn *const spoils[] = {is_not_up,          lacks_the_family,  is_suspect,
                                   breaks_connections, is_down_by_checks, is_captive};

static void assert_offered(const struct two *t, const struct candidates_request *r, unsigned expected)
{
    struct uplink *ret[UPLINK_MAX];
    unsigned ids = 0;
    size_t n = candidates_find(&t->set, r, ret, NULL);

    for (size_t i = 0; i < n; i++)
        ids |= 1u << (ret[i]->view.id - 1);
    assert_int_equal(ids, expected);
}

static void an_unfit_uplink_is_left_out_and_its_connections_carry_nothing_new(void **state)
{
    const struct candidates_request r = {.family = AF_INET, .now = NOW};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(spoils); i++) {
        struct two t;
        two_init(&t);
        assert_true(candidates_hold(&t.set, &t.a, AF_INET, &r));
        spoils[i](&t.a);
        assert_offered(&t, &r, 2);
        assert_false(candidates_hold(&t.set, &t.a, AF_INET, &r));
        assert_true(candidates_hold(&t.set, &t.b, AF_INET, &r));
    }
}

/* No uplink is better. But one that cannot carry anything is still left out. */
static void unfit_uplinks_serve_when_all_are_unfit(void **state)
{
    const struct candidates_request r = {.family = AF_INET, .now = NOW};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(spoils); i++) {
        struct two t;
        bool dead = spoils[i] == is_not_up || spoils[i] == lacks_the_family;
        two_init(&t);
        spoils[i](&t.a);
        spoils[i](&t.b);
        assert_offered(&t, &r, dead ? 0 : 3);
        assert_int_equal(candidates_hold(&t.set, &t.a, AF_INET, &r), !dead);
    }
}

static void a_suspect_gets_tries_but_its_open_connections_none(void **state)
{
    const struct candidates_request later = {.family = AF_INET, .now = NOW + 2 * HEALTH_RETRY_S};
    struct two t;
    (void)state;
    two_init(&t);
    is_suspect(&t.a);
    assert_offered(&t, &later, 3);
    assert_false(candidates_hold(&t.set, &t.a, AF_INET, &later));
}

static void a_suspect_comes_before_a_portal_and_that_only_first(void **state)
{
    struct candidates_request r = {.family = AF_INET, .now = NOW};
    struct two t;
    (void)state;
    two_init(&t);
    is_suspect(&t.a);
    is_captive(&t.b);
    assert_offered(&t, &r, 1);
    assert_false(candidates_hold(&t.set, &t.b, AF_INET, &r));
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
        const struct candidates_request r = {.host = cases[i].host, .family = AF_UNSPEC, .now = NOW};
        t.a.four.health.captive = false;
        assert_offered(&t, &r, 3);
        assert_true(candidates_hold(&t.set, &t.b, AF_INET, &r));
        is_captive(&t.a);
        assert_offered(&t, &r, cases[i].is_portal ? 1 : 2);
        assert_int_equal(candidates_hold(&t.set, &t.b, AF_INET, &r), !cases[i].is_portal);
        assert_int_equal(candidates_hold(&t.set, &t.a, AF_INET, &r), cases[i].is_portal);
        /* Neither a retry nor a race uses the other uplink. */
        const struct candidates_request retry = {
            .host = cases[i].host, .family = AF_UNSPEC, .now = NOW, .tried = 1, .against = &t.a};
        assert_offered(&t, &retry, cases[i].is_portal ? 0 : 2);
    }
}

static char metered[] = "metered";

/* The check of a kept connection on the other uplink. */
static void an_uplink_that_spares_another_counts_while_it_is_fit(void **state)
{
    const struct candidates_request r = {.family = AF_INET, .now = NOW + 2 * HEALTH_RETRY_S};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(spoils); i++) {
        struct two t;
        two_init(&t);
        assert_int_equal(candidates_objections(&t.set, &t.b, &r), 0);
        t.b.view.tier = t.a.view.tier + 1;
        assert_int_equal(candidates_objections(&t.set, &t.b, &r), 1);
        assert_int_equal(candidates_objections(&t.set, &t.a, &r), 0);
        t.b.view.tier = t.a.view.tier;
        t.b.tags[t.b.n_tags++] = metered;
        assert_int_equal(candidates_objections(&t.set, &t.b, &r), 1);
        spoils[i](&t.a);
        assert_int_equal(candidates_objections(&t.set, &t.b, &r), 0);
    }
}

static void a_quota_that_is_used_up_speaks_against_its_uplink(void **state)
{
    const struct candidates_request r = {.family = AF_INET, .now = NOW};
    struct two t;
    (void)state;
    two_init(&t);
    t.b.quota.plan.bytes = 1000;
    t.b.view.quota_left = 1;
    uint64_t before = candidates_objections(&t.set, &t.b, &r);
    t.b.view.quota_left = 0;
    assert_int_equal(candidates_objections(&t.set, &t.b, &r) & ~before, 2);
    assert_int_equal(candidates_objections(&t.set, &t.a, &r), 0);
}

/* A name may lead to either family; the open connection has one. */
static void for_a_name_the_connections_family_counts(void **state)
{
    const struct candidates_request r = {.family = AF_UNSPEC, .now = NOW};
    struct two t;
    (void)state;
    two_init(&t);
    (void)health_answered(&t.a.six.health);
    silence(&t.a.four.health);
    assert_offered(&t, &r, 3);
    assert_false(candidates_hold(&t.set, &t.a, AF_INET, &r));
    assert_true(candidates_hold(&t.set, &t.a, AF_INET6, &r));
}

static void a_tried_uplink_is_left_out(void **state)
{
    const struct candidates_request r = {.family = AF_INET, .now = NOW, .tried = 2};
    struct two t;
    (void)state;
    two_init(&t);
    assert_offered(&t, &r, 1);
    is_suspect(&t.a);
    assert_offered(&t, &r, 1);
}

/* --- reasons why an uplink is left out ------------------------------------------------------------------ */

static void is_drained(struct uplink *u)
{
    uplink_set_draining(u, true);
}

static void is_drained_without_a_link(struct uplink *u)
{
    u->view.ipv4 = u->view.ipv6 = false;
    uplink_set_draining(u, true);
}

static void is_spent(struct uplink *u)
{
    u->quota = (struct quota){.plan = {.bytes = 1, .hard = true}, .used = 2};
    uplink_settle(u);
}

static void resolves_nothing(struct uplink *u)
{
    silence(&u->names.health);
}

static void has_one_silent_family(struct uplink *u)
{
    u->view.ipv6 = false;
    silence(&u->four.health);
}

static void is_metered(struct uplink *u)
{
    static char tag[] = "metered";
    u->tags[0] = tag;
    u->n_tags = 1;
}

static void is_of_a_higher_tier(struct uplink *u)
{
    u->view.tier = 2;
}

static void is_before_the_portal(struct uplink *u)
{
    static char hosts[] = "portal.example";
    u->portal = hosts;
    is_captive(u);
}

static void is_nothing(struct uplink *u)
{
    (void)u;
}

enum { TRIED_A = 1, TRIED_B = 2 };

/* The state of the first of two uplinks, or of the second; the expected reason for the first. */
static const struct {
    spoil_fn *first, *second;
    const char *host;
    int family;
    uint64_t tried;
    bool race; /* a race against the second */
    enum candidate_rank rank;
    enum candidate_absence alone, among; /* judged alone, and within the set */
} verdicts[] = {
    {is_nothing, is_nothing, "x.test", AF_UNSPEC, 0, false, CANDIDATE_FIT, ABSENT_NOT, ABSENT_NOT},
    {is_not_up, is_nothing, "x.test", AF_UNSPEC, 0, false, CANDIDATE_NEVER, ABSENT_DOWN, ABSENT_DOWN},
    {is_drained, is_nothing, "x.test", AF_UNSPEC, 0, false, CANDIDATE_NEVER, ABSENT_DRAINING,
     ABSENT_DRAINING},
    {is_drained_without_a_link, is_nothing, "x.test", AF_UNSPEC, 0, false, CANDIDATE_NEVER, ABSENT_DRAINING,
     ABSENT_DRAINING},
    {is_spent, is_nothing, "x.test", AF_UNSPEC, 0, false, CANDIDATE_NEVER, ABSENT_SPENT, ABSENT_SPENT},
    {lacks_the_family, is_nothing, "192.0.2.1", AF_INET, 0, false, CANDIDATE_NEVER, ABSENT_OTHER_FAMILY,
     ABSENT_OTHER_FAMILY},
    {lacks_the_family, is_nothing, "x.test", AF_UNSPEC, 0, false, CANDIDATE_FIT, ABSENT_NOT, ABSENT_NOT},
    {is_nothing, is_nothing, "x.test", AF_UNSPEC, TRIED_A, false, CANDIDATE_NEVER, ABSENT_TRIED,
     ABSENT_TRIED},
    {is_metered, is_nothing, "x.test", AF_UNSPEC, TRIED_B, true, CANDIDATE_NEVER, ABSENT_DEAR, ABSENT_DEAR},
    {is_of_a_higher_tier, is_nothing, "x.test", AF_UNSPEC, TRIED_B, true, CANDIDATE_NEVER, ABSENT_DEAR,
     ABSENT_DEAR},
    {is_metered, is_nothing, "x.test", AF_UNSPEC, 0, false, CANDIDATE_FIT, ABSENT_NOT, ABSENT_NOT},
    {resolves_nothing, is_nothing, "x.test", AF_UNSPEC, 0, false, CANDIDATE_SILENT, ABSENT_RESOLVES_NOTHING,
     ABSENT_RESOLVES_NOTHING},
    {resolves_nothing, is_nothing, "192.0.2.1", AF_INET, 0, false, CANDIDATE_FIT, ABSENT_NOT, ABSENT_NOT},
    {is_suspect, is_nothing, "192.0.2.1", AF_INET, 0, false, CANDIDATE_SILENT, ABSENT_SILENT, ABSENT_SILENT},
    {has_one_silent_family, is_nothing, "x.test", AF_UNSPEC, 0, false, CANDIDATE_SILENT, ABSENT_SILENT,
     ABSENT_SILENT}, /* and not "resolves no names", as the uplink lacks the other family */
    {is_suspect, is_suspect, "192.0.2.1", AF_INET, 0, false, CANDIDATE_SILENT, ABSENT_SILENT, ABSENT_NOT},
    {is_captive, is_nothing, "x.test", AF_UNSPEC, 0, false, CANDIDATE_CAPTIVE, ABSENT_CAPTIVE,
     ABSENT_CAPTIVE},
    {is_captive, is_captive, "x.test", AF_UNSPEC, 0, false, CANDIDATE_CAPTIVE, ABSENT_CAPTIVE, ABSENT_NOT},
    {is_captive, is_nothing, "x.test", AF_UNSPEC, TRIED_B, false, CANDIDATE_NEVER, ABSENT_CAPTIVE,
     ABSENT_CAPTIVE},
    {is_before_the_portal, is_nothing, "portal.example", AF_UNSPEC, 0, false, CANDIDATE_PORTAL, ABSENT_NOT,
     ABSENT_NOT},
    {is_nothing, is_before_the_portal, "portal.example", AF_UNSPEC, 0, false, CANDIDATE_FIT, ABSENT_NOT,
     ABSENT_NOT_THE_PORTALS},
    {is_captive, is_before_the_portal, "portal.example", AF_UNSPEC, 0, false, CANDIDATE_CAPTIVE,
     ABSENT_CAPTIVE, ABSENT_CAPTIVE},
    {is_nothing, is_before_the_portal, "portal.example", AF_UNSPEC, TRIED_B, false, CANDIDATE_FIT, ABSENT_NOT,
     ABSENT_NOT_THE_PORTALS},
};

/* Datagrams go by each uplink, except by parent proxies that are known to carry none. */
static void parent_proxies_without_datagrams_are_left_out(void **state)
{
    static struct parent_spec specs[] = {{.scheme = "socks5"}, {.scheme = "socks4a"}, {.scheme = "http"}};
    struct candidates_request r = {.family = AF_INET, .now = NOW, .datagrams = true};
    struct two t;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        two_init(&t);
        t.a.parent = &specs[i];
        r.datagrams = true;
        assert_int_equal(candidates_judge(&t.a, &r).absence, i == 0 ? ABSENT_NOT : ABSENT_NO_DATAGRAMS);
        uplink_note_no_datagrams(&t.a);
        assert_int_equal(candidates_judge(&t.a, &r).absence,
                         i == 0 ? ABSENT_REFUSES_DATAGRAMS : ABSENT_NO_DATAGRAMS);
        assert_offered(&t, &r, 2);
        r.now = 0; /* an open mapping asks without a time */
        assert_int_equal(candidates_judge(&t.a, &r).rank, CANDIDATE_NEVER);
        r.now = NOW;
        t.a.no_datagrams_until_s = clock_coarse_s() - 1; /* it may have other settings by now */
        assert_int_equal(candidates_judge(&t.a, &r).absence, i == 0 ? ABSENT_NOT : ABSENT_NO_DATAGRAMS);
        r.datagrams = false;
        assert_int_equal(candidates_judge(&t.a, &r).absence, ABSENT_NOT);
    }
    two_init(&t);
    assert_int_equal(candidates_judge(&t.b, &r).absence, ABSENT_NOT);
}

static void silence_names(struct uplink *u)
{
    silence(&u->names.health);
}

static void silence_both(struct uplink *u)
{
    silence(&u->names.health);
    silence(&u->four.health);
}

/* Which suspects new mappings may try, soon after they became suspect, and later. */
static void datagrams_may_try_a_suspect(void **state)
{
    static const struct {
        const char *what;
        spoil_fn *spoil;
        int family;
        double after_s;
        bool dear, checked, tried, offered;
    } cases[] = {
        {"soon", is_suspect, AF_INET, 1, .offered = false},
        {"later", is_suspect, AF_INET, 3, .offered = true},
        {"later, but it was tried", is_suspect, AF_INET, 9, .tried = true, .offered = false},
        {"later, by a game", is_suspect, AF_INET, 19, .dear = true, .offered = false},
        {"much later, by a game", is_suspect, AF_INET, 23, .dear = true, .offered = true},
        {"a check tells", is_suspect, AF_INET, 90, .checked = true, .offered = false},
        {"no link", is_not_up, AF_INET, 90, .offered = false},
        {"captive", is_captive, AF_INET, 90, .offered = false},
        {"a name", is_suspect, AF_UNSPEC, 3, .offered = true},
        {"a name, and a check tells", is_suspect, AF_UNSPEC, 90, .checked = true, .offered = false},
        {"silent name servers, soon", silence_names, AF_UNSPEC, 1, .offered = false},
        {"silent name servers", silence_names, AF_UNSPEC, 3, .offered = true},
        {"silent name servers, checked line", silence_names, AF_UNSPEC, 3, .checked = true, .offered = true},
        {"both", silence_both, AF_UNSPEC, 3, .offered = true},
        {"silent name servers, tried", silence_names, AF_UNSPEC, 9, .tried = true, .offered = false},
        {"both, tried", silence_both, AF_UNSPEC, 9, .tried = true, .offered = false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        double at = NOW + cases[i].after_s;
        struct candidates_request r = {
            .family = cases[i].family, .datagrams = true, .costs_little = !cases[i].dear};
        struct two t;
        two_init(&t);
        (void)health_answered(&t.a.four.health); /* a family that was never used does not count */
        cases[i].spoil(&t.a);
        t.a.four.health.checked = cases[i].checked;
        if (cases[i].tried)
            uplink_note_tried_by_datagrams(&t.a, cases[i].family, at - HEALTH_RETRY_S - 1);
        assert_int_equal(candidates_judge(&t.b, &r).rank, CANDIDATE_FIT);
        assert_int_equal(candidates_judge(&t.a, &r).rank == CANDIDATE_FIT, false);
        r.try_at = at;
        if ((candidates_judge(&t.a, &r).rank == CANDIDATE_FIT) != cases[i].offered)
            fail_msg("%s: %s", cases[i].what, cases[i].offered ? "not offered" : "offered");
    }
}

static void each_uplink_that_is_left_out_has_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
        struct two t;
        struct uplink *found[UPLINK_MAX];
        enum candidate_absence absence[UPLINK_MAX];
        two_init(&t);
        verdicts[i].first(&t.a);
        verdicts[i].second(&t.b);
        const struct candidates_request r = {.host = verdicts[i].host,
                                             .family = verdicts[i].family,
                                             .tried = verdicts[i].tried,
                                             .now = NOW,
                                             .against = verdicts[i].race ? &t.b : NULL};
        struct candidate c = candidates_judge(&t.a, &r);
        size_t n = candidates_find(&t.set, &r, found, absence);
        bool is_found = n > 0 && found[0] == &t.a;
        if (c.rank != verdicts[i].rank || c.absence != verdicts[i].alone || absence[0] != verdicts[i].among)
            fail_msg("row %zu: rank %d, alone '%s', among others '%s'", i, c.rank,
                     candidates_absence_text(c.absence), candidates_absence_text(absence[0]));
        assert_int_equal(is_found, absence[0] == ABSENT_NOT);
    }
}

static void no_peer_is_awaited_at_a_parent_proxy(void **state)
{
    static struct parent_spec spec;
    struct two t;
    (void)state;
    two_init(&t);
    t.a.parent = &spec;
    for (int bind = 0; bind < 2; bind++) {
        const struct candidates_request r = {.family = AF_INET, .now = NOW, .awaits = bind};
        assert_offered(&t, &r, bind ? 2 : 3);
        assert_int_equal(candidates_judge(&t.a, &r).absence, bind ? ABSENT_ACCEPTS_NOTHING : ABSENT_NOT);
    }
}

/* The texts that `why` shows. */
static void each_reason_has_its_own_text(void **state)
{
    (void)state;
    for (int i = 0; i < N_ABSENT; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(candidates_absence_text((enum candidate_absence)i),
                                    candidates_absence_text((enum candidate_absence)k));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unfit_uplink_is_left_out_and_its_connections_carry_nothing_new),
        cmocka_unit_test(unfit_uplinks_serve_when_all_are_unfit),
        cmocka_unit_test(a_suspect_gets_tries_but_its_open_connections_none),
        cmocka_unit_test(a_suspect_comes_before_a_portal_and_that_only_first),
        cmocka_unit_test(hosts_of_a_portal_go_by_it_alone_while_it_is_captive),
        cmocka_unit_test(an_uplink_that_spares_another_counts_while_it_is_fit),
        cmocka_unit_test(a_quota_that_is_used_up_speaks_against_its_uplink),
        cmocka_unit_test(for_a_name_the_connections_family_counts),
        cmocka_unit_test(a_tried_uplink_is_left_out),
        cmocka_unit_test(parent_proxies_without_datagrams_are_left_out),
        cmocka_unit_test(datagrams_may_try_a_suspect),
        cmocka_unit_test(each_uplink_that_is_left_out_has_a_reason),
        cmocka_unit_test(no_peer_is_awaited_at_a_parent_proxy),
        cmocka_unit_test(each_reason_has_its_own_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
