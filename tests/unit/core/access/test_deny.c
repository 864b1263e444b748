/* Denied destinations: syntax, clients, users and coverage. */
#include "access/deny.h"

#include "support/copy.h"

#include <errno.h>

/* From an exact-size copy on the heap, so that a sanitizer sees reads past it. */
static int parse(struct deny_place *ret, const char *text)
{
    size_t len = strlen(text);
    char *copy = heap_copy(text, len);
    int r = deny_place_parse(ret, slice_of(copy, len));
    free(copy);
    return r;
}

static void places_are_read_and_written(void **state)
{
    static const char *const good[][2] = {
        {"10.0.0.0/8", "10.0.0.0/8"},
        {"10.1.2.3", "10.1.2.3/32"},
        {"10.1.2.3/8:25", "10.0.0.0/8:25"},
        {"0.0.0.0/0:25", "0.0.0.0/0:25"},
        {"192.0.2.1:1-1023", "192.0.2.1/32:1-1023"},
        {"2001:db8::/32", "2001:db8::/32"},
        {"2001:db8::25", "2001:db8::25/128"},
        {"[2001:db8::]/32", "2001:db8::/32"},
        {"[2001:db8::]/32:25", "[2001:db8::]/32:25"},
        {"[::1]:25-26", "[::1]/128:25-26"},
        {"[::]/0:65535", "[::]/0:65535"},
        {"::ffff:10.0.0.0/104", "10.0.0.0/8"}, /* IPv4-mapped means IPv4 */
        {"*", "*"},
        {"*:25", "*:25"},
        {"*:1-65535", "*"},
    };
    static const char *const bad[] = {
        "",
        "10.0.0.0/33",
        "10.0.0/8",
        "10.0.0.0/8:",
        "10.0.0.0/8:0",
        "10.0.0.0/8:65536",
        "*:",
        "*:x",
        "*:25-",
        "*:-25",
        "*:26-25",
        "*:25-26-27",
        "*:25,26",
        "*/8",
        "[::1",
        "[::1]x",
        "[::1]:",
        "fe80::1%lo",
        "localhost",
        "0x7f000001",
        "2130706433",
        "127.1",
        "example.org:25",
        " 10.0.0.0/8",
        "*:+25",
        "*: 25",
        "10.0.0.0/8:25:",
        "10.0.0.0/8:2525252525252525252525",
        ":25",
        "[]:25",
    };
    struct deny_place p;
    char text[DENY_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (parse(&p, good[i][0]) < 0)
            fail_msg("%s was refused", good[i][0]);
        assert_string_equal(deny_place_format(&p, text), good[i][1]);
        assert_int_equal(parse(&p, text), 0); /* the log's text can be parsed again */
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (parse(&p, bad[i]) != -EINVAL)
            fail_msg("'%s' was taken", bad[i]);
}

static struct addr at(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(&a, slice_str(text)), 0);
    return a;
}

static bool denied(const struct deny *d, const char *client, const char *user, const char *to)
{
    struct addr c = at(client), t = at(to);
    return deny_find(d, &c, user, &t, addr_port(&t)) != NULL;
}

static void a_place_covers_addresses_and_ports(void **state)
{
    struct deny d = {.n = 0};
    const struct addr name = {.sa.sa_family = AF_UNSPEC}, client = at("10.9.9.9:1");

    (void)state;
    assert_false(denied(&d, "10.9.9.9:1", NULL, "10.0.0.1:25"));
    assert_int_equal(deny_add_place(&d, slice_str("10.0.0.0/8:25-26")), 0);
    assert_int_equal(deny_add_place(&d, slice_str("nonsense")), -EINVAL);
    assert_int_equal(deny_add_place(&d, slice_str("[2001:db8::]/32:53")), 0);
    assert_true(denied(&d, "10.9.9.9:1", NULL, "10.255.0.1:25"));
    assert_true(denied(&d, "10.9.9.9:1", "anna", "10.255.0.1:26"));
    assert_false(denied(&d, "10.9.9.9:1", NULL, "10.255.0.1:24"));
    assert_false(denied(&d, "10.9.9.9:1", NULL, "10.255.0.1:27"));
    assert_false(denied(&d, "10.9.9.9:1", NULL, "11.0.0.1:25"));
    assert_true(denied(&d, "10.9.9.9:1", NULL, "[2001:db8:1::1]:53"));
    assert_false(denied(&d, "10.9.9.9:1", NULL, "[2001:db9::1]:53"));
    assert_null(deny_find(&d, &client, NULL, &name, 25)); /* a name's address is unknown */
    /* A peer that connects has no port that counts. */
    assert_false(denied(&d, "10.9.9.9:1", NULL, "10.255.0.1:0"));
    assert_int_equal(deny_add_place(&d, slice_str("12.0.0.0/8")), 0);
    assert_int_equal(deny_add_place(&d, slice_str("13.0.0.0/8:1-65535")), 0);
    assert_true(denied(&d, "10.9.9.9:1", NULL, "12.255.0.1:0"));
    assert_true(denied(&d, "10.9.9.9:1", NULL, "13.255.0.1:0"));
    assert_int_equal(deny_add_place(&d, slice_str("*:465")), 0);
    assert_non_null(deny_find(&d, &client, NULL, &name, 465));
    assert_true(denied(&d, "10.9.9.9:1", NULL, "198.51.100.1:465"));
    assert_true(denied(&d, "10.9.9.9:1", NULL, "[2001:db9::1]:465"));
    deny_done(&d);
    assert_false(denied(&d, "10.9.9.9:1", NULL, "10.255.0.1:25"));
}

static void a_rule_may_apply_to_some_clients(void **state)
{
    struct deny d = {.n = 0};
    struct deny_rule guests = {.n_places = 0}, kids = {.n_places = 0};
    struct cidr lan;

    (void)state;
    assert_int_equal(cidr_parse(&lan, slice_str("192.168.2.0/24")), 0);
    assert_int_equal(deny_rule_add_place(&guests, slice_str("192.168.1.0/24")), 0);
    assert_int_equal(deny_rule_add_place(&guests, slice_str("*:25")), 0);
    assert_int_equal(cidr_set_add(&guests.clients, &lan), 0);
    assert_int_equal(deny_add(&d, &guests), 0);
    assert_int_equal(deny_rule_add_place(&kids, slice_str("203.0.113.0/24")), 0);
    assert_int_equal(deny_rule_add_user(&kids, slice_str("tim")), 0);
    assert_int_equal(deny_rule_add_user(&kids, slice_str("tom")), 0);
    assert_int_equal(cidr_set_add(&kids.clients, &lan), 0);
    assert_int_equal(deny_add(&d, &kids), 0);

    assert_true(denied(&d, "192.168.2.7:1", NULL, "192.168.1.1:80"));
    assert_true(denied(&d, "192.168.2.7:1", "ann", "198.51.100.1:25"));
    assert_false(denied(&d, "192.168.3.7:1", NULL, "192.168.1.1:80"));
    assert_true(denied(&d, "192.168.2.7:1", "tom", "203.0.113.1:80"));
    assert_false(denied(&d, "192.168.2.7:1", "ann", "203.0.113.1:80"));
    assert_false(denied(&d, "192.168.2.7:1", NULL, "203.0.113.1:80"));
    assert_false(denied(&d, "192.168.3.7:1", "tom", "203.0.113.1:80")); /* both lists must match */
    /* A rule for others does not end the search. */
    assert_int_equal(deny_add_place(&d, slice_str("198.51.100.0/24:465")), 0);
    assert_true(denied(&d, "192.168.3.7:1", "ann", "198.51.100.1:465"));
    deny_done(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_read_and_written),
        cmocka_unit_test(a_place_covers_addresses_and_ports),
        cmocka_unit_test(a_rule_may_apply_to_some_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
