/* Passwords are checked against hashes on a thread, and pairs that were right are remembered. */
#include "access/verifier.h"

#include "access/hashes.h"
#include "support/loopback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Of "secret"; cheap, since sanitizers are slow. */
static const char SHA512[] =
    "$6$rounds=1000$saltsalt$"
    "LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/otop/Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/";
static const char YESCRYPT[] = "$y$j75$abcdefgh$uMUXG79B2cFpoAYyDccUnsaH/aGTyBYMlnQidzyag01";
static const char BCRYPT[] = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";
static const char SHA256[] = "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2";

struct bench {
    struct ev_loop *loop;
    struct verifier *v;
    bool all; /* have been answered */
    unsigned asked, answered, right;
};

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof *b);

    if (!hashes_are_there())
        skip();
    b->loop = ev_loop_new(EVFLAG_AUTO);
    assert_int_equal(verifier_new(&b->v, b->loop), 0);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;

    verifier_free(b->v);
    ev_loop_destroy(b->loop);
    free(b);
    return 0;
}

static void on_done(void *arg, bool right)
{
    struct bench *b = arg;

    b->right += right;
    b->all = ++b->answered == b->asked;
}

static struct check *ask(struct bench *b, const char *hash, bool counts, const char *user, struct slice pass)
{
    struct check *c = verifier_ask(b->v, hash, counts, slice_str(user), pass, on_done, b);

    b->asked += c != NULL;
    return c;
}

/* @return how many of those asked were right */
static unsigned await(struct bench *b)
{
    b->all = b->answered == b->asked;
    ev_ref(b->loop); /* the verifier alone does not keep it running */
    run_until(b->loop, &b->all);
    ev_unref(b->loop);
    unsigned right = b->right;
    b->asked = b->answered = b->right = 0;
    return right;
}

static void each_kind_of_hash_is_known(void **state)
{
    static const char *const kinds[] = {SHA512, YESCRYPT, BCRYPT, SHA256};
    static const char *const others[] = {"secret",  "$", "$6", "$1$salt$abcdefghijklmnopqrstu0",
                                         "$6x$a$b", ""};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        char damaged[128];
        (void)snprintf(damaged, sizeof damaged, "%s", kinds[i]);
        damaged[strlen(damaged) - 1] ^= 4;
        assert_true(hashes_look_like(slice_str(kinds[i])) && hashes_are_known(kinds[i]));
        assert_true(hashes_check(kinds[i], "secret"));
        assert_false(hashes_check(kinds[i], "secreT") || hashes_check(kinds[i], ""));
        assert_false(hashes_check(damaged, "secret"));
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(hashes_look_like(slice_str(others[i])));
    assert_false(hashes_check("$6$", "secret") || hashes_check("*0", "secret"));
}

static void answers_come_on_the_loop(void **state)
{
    static const struct {
        const char *hash, *pass;
        size_t len;
        bool counts;
        unsigned right;
    } rows[] = {
        {SHA512, "secret", 6, true, 1},    {YESCRYPT, "secret", 6, true, 1}, {SHA512, "secreT", 6, true, 0},
        {SHA512, "secret", 6, false, 0},   {SHA512, "", 0, true, 0},         {SHA512, "secretX", 6, true, 1},
        {SHA512, "secret\0x", 8, true, 0}, {"$6$", "secret", 6, true, 0},
    };
    struct bench *b = *state;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        verifier_forget(b->v);
        assert_non_null(ask(b, rows[i].hash, rows[i].counts, "ada", slice_of(rows[i].pass, rows[i].len)));
        assert_int_equal(await(b), rows[i].right);
        bool known = verifier_knows(b->v, slice_str("ada"), slice_of(rows[i].pass, rows[i].len));
        assert_int_equal(known, rows[i].right);
    }
}

static void only_the_pair_that_was_right_is_known(void **state)
{
    struct bench *b = *state;

    assert_false(verifier_knows(NULL, slice_str("ada"), slice_str("secret")));
    assert_non_null(ask(b, SHA512, true, "ada", slice_str("secret")));
    assert_int_equal(await(b), 1);
    assert_true(verifier_knows(b->v, slice_str("ada"), slice_str("secret")));
    assert_false(verifier_knows(b->v, slice_str("ada"), slice_str("secreT")));
    assert_false(verifier_knows(b->v, slice_str("bob"), slice_str("secret")));
    assert_false(verifier_knows(b->v, slice_str("adas"), slice_str("ecret")));
    verifier_forget(b->v);
    assert_false(verifier_knows(b->v, slice_str("ada"), slice_str("secret")));
}

/* A password that has changed meanwhile must not be remembered. */
static void a_check_from_before_a_reload_is_not_remembered(void **state)
{
    struct bench *b = *state;

    assert_non_null(ask(b, SHA512, true, "ada", slice_str("secret")));
    verifier_forget(b->v);
    assert_int_equal(await(b), 1);
    assert_false(verifier_knows(b->v, slice_str("ada"), slice_str("secret")));
}

static void what_is_cancelled_is_not_answered(void **state)
{
    struct bench *b = *state;
    struct check *checks[20];

    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        assert_non_null(checks[i] = ask(b, SHA512, true, "ada", slice_str("secret")));
    for (size_t i = 0; i < ARRAY_LEN(checks); i += 2)
        verifier_cancel(b->v, checks[i]);
    b->asked -= 10;
    assert_int_equal(await(b), 10);
}

static void the_number_that_waits_is_bounded(void **state)
{
    struct bench *b = *state;
    unsigned n = 0;

    while (n < 4 * VERIFIER_WAITING_MAX && ask(b, YESCRYPT, true, "ada", slice_str("wrong")))
        n++;
    assert_in_range(n, VERIFIER_WAITING_MAX, 2 * VERIFIER_WAITING_MAX);
    /* The rest is given up. */
}

static void many_pairs_take_bounded_memory(void **state)
{
    struct bench *b = *state;
    char name[32];
    unsigned known = 0;

    for (int i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof name, "user%d", i);
        assert_non_null(ask(b, SHA256, true, name, slice_str("secret")));
    }
    assert_int_equal(await(b), 200);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof name, "user%d", i);
        known += verifier_knows(b->v, slice_str(name), slice_str("secret"));
    }
    assert_in_range(known, 190, 200);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(a_check_from_before_a_reload_is_not_remembered),
        ONE(answers_come_on_the_loop),
        ONE(each_kind_of_hash_is_known),
        ONE(many_pairs_take_bounded_memory),
        ONE(only_the_pair_that_was_right_is_known),
        ONE(the_number_that_waits_is_bounded),
        ONE(what_is_cancelled_is_not_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
