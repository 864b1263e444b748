/* When packets arrive over an emulated line, and which do not. */
#include "link_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <cmocka.h>

enum { PACKET = 1500, MANY = 100000 };

static const double RATE = 15e5; /* bytes/s: a packet takes a millisecond */
static const double PACKET_S = PACKET / RATE;
static const double NEVER = -1;

static void assert_about(double value, double expected, double tolerance)
{
    if (!(value >= expected - tolerance && value <= expected + tolerance))
        fail_msg("%.17g is not within %g of %.17g", value, tolerance, expected);
}

static struct link_model line(struct link_traits traits, uint64_t seed)
{
    struct link_model m;

    traits.rate = RATE;
    if (traits.queue_bytes <= 0)
        traits.queue_bytes = 1e12;
    link_model_init(&m, &traits, seed, 0);
    return m;
}

/* @return when it arrives, or NEVER */
static double sent(struct link_model *m, double now_s, size_t bytes)
{
    double at_s = NEVER;
    enum link_fate fate = link_model_take(m, now_s, bytes, &at_s);

    assert_true((fate == LINK_CARRIED) == (at_s != NEVER));
    return at_s;
}

/* --- rate, delay and queue --- */

static void a_packet_takes_its_time_on_the_line_and_the_delay(void **state)
{
    struct link_model m = line((struct link_traits){.delay_s = 0.04}, 1);
    (void)state;
    assert_about(sent(&m, 10, PACKET), 10.041, 1e-9);
    assert_about(sent(&m, 20, PACKET / 2), 20.0405, 1e-9);
}

static void packets_follow_each_other_at_the_rate(void **state)
{
    struct link_model m = line((struct link_traits){.delay_s = 0.04}, 1);
    (void)state;
    for (int i = 1; i <= 1000; i++)
        assert_about(sent(&m, 10, PACKET), 10.04 + i * PACKET_S, 1e-9);
    /* The line is idle again after this second. */
    assert_about(sent(&m, 11.5, PACKET), 11.541, 1e-9);
}

static void the_queue_holds_its_length_and_no_more(void **state)
{
    struct link_model m = line((struct link_traits){.queue_bytes = 10 * PACKET}, 1);
    int carried = 0;
    (void)state;
    for (int i = 0; i < 100; i++)
        carried += sent(&m, 10, PACKET) != NEVER;
    assert_int_equal(carried, 10);
    /* As the line empties the queue, others find room, one by one. */
    assert_true(sent(&m, 10 + 0.5 * PACKET_S, PACKET) == NEVER);
    assert_about(sent(&m, 10 + 1.01 * PACKET_S, PACKET), 10 + 11 * PACKET_S, 1e-9);
    assert_true(sent(&m, 10 + 1.02 * PACKET_S, PACKET) == NEVER);
}

static void no_packet_waits_for_longer_than_the_queue_is(void **state)
{
    struct link_model m = line((struct link_traits){.queue_bytes = 0.2 * 15e5}, 1);
    double longest = 0;
    (void)state;
    for (int i = 0; i < MANY; i++) { /* twice the rate */
        double now_s = 10 + i * PACKET_S / 2, at_s = sent(&m, now_s, PACKET);
        if (at_s - now_s > longest)
            longest = at_s - now_s;
    }
    assert_about(longest, 0.2, PACKET_S);
}

static void an_idle_line_takes_what_is_longer_than_its_queue(void **state)
{
    struct link_model m = line((struct link_traits){.queue_bytes = 100}, 1);
    (void)state;
    assert_about(sent(&m, 10, PACKET), 10 + PACKET_S, 1e-9);
    assert_true(sent(&m, 10 + PACKET_S / 2, 40) == NEVER);
    assert_true(sent(&m, 10 + PACKET_S * 1.01, PACKET) != NEVER);
}

static void what_is_forgotten_holds_nothing_up(void **state)
{
    struct link_model m = line((struct link_traits){.delay_s = 5}, 1);
    (void)state;
    for (int i = 0; i < 1000; i++)
        (void)sent(&m, 10, PACKET);
    link_model_clear(&m);
    m.traits.delay_s = 0;
    assert_about(sent(&m, 10, PACKET), 10 + PACKET_S, 1e-9);
}

/* --- chance --- */

static void jitter_adds_to_the_delay_and_keeps_the_order(void **state)
{
    struct link_model m = line((struct link_traits){.delay_s = 0.04, .jitter_s = 0.02, .loss = 0.5}, 1);
    double sum = 0, least = 1, most = 0, latest = 0;
    int n = 0;
    (void)state;
    for (int i = 0; i < MANY; i++) { /* far apart, so that none waits for another */
        double at_s = sent(&m, i, PACKET), took = at_s - i - PACKET_S;
        if (at_s == NEVER)
            continue;
        n++;
        sum += took;
        least = took < least ? took : least;
        most = took > most ? took : most;
    }
    assert_about(sum / n, 0.05, 0.0005); /* whichever are lost */
    assert_about(least, 0.04, 0.0005);
    assert_about(most, 0.06, 0.0005);
    for (int i = 0; i < MANY; i++) { /* close to each other */
        double at_s = sent(&m, MANY + i * PACKET_S, PACKET);
        assert_true(at_s == NEVER || at_s >= latest);
        latest = at_s;
    }
}

/* Send as many packets. @return how many are lost */
static int losses(struct link_model *m, bool lost[MANY])
{
    int n = 0;

    for (int i = 0; i < MANY; i++) {
        lost[i] = sent(m, i, PACKET) == NEVER;
        n += lost[i];
    }
    return n;
}

static void the_asked_share_is_lost(void **state)
{
    static bool lost[MANY];
    static const struct {
        double share;
        int least, most; /* five standard deviations */
    } cases[] = {{0, 0, 0}, {0.01, 843, 1157}, {0.25, 24315, 25685}, {1, MANY, MANY}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct link_model m = line((struct link_traits){.loss = cases[i].share}, 7);
        assert_in_range(losses(&m, lost), cases[i].least, cases[i].most);
    }
}

static int same(const bool a[MANY], const bool b[MANY])
{
    int both = 0;

    for (int i = 0; i < MANY; i++)
        both += a[i] && b[i];
    return both;
}

static void the_seed_decides_which_are_lost(void **state)
{
    static bool a[MANY], b[MANY];
    const struct link_traits traits = {.loss = 0.1};
    struct link_model one = line(traits, 1), again = line(traits, 1), other = line(traits, 2), back;
    (void)state;
    int n = losses(&one, a);
    assert_int_equal(losses(&again, b), n);
    assert_int_equal(same(a, b), n);
    /* Others lose one in ten of the same packets, by chance. */
    (void)losses(&other, b);
    assert_in_range(same(a, b), 850, 1150);
    link_model_init(&back, &one.traits, 1, 1);
    (void)losses(&back, b);
    assert_in_range(same(a, b), 850, 1150);
}

static void jitter_and_a_full_queue_do_not_change_which_are_lost(void **state)
{
    static bool a[MANY], b[MANY];
    struct link_model calm = line((struct link_traits){.loss = 0.1}, 1), m;
    (void)state;
    int n = losses(&calm, a);
    m = line((struct link_traits){.loss = 0.1, .jitter_s = 0.5}, 1);
    assert_int_equal(losses(&m, b), n);
    assert_int_equal(same(a, b), n);
    /* At twice the rate the queue drops half of the packets; of the others, chance takes the same ones. */
    m = line((struct link_traits){.loss = 0.1, .queue_bytes = 2 * PACKET}, 1);
    for (int i = 0; i < MANY; i++) {
        double at_s;
        enum link_fate fate = link_model_take(&m, i * PACKET_S / 2, PACKET, &at_s);
        assert_true(fate == LINK_FULL || (fate == LINK_LOST) == a[i]);
    }
}

static void what_is_lost_takes_its_time_on_the_line(void **state)
{
    struct link_model m = line((struct link_traits){.loss = 1}, 1);
    (void)state;
    for (int i = 0; i < 10; i++)
        (void)sent(&m, 10, PACKET);
    m.traits.loss = 0;
    assert_about(sent(&m, 10, PACKET), 10 + 11 * PACKET_S, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packet_takes_its_time_on_the_line_and_the_delay),
        cmocka_unit_test(packets_follow_each_other_at_the_rate),
        cmocka_unit_test(the_queue_holds_its_length_and_no_more),
        cmocka_unit_test(no_packet_waits_for_longer_than_the_queue_is),
        cmocka_unit_test(an_idle_line_takes_what_is_longer_than_its_queue),
        cmocka_unit_test(what_is_forgotten_holds_nothing_up),
        cmocka_unit_test(jitter_adds_to_the_delay_and_keeps_the_order),
        cmocka_unit_test(the_asked_share_is_lost),
        cmocka_unit_test(the_seed_decides_which_are_lost),
        cmocka_unit_test(jitter_and_a_full_queue_do_not_change_which_are_lost),
        cmocka_unit_test(what_is_lost_takes_its_time_on_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
