#include "dns/dns_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct dns_answer *answer_for(double ttl_s)
{
    struct dns_answer *a = dns_answer_new(0);
    assert_non_null(a);
    a->fault = FAULT_NAME;
    a->ttl_s = ttl_s;
    return a;
}

static void put(struct dns_cache *c, const char *name, double ttl_s, double now)
{
    struct dns_answer *a = answer_for(ttl_s);
    dns_cache_put(c, slice_str(name), a, now);
    dns_answer_unref(a);
}

static bool has(struct dns_cache *c, const char *name, double now)
{
    return dns_cache_find(c, slice_str(name), now) != NULL;
}

static void answers_live_as_long_as_they_may(void **state)
{
    struct dns_cache *c;
    (void)state;
    assert_int_equal(dns_cache_new(&c, 10), 0);
    put(c, "a.test", 60, 1000);
    put(c, "b.test", 0, 1000);
    assert_true(has(c, "A.TEST", 1059.9));
    assert_false(has(c, "b.test", 1000));
    assert_false(has(c, "a.tes", 1000));
    assert_false(has(c, "a.test", 1060));
    assert_int_equal(dns_cache_count(c), 0);
    put(c, "a.test", 60, 1100);
    put(c, "a.test", 10, 1100); /* replaces the entry */
    assert_int_equal(dns_cache_count(c), 1);
    assert_false(has(c, "a.test", 1111));
    put(c, "a.test", 60, 1200);
    put(c, "a.test", 0, 1200); /* a TTL of 0 removes the old entry */
    assert_false(has(c, "a.test", 1200));
    dns_cache_free(c);
    dns_cache_free(NULL);
}

static void the_least_used_goes_first(void **state)
{
    struct dns_cache *c;
    char name[32];
    (void)state;
    assert_int_equal(dns_cache_new(&c, 100), 0);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof name, "n%d.test", i);
        put(c, name, 1e6, 0);
    }
    assert_true(has(c, "n0.test", 1));
    put(c, "new.test", 1e6, 1);
    assert_int_equal(dns_cache_count(c), 100);
    assert_true(has(c, "n0.test", 1) && has(c, "new.test", 1) && !has(c, "n1.test", 1) &&
                has(c, "n2.test", 1));
    for (int i = 0; i < 10000; i++) {
        (void)snprintf(name, sizeof name, "m%d.test", i);
        put(c, name, 1e6, 2);
    }
    assert_int_equal(dns_cache_count(c), 100);
    dns_cache_clear(c);
    assert_int_equal(dns_cache_count(c), 0);
    assert_false(has(c, "m9999.test", 2));
    dns_cache_free(c);
}

static void an_answer_outlives_the_cache(void **state)
{
    struct dns_cache *c;
    (void)state;
    assert_int_equal(dns_cache_new(&c, 1), 0);
    put(c, "a.test", 60, 0);
    struct dns_answer *a = dns_answer_ref(dns_cache_find(c, slice_str("a.test"), 1));
    put(c, "b.test", 60, 0);
    dns_cache_free(c);
    assert_int_equal(a->fault, FAULT_NAME);
    dns_answer_unref(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_live_as_long_as_they_may),
        cmocka_unit_test(the_least_used_goes_first),
        cmocka_unit_test(an_answer_outlives_the_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
