/* The hash with a key. */
#include "base/keyed_hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The first values of the authors' table (key 00 01 … 0f, input 00 01 …), and that of their paper's example,
 * 15 bytes long. */
static void it_is_siphash(void **state)
{
    static const struct {
        size_t len;
        uint64_t hash;
    } known[] = {
        {0, UINT64_C(0x726fdb47dd0e0e31)}, {1, UINT64_C(0x74f839c593dc67fd)},
        {2, UINT64_C(0x0d6c8009d9a94f5a)}, {7, UINT64_C(0xab0200f58b01d137)},
        {8, UINT64_C(0x93f5f5799a932462)}, {15, UINT64_C(0xa129ca6149be45e5)},
    };
    const struct hash_key key = {.k0 = UINT64_C(0x0706050403020100), .k1 = UINT64_C(0x0f0e0d0c0b0a0908)};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        char *exact = malloc(known[i].len ? known[i].len : 1); /* so that a sanitizer sees reads past it */
        assert_non_null(exact);
        for (size_t n = 0; n < known[i].len; n++)
            exact[n] = (char)n;
        assert_true(keyed_hash(&key, slice_of(exact, known[i].len)) == known[i].hash);
        free(exact);
    }
}

static void each_key_is_another(void **state)
{
    struct hash_key one, two;

    (void)state;
    assert_int_equal(hash_key_make(&one), 0);
    assert_int_equal(hash_key_make(&two), 0);
    assert_memory_not_equal(&one, &two, sizeof one);
    assert_true(keyed_hash(&one, slice_str("alice")) != keyed_hash(&two, slice_str("alice")));
    assert_true(keyed_hash(&one, slice_str("alice")) == keyed_hash(&one, slice_str("alice")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_siphash),
        cmocka_unit_test(each_key_is_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
