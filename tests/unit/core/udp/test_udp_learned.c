/* The names that captured clients are told for addresses. */
#include "udp/udp_learned.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
/* After the headers that it needs. */
#include <cmocka.h>

/* An answer to a question for cp.test, type A: 192.0.2.9, TTL 60. */
static const unsigned char ANSWER[] = {0,   7, 0x81, 0x80, 0,   1,   0,  1, 0, 0,   0, 0,    2,  'C',
                                       'p', 4, 't',  'e',  's', 't', 0,  0, 1, 0,   1, 0xc0, 12, 0,
                                       1,   0, 1,    0,    0,   0,   60, 0, 4, 192, 0, 2,    9};

static struct addr at(const char *text)
{
    struct addr a;

    assert_int_equal(addr_parse_ip(&a, slice_str(text), 5), 0);
    return a;
}

static void assert_name(const struct udp_learned *l, const char *client, const char *to, double now,
                        const char *want)
{
    struct addr from = at(client), dest = at(to);
    const char *name = udp_learned_name(l, &from, &dest, now);

    if (!want)
        assert_null(name);
    else
        assert_string_equal(name, want);
}

static void a_client_is_told_a_name_and_then_connects(void **state)
{
    struct udp_learned l = {.seats = NULL};
    struct addr client = at("10.0.0.7");

    (void)state;
    assert_name(&l, "10.0.0.7", "192.0.2.9", 0, NULL);
    udp_learned_hear(&l, &client, ANSWER, sizeof ANSWER, 1000);
    assert_name(&l, "10.0.0.7", "192.0.2.9", 1000, "cp.test");
    assert_name(&l, "10.0.0.7", "192.0.2.8", 1000, NULL);
    assert_name(&l, "fd00::7", "192.0.2.9", 1000, "cp.test");  /* the same device, perhaps */
    assert_name(&l, "10.0.0.7", "192.0.2.9", 1299, "cp.test"); /* longer than its TTL */
    assert_name(&l, "10.0.0.7", "192.0.2.9", 1301, NULL);
    udp_learned_done(&l);
}

static void what_is_not_an_answer_is_ignored(void **state)
{
    struct udp_learned l = {.seats = NULL};
    struct addr client = at("10.0.0.7");
    unsigned char bad[sizeof ANSWER];

    (void)state;
    for (size_t len = 0; len < sizeof ANSWER; len++)
        udp_learned_hear(&l, &client, ANSWER, len, 0);
    memcpy(bad, ANSWER, sizeof bad);
    bad[2] = 1; /* a question */
    udp_learned_hear(&l, &client, bad, sizeof bad, 0);
    memcpy(bad, ANSWER, sizeof bad);
    bad[22] = 16; /* of another type */
    udp_learned_hear(&l, &client, bad, sizeof bad, 0);
    assert_name(&l, "10.0.0.7", "192.0.2.9", 0, NULL);
    udp_learned_done(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_is_told_a_name_and_then_connects),
        cmocka_unit_test(what_is_not_an_answer_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
