#include "peek/quic_crypto.h"

#include "recorded.h"

#include <errno.h>

#if STEERWAY_QUIC

static const char DCID[] = "\x83\x94\xc8\xf0\x3e\x51\x57\x08";

/* RFC 9001 A.1 and RFC 9369 A.1 */
static void test_keys(void **state)
{
    static const struct {
        uint32_t version;
        const char *key, *iv, *hp;
    } table[] = {
        {QUIC_VERSION_1, "\x1f\x36\x96\x13\xdd\x76\xd5\x46\x77\x30\xef\xcb\xe3\xb1\xa2\x2d",
         "\xfa\x04\x4b\x2f\x42\xa3\xfd\x3b\x46\xfb\x25\x5c",
         "\x9f\x50\x44\x9e\x04\xa0\xe8\x10\x28\x3a\x1e\x99\x33\xad\xed\xd2"},
        {QUIC_VERSION_2, "\x8b\x1a\x0b\xc1\x21\x28\x42\x90\xa2\x9e\x09\x71\xb5\xcd\x04\x5d",
         "\x91\xf7\x3e\x23\x51\xd8\xfa\x91\x66\x0e\x90\x9f",
         "\x45\xb9\x5e\x15\x23\x5d\x6f\x45\xa6\xb1\x9c\xbc\xb0\x29\x4b\xa9"},
    };
    struct quic_keys keys;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct exact dcid = exact_copy(DCID, 8);
        assert_int_equal(quic_keys_derive(&keys, table[i].version, slice_of(dcid.data, 8)), 0);
        free(dcid.block);
        assert_memory_equal(keys.key, table[i].key, QUIC_KEY_SIZE);
        assert_memory_equal(keys.iv, table[i].iv, QUIC_IV_SIZE);
        assert_memory_equal(keys.hp, table[i].hp, QUIC_KEY_SIZE);
    }
    assert_int_equal(quic_keys_derive(&keys, QUIC_VERSION_1, slice_of(DCID, 0)), 0);
    assert_true(quic_crypto_is_there());
    (void)state;
}

/* RFC 9001 A.2 */
static void test_mask(void **state)
{
    static const uint8_t sample[QUIC_SAMPLE_SIZE] = {0xd1, 0xb1, 0xc9, 0x8d, 0xd7, 0x68, 0x9f, 0xb8,
                                                     0xec, 0x11, 0xd2, 0x42, 0xb1, 0x23, 0xdc, 0x9b};
    struct quic_keys keys;
    uint8_t mask[QUIC_MASK_SIZE];

    assert_int_equal(quic_keys_derive(&keys, QUIC_VERSION_1, slice_of(DCID, 8)), 0);
    assert_int_equal(quic_header_mask(&keys, sample, mask), 0);
    assert_memory_equal(mask, "\x43\x7b\x9a\xec\x36", sizeof mask);
    (void)state;
}

#else

static void test_keys(void **state)
{
    struct quic_keys keys;

    assert_false(quic_crypto_is_there());
    assert_int_equal(quic_keys_derive(&keys, QUIC_VERSION_1, slice_str("12345678")), -EOPNOTSUPP);
    (void)state;
}

static void test_mask(void **state)
{
    struct quic_keys keys = {.key = {0}};
    uint8_t mask[QUIC_MASK_SIZE];

    assert_int_equal(quic_header_mask(&keys, keys.key, mask), -EOPNOTSUPP);
    assert_int_equal(quic_payload_open(&keys, &(struct quic_header){.first = 0}, slice_str(""), mask),
                     -EOPNOTSUPP);
    (void)state;
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
