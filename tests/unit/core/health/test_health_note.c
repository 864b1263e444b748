/* What each report of a connection does to the health of its uplink, and which lines it logs. */
#include "health/health_note.h"

#include "base/log_capture.h"
#include "support/loopback.h"
#include "uplink/machines.h"
#include "uplink/parent_spec.h"
#include "uplink/uplink.h"
#include "uplink/uplink_health.h"

static struct uplink line(void)
{
    return (struct uplink){.name = "fibre", .view = {.id = 1, .up = true, .ipv4 = true, .ipv6 = true}};
}

/* --- the log -------------------------------------------------------------------------------------------- */

static int setup(void **state)
{
    int r = capture_begin(state);

    log_setup(LOG_INFO, LOG_JSON);
    return r;
}

/* The only line since the last call is this event. @param family  NULL: the line names none */
static void assert_logged(const char *event, const char *family)
{
    const char *log = captured();
    char want[128], of[64] = "";

    (void)snprintf(want, sizeof want, "\"event\":\"%s\"", event);
    if (family)
        (void)snprintf(of, sizeof of, ",\"family\":\"%s\"", family);
    const char *newline = strchr(log, '\n');
    if (!newline || newline[1] || !strstr(log, want))
        fail_msg("'%s' is not one line of %s", log, event);
    (void)snprintf(want, sizeof want, "\"uplink\":\"fibre\"%s}\n", of);
    if (!strstr(log, want))
        fail_msg("'%s' does not end with %s", log, want);
}

static void assert_quiet(void)
{
    assert_string_equal(captured(), "");
}

/* --- pure decisions ------------------------------------------------------------------------------------- */

static void the_family_of_a_destination(void **state)
{
    static const struct {
        const char *host;
        int family;
    } cases[] = {{"192.0.2.1", AF_INET}, {"2001:db8::1", AF_INET6}, {"example.org", AF_UNSPEC}};
    struct target t;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(target_set(&t, slice_str(cases[i].host), 80), PARSE_OK);
        assert_int_equal(health_family(&t), cases[i].family);
    }
}

static void the_usual_wait_follows_the_connect_time(void **state)
{
    static const struct {
        double connect_time, usual_s;
    } cases[] = {{0, 0.25}, {0.05, 0.25}, {0.25, 0.75}, {2, 6}};
    struct uplink u = line();

    (void)state;
    assert_number(health_usual_s(NULL), 0.25);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        u.view.connect_time = cases[i].connect_time;
        assert_near(health_usual_s(&u), cases[i].usual_s, 1e-9);
    }
}

/* --- dials ---------------------------------------------------------------------------------------------- */

static const double ENOUGH_S = 2;

/* One dial of an uplink that has been silent once, in both families. */
static void a_dial_counts_in_each_family_by_itself(void **state)
{
    static const struct {
        struct dial_family four, six;
        bool silent;
        int silences4, silences6;
    } cases[] = {
        {{.answered = false}, {.answered = false}, false, 1, 1}, /* nothing was tried */
        {{.answered = true}, {.answered = false}, false, 0, 1},
        {{.answered = false}, {.answered = true}, false, 1, 0},
        {{.waited_s = 2}, {.answered = false}, true, 2, 1}, /* just long enough */
        {{.waited_s = 1.999}, {.answered = false}, false, 1, 1},
        {{.answered = false}, {.waited_s = 3}, true, 1, 2},
        {{.waited_s = 3}, {.waited_s = 3}, true, 2, 2},
        {{.answered = true}, {.waited_s = 3}, true, 0, 2},
        /* An address that waits beside one that answered says nothing. */
        {{.answered = true, .waited_s = 3}, {.answered = false}, false, 0, 1},
    };
    struct ev_loop *loop = ev_loop_new(0);

    (void)state;
    assert_non_null(loop);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct dial d = {.loop = loop, .four = cases[i].four, .six = cases[i].six};
        struct uplink u = line();
        u.four.health.silences = u.six.health.silences = 1;
        bool silent = health_note_dial(&u, &d, ENOUGH_S);
        if (silent != cases[i].silent || u.four.health.silences != cases[i].silences4 ||
            u.six.health.silences != cases[i].silences6)
            fail_msg("case %zu: silent %d, silences %d and %d", i, silent, u.four.health.silences,
                     u.six.health.silences);
    }
    ev_loop_destroy(loop);
    assert_quiet();
}

/* Dials that say nothing about the line: none was made, no uplink made it, or it led to a parent proxy. */
static void some_dials_do_not_count(void **state)
{
    struct ev_loop *loop = ev_loop_new(0);
    struct dial d = {.loop = loop, .four = {.waited_s = 60}};
    struct parent_spec parent = {.scheme = "http"};
    struct uplink u = line();

    (void)state;
    assert_false(health_note_dial(NULL, &d, ENOUGH_S));
    u.parent = &parent;
    assert_false(health_note_dial(&u, &d, ENOUGH_S));
    u.parent = NULL;
    d.loop = NULL;
    assert_false(health_note_dial(&u, &d, ENOUGH_S));
    assert_true(!u.four.health.known && u.four.health.silences == 0);
    ev_loop_destroy(loop);
}

static void dials_make_a_suspect_and_acquit_it(void **state)
{
    static const char *const names[] = {"ipv4", "ipv6"};
    struct ev_loop *loop = ev_loop_new(0);

    (void)state;
    for (int k = 0; k < 2; k++) {
        const struct dial_family silence = {.waited_s = ENOUGH_S}, answer = {.answered = true};
        struct dial d = {.loop = loop};
        struct dial_family *family = k == 0 ? &d.four : &d.six;
        struct uplink u = line();
        *family = silence;
        for (int i = 1; i < HEALTH_SILENCES; i++)
            assert_true(health_note_dial(&u, &d, ENOUGH_S));
        assert_quiet();
        assert_true(health_note_dial(&u, &d, ENOUGH_S));
        assert_logged("uplink_silent", names[k]);
        assert_true(health_note_dial(&u, &d, ENOUGH_S)); /* told once */
        assert_quiet();
        *family = answer;
        assert_false(health_note_dial(&u, &d, ENOUGH_S));
        assert_logged("uplink_answers", names[k]);
        assert_false(health_note_dial(&u, &d, ENOUGH_S));
        assert_quiet();
    }
    ev_loop_destroy(loop);
}

/* --- open connections ----------------------------------------------------------------------------------- */

/* Bytes of the family that came since the last report end the row. */
static void open_connections_report_silence_and_resets(void **state)
{
    static const struct {
        void (*note)(struct uplink *u, int family);
        int family;
        bool parent;
        const char *event, *family_name; /* a parent proxy serves both families, so its line names none */
    } cases[] = {
        {health_note_silence, AF_INET, false, "uplink_silent", "ipv4"},
        {health_note_silence, AF_INET6, false, "uplink_silent", "ipv6"},
        {health_note_silence, AF_INET6, true, "uplink_silent", NULL},
        {health_note_reset, AF_INET, false, "uplink_resets", "ipv4"},
        {health_note_reset, AF_INET6, false, "uplink_resets", "ipv6"},
        {health_note_reset, AF_INET6, true, "uplink_resets", NULL},
    };
    struct parent_spec parent = {.scheme = "http"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        bool is_four = cases[i].parent || cases[i].family == AF_INET;
        struct uplink u = line();
        u.parent = cases[i].parent ? &parent : NULL;
        struct uplink_family *own = is_four ? &u.four : &u.six, *other = is_four ? &u.six : &u.four;
        cases[i].note(&u, cases[i].family);
        cases[i].note(&u, cases[i].family);
        own->received++;
        cases[i].note(&u, cases[i].family);
        other->received++; /* of the other family: does not count */
        cases[i].note(&u, cases[i].family);
        assert_quiet();
        cases[i].note(&u, cases[i].family);
        assert_logged(cases[i].event, cases[i].family_name);
        assert_int_equal(uplink_health_state(&u, cases[i].family), HEALTH_SUSPECT);
        assert_true(own->health.known && !other->health.known);
    }
}

/* --- name servers --------------------------------------------------------------------------------------- */

static void name_servers_have_their_own_health(void **state)
{
    struct uplink u = line();

    (void)state;
    for (int i = 1; i < HEALTH_SILENCES; i++) {
        health_note_names(&u, RESOLVER_SILENCE);
        health_note_names(&u, RESOLVER_NO_NEWS);
    }
    assert_quiet();
    health_note_names(&u, RESOLVER_SILENCE);
    assert_logged("uplink_names_silent", NULL);
    health_note_names(&u, RESOLVER_NO_NEWS);
    assert_int_equal(u.names.health.silences, HEALTH_SILENCES);
    health_note_names(&u, RESOLVER_HEARD);
    assert_logged("uplink_names_answer", NULL);
    health_note_names(&u, RESOLVER_HEARD);
    assert_quiet();
    assert_true(!u.four.health.known && !u.six.health.known);
}

/* --- parent proxies ------------------------------------------------------------------------------------- */

/* Any answer about the destination shows that the parent proxy itself works. */
static void each_fault_by_a_parent_proxy(void **state)
{
    static const struct {
        enum fault fault;
        bool heard;
    } cases[] = {
        {FAULT_NONE, true},     {FAULT_REFUSED, true}, {FAULT_UNREACHABLE, true}, {FAULT_HOST, true},
        {FAULT_REJECTED, true}, {FAULT_EXPIRED, true}, {FAULT_FAILED, true},      {FAULT_TIMEOUT, false},
        {FAULT_RESET, false},   {FAULT_NAME, false},   {FAULT_DNS, false},        {FAULT_BIND, false},
        {FAULT_DENIED, false},  {FAULT_PARENT, false}, {FAULT_NO_UPLINK, false},  {FAULT_RESOURCES, false},
        {FAULT_LIMIT, false},   {FAULT_BUSY, false},
    };
    struct parent_spec parent = {.scheme = "http"};

    (void)state;
    assert_int_equal(ARRAY_LEN(cases), FAULT_BUSY + 1); /* all of them */
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct uplink u = line();
        u.four.health.silences = 1;
        health_note_parent(&u, cases[i].fault); /* not a parent proxy */
        assert_int_equal(u.four.health.silences, 1);
        u.parent = &parent;
        health_note_parent(&u, cases[i].fault);
        if (u.four.health.silences != (cases[i].heard ? 0 : 2))
            fail_msg("%s: %d silences", fault_name(cases[i].fault), u.four.health.silences);
        assert_false(u.six.health.known);
    }
    assert_quiet();
}

static void a_parent_proxy_becomes_a_suspect_and_answers_again(void **state)
{
    struct parent_spec parent = {.scheme = "http"};
    struct uplink u = line();

    (void)state;
    u.parent = &parent;
    for (int i = 0; i < HEALTH_SILENCES; i++) {
        assert_quiet();
        health_note_parent(&u, FAULT_TIMEOUT);
    }
    assert_logged("uplink_silent", NULL);
    health_note_parent(&u, FAULT_REFUSED);
    assert_logged("uplink_answers", NULL);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, setup, capture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_family_of_a_destination),
        cmocka_unit_test(the_usual_wait_follows_the_connect_time),
        ONE(a_dial_counts_in_each_family_by_itself),
        ONE(some_dials_do_not_count),
        ONE(dials_make_a_suspect_and_acquit_it),
        ONE(open_connections_report_silence_and_resets),
        ONE(name_servers_have_their_own_health),
        ONE(each_fault_by_a_parent_proxy),
        ONE(a_parent_proxy_becomes_a_suspect_and_answers_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
