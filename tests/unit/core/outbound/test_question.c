/* Captured questions for names: which server is asked, by each kind of uplink. */
#include "dns/resolver.h"
#include "outbound/question.h"
#include "uplink/parent_spec.h"
#include "uplink/uplink.h"

#include "outbound/scene.h"

#define PUBLIC "198.51.100.53"
#define PUBLIC6 "2001:db8::53"

struct row {
    bool by_parent;
    bool named;          /* by the user */
    const char *asked;   /* NULL: it is known by name only */
    const char *servers; /* of the uplink */
    const char *expected;
    const char *denied; /* a range; NULL: nothing */
};

static const struct row rows[] = {
    /* an uplink of this machine: always its own */
    {false, false, "9.9.9.9", PUBLIC, PUBLIC, NULL},
    {false, false, "192.168.1.1", PUBLIC, PUBLIC, NULL},
    {false, false, "9.9.9.9", "192.168.1.1," PUBLIC, "192.168.1.1, " PUBLIC, NULL},
    {false, false, "9.9.9.9", PUBLIC6 "," PUBLIC, PUBLIC, NULL}, /* the uplink has no IPv6 */
    {false, false, "9.9.9.9", PUBLIC6, "", NULL},
    {false, false, NULL, PUBLIC, PUBLIC, NULL},
    {false, false, "9.9.9.9", "", "", NULL},
    {false, false, "9.9.9.9", PUBLIC, PUBLIC, "0.0.0.0/0"},
    /* a parent proxy: the client's own server, where it can be asked for that */
    {true, false, "9.9.9.9", PUBLIC, "9.9.9.9", NULL},
    {true, false, "9.9.9.9", "", "9.9.9.9", NULL},
    {true, false, "192.168.1.1", PUBLIC, PUBLIC, NULL},
    {true, false, "10.0.0.1", PUBLIC, PUBLIC, NULL},
    {true, false, "127.0.0.53", PUBLIC, PUBLIC, NULL},
    {true, false, "fe80::1", PUBLIC, PUBLIC, NULL},
    {true, false, "fd00::1", PUBLIC, PUBLIC, NULL},
    {true, false, NULL, PUBLIC, PUBLIC, NULL},
    {true, false, "9.9.9.9", PUBLIC, PUBLIC, "9.9.9.0/24"},
    {true, false, "198.51.100.1", PUBLIC, PUBLIC, NULL}, /* this machine's own address */
    /* and of the uplink's servers only those that the parent proxy can reach */
    {true, false, "10.0.0.1", "", "", NULL},
    {true, false, "10.0.0.1", "192.168.1.1", "", NULL},
    {true, false, "10.0.0.1", "192.168.1.1," PUBLIC, PUBLIC, NULL},
    {true, true, "10.0.0.1", "192.168.1.1," PUBLIC, "192.168.1.1, " PUBLIC, NULL},
    {true, true, "10.0.0.1", "127.0.0.53", "", NULL},
    {true, false, "10.0.0.1", "127.0.0.53", "", NULL},
    {true, false, "10.0.0.1", PUBLIC, PUBLIC, "0.0.0.0/0"},
};

static struct addr ip(const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse_ip(&a, slice_str(text), 53), 0);
    return a;
}

/* @return what is asked, as a text */
static const char *ask(const struct row *row, struct resolver *resolver, const struct own_addresses *own,
                       char ret[DNS_SERVERS_TEXT_MAX])
{
    static struct parent_spec spec = {.port = 1080};
    const struct uplink u = {.egress = {.any4 = true},
                             .names = {.resolver = resolver, .named = row->named},
                             .parent = row->by_parent ? &spec : NULL};
    const struct addr asked = ip(row->asked ? row->asked : PUBLIC), client = ip("10.0.0.7");
    struct dns_servers servers = {.n = 0}, got = {.n = 0};
    struct deny deny = {.n = 0};

    if (row->denied)
        assert_int_equal(deny_add_place(&deny, slice_str(row->denied)), 0);
    const struct reach reach = {.deny = &deny, .own = own};
    if (row->servers[0])
        assert_int_equal(dns_servers_parse(&servers, row->servers), 0);
    resolver_aim(resolver, &u.egress, &servers);
    const struct question_request q = {
        .asked = row->asked ? &asked : NULL, .client = &client, .reach = &reach};
    got.n = question_servers(&q, &u, got.items);
    deny_done(&deny);
    return dns_servers_format(&got, ret);
}

static void each_uplink_asks_a_server_that_it_reaches(void **state)
{
    struct machine_addr own_addr = {.link = 1, .addr = ip("198.51.100.1")};
    const struct machine m = {.addrs = &own_addr, .n_addrs = 1};
    struct own_addresses own;
    struct outbounds shared;
    struct scene scene = {.own = {.n_lone = 0}};

    (void)state;
    scene_init(&scene, &shared, 1);
    assert_int_equal(own_addresses_init(&own, &m), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[DNS_SERVERS_TEXT_MAX];
        const char *got = ask(&rows[i], shared.resolver, &own, text);
        if (strcmp(got, rows[i].expected) != 0)
            fail_msg("row %zu: '%s' is asked, not '%s'", i, got, rows[i].expected);
    }
    own_addresses_done(&own);
    scene_done(&scene, &shared);
}

static void only_captured_ones_are_questions(void **state)
{
    (void)state;
    assert_true(question_is(true, 53));
    assert_false(question_is(true, 853));
    assert_false(question_is(false, 53)); /* the client has chosen a proxy for it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_uplink_asks_a_server_that_it_reaches),
        cmocka_unit_test(only_captured_ones_are_questions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
