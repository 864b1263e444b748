#include "peek/tls_hello.h"

#include "hello.h"

#define GREASE "\x0a\x0a\x00\x00"
#define ALPN "\x00\x10\x00\x05\x00\x03\x02h2"
/* encrypted_client_hello, whether real or GREASE */
#define ECH "\xfe\x0d\x00\x0a\x00\x00\x01\x00\x01\x07\x00\x00\x00\x00"

static enum parse parse(void *ret, const char *data, size_t len, size_t *ret_consumed)
{
    (void)ret_consumed;
    return tls_hello_in_records(slice_of(data, len), ret);
}

static enum parse parse_message(void *ret, const char *data, size_t len, size_t *ret_consumed)
{
    (void)ret_consumed;
    return tls_hello_in_message(slice_of(data, len), ret);
}

static struct bytes message, stream;

static void finds_from(exact_parser with, const struct bytes *b, size_t from, const char *name)
{
    char host[TARGET_HOST_MAX + 1];

    for (size_t n = 0; n <= b->len; n += n + 500 < from ? 97 : 1) {
        memset(host, 0x7f, sizeof host);
        exact_expect(with, host, b->data, n, n < from ? PARSE_NEED_MORE : PARSE_OK);
        if (n >= from)
            assert_string_equal(host, name);
        else
            assert_int_equal(host[0], 0x7f);
    }
}

/* With and without records, the verdict comes with the name's last byte, and stays. */
static void finds(const struct hello *h, const char *name)
{
    static const size_t sizes[] = {1, 2, 7, 64, 333, 16384};
    size_t name_end;

    hello_message(&message, h, &name_end);
    finds_from(parse_message, &message, name_end, name);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        if (message.len > 2000 && sizes[i] < 64)
            continue;
        const size_t end = hello_records(&stream, &message, sizes[i], name_end);
        finds_from(parse, &stream, end, name);
    }
}

static void test_names(void **state)
{
    static const struct {
        struct hello hello;
        const char *name;
    } table[] = {
        {{.name = "example.com"}, "example.com"},
        {{.name = "WWW.Example.COM."}, "www.example.com"},
        {{.name = "_x-y.xn--bcher-kva.example"}, "_x-y.xn--bcher-kva.example"},
        {{.name = "a"}, "a"},
        {{.name = "example.com", .before = {BYTES(GREASE ALPN ECH)}, .after = 300}, "example.com"},
        /* a name of an unknown kind first */
        {{.names = {BYTES("\x00\x0a\x07\x00\x02xy\x00\x00\x02it")}}, "it"},
        /* as much as key shares against quantum computers take */
        {{.name = "example.com", .after = 1800}, "example.com"},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        finds(&table[i].hello, table[i].name);
    (void)state;
}

static void test_longest_name(void **state)
{
    char name[TARGET_HOST_MAX + 2] = "", expected[TARGET_HOST_MAX + 1] = "";

    for (size_t i = 0; i <= TARGET_HOST_MAX; i++)
        name[i] = i == TARGET_HOST_MAX || i % 63 == 62 ? '.' : 'x';
    memcpy(expected, name, TARGET_HOST_MAX);
    finds(&(struct hello){.name = name}, expected);
    (void)state;
}

/* Extensions in which bytes from behind a list of names look like a host: their length is 0x69, then "t". */
static const char second_names[4 + 0x269] = "\x00\x00\x02\x69t";
static const char long_name[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef."
                                "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef."
                                "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef."
                                "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static void test_no_names(void **state)
{
    static const struct hello table[] = {
        {.bare = true},
        {.name = NULL},
        {.before = {BYTES(GREASE ALPN ECH)}, .after = 20},
        {.name = "192.0.2.1"},
        {.name = "2001:db8::1"},
        {.name = "[2001:db8::1]"},
        {.name = "127.1"},
        {.name = "a b"},
        {.name = ""},
        {.name = "."},
        {.name = long_name},
        {.name = "a..b"},
        {.names = {BYTES("\x00\x05\x00\x00\x02"
                         "a\0")}},
        {.names = {BYTES("\x00\x00")}},                  /* no names at all */
        {.names = {BYTES("\x00")}},                      /* no list */
        {.names = {BYTES("\x00\x05\x01\x00\x02xy")}},    /* of no known kind */
        {.names = {BYTES("\x00\x06\x00\x00\x02xy")}},    /* a list that is longer than its extension */
        {.names = {BYTES("\x00\x04\x00\x00\x01xy")}},    /* or shorter */
        {.names = {BYTES("\x00\x05\x00\x00\x03xy")}},    /* a name that is longer than its list */
        {.names = {BYTES("\x00\x02\x00\x00")}},          /* a list that ends within an entry */
        {.names = {BYTES("\x00\x06\x07\x00\x01x\0\0")}}, /* the same in the second entry */
        {.names = {BYTES("\x00\x03\x07\x00\x00")}, .behind = {second_names, sizeof second_names}},
    };
    char host[TARGET_HOST_MAX + 1] = "unchanged";
    size_t name_end;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        hello_message(&message, &table[i], &name_end);
        exact_expect(parse_message, host, message.data, message.len, PARSE_BAD);
        (void)hello_records(&stream, &message, 50, 0);
        enum parse before = PARSE_NEED_MORE;
        for (size_t n = 0; n <= stream.len; n++) {
            struct exact copy = exact_copy(stream.data, n);
            const enum parse p = tls_hello_in_records(slice_of(copy.data, n), host);
            free(copy.block);
            assert_true(p == before || (before == PARSE_NEED_MORE && p == PARSE_BAD));
            before = p;
        }
        assert_int_equal(before, PARSE_BAD);
        assert_string_equal(host, "unchanged");
    }
    (void)state;
}

#define START "\x16\x03\x01\x00\x64"
#define VERSION "\x01\x00\x00\x60\x03\x03"
#define RANDOM "0123456789abcdef0123456789abcdef"

static void test_earliest_wrong_byte(void **state)
{
    static const struct exact_bad records[] = {
        BAD_AT("", "\x80\x2e\x01\x00\x02"), /* SSL 2.0 */
        BAD_AT("", "\x15\x03\x01\x00\x02"),
        BAD_AT("", "GET / HTTP/1.1\r\n"),
        BAD_AT("\x16", "\x02\x00"),
        BAD_AT("\x16\x03\x03", "\x41"),
        BAD_AT("\x16\x03\x03\x40", "\x01"),
        BAD_AT("\x16\x03\x01\x00", "\x00"),
        BAD_AT(START, "\x02"), /* not a ClientHello */
        BAD_AT(START "\x01\x00\x40", "\x01"),
        BAD_AT(START "\x01\x00\x00\x60", "\x02"),
        BAD_AT(START VERSION RANDOM, "\x21"),                  /* a long session identifier */
        BAD_AT(START VERSION RANDOM "\x00\x00", "\x03xyz"),    /* an odd length of suites */
        BAD_AT(START VERSION RANDOM "\x00\x00", "\x00"),       /* no suites */
        BAD_AT(START VERSION RANDOM "\x00\x00\x02\x13\x01", "" /* no compression methods */
                                                            "\x00"),
        BAD_AT(START VERSION RANDOM "\x00\x00\x02\x13\x01\x01\x00\x00", "\x01"), /* extensions too short */
        BAD_AT("\x16\x03\x01\x00\x01\x01", "\x15\x03\x01"), /* an alert within the message */
        BAD_AT("\x16\x03\x01\x00\x01\x01\x16\x03\x03\x00", "\x00"),
    };
    char host[TARGET_HOST_MAX + 1];

    exact_refuses_all(parse, host, records, ARRAY_LEN(records));
    (void)state;
}

/* The first letter that no host has ends the wait for the others. */
static void test_wrong_letter(void **state)
{
    char host[TARGET_HOST_MAX + 1];
    size_t name_end;

    hello_message(&message, &(struct hello){.name = "exam/le.com"}, &name_end);
    const size_t slash = name_end - strlen("/le.com");
    exact_refuses(parse_message, host, slice_of(message.data, slash),
                  slice_of(message.data + slash, message.len - slash));
    (void)state;
}

static void test_bounds(void **state)
{
    static char before[12000] = "\x00\x15\x2e\xdc"; /* padding (RFC 7685) of 11,996 bytes */
    static char far[16300] = "\x00\x15\x3f\xa8";
    const struct hello large = {.name = "example.com", .before = slice_of(before, sizeof before)};
    const struct hello too_far = {.name = "example.com", .before = slice_of(far, sizeof far)};
    char host[TARGET_HOST_MAX + 1];
    size_t name_end;

    finds(&large, "example.com");
    hello_message(&message, &too_far, &name_end);
    assert_true(message.len > TLS_HELLO_MAX);
    (void)hello_records(&stream, &message, 16384, 0);
    exact_expect(parse, host, stream.data, stream.len, PARSE_BAD);
    /* Many small records take more room than the message in them. */
    hello_message(&message, &large, &name_end);
    (void)hello_records(&stream, &message, 10, 0);
    exact_expect(parse, host, stream.data, TLS_HELLO_MAX - 1, PARSE_NEED_MORE);
    exact_expect(parse, host, stream.data, TLS_HELLO_MAX, PARSE_BAD);
    exact_expect(parse, host, stream.data, stream.len, PARSE_BAD);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),        cmocka_unit_test(test_longest_name),
        cmocka_unit_test(test_no_names),     cmocka_unit_test(test_earliest_wrong_byte),
        cmocka_unit_test(test_wrong_letter), cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
