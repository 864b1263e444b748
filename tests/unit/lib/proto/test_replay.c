#include "proto/replay.h"

#include "proto/exact.h"

static bool safe(const char *bytes, size_t n)
{
    struct exact copy = exact_copy(bytes, n);
    bool is = replay_is_safe(slice_of(copy.data, n));
    free(copy.block);
    return is;
}

static void test_what_is_safe(void **state)
{
    static const char *const texts[] = {
        "\x16\x03\x01\x02\x01\x01",
        "\x16\x03\x03",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /x HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_true(safe(texts[i], strlen(texts[i])));
}

static void test_what_is_not(void **state)
{
    static const char *const texts[] = {
        "",
        "\x16",                                                          /* not known yet */
        "\x17\x03\x03\x01\x01",                                          /* TLS, but not its handshake */
        "\x16\x04\x01",                                                  /* not TLS */
        "GET / HTTP/1.1\r\nHost: a\r\n",                                 /* incomplete */
        "GET / HTTP/1.1\r\n\r\nPOST /order HTTP/1.1\r\nHost: a\r\n\r\n", /* two requests */
        "GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx",                  /* a body */
        "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: a\r\n\r\n",
        "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n",
        "get / HTTP/1.1\r\nHost: a\r\n\r\n", /* methods are case-sensitive */
        "GETX / HTTP/1.1\r\n\r\n",
        "SSH-2.0-x\r\n",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (safe(texts[i], strlen(texts[i])))
            fail_msg("%s", texts[i]);
}

/* Each prefix of safe data is safe or not known to be; nothing is read past its end. */
static void test_prefixes_of_a_request(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    (void)state;
    for (size_t n = 0; n < sizeof text - 1; n++)
        assert_false(safe(text, n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_safe),
        cmocka_unit_test(test_what_is_not),
        cmocka_unit_test(test_prefixes_of_a_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
