/* Rows are valid JSON, whatever bytes their texts have. */
#include "view/connection_row.h"

#include "outbound/account.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static json_t *read_row(const struct account *a, const char *state)
{
    struct buf out;

    buf_init(&out, 64 * 1024);
    assert_int_equal(connection_row_write(&out, a, state, 112.5), 0);
    json_t *row = json_loadb(buf_slice(&out).data, out.len, JSON_REJECT_DUPLICATES, NULL);
    if (!row)
        fail_msg("no JSON: %.*s", (int)out.len, buf_slice(&out).data);
    buf_done(&out);
    return row;
}

static void fields_of_an_open_connection(void **state)
{
    struct account a = {.id = UINT64_C(1) << 40,
                        .host = "example.org",
                        .proto = "connect",
                        .uplink = "wan1",
                        .listener = "127.0.0.1:1080",
                        .port = 443,
                        .tx = UINT64_C(1) << 60,
                        .rx = 9,
                        .started_s = 100};

    (void)state;
    assert_int_equal(addr_parse(&a.client, slice_str("[2001:db8::1]:4000")), 0);
    json_t *row = read_row(&a, "open"),
           *want = json_pack("{s:I, s:s, s:n, s:s, s:s, s:n, s:i, s:s, s:n, s:s, s:I, s:i, s:f, s:s}", "id",
                             (json_int_t)1 << 40, "client", "[2001:db8::1]:4000", "user", "proto", "connect",
                             "host", "example.org", "address", "port", 443, "uplink", "wan1", "reason",
                             "listener", "127.0.0.1:1080", "tx", (json_int_t)1 << 60, "rx", 9, "age", 12.5,
                             "state", "open");
    assert_non_null(want);
    assert_true(json_equal(row, want));
    json_decref(row);
    json_decref(want);
}

static void one_that_has_ended_has_its_outcome_and_duration(void **state)
{
    const struct account a = {.host = "h", .started_s = 100, .ended_s = 100.25, .outcome = "reset"};
    json_t *row = read_row(&a, NULL);

    (void)state;
    assert_string_equal(json_string_value(json_object_get(row, "outcome")), "reset");
    assert_true(json_real_value(json_object_get(row, "duration")) == 0.25);
    assert_null(json_object_get(row, "state"));
    json_decref(row);
}

static void texts_of_all_bytes(void **state)
{
    static const struct {
        const char *text, *read;
    } cases[] = {
        {"", ""},
        {"a\"b\\c", "a\"b\\c"},
        {"\x01\x1f\x7f", "\x01\x1f\x7f"},
        {"a\xc3\xa4\xe2\x82\xac", "a\xc3\xa4\xe2\x82\xac"},
        {"a\xff\xc3", "a\\xff\\xc3"},
        {"\xc3\xa4\x80z", "\xc3\xa4\\x80z"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct account a = {.host = "h", .reason = cases[i].text};
        json_t *row = read_row(&a, "open");
        assert_string_equal(json_string_value(json_object_get(row, "reason")), cases[i].read);
        json_decref(row);
    }
    for (int byte = 1; byte < 256; byte++) {
        const char text[] = {(char)byte, 0};
        const struct account a = {.host = "h", .user = text};
        json_decref(read_row(&a, "open"));
    }
}

static void a_full_buffer_is_told(void **state)
{
    const struct account a = {.host = "example.org"};
    struct buf out;

    (void)state;
    buf_init(&out, 40);
    assert_int_equal(connection_row_write(&out, &a, "open", 0), -ENOBUFS);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_of_an_open_connection),
        cmocka_unit_test(one_that_has_ended_has_its_outcome_and_duration),
        cmocka_unit_test(texts_of_all_bytes),
        cmocka_unit_test(a_full_buffer_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
