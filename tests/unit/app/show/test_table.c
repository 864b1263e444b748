/* Tables in less room than they want. */
#include "show/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct table_column columns[] = {
    {.title = "ID", .right = true},
    {.title = "HOST", .least = 6, .tail = true},
    {.title = "NAME", .least = 4},
    {.title = "AGE", .right = true, .leave = 1},
    {.title = "WHY", .least = 5, .leave = 2, .spare = true},
};

/* What is printed at that width. */
static const char *printed(int width)
{
    static char out[1024];
    struct table t = {.columns = columns, .n_columns = ARRAY_LEN(columns)};
    FILE *file = tmpfile();
    int stdout_fd = dup(STDOUT_FILENO);

    assert_true(file && stdout_fd >= 0);
    (void)fflush(stdout);
    assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
    table_addf(&t, "%d", 7);
    table_add(&t, "www.example.org");
    table_add(&t, "gr\xc3\xbc\xc3\xbc\xc3\x9f"
                  "e");
    table_add(&t, "4 min");
    table_add(&t, "it is its turn\n");
    table_print(&t, width);
    (void)fflush(stdout);
    (void)dup2(stdout_fd, STDOUT_FILENO);
    (void)close(stdout_fd);
    rewind(file);
    size_t n = fread(out, 1, sizeof out - 1, file);
    out[n] = '\0';
    (void)fclose(file);
    return out;
}

static void all_of_it_where_there_is_room(void **state)
{
    (void)state;
    assert_string_equal(printed(200), "ID  HOST             NAME      AGE  WHY\n"
                                      " 7  www.example.org  gr\xc3\xbc\xc3\xbc\xc3\x9f"
                                      "e  4 min  it is its turn?\n");
}

static void a_spare_column_is_shortened_first_then_left_out(void **state)
{
    (void)state;
    assert_string_equal(printed(50), "ID  HOST             NAME      AGE  WHY\n"
                                     " 7  www.example.org  gr\xc3\xbc\xc3\xbc\xc3\x9f"
                                     "e  4 min  it is its tur…\n");
    assert_string_equal(printed(40), "ID  HOST             NAME      AGE\n"
                                     " 7  www.example.org  gr\xc3\xbc\xc3\xbc\xc3\x9f"
                                     "e  4 min\n");
}

static void then_the_widest_is_shortened(void **state)
{
    (void)state;
    assert_string_equal(printed(29), "ID  HOST        NAME      AGE\n"
                                     " 7  …ample.org  gr\xc3\xbc\xc3\xbc\xc3\x9f"
                                     "e  4 min\n");
    assert_string_equal(printed(23), "ID  HOST    NAME    AGE\n"
                                     " 7  …e.org  gr\xc3\xbc…  4 min\n");
}

static void then_others_are_left_out(void **state)
{
    (void)state;
    assert_string_equal(printed(20), "ID  HOST      NAME\n"
                                     " 7  …ple.org  gr\xc3\xbc\xc3\xbc\xc3\x9f"
                                     "e\n");
    assert_string_equal(printed(3), "ID  HOST    NAME\n"
                                    " 7  …e.org  gr\xc3\xbc…\n");
}

static void no_row(void **state)
{
    struct table t = {.columns = columns, .n_columns = ARRAY_LEN(columns)};

    (void)state;
    table_print(&t, 80);
    assert_true(table_width() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_it_where_there_is_room),
        cmocka_unit_test(a_spare_column_is_shortened_first_then_left_out),
        cmocka_unit_test(then_the_widest_is_shortened),
        cmocka_unit_test(then_others_are_left_out),
        cmocka_unit_test(no_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
