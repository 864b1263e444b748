/* Text beyond ASCII: UTF-8 is written unchanged, other bytes are escaped. */
#include "base/log_capture.h"

#include <stdio.h>
#include <string.h>

/* The value in a line of this format, without the quotes. */
static const char *written(enum log_format format, const char *value, size_t n)
{
    static char text[4096];
    struct log_line l;
    log_setup(LOG_INFO, format);
    log_begin(&l, EVENT_STOPPED);
    log_slice(&l, "v", slice_of(value, n));
    log_end(&l);
    const char *line = captured();
    const char *before = format == LOG_JSON ? ",\"v\":\"" : " v=\"",
               *after = format == LOG_JSON ? "\"}\n" : "\"\n";
    const char *from = strstr(line, before);
    assert_non_null(from);
    from += strlen(before);
    size_t len = strlen(from) - strlen(after);
    assert_string_equal(from + len, after);
    memcpy(text, from, len);
    text[len] = '\0';
    return text;
}

/* The bits of a code point spread over n bytes; RFC 3629 allows only the smallest n. */
static size_t encode(uint32_t c, size_t n, char *out)
{
    static const unsigned lead[] = {0, 0, 0xc0, 0xe0, 0xf0, 0xf8};
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

static size_t encode_least(uint32_t c, char *out)
{
    return encode(c, c < 0x800 ? 2 : c < 0x10000 ? 3 : 4, out);
}

static void test_every_character_is_written_as_it_is(void **state)
{
    char value[256];
    size_t n = 0;
    for (uint32_t c = 0xa0; c <= 0x10ffff; c++) {
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        n += encode_least(c, value + n);
        if (n < 240 && c < 0x10ffff)
            continue;
        value[n] = '\0';
        assert_string_equal(written(LOG_JSON, value, n), value);
        assert_string_equal(written(LOG_TEXT, value, n), value);
        n = 0;
    }
    (void)state;
}

static void test_control_characters_are_escaped(void **state)
{
    for (uint32_t c = 0; c < 0xa0; c++) {
        char value[3], expected[16];
        size_t n = c < 0x80 ? 1 : encode_least(c, value);
        if (c >= 0x20 && c < 0x7f)
            continue;
        if (n == 1)
            value[0] = (char)c;
        (void)snprintf(expected, sizeof expected, "\\u%04x", (unsigned)c);
        assert_string_equal(written(LOG_JSON, value, n), expected);
        assert_string_equal(written(LOG_TEXT, value, n), expected);
    }
    (void)state;
}

/* Each of its bytes is escaped separately, and its neighbours stay unchanged. */
static void invalid(const char *bytes, size_t n)
{
    char value[16] = "a", json[64] = "a", text[64] = "a";
    memcpy(value + 1, bytes, n);
    value[n + 1] = 'z';
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(json + strlen(json), 8, "\\ufffd");
        (void)snprintf(text + strlen(text), 8, "\\x%02x", (unsigned char)bytes[i]);
    }
    /* At the end of a value, no byte behind it may be taken as part of it. */
    assert_string_equal(written(LOG_JSON, value, n + 1), json);
    assert_string_equal(written(LOG_TEXT, value, n + 1), text);
    (void)strcat(json, "z");
    (void)strcat(text, "z");
    assert_string_equal(written(LOG_JSON, value, n + 2), json);
    assert_string_equal(written(LOG_TEXT, value, n + 2), text);
}

static void test_what_is_not_utf8_is_escaped_byte_by_byte(void **state)
{
    static const uint32_t beyond[] = {0x110000, 0x13ffff, 0x1fffff};
    char s[8];

    for (unsigned c = 0x80; c <= 0xff; c++)
        invalid((const char[]){(char)c}, 1); /* a tail without a head, a head without a tail, and neither */
    for (uint32_t c = 0; c < 0x80; c++)
        invalid(s, encode(c, 2, s)); /* longer than necessary */
    for (uint32_t c = 0; c < 0x800; c++)
        invalid(s, encode(c, 3, s));
    for (uint32_t c = 0; c < 0x10000; c += 0xff)
        invalid(s, encode(c, 4, s));
    invalid(s, encode(0xffff, 4, s));
    for (uint32_t c = 0xd800; c <= 0xdfff; c++)
        invalid(s, encode(c, 3, s));
    for (size_t i = 0; i < sizeof beyond / sizeof *beyond; i++)
        invalid(s, encode(beyond[i], 4, s));
    invalid(s, encode(0x200000, 5, s));
    for (uint32_t c = 0x800; c < 0x10ffff; c += 0x1001) {
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        size_t n = encode_least(c, s);
        for (size_t cut = 1; cut < n; cut++) {
            invalid(s, cut);
            /* The rest stands behind it in memory. */
            assert_int_equal(strlen(written(LOG_JSON, s, cut)), cut * strlen("\\ufffd"));
        }
    }
    (void)state;
}

static void test_keys_are_escaped(void **state)
{
    struct log_line l;

    (void)state;
    log_setup(LOG_INFO, LOG_JSON);
    log_begin(&l, EVENT_STOPPED);
    log_str(&l, "K\xc3\xbc\xff", "v");
    log_end(&l);
    assert_non_null(strstr(captured(), ",\"K\xc3\xbc\\ufffd\":\"v\"}\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CAPTURE(test_every_character_is_written_as_it_is),
        WITH_CAPTURE(test_control_characters_are_escaped),
        WITH_CAPTURE(test_what_is_not_utf8_is_escaped_byte_by_byte),
        WITH_CAPTURE(test_keys_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
