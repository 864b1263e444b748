/* Which connections a request means. */
#include "view/connection_filter.h"

#include "outbound/account.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct account account(void)
{
    struct account a = {
        .id = 42, .user = "ann", .host = "www.Example.org", .address = "192.0.2.7", .uplink = "wan1"};

    assert_int_equal(addr_parse(&a.client, slice_str("192.168.1.7:4000")), 0);
    return a;
}

/* @return 1: it fits; 0: it does not; -1: refused */
static int fits(const char *text, bool *ret_said, char *err)
{
    const struct account a = account();
    json_t *request = json_loads(text, 0, NULL);
    struct connection_filter f;
    int r;

    assert_non_null(request);
    r = connection_filter_read(&f, request, err);
    json_decref(request);
    if (r == 0)
        r = connection_filter_fits(&f, &a);
    *ret_said = connection_filter_is_said(&f);
    connection_filter_done(&f);
    return r < 0 ? -1 : r;
}

static void each_filter_fits_what_it_names(void **state)
{
    static const struct {
        const char *request;
        int fits;
        bool said;
    } cases[] = {
        {"{}", 1, false},
        {"{\"verb\":\"close\"}", 1, false},
        {"{\"all\":true}", 1, true},
        {"{\"all\":false}", 1, false},
        {"{\"host\":\"www.example.org\"}", 1, true},
        {"{\"host\":\"EXAMPLE.org\"}", 1, true},
        {"{\"host\":\"org\"}", 1, true},
        {"{\"host\":\"ample.org\"}", 0, true},
        {"{\"host\":\"a.www.example.org\"}", 0, true},
        {"{\"host\":\"\"}", 0, true},
        {"{\"host\":\"192.0.2.7\"}", 1, true},
        {"{\"host\":\"2.7\"}", 0, true}, /* no domain has an address */
        {"{\"client\":\"192.168.1.7\"}", 1, true},
        {"{\"client\":\"192.168.0.0/16\"}", 1, true},
        {"{\"client\":\"192.168.1.8\"}", 0, true},
        {"{\"uplink\":\"wan1\"}", 1, true},
        {"{\"uplink\":\"wan\"}", 0, true},
        {"{\"user\":\"ann\"}", 1, true},
        {"{\"user\":\"bob\"}", 0, true},
        {"{\"ids\":[99,42,7]}", 1, true},
        {"{\"ids\":[41,43]}", 0, true},
        {"{\"ids\":[]}", 0, true},
        {"{\"ids\":[42],\"user\":\"bob\"}", 0, true},
        {"{\"user\":\"ann\",\"uplink\":\"wan1\",\"host\":\"example.org\"}", 1, true},
    };
    char err[CONNECTION_FILTER_ERROR_MAX];
    bool said;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int r = fits(cases[i].request, &said, err);
        if (r != cases[i].fits || said != cases[i].said)
            fail_msg("%s: %d, said %d", cases[i].request, r, said);
    }
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *request, *err;
    } cases[] = {
        {"{\"host\":7}", "host: expected a text"},
        {"{\"uplink\":null}", "uplink: expected a text"},
        {"{\"client\":\"x\"}",
         "client: expected an address such as 192.168.1.7, or a network such as 10.0.0.0/8"},
        {"{\"client\":[]}",
         "client: expected an address such as 192.168.1.7, or a network such as 10.0.0.0/8"},
        {"{\"ids\":{}}", "ids: expected a list of numbers"},
        {"{\"ids\":[\"1\"]}", "ids: expected a list of numbers"},
        {"{\"ids\":[-1]}", "ids: expected a list of numbers"},
        {"{\"all\":\"yes\"}", "all: expected true or false"},
        {"{\"hots\":\"x\"}", "unknown key 'hots' (known are: host, client, uplink, user, ids, all)"},
    };
    char err[CONNECTION_FILTER_ERROR_MAX];
    bool said;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(fits(cases[i].request, &said, err), -1);
        assert_string_equal(err, cases[i].err);
    }
}

static void an_account_without_user_and_address(void **state)
{
    struct account a = account();
    struct connection_filter f = {.user = "ann"};

    (void)state;
    a.user = a.address = NULL;
    assert_false(connection_filter_fits(&f, &a));
    f = (struct connection_filter){.host = "192.0.2.7"};
    assert_false(connection_filter_fits(&f, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_filter_fits_what_it_names),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(an_account_without_user_and_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
