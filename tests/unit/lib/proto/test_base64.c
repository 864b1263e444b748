#include "proto/base64.h"

#include "exact.h"

#include <errno.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Decodes from an exact-size copy into a buffer of exactly out_size bytes. @return bytes, or negative errno
 */
static long decode(const char *text, size_t len, char *out, size_t out_size)
{
    struct exact in = exact_copy(text, len), room = exact_copy(out, out_size);
    size_t n = 0;
    int r = base64_decode(slice_of(in.data, len), out_size ? room.block : room.block + 1, out_size, &n);
    memcpy(out, room.block, n);
    free(in.block);
    free(room.block);
    return r < 0 ? r : (long)n;
}

static size_t encode(const uint8_t *data, size_t len, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t bits = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                        (left > 2 ? data[i + 2] : 0u);
        out[n++] = alphabet[bits >> 18];
        out[n++] = alphabet[bits >> 12 & 63];
        out[n++] = (char)(left > 1 ? alphabet[bits >> 6 & 63] : '=');
        out[n++] = (char)(left > 2 ? alphabet[bits & 63] : '=');
    }
    return n;
}

static void test_vectors_of_the_rfc(void **state)
{
    static const char *const table[][2] = {
        {"", ""},
        {"Zg==", "f"},
        {"Zm8=", "fo"},
        {"Zm9v", "foo"},
        {"Zm9vYg==", "foob"},
        {"Zm9vYmE=", "fooba"},
        {"Zm9vYmFy", "foobar"},
        {"dXNlcjpwYXNz", "user:pass"},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char out[64] = "";
        size_t expected = strlen(table[i][1]);
        assert_int_equal(decode(table[i][0], strlen(table[i][0]), out, sizeof out), expected);
        assert_memory_equal(out, table[i][1], expected);
    }
    (void)state;
}

static void test_what_goes_in_comes_out(void **state)
{
    uint8_t data[256];
    char text[400], out[256];

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 167 + 13); /* 167 is odd, so every byte occurs */
    for (size_t len = 0; len <= sizeof data; len++) {
        size_t n = encode(data, len, text);
        memset(out, 0, sizeof out);
        assert_int_equal(decode(text, n, out, len), len);
        assert_memory_equal(out, data, len);
        if (len > 0)
            assert_int_equal(decode(text, n, out, len - 1), -ENOBUFS);
    }
    (void)state;
}

static void test_bad_alphabet(void **state)
{
    for (int c = 0; c < 256; c++) {
        char out[8], text[] = "Zm9v";
        if (c != 0 && strchr(alphabet, c))
            continue;
        for (size_t at = 0; at < 4; at++) {
            memcpy(text, "Zm9v", 4);
            text[at] = (char)c;
            if (c == '=' && at == 3)
                continue;
            if (decode(text, 4, out, sizeof out) != -EINVAL)
                fail_msg("byte %d at %zu is taken", c, at);
        }
    }
    (void)state;
}

static void test_bad_padding(void **state)
{
    static const char *const table[] = {
        "Z",        "Zg",       "Zg=",    "Zm8",      "Zm9vZ",    "Zm9vZg",   "Zm9vZg=",  "=",
        "==",       "===",      "====",   "Z===",     "=Zg=",     "Zg=v",     "Zg===",    "Zg====",
        "Zg==Zg==", "A===",     "AA=A",   "AA==AAAA", "AAA=AAAA", "Zm8=Zm9v", "Zm9v=",    "Zm9v==",
        "Zm9v===",  "Zm9v====", "Zm9v\n", "Zm9v ",    " Zm9v",    "Zm\r\n9v", "Zm9v\r\n",
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char out[64];
        if (decode(table[i], strlen(table[i]), out, sizeof out) != -EINVAL)
            fail_msg("taken: %s", exact_show(table[i], strlen(table[i])));
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_of_the_rfc),
        cmocka_unit_test(test_what_goes_in_comes_out),
        cmocka_unit_test(test_bad_alphabet),
        cmocka_unit_test(test_bad_padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
