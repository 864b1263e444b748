/* A mistyped name finds the similar one; another word finds none. */
#include "base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { LINE_LEN = 512, CASES_MIN = 30 };

/* @param known  names with blanks between them; written to */
static const char *nearest(const char *word, char *known)
{
    struct nearest n;
    char *rest = NULL;

    nearest_init(&n, slice_str(word));
    for (char *name = strtok_r(known, " \n", &rest); name; name = strtok_r(NULL, " \n", &rest))
        nearest_offer(&n, name);
    return n.best;
}

static void words_mean_what_the_table_says(void **state)
{
    char line[LINE_LEN];
    size_t cases = 0;
    FILE *f = fopen(STEERWAY_SOURCE_DIR "/tests/unit/lib/base/nearest.txt", "re");

    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        char *rest = NULL, *word = strtok_r(line, " \n", &rest), *meant = strtok_r(NULL, " \n", &rest);
        if (!word || word[0] == '#')
            continue;
        assert_non_null(meant);
        const char *found = nearest(word, rest);
        if (strcmp(found ? found : "-", meant) != 0)
            fail_msg("%s: found %s, expected %s", word, found ? found : "-", meant);
        cases++;
    }
    assert_int_equal(fclose(f), 0);
    assert_true(cases >= CASES_MIN);
}

static void nothing_is_near_to_nothing(void **state)
{
    char names[] = "up x";
    (void)state;
    assert_null(nearest("", names));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_mean_what_the_table_says),
        cmocka_unit_test(nothing_is_near_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
