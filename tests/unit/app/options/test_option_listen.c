/* Listeners behind a balancer, and the balancers that may connect there. */
#include "options/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char FROM[] = "proxy-protocol-from", LISTEN[] = "listen";

struct given {
    const char *name, *value;
};

/* @return what options_apply and config_finish said; "" for no error */
static const char *finish(struct config *c, const struct given given[4])
{
    static char err[CONFIG_ERROR_MAX];
    struct option_value values[4];
    bool file;
    size_t n = 0;

    config_init(c);
    for (; n < 4 && given[n].name; n++)
        values[n] = (struct option_value){option_by_name(slice_str(given[n].name)), given[n].value};
    err[0] = '\0';
    if (options_apply(c, values, n, &file, err) == 0)
        (void)!config_finish(c, err);
    return err;
}

static bool names(const struct config *c, const char *balancer)
{
    struct addr a;

    assert_int_equal(addr_parse_ip(&a, slice_str(balancer), 1), 0);
    return cidr_set_contains(&c->balancers, &a);
}

static void balancers_are_named(void **state)
{
    const struct given given[4] = {
        {FROM, "192.0.2.1,192.0.2.2"}, {LISTEN, "127.0.0.1:7,proxy-protocol"}, {LISTEN, "127.0.0.1:8"}};
    struct config c;

    assert_string_equal(finish(&c, given), "");
    assert_int_equal(c.n_listen, 2);
    assert_true(c.listen[0].proxy_protocol);
    assert_false(c.listen[1].proxy_protocol);
    assert_true(names(&c, "192.0.2.1") && names(&c, "192.0.2.2"));
    assert_false(names(&c, "192.0.2.3") || names(&c, "127.0.0.1") || names(&c, "::1"));
    config_done(&c);
    (void)state;
}

static void without_names_only_this_machine_is_a_balancer(void **state)
{
    const struct given given[4] = {{LISTEN, "*:7,proxy-protocol"}}, none[4] = {{NULL, NULL}};
    struct config c;

    assert_string_equal(finish(&c, given), "");
    assert_int_equal(c.n_listen, 2);
    assert_true(c.listen[0].proxy_protocol && c.listen[1].proxy_protocol);
    assert_true(names(&c, "127.0.0.1") && names(&c, "127.9.9.9") && names(&c, "::1"));
    assert_false(names(&c, "192.168.1.1") || names(&c, "128.0.0.1") || names(&c, "::2"));
    config_done(&c);
    assert_string_equal(finish(&c, none), "");
    assert_int_equal(c.balancers.n, 0);
    config_done(&c);
    (void)state;
}

/* Without the word at the listener, its clients would be believed to be what they are, and refused. */
static void what_contradicts_itself_is_refused(void **state)
{
    static const struct {
        struct given given[4];
        const char *err;
    } table[] = {
        {{{FROM, "192.0.2.1"}}, "proxy-protocol-from: no address to listen on has ,proxy-protocol behind it"},
        {{{LISTEN, "127.0.0.1:7"}, {LISTEN, "127.0.0.1:7,proxy-protocol"}},
         "--listen: this address is given with and without proxy-protocol"},
        {{{LISTEN, "127.0.0.1:7,proxy-protocol"}, {"host", "127.0.0.1"}, {"port", "7"}},
         "listen: an address is given with and without proxy-protocol"},
    };
    struct config c;

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_string_equal(finish(&c, table[i].given), table[i].err);
        config_done(&c);
    }
    (void)state;
}

static void the_command_line_replaces_the_files_balancers(void **state)
{
    const struct given given[4] = {{FROM, "192.0.2.1"}, {LISTEN, "127.0.0.1:7,proxy-protocol"}};
    const struct option_value later = {option_by_name(slice_str(FROM)), "192.0.2.9"};
    char err[CONFIG_ERROR_MAX];
    struct config c;
    bool file;

    assert_string_equal(finish(&c, given), "");
    assert_int_equal(options_apply(&c, &later, 1, &file, err), 0);
    assert_true(names(&c, "192.0.2.9"));
    assert_false(names(&c, "192.0.2.1"));
    config_done(&c);
    (void)state;
}

static void the_command_line_replaces_what_browsers_reach(void **state)
{
    const struct given given[4] = {{"pac-bypass", "lan,10.0.0.0/8,none"}, {"pac-direct", ""}};
    const struct option_value later = {option_by_name(slice_str("pac-bypass")), "*.corp.example"};
    char err[CONFIG_ERROR_MAX];
    struct config c;
    bool file;

    assert_string_equal(finish(&c, given), "");
    assert_string_equal(c.pac.names, "\"lan\"");
    assert_true(c.pac.ranges.n == 1 && c.pac.no_local && c.pac.fall_back);
    assert_int_equal(options_apply(&c, &later, 1, &file, err), 0);
    assert_string_equal(c.pac.names, "\"corp.example\"");
    assert_true(c.pac.ranges.n == 0 && !c.pac.no_local);
    assert_true(c.pac.fall_back); /* an option of its own */
    config_done(&c);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(balancers_are_named),
        cmocka_unit_test(without_names_only_this_machine_is_a_balancer),
        cmocka_unit_test(what_contradicts_itself_is_refused),
        cmocka_unit_test(the_command_line_replaces_the_files_balancers),
        cmocka_unit_test(the_command_line_replaces_what_browsers_reach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
