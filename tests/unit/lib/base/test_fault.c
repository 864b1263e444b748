#include "base/fault.h"

#include "base/compiler.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
    enum fault fault;
    const char *name, *policy;
    bool retry;
} faults[] = {
    {FAULT_NONE, "ok", NULL, false},
    {FAULT_TIMEOUT, "timeout", "timeout", true},
    {FAULT_REFUSED, "refused", "refused", true},
    {FAULT_UNREACHABLE, "unreachable", "unreachable", true},
    {FAULT_HOST, "host-unreachable", "unreachable", true},
    {FAULT_RESET, "reset", "reset", true},
    {FAULT_NAME, "no-such-name", "dns", false},
    {FAULT_DNS, "dns", "dns", true},
    {FAULT_BIND, "bind", "bind", true},
    {FAULT_DENIED, "denied", NULL, false},
    {FAULT_NO_UPLINK, "no-uplink", NULL, false},
    {FAULT_PARENT, "upstream", "unreachable", true},
    {FAULT_REJECTED, "upstream-rejected", "unreachable", true},
    {FAULT_EXPIRED, "upstream-timeout", "timeout", true},
    {FAULT_FAILED, "upstream-failed", "unreachable", true},
    {FAULT_RESOURCES, "resources", NULL, false},
    {FAULT_LIMIT, "limit", NULL, false},
    {FAULT_BUSY, "busy", NULL, false},
};

static void test_each_fault_has_its_words(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        assert_int_equal(faults[i].fault, i); /* the table has every fault */
        assert_string_equal(fault_name(faults[i].fault), faults[i].name);
        if (faults[i].policy)
            assert_string_equal(fault_policy_name(faults[i].fault), faults[i].policy);
        else
            assert_null(fault_policy_name(faults[i].fault));
        assert_int_equal(fault_worth_retry(faults[i].fault), faults[i].retry);
    }
    assert_string_equal(fault_name((enum fault)ARRAY_LEN(faults)), "unknown");
    (void)state;
}

static void test_errnos(void **state)
{
    static const struct {
        int err;
        enum fault fault;
    } map[] = {
        {0, FAULT_NONE},
        {ETIMEDOUT, FAULT_TIMEOUT},
        {ECONNREFUSED, FAULT_REFUSED},
        {ECONNRESET, FAULT_RESET},
        {ECONNABORTED, FAULT_RESET},
        {EPIPE, FAULT_RESET},
        {ENETUNREACH, FAULT_UNREACHABLE},
        {EHOSTUNREACH, FAULT_HOST},
        {EHOSTDOWN, FAULT_HOST},
        {ENETDOWN, FAULT_UNREACHABLE},
        {EAFNOSUPPORT, FAULT_UNREACHABLE},
        {EINVAL, FAULT_UNREACHABLE},
        {99999, FAULT_UNREACHABLE},
        {ENODEV, FAULT_BIND},
        {EADDRNOTAVAIL, FAULT_BIND},
        {EADDRINUSE, FAULT_BIND},
        {EPERM, FAULT_BIND},
        {EMFILE, FAULT_RESOURCES},
        {ENFILE, FAULT_RESOURCES},
        {ENOMEM, FAULT_RESOURCES},
        {ENOBUFS, FAULT_RESOURCES},
    };
    for (size_t i = 0; i < ARRAY_LEN(map); i++)
        assert_int_equal(fault_from_errno(map[i].err), map[i].fault);
    (void)state;
}

/* From the least telling to the most. Of two equal ones, the first stays. */
static const enum fault telling[][3] = {
    {FAULT_NONE, FAULT_NO_UPLINK},
    {FAULT_RESOURCES, FAULT_LIMIT, FAULT_BUSY},
    {FAULT_BIND},
    {FAULT_UNREACHABLE, FAULT_PARENT, FAULT_FAILED},
    {FAULT_HOST, FAULT_DENIED, FAULT_REJECTED},
    {FAULT_DNS},
    {FAULT_TIMEOUT, FAULT_EXPIRED},
    {FAULT_NAME},
    {FAULT_RESET},
    {FAULT_REFUSED},
};

static size_t rank_of(enum fault f)
{
    for (size_t rank = 0; rank < ARRAY_LEN(telling); rank++)
        for (size_t i = 0; i < ARRAY_LEN(telling[rank]); i++)
            if (telling[rank][i] == f && (f != FAULT_NONE || rank == 0))
                return rank;
    fail_msg("fault %d stands in no rank", f);
    return 0;
}

static void test_the_more_telling_of_two(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        for (size_t j = 0; j < ARRAY_LEN(faults); j++) {
            enum fault a = (enum fault)i, b = (enum fault)j, expected = rank_of(b) > rank_of(a) ? b : a;
            if (fault_more_telling(a, b) != expected)
                fail_msg("%s, then %s: got %s", fault_name(a), fault_name(b),
                         fault_name(fault_more_telling(a, b)));
        }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_fault_has_its_words),
        cmocka_unit_test(test_errnos),
        cmocka_unit_test(test_the_more_telling_of_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
