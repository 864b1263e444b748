/* The short line of a connection. */
#include "log/log_terminal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void add(struct log_text *t, const char *key, const char *value)
{
    log_text_field(t, key, slice_str(value), false);
}

static const char *line(const char *host, const char *uplink, const char *tx, const char *rx,
                        const char *took, const char *outcome, size_t columns)
{
    static struct log_text fields, out;

    log_text_begin(&fields, LOG_FORM_FIELDS, LOG_INFO, EVENT_CONNECTION);
    add(&fields, "client", "127.0.0.1:1");
    add(&fields, "host", host);
    add(&fields, "port", "443");
    add(&fields, "uplink", uplink);
    add(&fields, "tx", tx);
    add(&fields, "rx", rx);
    add(&fields, "duration", took);
    add(&fields, "outcome", outcome);
    log_terminal_line(&out, &fields, "08:15:00", columns);
    assert_int_equal(out.bytes[out.len], '\0');
    return out.bytes;
}

static void test_forms(void **state)
{
    (void)state;
    assert_string_equal(line("example.org", "wan1", "1234", "12345678", "3.125", "closed", 80),
                        "08:15:00 example.org:443              wan1      12.3M   1.2K   3.1s\n");
    assert_string_equal(line("example.org", "wan1", "999", "0", "120.000", "reset", 0),
                        "08:15:00 example.org:443              wan1          0    999     2m reset\n");
    assert_string_equal(line("missing.test", "none", "0", "0", "1.000", "no-such-name", 80),
                        "08:15:00 missing.test:443             none     no-such-name\n");
    assert_string_equal(line("example.org", "wan1", "0", "0", "7200.000", "closed", 80),
                        "08:15:00 example.org:443              wan1          0      0     2h\n");
}

static void test_amounts(void **state)
{
    static const char *const amounts[][2] = {
        {"0", "     0 "},
        {"999", "   999 "},
        {"1000", "  1.0K "},
        {"99949", " 99.9K "},
        {"99950", "  100K "},
        {"999499", "  999K "},
        {"999500", "  1.0M "},
        {"1234567890", "  1.2G "},
        {"999999999999", "  1.0T "},
        {"18446744073709551615", " 18.4E "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof amounts / sizeof *amounts; i++)
        assert_non_null(strstr(line("h", "u", "1", amounts[i][0], "1.000", "closed", 80), amounts[i][1]));
}

/* Whatever the values are, the line fits, and has no character that a terminal would obey. */
static void test_width(void **state)
{
    static const char *const outcomes[] = {"closed", "upstream-rejected", "no-such-name", "timeout"};
    static const char *const amounts[] = {"0", "18446744073709551615"};
    char host[300];

    (void)state;
    for (size_t n = 1; n < sizeof host; n++) {
        memset(host, n % 3 == 0 ? '\x1b' : n % 3 == 1 ? 'x' : '\xc3', n);
        host[n] = '\0';
        for (size_t i = 0; i < 4; i++) {
            for (size_t columns = 60; columns < 200; columns += 20) {
                const char *text =
                    line(host, host, amounts[i % 2], amounts[i / 2], "999999.000", outcomes[i], columns);
                size_t len = strcspn(text, "\n"), limit = columns < 80 ? 80 : columns;
                assert_in_range(len, 40, limit);
                for (size_t k = 0; k < len; k++)
                    assert_in_range(text[k], ' ', '~');
            }
        }
    }
    assert_non_null(strstr(line("a.long.name.of.a.host.example.org", "wan1", "1", "1", "1", "closed", 80),
                           " a.long.n..st.example.org:443 "));
}

/* A field that was left out, for lack of room. */
static void test_missing_fields(void **state)
{
    struct log_text fields, out;

    (void)state;
    log_text_begin(&fields, LOG_FORM_FIELDS, LOG_INFO, EVENT_CONNECTION);
    log_terminal_line(&out, &fields, "08:15:00", 80);
    assert_memory_equal(out.bytes, "08:15:00 :0 ", 12);
    assert_true(out.len <= 81);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_amounts),
        cmocka_unit_test(test_width),
        cmocka_unit_test(test_missing_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
