/* Addresses that join a dial while it runs. */
#include "net/dial_desk.h"

#include <errno.h>
#include <math.h>
#include <sys/syscall.h>

/* Connects in order, as "4:1 6:2": family and port. Ports below PORT_REAL are refused at once. */
enum { PORT_REAL = 1024 };
static char tried[256];

int connect(int fd, const struct sockaddr *to, socklen_t len)
{
    struct addr a;
    size_t at = strlen(tried);
    assert_int_equal(addr_from_sockaddr(&a, to, len), 0);
    if (addr_port(&a) >= PORT_REAL)
        return (int)syscall(SYS_connect, fd, to, len);
    (void)snprintf(tried + at, sizeof tried - at, "%s%d:%d", at ? " " : "",
                   addr_family(&a) == AF_INET ? 4 : 6, addr_port(&a));
    errno = ECONNREFUSED;
    return -1;
}

static int desk_open(void **state)
{
    struct desk *k = desk_new(state);
    tried[0] = '\0';
    (void)listen_at_loopback(AF_INET, 64, &k->good);
    silent_at_loopback(&k->silent);
    ev_run(k->loop, EVRUN_NOWAIT);
    return 0;
}

static int desk_close_idle(void **state)
{
    struct desk *k = *state;
    dial_cancel(&k->dial);
    assert_idle(k->loop);
    return desk_close(state);
}

static void start(struct desk *k, const struct addr *addrs, size_t n)
{
    k->done = false;
    k->calls = 0;
    k->started = clock_now_s();
    dial_start(&k->dial, k->loop, addrs, n, &EGRESS_DIRECT, 20, on_done);
    dial_expect(&k->dial);
}

static void finish(struct desk *k, enum fault fault)
{
    run_until(k->loop, &k->done);
    assert_int_equal(k->calls, 1);
    assert_string_equal(fault_name(k->fault), fault_name(fault));
    assert_false(k->dial.running);
}

static void fill(struct addr *ret, int family, uint16_t port, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = loopback(family, (uint16_t)(port + i));
}

static void families_take_turns_from_there_on(void **state)
{
    struct desk *k = *state;
    struct addr four[3], six[3];
    fill(four, AF_INET, 1, 3);
    fill(six, AF_INET6, 11, 3);
    start(k, four, 3);
    dial_add(&k->dial, six, 3, false); /* before the first has been tried */
    finish(k, FAULT_REFUSED);
    assert_string_equal(tried, "4:1 6:11 4:2 6:12 4:3 6:13");

    tried[0] = '\0';
    start(k, (struct addr[]){k->silent, four[0], four[1]}, 3);
    ev_run(k->loop, EVRUN_NOWAIT); /* the silent one is running */
    dial_add(&k->dial, six, 2, false);
    assert_false(run_until_within(k->loop, &k->done, 0.5));
    assert_string_equal(tried, "6:11 4:1 6:12 4:2");
    dial_cancel(&k->dial);

    tried[0] = '\0';
    start(k, four, 3);
    dial_add(&k->dial, six, 3, true); /* of a family that does not answer */
    finish(k, FAULT_REFUSED);
    assert_string_equal(tried, "4:1 4:2 4:3 6:11 6:12 6:13");
}

static void it_does_not_end_before_they_are_there(void **state)
{
    struct desk *k = *state;
    start(k, (struct addr[]){loopback(AF_INET, 1)}, 1);
    assert_false(run_until_within(k->loop, &k->done, 0.05));
    dial_add(&k->dial, &k->good, 1, false);
    assert_int_equal(k->calls, 0); /* never from within */
    finish(k, FAULT_NONE);
    assert_true(k->took_s < 4);

    start(k, (struct addr[]){loopback(AF_INET, 1)}, 1);
    assert_false(run_until_within(k->loop, &k->done, 0.05));
    dial_add(&k->dial, NULL, 0, false); /* there are none */
    assert_int_equal(k->calls, 0);
    finish(k, FAULT_REFUSED);

    start(k, (struct addr[]){loopback(AF_INET, 1)}, 1);
    dial_cancel(&k->dial);
    dial_add(&k->dial, &k->good, 1, false); /* too late */
    assert_false(run_until_within(k->loop, &k->done, 0.05));
}

/* A family without an answer must not delay the other's result for long. */
static void they_are_not_waited_for_for_long(void **state)
{
    struct desk *k = *state;
    start(k, (struct addr[]){loopback(AF_INET, 1), loopback(AF_INET, 2)}, 2);
    finish(k, FAULT_REFUSED);
    assert_true(k->took_s >= 0.49 && k->took_s < 4);
    assert_string_equal(tried, "4:1 4:2");
    dial_add(&k->dial, &k->good, 1, false); /* too late */
    assert_int_equal(k->calls, 1);
}

static void they_are_raced_in_their_time(void **state)
{
    struct desk *k = *state;
    start(k, &k->silent, 1);
    assert_false(run_until_within(k->loop, &k->done, 0.1));
    dial_add(&k->dial, &k->good, 1, false);
    finish(k, FAULT_NONE);
    assert_true(k->took_s >= 0.24 && k->took_s < 4); /* 250 ms after the first, RFC 8305 5 */

    double least_s = INFINITY;
    for (int i = 0; i < TRIES && least_s >= 0.5; i++) {
        start(k, &k->silent, 1);
        assert_false(run_until_within(k->loop, &k->done, 0.3));
        dial_add(&k->dial, &k->good, 1, false);
        finish(k, FAULT_NONE);
        assert_true(k->took_s >= 0.29);
        least_s = fmin(least_s, k->took_s);
    }
    assert_true(least_s < 0.5); /* the wait is over */
}

static void no_more_than_sixteen_in_all(void **state)
{
    struct desk *k = *state;
    struct addr four[10], six[10];
    fill(four, AF_INET, 1, 10);
    fill(six, AF_INET6, 101, 10);
    start(k, four, 10);
    dial_add(&k->dial, six, 10, true);
    finish(k, FAULT_REFUSED);
    assert_non_null(strstr(tried, "4:10 6:101 "));
    assert_non_null(strstr(tried, " 6:106"));
    assert_null(strstr(tried, "6:107"));
}

static void those_that_cannot_leave_are_passed_over(void **state)
{
    struct desk *k = *state;
    struct addr six = loopback(AF_INET6, 11);
    k->started = clock_now_s();
    dial_start(&k->dial, k->loop, &six, 1, &(struct egress){.any4 = true}, 20, on_done);
    dial_expect(&k->dial);
    dial_add(&k->dial, (struct addr[]){six, k->good}, 2, false);
    finish(k, FAULT_NONE);
    assert_string_equal(tried, "");
}

int main(void)
{
#define AT_DESK(test) cmocka_unit_test_setup_teardown(test, desk_open, desk_close_idle)
    const struct CMUnitTest tests[] = {
        AT_DESK(families_take_turns_from_there_on), AT_DESK(it_does_not_end_before_they_are_there),
        AT_DESK(they_are_not_waited_for_for_long),  AT_DESK(they_are_raced_in_their_time),
        AT_DESK(no_more_than_sixteen_in_all),       AT_DESK(those_that_cannot_leave_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
