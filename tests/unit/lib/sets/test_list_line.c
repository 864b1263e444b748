/* Each row of tests/lua/host/lines.txt, which also tests the Lua side. */
#include "support/copy.h"

#include "sets/list_line.h"
#include "sets/name_set.h"
#include "sets/range_set.h"

#include <errno.h>
#include <stdio.h>

struct found {
    char text[512];
    struct range_set *ranges;
};

static void say(struct found *f, const char *sign, struct slice what)
{
    size_t len = strlen(f->text);

    (void)snprintf(f->text + len, sizeof f->text - len, "%s%s%.*s", len > 0 ? " " : "", sign, (int)what.len,
                   what.data);
}

static int take_name(void *arg, struct slice name, unsigned covers)
{
    static const char *const signs[] = {"?", "=", ".", "+"};

    say(arg, signs[covers], name);
    return 0;
}

static int take_range(void *arg, struct slice range, unsigned covers)
{
    struct found *f = arg;
    int r = range_set_add(f->ranges, range);

    assert_int_equal(covers, 0);
    if (r == 0)
        say(f, "", range);
    return r;
}

static void unescape(char *s)
{
    char *to = s;

    for (; *s; s++) {
        if (*s == '\\' && s[1]) {
            s++;
            *to++ = *s == 't' ? '\t' : *s == 'r' ? '\r' : *s;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}

/* An exact copy on the heap, so that a sanitizer sees reads past it. */
static struct slice exact(const char *text)
{
    size_t len = strlen(text);
    char *copy = malloc(len + 1);

    assert_non_null(copy);
    memcpy(copy, text, len);
    return slice_of(realloc(copy, len > 0 ? len : 1), len);
}

static void check_row(const char *kind, char *line, const char *expected)
{
    struct found f = {.ranges = range_set_new()};

    unescape(line);
    struct slice whole = exact(line);
    int r = strcmp(kind, "names") == 0 ? list_line_names(whole, take_name, &f)
                                       : list_line_ranges(whole, take_range, &f);
    if (r != LIST_LINE_TAKEN)
        say(&f, r == LIST_LINE_EMPTY ? "empty" : "unknown", slice_str(""));
    if (strcmp(f.text, expected) != 0)
        fail_msg("%s '%s': expected %s, got %s", kind, line, expected, f.text);
    range_set_free(f.ranges);
    free((char *)(uintptr_t)whole.data);
}

static void each_line_is_taken_as_the_table_says(void **state)
{
    FILE *table = fopen(STEERWAY_SOURCE_DIR "/tests/lua/host/lines.txt", "r");
    char *row = NULL;
    size_t room = 0, n = 0;

    (void)state;
    assert_non_null(table);
    while (getline(&row, &room, table) >= 0) {
        row[strcspn(row, "\n")] = '\0';
        if (row[0] == '#')
            continue;
        char *line = strchr(row, '\t'), *expected = line ? strchr(line + 1, '\t') : NULL;
        assert_non_null(expected);
        *line++ = '\0';
        *expected++ = '\0';
        check_row(row, line, expected);
        n++;
    }
    assert_true(n > 100);
    free(row);
    (void)fclose(table);
}

static int count(void *arg, struct slice item, unsigned covers)
{
    (void)item;
    (void)covers;
    ++*(int *)arg;
    return 0;
}

static void a_line_may_be_so_long(void **state)
{
    static char line[LIST_LINE_MAX + 2];
    int n = 0;

    (void)state;
    memset(line, ' ', sizeof line);
    memcpy(line, "10.0.0.1 a.com", 14);
    line[LIST_LINE_MAX] = '\n';
    assert_int_equal(list_line_names(slice_of(line, LIST_LINE_MAX + 1), count, &n), LIST_LINE_TAKEN);
    line[LIST_LINE_MAX] = ' ';
    assert_int_equal(list_line_names(slice_of(line, LIST_LINE_MAX + 1), count, &n), LIST_LINE_UNKNOWN);
    memcpy(line, "10.0.0.1      ", 14);
    assert_int_equal(list_line_ranges(slice_of(line, LIST_LINE_MAX), count, &n), LIST_LINE_TAKEN);
    assert_int_equal(list_line_ranges(slice_of(line, LIST_LINE_MAX + 1), count, &n), LIST_LINE_UNKNOWN);
    assert_int_equal(n, 2);
}

static int refuse(void *arg, struct slice item, unsigned covers)
{
    (void)item;
    (void)covers;
    return *(int *)arg;
}

static void what_the_sink_says_is_heard(void **state)
{
    int no_memory = -ENOMEM, not_one = -EINVAL;

    (void)state;
    assert_int_equal(list_line_names(slice_str("a.com"), refuse, &no_memory), -ENOMEM);
    assert_int_equal(list_line_names(slice_str("0.0.0.0 a.com b.com"), refuse, &no_memory), -ENOMEM);
    assert_int_equal(list_line_names(slice_str("server=/a.com/"), refuse, &no_memory), -ENOMEM);
    assert_int_equal(list_line_names(slice_str("a.com"), refuse, &not_one), LIST_LINE_UNKNOWN);
    assert_int_equal(list_line_ranges(slice_str("10.0.0.0/8"), refuse, &no_memory), -ENOMEM);
    assert_int_equal(list_line_ranges(slice_str("10.0.0.0/8"), refuse, &not_one), LIST_LINE_UNKNOWN);
}

static void no_bytes_are_too_strange(void **state)
{
    struct found f = {.ranges = range_set_new()};
    uint32_t draw = 1;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        static const char bytes[] = "aZ0.-_ \t\r#!;/|^'\",=+*:[]{}\\%@\xc3\xbc\xff\x01";
        char text[24];
        size_t len = 0;
        draw = draw * 1664525 + 1013904223;
        for (uint32_t d = draw; len < sizeof text && len < draw >> 27; d = d * 22695477 + 1)
            text[len++] = bytes[(d >> 16) % (sizeof bytes)];
        char *copy = heap_copy(text, len);
        f.text[0] = '\0';
        assert_true(list_line_names(slice_of(copy, len), take_name, &f) >= 0);
        assert_true(list_line_ranges(slice_of(copy, len), take_range, &f) >= 0);
        free(copy);
    }
    range_set_free(f.ranges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_is_taken_as_the_table_says),
        cmocka_unit_test(a_line_may_be_so_long),
        cmocka_unit_test(what_the_sink_says_is_heard),
        cmocka_unit_test(no_bytes_are_too_strange),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
