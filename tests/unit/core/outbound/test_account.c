/* Accounts as others see them, and the ring of those that have ended. */
#include "outbound/account.h"

#include "base/counters.h"
#include "outbound/outbound.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void bytes_in_counters_count(void **state)
{
    struct addr client = {.sa.sa_family = AF_INET};
    struct outbound o = {.id = 7, .client = &client, .tx = 10, .rx = 20, .direct = true};
    struct counters counters = {.tx = 0};
    struct account a;

    (void)state;
    account_of(&o, &a);
    assert_true(a.tx == 10 && a.rx == 20 && !a.outcome);
    counters_add(&counters.tx, 1);
    counters_add(&counters.rx, 2);
    o.counters = &counters;
    account_of(&o, &a);
    assert_true(a.id == 7 && a.tx == 11 && a.rx == 22);
    assert_string_equal(a.uplink, "direct");
    o.direct = false;
    account_of(&o, &a);
    assert_string_equal(a.uplink, "none");
}

static void note(struct recent *r, uint64_t id)
{
    char host[32], user[] = "ann", reason[] = "its turn";

    (void)snprintf(host, sizeof host, "h%d.test", (int)id);
    recent_note(r, &(struct account){.id = id,
                                     .host = host,
                                     .user = id % 2 ? user : NULL,
                                     .uplink = "wan1",
                                     .reason = reason,
                                     .listener = "l",
                                     .outcome = "closed"});
    memset(user, 'x', 3); /* the ring has its own */
    memset(reason, 'x', 3);
    memset(host, 'x', 2);
}

static void the_ring_has_copies_of_the_latest(void **state)
{
    static struct recent r;
    char host[32];

    (void)state;
    assert_null(recent_at(&r, 0));
    for (uint64_t id = 1; id <= RECENT_MAX + 3; id++) {
        note(&r, id);
        assert_true(recent_at(&r, 0)->id == id);
        assert_true(id == 1 || recent_at(&r, 1)->id == id - 1);
    }
    for (size_t i = 0; i < RECENT_MAX; i++) {
        const struct account *a = recent_at(&r, i);
        assert_true(a->id == RECENT_MAX + 3 - i);
        (void)snprintf(host, sizeof host, "h%d.test", (int)a->id);
        assert_string_equal(a->host, host);
        assert_string_equal(a->reason, "its turn");
        assert_true(a->id % 2 ? strcmp(a->user, "ann") == 0 : a->user == NULL);
        assert_null(a->address);
    }
    assert_null(recent_at(&r, RECENT_MAX));
    recent_done(&r);
    assert_null(recent_at(&r, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_in_counters_count),
        cmocka_unit_test(the_ring_has_copies_of_the_latest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
