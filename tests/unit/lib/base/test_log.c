/* Log lines: their form, their length, their levels. */
#include "base/log_capture.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *skip_string(const char *p)
{
    if (*p++ != '"')
        return NULL;
    for (; *p != '"'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return NULL;
        if (*p != '\\')
            continue;
        p++;
        if (*p == 'u') {
            for (int i = 0; i < 4; i++) {
                if (!isxdigit((unsigned char)*++p))
                    return NULL;
            }
        } else if (*p != '"' && *p != '\\') {
            return NULL;
        }
    }
    return p + 1;
}

/* One flat object of strings and numbers, and a newline (RFC 8259). */
static bool is_json_line(const char *p)
{
    if (*p != '{')
        return false;
    do {
        p = skip_string(p + 1);
        if (!p || *p++ != ':')
            return false;
        if (*p == '"') {
            p = skip_string(p);
        } else {
            char *end;
            (void)strtod(p, &end);
            p = end == p || !(isdigit((unsigned char)*p) || *p == '-') ? NULL : end;
        }
    } while (p && *p == ',');
    return p && strcmp(p, "}\n") == 0;
}

/* The line after its time stamp, whose form is checked. */
static const char *after_time(const char *line)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd.dddZ ";
    for (size_t i = 0; form[i]; i++) {
        if (form[i] == 'd')
            assert_true(isdigit((unsigned char)line[i]));
        else
            assert_int_equal(line[i], form[i]);
    }
    return line + strlen(form);
}

static void test_text_line(void **state)
{
    struct log_line l;
    log_setup(LOG_INFO, LOG_TEXT);
    log_begin(&l, EVENT_STOPPED);
    log_str(&l, "host", "example.org");
    log_str(&l, "none", NULL);
    log_str(&l, "said", "a \"b\"\n\\=\x1b[31m\xff");
    log_slice(&l, "part", slice_of("abcdef", 3));
    log_u64(&l, "tx", UINT64_MAX);
    log_num(&l, "took_s", 1.5);
    log_num(&l, "odd", INFINITY);
    log_end(&l);
    assert_string_equal(
        after_time(captured()),
        "info stopped host=example.org none=\"\" said=\"a \\\"b\\\"\\u000a\\\\=\\u001b[31m\\xff\""
        " part=abc tx=18446744073709551615 took_s=1.500 odd=-1.000\n");
    (void)state;
}

static void test_numbers_have_three_decimals(void **state)
{
    static const double numbers[] = {0,      0.0004, 0.0006, 0.0994,    0.0996,  0.9994,
                                     0.9996, 1.05,   9.999,  12.345,    1000.25, 999999999.25,
                                     1e9,    1e14,   -0.5,   -1234.5678};
    struct log_line l;
    char expected[512] = "info stopped";

    (void)state;
    log_begin(&l, EVENT_STOPPED);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        size_t n = strlen(expected);
        (void)snprintf(expected + n, sizeof expected - n, " n=%.3f", numbers[i]);
        log_num(&l, "n", numbers[i]);
    }
    log_end(&l);
    assert_memory_equal(after_time(captured()), expected, strlen(expected));
}

/* In the form of a line's, cut to the second. */
static void stamp_now(char out[static 32], int later_s)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    now.tv_sec += later_s;
    (void)strftime(out, 32, "%Y-%m-%dT%H:%M:%S.000Z", gmtime(&now.tv_sec));
}

static void test_lines_bear_the_time(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) { /* the second one is usually within the same second */
        char before[32], line[32], after[32];
        stamp_now(before, 0);
        log_plain(EVENT_STOPPED);
        stamp_now(after, 1);
        (void)snprintf(line, sizeof line, "%.24s", captured());
        assert_true(strcmp(before, line) <= 0);
        assert_true(strcmp(line, after) < 0);
    }
}

static void test_values_that_could_pass_for_fields_are_quoted(void **state)
{
    struct log_line l;
    log_begin(&l, EVENT_STOPPED);
    log_str(&l, "a", "x y=z");
    log_str(&l, "b", "y=z");
    log_end(&l);
    assert_string_equal(after_time(captured()), "info stopped a=\"x y=z\" b=\"y=z\"\n");
    (void)state;
}

static void test_json_line(void **state)
{
    struct log_line l;
    log_setup(LOG_INFO, LOG_JSON);
    log_begin(&l, EVENT_UPLINK_DOWN);
    log_str(&l, "host", "a\\b\"\x01\xc3\xa9");
    log_u64(&l, "n", 7);
    log_num(&l, "r", 0.25);
    log_num(&l, "nan", NAN);
    log_end(&l);
    const char *line = captured();
    assert_true(is_json_line(line));
    assert_non_null(strstr(line,
                           "\"level\":\"warn\",\"event\":\"uplink_down\",\"message\":\"uplink down\","
                           "\"host\":\"a\\\\b\\\"\\u0001\xc3\xa9\",\"n\":7,\"r\":0.250,\"nan\":-1.000}"));
    (void)state;
}

/* A value of every length around the limit: the field is whole or missing, and the line is valid. */
static void test_field_that_does_not_fit_is_left_out_whole(void **state)
{
    static const char fill[] = {'x', '"', '\n'}; /* one, two and six bytes as written */
    static char value[2100];
    log_setup(LOG_INFO, LOG_JSON);
    for (size_t f = 0; f < sizeof fill; f++) {
        bool gone = false;
        for (size_t n = 0; n < sizeof value - 1; n++) {
            memset(value, fill[f], n);
            value[n] = '\0';
            struct log_line l;
            log_begin(&l, EVENT_STOPPED);
            log_str(&l, "long", value);
            log_u64(&l, "tx", 12345678901234);
            log_str(&l, "end", "yes");
            log_end(&l);
            const char *line = captured();
            assert_true(strlen(line) <= 2048);
            assert_true(is_json_line(line));
            bool has = strstr(line, "\"long\"") != NULL;
            assert_false(has && gone); /* once a value is too long, all longer ones are */
            gone = !has;
            if (gone)
                assert_non_null(strstr(line, "\"tx\":12345678901234,\"end\":\"yes\"}"));
        }
        assert_true(gone);
    }
    (void)state;
}

static void test_many_fields(void **state)
{
    for (int json = 0; json < 2; json++) {
        log_setup(LOG_INFO, json ? LOG_JSON : LOG_TEXT);
        struct log_line l;
        log_begin(&l, EVENT_STOPPED);
        for (int i = 0; i < 1000; i++) {
            log_str(&l, "key", "a value");
            log_num(&l, "k", i);
        }
        log_end(&l);
        const char *line = captured();
        size_t len = strlen(line);
        assert_in_range(len, 2000, 2048);
        assert_ptr_equal(strchr(line, '\n'), line + len - 1);
        if (json)
            assert_true(is_json_line(line));
        else
            assert_true(line[len - 2] == '"' || isdigit((unsigned char)line[len - 2]));
    }
    (void)state;
}

/* Two fields that fill the line: it has 2,048 bytes and no more. */
static void test_full_line(void **state)
{
    static char fill[2100];

    (void)state;
    memset(fill, 'x', sizeof fill);
    for (int json = 0; json < 2; json++) {
        size_t longest = 0;
        log_setup(LOG_INFO, json ? LOG_JSON : LOG_TEXT);
        for (size_t n = 1; n < 2048; n++) {
            struct log_line l;
            log_begin(&l, EVENT_STOPPED);
            log_slice(&l, "k", slice_of(fill, n));
            log_end(&l);
            const char *line = captured();
            size_t len = strlen(line);
            longest = len > longest ? len : longest;
            assert_ptr_equal(strchr(line, '\n'), line + len - 1);
            if (json)
                assert_true(is_json_line(line));
        }
        assert_int_equal(longest, json ? 2048 : 2047); /* text has no closing brace to keep room for */
    }
}

static void test_hidden_lines_have_one_key(void **state)
{
    struct log_line l;

    (void)state;
    log_begin(&l, EVENT_REJECTED);
    log_hidden(&l, 0);
    log_end(&l);
    assert_string_equal(after_time(captured()), "info rejected\n");
    log_begin(&l, EVENT_REJECTED);
    log_hidden(&l, 1);
    log_end(&l);
    assert_string_equal(after_time(captured()), "info rejected hidden=1\n");
}

static bool is_identifier(const char *s)
{
    for (const char *p = s; *p; p++) {
        if (!islower((unsigned char)*p) && !(*p == '_' && p > s && islower((unsigned char)p[1])))
            return false;
    }
    return *s != '\0';
}

/* One identifier for one sentence, and neither needs an escape: they are written as they are. */
static void test_every_event_has_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < EVENT_COUNT; i++) {
        const struct log_event_info *info = &LOG_EVENT_INFO[i];
        assert_non_null(info->id);
        assert_true(is_identifier(info->id));
        assert_in_range(strlen(info->text), 1, 200);
        for (const char *p = info->text; *p; p++)
            assert_true(*p >= ' ' && *p < 0x7f && *p != '"' && *p != '\\' && *p != '=');
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(info->id, LOG_EVENT_INFO[k].id);
            assert_string_not_equal(info->text, LOG_EVENT_INFO[k].text);
        }
    }
}

static void test_levels(void **state)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (int set = LOG_ERROR; set <= LOG_DEBUG; set++) {
        log_setup((enum log_level)set, LOG_TEXT);
        for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
            assert_int_equal(log_enabled((enum log_level)level), level <= set);
            struct log_line l;
            log_begin_at(&l, (enum log_level)level, EVENT_POLICY_SAYS);
            log_str(&l, "k", "v");
            log_u64(&l, "n", 1);
            log_num(&l, "m", 1);
            log_end(&l);
            log_begin(&l, EVENT_CHECKED);
            log_end(&l);
            const char *text = captured();
            if (level > set) {
                assert_string_equal(text, "");
                continue;
            }
            assert_int_equal(strncmp(after_time(text), names[level], strlen(names[level])), 0);
            assert_int_equal(strstr(text, " debug checked\n") != NULL, set == LOG_DEBUG);
        }
    }
    (void)state;
}

static void test_limit_counts_what_it_hides(void **state)
{
    struct log_limit limit = {.shown = 0};
    uint32_t hidden = 99;
    for (int i = 0; i < 3; i++) {
        assert_true(log_limit_pass(&limit, 1000 + i, 3, &hidden));
        assert_int_equal(hidden, 0);
    }
    for (int i = 0; i < 5; i++)
        assert_false(log_limit_pass(&limit, 1003 + i, 3, &hidden));
    assert_false(log_limit_pass(&limit, 1009.999, 3, &hidden));
    assert_true(log_limit_pass(&limit, 1010, 3, &hidden));
    assert_int_equal(hidden, 6);
    assert_true(log_limit_pass(&limit, 1010, 3, &hidden));
    assert_int_equal(hidden, 0);
    (void)state;
}

/* --- the tap --- */

static char tapped[4096];
static enum log_event tapped_event;

static void on_tapped(struct log_tap *tap, const struct log_entry *e, const struct log_text *json)
{
    (void)tap;
    tapped_event = e->event;
    (void)snprintf(tapped, sizeof tapped, "%.*s", (int)json->len, json->bytes);
}

static void say_tapped(enum log_level level)
{
    struct log_line l;

    tapped[0] = '\0';
    log_begin_at(&l, level, EVENT_UPLINK_DOWN);
    log_str(&l, "uplink", "eth 0");
    log_u64(&l, "n", 7);
    log_num(&l, "s", 1.5);
    log_end(&l);
}

static void test_a_tap_hears_json_whatever_the_level_and_form(void **state)
{
    struct log_tap tap = {.level = LOG_INFO, .hear = on_tapped};

    (void)state;
    log_setup(LOG_WARN, LOG_TEXT);
    assert_false(log_enabled(LOG_INFO));
    say_tapped(LOG_INFO);
    assert_string_equal(tapped, "");
    log_set_tap(&tap);
    assert_true(log_enabled(LOG_INFO) && !log_enabled(LOG_DEBUG));
    say_tapped(LOG_INFO);
    assert_true(is_json_line(tapped) && tapped_event == EVENT_UPLINK_DOWN);
    assert_non_null(strstr(tapped, "\"event\":\"uplink_down\""));
    assert_non_null(strstr(tapped, "\"uplink\":\"eth 0\",\"n\":7,\"s\":1.500}\n"));
    say_tapped(LOG_DEBUG);
    assert_string_equal(tapped, "");
    assert_string_equal(captured(), ""); /* the sink has its own level */
    tap.level = LOG_ERROR;
    say_tapped(LOG_WARN);
    assert_string_equal(tapped, "");
    assert_non_null(strstr(captured(), "uplink=\"eth 0\" n=7 s=1.500\n"));
    log_set_tap(NULL);
    log_set_level(LOG_DEBUG);
    assert_int_equal(log_level(), LOG_DEBUG);
    say_tapped(LOG_DEBUG);
    assert_string_equal(tapped, "");
    log_setup(LOG_INFO, LOG_TEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CAPTURE(test_text_line),
        WITH_CAPTURE(test_values_that_could_pass_for_fields_are_quoted),
        WITH_CAPTURE(test_json_line),
        WITH_CAPTURE(test_field_that_does_not_fit_is_left_out_whole),
        WITH_CAPTURE(test_many_fields),
        WITH_CAPTURE(test_full_line),
        WITH_CAPTURE(test_hidden_lines_have_one_key),
        WITH_CAPTURE(test_levels),
        WITH_CAPTURE(test_a_tap_hears_json_whatever_the_level_and_form),
        cmocka_unit_test(test_every_event_has_words),
        WITH_CAPTURE(test_numbers_have_three_decimals),
        WITH_CAPTURE(test_lines_bear_the_time),
        cmocka_unit_test(test_limit_counts_what_it_hides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
