#include "net/listen_place.h"

#include "support/netns.h"

static struct listen_place place(const char *host)
{
    struct listen_place p;
    if (listen_place_parse(&p, slice_str(host)) < 0)
        fail_msg("%s is refused", host);
    addr_set_port(&p.addr, 80);
    return p;
}

static void assert_text(const struct listen_place *p, const char *expected)
{
    char text[LISTEN_TEXT_MAX];
    assert_string_equal(listen_place_text(p, text), expected);
}

static void test_what_is_read(void **state)
{
    static const struct {
        const char *host, *text;
        bool awaited;
    } good[] = {
        {"127.0.0.1", "127.0.0.1:80", false},
        {"::1", "[::1]:80", false},
        {"[2001:db8::1]", "[2001:db8::1]:80", false},
        {"fe80::1", "[fe80::1]:80", false},
        {"fe80::1%later0", "[fe80::1%later0]:80", true},
        {"[fe80::1%later0]", "[fe80::1%later0]:80", true},
        {"fe80::1%lo", "[fe80::1%lo]:80", false},
        {"fe80::1%a-name-of-more-than-fifteen", "[fe80::1%a-name-of-more-than-fifteen]:80", true},
    };
    static const char *const bad[] = {
        "",
        "%later0",
        "fe80::1%",
        "fe80::1%a/b",
        "[fe80::1",
        "fe80::1]",
        "[127.0.0.1]",
        "127.0.0.1%lo",
        "2001:db8::1%later0",
        "::1%later0",
        "name",
        "fe80::1%later0%lo0/",
    };
    char name[MACHINE_NAME_SIZE + 16] = "fe80::1%";
    struct listen_place p;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        p = place(good[i].host);
        assert_text(&p, good[i].text);
        assert_int_equal(listen_place_is_awaited(&p), good[i].awaited);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (listen_place_parse(&p, slice_str(bad[i])) != -EINVAL)
            fail_msg("%s is taken", bad[i]);
    size_t head = strlen(name);
    memset(name + head, 'n', MACHINE_NAME_SIZE);
    assert_int_equal(listen_place_parse(&p, slice_str(name)), -EINVAL);
    name[head + MACHINE_NAME_SIZE - 1] = '\0';
    assert_int_equal(listen_place_parse(&p, slice_str(name)), 0);
    (void)state;
}

static void test_those_on_other_links_are_others(void **state)
{
    const struct listen_place a = place("fe80::1%later0"), b = place("fe80::1%later1"),
                              c = place("fe80::1%lo"), any = place("::1");

    assert_true(listen_place_same(&a, &a) && listen_place_same(&c, &c) && listen_place_same(&any, &any));
    assert_false(listen_place_same(&a, &b) || listen_place_same(&a, &c) || listen_place_same(&c, &a));
    (void)state;
}

static void test_a_link_that_comes_and_comes_back(void **state)
{
    static const char make[] = "link add later0 type veth peer name peer0\nlink set later0 up\n"
                               "link set peer0 up\naddr add fe80::1/64 dev later0 nodad\n";
    struct listen_place p = place("fe80::1%later0");
    struct machine m;

    netns_enter();
    if (!netns_have_ipv6())
        return;
    assert_false(listen_place_find(&p));
    netns_ip("link add other0 type veth peer name other1\nlink set other0 up\nlink set other1 up\n"
             "addr add fe80::1/64 dev other0 nodad\n");
    assert_int_equal(machine_read(&m), 0);
    assert_false(listen_place_is_there(&p, &m)); /* the same address on another link */
    machine_done(&m);
    for (int times = 0; times < 2; times++) {
        netns_ip(make);
        assert_true(listen_place_find(&p));
        assert_false(listen_place_find(&p));
        assert_text(&p, "[fe80::1%later0]:80");
        assert_int_equal(machine_read(&m), 0);
        assert_true(listen_place_is_there(&p, &m));
        machine_done(&m);
        netns_ip("link delete later0\n");
        assert_false(listen_place_find(&p));
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_read),
        cmocka_unit_test(test_those_on_other_links_are_others),
        cmocka_unit_test(test_a_link_that_comes_and_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
