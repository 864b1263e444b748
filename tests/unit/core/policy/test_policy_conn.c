/* What a policy sees of a connection says all that it is made of, and nothing is left over from before. */
#include "policy/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void all_given_fields_are_set(void **state)
{
    const struct policy_origin from = {
        .proto = POLICY_HTTP, .client = "192.0.2.7", .user = "ann", .listener = "[::1]:1080", .bind = true};
    const struct policy_attempt at = {.number = 3, .race = true, .last_error = "timeout"};
    struct policy_conn conn;

    (void)state;
    memset(&conn, 0xa5, sizeof conn);
    const struct policy_destination to = {.host = "www.example.org", .address = "2001:db8::7", .port = 8443};
    policy_conn_init(&conn, 4711, &to, &from, &at);
    assert_int_equal(conn.id, 4711);
    assert_string_equal(conn.host, "www.example.org");
    assert_string_equal(conn.address, "2001:db8::7");
    assert_int_equal(conn.port, 8443);
    assert_true(conn.race);
    assert_true(conn.bind);
    assert_int_equal(conn.proto, POLICY_HTTP);
    assert_string_equal(conn.client, "192.0.2.7");
    assert_string_equal(conn.user, "ann");
    assert_string_equal(conn.listener, "[::1]:1080");
    assert_int_equal(conn.attempt, 3);
    assert_string_equal(conn.last_error, "timeout");
}

static void a_made_up_connection_is_a_first_attempt_without_a_client(void **state)
{
    struct policy_conn conn;

    (void)state;
    memset(&conn, 0xa5, sizeof conn);
    const struct policy_destination to = {.host = "192.0.2.1", .port = 443};
    policy_conn_init(&conn, 0, &to, &POLICY_ORIGIN_MADE_UP, &POLICY_ATTEMPT_FIRST);
    assert_null(conn.address);
    assert_string_equal(conn.client, "192.0.2.2");
    assert_null(conn.user);
    assert_string_equal(conn.listener, "127.0.0.1:1080");
    assert_int_equal(conn.proto, POLICY_SOCKS5);
    assert_int_equal(conn.attempt, 1);
    assert_false(conn.race);
    assert_false(conn.bind);
    assert_null(conn.last_error);
}

static void ways_of_asking_have_names(void **state)
{
    (void)state;
    assert_string_equal(policy_proto_name(POLICY_SOCKS4), "socks4");
    assert_string_equal(policy_proto_name(POLICY_SOCKS5), "socks5");
    assert_string_equal(policy_proto_name(POLICY_CONNECT), "connect");
    assert_string_equal(policy_proto_name(POLICY_HTTP), "http");
    assert_string_equal(policy_proto_name(POLICY_FORWARD), "forward");
    assert_string_equal(policy_proto_name(POLICY_TRANSPARENT), "transparent");
    for (int p = POLICY_SOCKS4; p <= POLICY_TRANSPARENT; p++) {
        enum policy_proto found = POLICY_SOCKS4;
        assert_true(policy_proto_parse(policy_proto_name((enum policy_proto)p), &found));
        assert_int_equal(found, p);
    }
    assert_false(policy_proto_parse("unknown", &(enum policy_proto){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_given_fields_are_set),
        cmocka_unit_test(a_made_up_connection_is_a_first_attempt_without_a_client),
        cmocka_unit_test(ways_of_asking_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
