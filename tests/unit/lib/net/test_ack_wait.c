#include "net/ack_wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define TIMEOUT_S 10.
enum { LOOKS_MAX = 12 };

/* The kernel's data at each look. An all-zero look ends a case. */
struct look {
    uint32_t at_s, acked;
    bool waits, under_way, has_room;
    uint8_t repeats, probes;
    uint32_t silent_s;
    bool dead; /* expected */
};

#define LOST(at, acks, n, quiet)                                                                             \
    .at_s = at, .acked = acks, .waits = true, .under_way = true, .has_room = true, .repeats = n,             \
    .silent_s = quiet
#define CLOSED(at, acks, n, quiet) .at_s = at, .acked = acks, .waits = true, .probes = n, .silent_s = quiet

static const struct {
    const char *what;
    struct look looks[LOOKS_MAX];
} cases[] = {
    {"nothing waits, however long it rests",
     {{.at_s = 1, .silent_s = 1}, {.at_s = 1000, .silent_s = 1000}, {.at_s = 2000, .silent_s = 2000}}},
    {"a segment is lost: dead after the whole time",
     {{LOST(1, 5, 1, 1)}, {LOST(6, 5, 4, 6)}, {LOST(10, 5, 5, 10)}, {LOST(11, 5, 5, 11), .dead = true}}},
    {"the time counts from the first look that saw it wait, and not from what was heard before",
     {{.at_s = 1}, {LOST(100, 5, 3, 99)}, {LOST(109, 5, 5, 108)}, {LOST(110, 5, 6, 109), .dead = true}}},
    {"the whole time, but too few repeats (a long round trip)",
     {{LOST(1, 5, 0, 1)}, {LOST(11, 5, 2, 11)}, {LOST(20, 5, 2, 20)}, {LOST(21, 5, 3, 21), .dead = true}}},
    {"each acknowledgement starts the time anew",
     {{LOST(1, 5, 3, 1)},
      {LOST(9, 6, 3, 0)},
      {LOST(17, 7, 3, 0)},
      {LOST(26, 7, 3, 9)},
      {LOST(27, 7, 4, 10), .dead = true}}},
    {"all was acknowledged in between: the next is another wait",
     {{LOST(1, 5, 3, 1)},
      {.at_s = 8, .acked = 9},
      {LOST(12, 9, 3, 4)},
      {LOST(21, 9, 3, 13)},
      {LOST(22, 9, 3, 14), .dead = true}}},
    {"a reader that pauses: its window is closed, and it answers the probes",
     {{CLOSED(1, 5, 0, 1)},
      {CLOSED(11, 5, 1, 3)},
      {CLOSED(21, 5, 2, 9)},
      {CLOSED(31, 5, 1, 1)},
      {CLOSED(600, 5, 2, 60)}}},
    {"it has vanished: nothing was heard for the whole time, and three probes in vain",
     {{CLOSED(1, 5, 0, 1)}, {CLOSED(11, 5, 3, 9)}, {CLOSED(21, 5, 3, 10), .dead = true}}},
    {"probes are seldom after a long pause: silence alone is no death",
     {{CLOSED(1, 5, 0, 1)}, {CLOSED(11, 5, 2, 119)}, {CLOSED(21, 5, 0, 2)}}},
    {"a reader that had no room has room again, and takes nothing: the time counts from then",
     {{CLOSED(1, 5, 0, 1)},
      {CLOSED(11, 5, 1, 1)},
      {LOST(12, 5, 3, 2)},
      {LOST(20, 5, 5, 9)},
      {LOST(21, 5, 6, 10), .dead = true}}},
    {"a window of less than a segment, and something of it is repeated, but the peer was heard",
     {{.at_s = 1, .acked = 5, .waits = true, .under_way = true, .repeats = 3, .silent_s = 1},
      {.at_s = 11, .acked = 5, .waits = true, .under_way = true, .repeats = 5, .silent_s = 2},
      {.at_s = 21,
       .acked = 5,
       .waits = true,
       .under_way = true,
       .repeats = 5,
       .silent_s = 12,
       .dead = true}}},
    {"bytes and clock wrap",
     {{LOST(4294960, UINT32_MAX, 3, 1)},
      {LOST(4294969, 3, 3, 1)},
      {LOST(4294978, 3, 3, 9)},
      {LOST(4294979, 3, 4, 10), .dead = true}}},
};

static struct ack_sample sample_of(const struct look *l)
{
    return (struct ack_sample){
        .now_ms = (uint32_t)(l->at_s * UINT64_C(1000)),
        .acked = l->acked,
        .silent_ms = l->silent_s * 1000,
        .repeats = l->repeats,
        .probes = l->probes,
        .waits = l->waits,
        .under_way = l->under_way,
        .has_room = l->has_room,
    };
}

static void test_each_case(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ack_wait w = {.since_ms = 0};
        for (size_t k = 0; k < LOOKS_MAX && cases[i].looks[k].at_s > 0; k++) {
            const struct look *l = &cases[i].looks[k];
            const struct ack_sample s = sample_of(l);
            if (ack_wait_judge(&w, &s, TIMEOUT_S) != l->dead)
                fail_msg("%s: at %u s it is %s", cases[i].what, (unsigned)l->at_s,
                         l->dead ? "alive" : "dead");
            assert_int_equal(ack_wait_is_on(&w), l->waits);
        }
    }
    (void)state;
}

static void test_no_timeout_no_death(void **state)
{
    struct ack_wait w = {.since_ms = 0};
    struct ack_sample s = {
        .waits = true, .under_way = true, .has_room = true, .repeats = 15, .silent_ms = 1 << 30};

    for (s.now_ms = 0; s.now_ms < 1000000; s.now_ms += 10000)
        assert_false(ack_wait_judge(&w, &s, 0));
    assert_false(ack_wait_is_on(&w));
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_case),
        cmocka_unit_test(test_no_timeout_no_death),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
