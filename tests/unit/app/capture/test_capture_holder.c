/* Changes of a table by a program in the place of nft: one that refuses, one that says much, and one that is
 * late. */
#include "capture/capture_holder.h"

#include "base/buf.h"
#include "capture/capture_nft.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* As nft: nothing is said of a change that was made, and each line that is refused is quoted. A line with
 * "late" waits for a signal. */
static char PROGRAM[] =
    "go=; trap 'go=1' USR1\n"
    "while read -r line; do case \"$line\" in\n"
    "*refused*) printf 'Error: no such set\\n%020000d\\n^^^\\n' 0;;\n"
    "*late*) i=0; while [ -z \"$go\" ] && [ $i -lt 6000 ]; do i=$((i+1)); sleep 0.01; done; go=; printf "
    "'Error: late\n';;\n"
    "steerway_last) printf 'Error: syntax error, unexpected newline\\nsteerway_last\\n^^^\\n';;\n"
    "esac; done\n";

void capture_nft_become(char *const argv[])
{
    char shell[] = "/bin/sh", option[] = "-c";
    char *const words[] = {shell, option, PROGRAM, NULL};

    (void)argv;
    (void)execv(shell, words);
}

/* What the table has, and what nft says of its replacement. */
static struct capture_table there;
static const char *refusal;

int capture_table_read(struct capture_table *ret, char *err)
{
    (void)err;
    *ret = there;
    return 0;
}

void capture_table_done(struct capture_table *t)
{
    (void)t;
}

int capture_nft_apply(const char *script, char *err)
{
    if (strcmp(script, "delete table inet steerway\ntable inet steerway {\n}\n") != 0)
        refusal = "another script";
    if (refusal)
        (void)snprintf(err, CAPTURE_ERROR_MAX, "%s", refusal);
    return refusal ? -EPROTO : 0;
}

static struct capture_holder h;
static char heard[CAPTURE_ERROR_MAX];
static unsigned calls;

static void on_done(void *arg, const char *error)
{
    (void)arg;
    calls++;
    (void)snprintf(heard, sizeof heard, "%s", error ? error : "done");
}

static unsigned late_answers;

static void on_late_answer(struct capture_holder *of)
{
    assert_false(of->late); /* another change may begin */
    late_answers++;
}

enum change { INSTALL, UPDATE, REPLACE };

static int ask(enum change change, const char *script, bool stops)
{
    const struct capture_request r = {.stops = stops};
    struct buf text;

    buf_init(&text, 1000);
    assert_int_equal(buf_printf(&text, "%s", script), 0);
    int rc = change == INSTALL   ? capture_holder_install(&h, &r, &text, on_done, NULL)
             : change == REPLACE ? capture_holder_replace(&h, &r, &text, on_done, NULL)
                                 : capture_holder_update(&h, &r, &text, on_done, NULL);
    buf_done(&text);
    return rc;
}

static void await_answer(const char *expected)
{
    const unsigned before = calls;

    while (calls == before)
        (void)ev_run(h.loop, EVRUN_ONCE);
    assert_string_equal(heard, expected);
}

static int begin(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    h = (struct capture_holder){.loop = ev_default_loop(0)};
    return 0;
}

static int end(void **state)
{
    (void)state;
    capture_holder_close(&h);
    return 0;
}

static void a_table_is_held_and_changed(void **state)
{
    (void)state;
    assert_int_equal(ask(INSTALL, "table inet steerway {\n}\n", false), 0);
    assert_int_equal(ask(UPDATE, "flush set\n", false), -EBUSY);
    await_answer("done");
    assert_true(h.owns && h.state == CAPTURE_HELD);
    assert_int_equal(ask(UPDATE, "flush set\nadd element\n", false), 0);
    await_answer("done");
    assert_true(h.owns && h.state == CAPTURE_HELD);
}

/* The words on it are longer than what is kept of them. */
static void a_refused_change_keeps_the_table(void **state)
{
    (void)state;
    assert_int_equal(ask(INSTALL, "table inet steerway {\n}\n", false), 0);
    await_answer("done");
    assert_int_equal(ask(UPDATE, "refused\n", false), 0);
    await_answer("nft: Error: no such set");
    assert_false(h.unsure);
    assert_true(h.owns && h.state == CAPTURE_HELD);
}

static void a_table_that_stays_is_not_held(void **state)
{
    (void)state;
    assert_int_equal(ask(UPDATE, "refused\n", true), 0);
    await_answer("nft: Error: no such set");
    assert_false(h.unsure);
    assert_int_equal(h.state, CAPTURE_IDLE);
    assert_int_equal(ask(UPDATE, "flush set\n", true), 0);
    await_answer("done");
    assert_true(!h.owns && h.state == CAPTURE_IDLE);
}

static void assert_replaced(const struct capture_table *table, const char *nft, const char *expected)
{
    there = *table;
    refusal = nft;
    assert_int_equal(ask(REPLACE, "table inet steerway {\n}\n", true), 0);
    await_answer(expected);
    assert_true(!h.owns && h.state == CAPTURE_IDLE);
}

static void a_table_that_stays_is_replaced_if_nothing_in_it_is_of_others(void **state)
{
    (void)state;
    assert_replaced(&(struct capture_table){.exists = true, .ours = 9}, NULL, "done");
    assert_replaced(&(struct capture_table){.exists = true, .ours = 9, .foreign = 1, .example = "chain mine"},
                    NULL, "nft: Error: the table inet steerway has chain mine, which is not of capture");
    assert_replaced(&(struct capture_table){.exists = false}, NULL,
                    "nft: Error: the table inet steerway of capture is gone");
    assert_replaced(&(struct capture_table){.exists = true, .ours = 9}, "nft: no", "nft: Error: nft: no");
}

/* The kernel would remove the table with the program. */
static void a_late_holder_lives(void **state)
{
    (void)state;
    assert_int_equal(ask(INSTALL, "table inet steerway {\n}\n", false), 0);
    await_answer("done");
    const pid_t holder = h.pid;
    assert_int_equal(ask(UPDATE, "late\n", false), 0);
    ev_timer_stop(h.loop, &h.deadline);
    ev_timer_set(&h.deadline, 0.05, 0.);
    ev_timer_start(h.loop, &h.deadline);
    h.answered_late = on_late_answer;
    late_answers = 0;
    await_answer("nft does not answer");
    assert_true(h.unsure);
    assert_true(h.owns && h.pid == holder && kill(holder, 0) == 0);
    assert_int_equal(ask(UPDATE, "flush set\n", false),
                     -EBUSY); /* its answer would be taken for this one's */
    (void)kill(holder, SIGUSR1);
    while (h.late)
        (void)ev_run(h.loop, EVRUN_ONCE);
    assert_int_equal(late_answers, 1);
    assert_int_equal(ask(UPDATE, "flush set\n", false), 0);
    await_answer("done");
    assert_false(h.unsure);
    assert_int_equal(late_answers, 1);
    assert_true(h.owns && h.pid == holder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_table_is_held_and_changed, begin, end),
        cmocka_unit_test_setup_teardown(a_refused_change_keeps_the_table, begin, end),
        cmocka_unit_test_setup_teardown(a_table_that_stays_is_not_held, begin, end),
        cmocka_unit_test_setup_teardown(a_table_that_stays_is_replaced_if_nothing_in_it_is_of_others, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_late_holder_lives, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
