/* Every fault has an answer in each protocol, and faults that a client can act on have different ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "inbound/reply.h"

#include <stdio.h>
#include <string.h>

/* Every fault, in the order of the enum: a new one needs a row. */
static const struct {
    enum fault fault;
    int socks5, socks4, status;
    const char *error;
} ANSWERS[] = {
    {FAULT_NONE, 0, 90, 200, NULL},
    {FAULT_TIMEOUT, 6, 91, 504, "connection_timeout"},
    {FAULT_REFUSED, 5, 91, 502, "connection_refused"},
    {FAULT_UNREACHABLE, 3, 91, 502, "destination_unavailable"},
    {FAULT_HOST, 4, 91, 502, "destination_unavailable"},
    {FAULT_RESET, 5, 91, 502, "connection_terminated"},
    {FAULT_NAME, 4, 91, 502, "dns_error"},
    {FAULT_DNS, 4, 91, 502, "dns_timeout"},
    {FAULT_BIND, 1, 91, 503, "proxy_internal_error"},
    {FAULT_DENIED, 2, 91, 403, "destination_ip_prohibited"},
    {FAULT_NO_UPLINK, 3, 91, 503, "destination_unavailable"},
    {FAULT_PARENT, 3, 91, 502, "destination_unavailable"},
    {FAULT_REJECTED, 2, 91, 403, "destination_ip_prohibited"},
    {FAULT_EXPIRED, 6, 91, 504, "connection_timeout"},
    {FAULT_FAILED, 1, 91, 502, "destination_unavailable"},
    {FAULT_RESOURCES, 1, 91, 503, "proxy_internal_error"},
    {FAULT_LIMIT, 2, 91, 429, "http_request_denied"},
    {FAULT_BUSY, 1, 91, 503, "http_request_denied"},
};

static void every_fault_has_a_row(void **state)
{
    (void)state;
    assert_int_equal(ARRAY_LEN(ANSWERS), FAULT_BUSY + 1);
    for (size_t i = 0; i < ARRAY_LEN(ANSWERS); i++)
        assert_int_equal(ANSWERS[i].fault, i);
}

static void socks_tells_the_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ANSWERS); i++) {
        assert_int_equal(reply_socks5(ANSWERS[i].fault), ANSWERS[i].socks5);
        assert_int_equal(reply_socks4(ANSWERS[i].fault), ANSWERS[i].socks4);
    }
}

static void http_tells_the_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ANSWERS); i++) {
        struct reply_http r = reply_http(ANSWERS[i].fault);
        assert_int_equal(r.status, ANSWERS[i].status);
        if (ANSWERS[i].error)
            assert_string_equal(r.error, ANSWERS[i].error);
        else
            assert_null(r.error);
        assert_non_null(r.text);
    }
}

static void a_refusal_is_one_harmless_line(void **state)
{
    static const struct {
        const char *reason, *shown;
    } cases[] = {
        {"no mail", "no mail"},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"a\r\nb\x1b[0m\x7f\t", "a??b?[0m??"},
        {"\xff\xc3(\xc0\x80", "?"
                              "?(?"
                              "?"},                    /* alone, cut short, overlong */
        {"\xed\xa0\x80|\xf4\x90\x80\x80", "???|????"}, /* a surrogate; beyond the last character */
        {"\xe2\x82", "??"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[REPLY_REFUSAL_MAX], expected[REPLY_REFUSAL_MAX];
        reply_refusal(out, cases[i].reason);
        (void)snprintf(expected, sizeof expected, "This destination is not allowed: %s", cases[i].shown);
        assert_string_equal(out, expected);
    }
    char longest[1000], out[REPLY_REFUSAL_MAX];
    for (size_t i = 0; i < sizeof longest - 1; i += 3)
        memcpy(longest + i, "\xe2\x82\xac", 3);
    longest[sizeof longest - 1] = '\0';
    reply_refusal(out, longest);
    assert_true(strlen(out) < REPLY_REFUSAL_MAX && strlen(out) > REPLY_REFUSAL_MAX - 5);
    assert_memory_equal(out + strlen(out) - 3, "\xe2\x82\xac", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refusal_is_one_harmless_line),
        cmocka_unit_test(every_fault_has_a_row),
        cmocka_unit_test(socks_tells_the_reason),
        cmocka_unit_test(http_tells_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
