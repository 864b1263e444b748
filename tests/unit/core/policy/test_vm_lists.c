/* Lists in files: read outside the policy's budget, cached while the files are the same, and released with
 * the script. */
#include "policy/fixture.h"

#include "policy/policy_internal.h"
#include "sets/lists.h"

#include <pthread.h>

static void write_text(const struct fixture *f, const char *name, const char *text)
{
    fixture_write(f, name, text, strlen(text));
}

static struct policy_choice ask(struct fixture *f, const char *host)
{
    struct policy_conn conn = fixture_conn(1);
    struct policy_choice choice;

    conn.host = host;
    policy_pick(f->policy, &conn, f->set.items, f->set.n, &choice);
    return choice;
}

#define LISTED                                                                                               \
    PICK("local l = ctx.domains { file = 'names.txt' } local c = ctx.cidrs { file = 'ranges.txt' }",         \
         "return uplinks[1], ctx.match(l, conn.host) and 'name' or ctx.match(c, conn.host) and 'range' or "  \
         "'none'")

static void assert_reason(struct fixture *f, const char *host, const char *reason)
{
    struct policy_choice choice = ask(f, host);

    assert_string_equal(choice.reason, reason);
}

static void files_are_read_and_found_in(void **state)
{
    struct fixture *f = *state;

    write_text(f, "names.txt",
               "\xef\xbb\xbf"
               "first.example\r\n||ads.example^\n- 'one.example'\nb\xc3\xbc"
               "cher.example\n");
    write_text(f, "ranges.txt",
               "\xef\xbb\xbf"
               "10.0.0.0/8\n");
    FIXTURE_LOAD(f, LISTED);
    assert_reason(f, "first.example", "name");
    assert_reason(f, "www.ads.example", "name");
    assert_reason(f, "one.example", "name");
    assert_reason(f, "www.one.example", "none");
    assert_reason(f, "xn--bcher-kva.example", "name");
    assert_reason(f, "10.1.2.3", "range");
    assert_reason(f, "11.1.2.3", "none");
    assert_true(policy_info(f->policy).lists > 0);
    assert_int_equal(fixture_log_count(f, "not understood"), 0);
}

static void what_is_not_understood_is_told_once(void **state)
{
    struct fixture *f = *state;

    write_text(f, "names.txt", "a.example\n<html>\nhttp://x/\n");
    write_text(f, "ranges.txt", "# none\n");
    FIXTURE_LOAD(f, LISTED);
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    char *text = fixture_log(f);
    assert_int_equal(fixture_count(text, "not understood"), 1);
    assert_non_null(strstr(text, "names.txt lines=2 first=2 text=<html> understood=1"));
    free(text);
    assert_reason(f, "a.example", "name");
}

static void an_empty_list_is_told(void **state)
{
    struct fixture *f = *state;

    write_text(f, "names.txt", "");
    write_text(f, "ranges.txt", "10.0.0.0/8\n");
    FIXTURE_LOAD(f, LISTED);
    assert_int_equal(fixture_log_count(f, "warn list is empty list="), 1);
    assert_int_equal(fixture_log_count(f, "names.txt"), 1);
}

/* Errors show it as valid text. */
static void a_list_that_is_no_text_is_refused_as_that(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } others[] = {
        {"\x1f\x8b\x08\x00\x01\x02\xff", 7}, /* gzip */
        {"\xff\xfe"
         "a\0.\0b\0\r\0\n\0",
         12}, /* UTF-16 */
        {"b\xfc"
         "cher.example\nk\xf6ln.example\n",
         28}, /* Latin-1 */
        {"\0\0\0\0", 4},
    };
    struct fixture *f = *state;

    write_text(f, "names.txt", "a.example\n");
    write_text(f, "ranges.txt", "# none\n");
    FIXTURE_LOAD(f, LISTED);
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        fixture_write(f, "names.txt", others[i].bytes, others[i].n);
        assert_int_equal(policy_reload(f->policy, f->err), -EINVAL);
        if (!strstr(f->err, "names.txt: expected text in UTF-8"))
            FIXTURE_FAIL(f, "%zu: %s", i, f->err);
    }
    write_text(f, "names.txt",
               "a.example\nb\xfc"
               "cher.example\n");
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    assert_int_equal(fixture_log_count(f, "first=2 text=b?cher.example"), 1);
    /* Text is not cut within a character. */
    write_text(f, "names.txt",
               "a.example\n(xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\xc3\xbcx\n");
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    assert_int_equal(
        fixture_log_count(f, "text=(xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx "), 1);
}

/* As rsync --inplace --times and cp -p do. */
static void a_list_of_the_same_size_and_time_is_read_anew(void **state)
{
    struct fixture *f = *state;
    char path[192];
    struct stat before;

    write_text(f, "names.txt", "a.example\n");
    write_text(f, "ranges.txt", "10.0.0.0/8\n");
    FIXTURE_LOAD(f, LISTED);
    (void)snprintf(path, sizeof path, "%s/names.txt", f->dir);
    assert_int_equal(stat(path, &before), 0);
    const struct timespec times[2] = {before.st_atim, before.st_mtim};
    write_text(f, "names.txt", "b.example\n");
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    assert_reason(f, "b.example", "name");
}

/* Otherwise the second write would not be noticed. */
static void two_writes_within_a_tick_of_the_clock_differ(void **state)
{
    struct fixture *f = *state;
    char path[192], err[LIST_FILE_ERROR_MAX];

    (void)snprintf(path, sizeof path, "%s/names.txt", f->dir);
    for (int i = 0; i < 20; i++) {
        struct list_file_stamp now;
        struct list_file *list;
        write_text(f, "names.txt", "a.example\n");
        assert_int_equal(list_file_read(&list, LIST_NAMES, path, NULL, err), 0);
        write_text(f, "names.txt", "b.example\n");
        assert_int_equal(list_file_stamp_read(path, &now), 0);
        assert_false(list_file_stamp_same(&list->stamp, &now));
        list_file_free(list);
    }
}

/* The error names the list and the reason; the serving policy continues. */
static void a_list_that_cannot_be_had_refuses_the_load(void **state)
{
    struct fixture *f = *state;
    char path[192];

    write_text(f, "names.txt", "a.example\n");
    write_text(f, "ranges.txt", "# none\n");
    FIXTURE_LOAD(f, LISTED);
    write_text(f, "names.txt", "<html>\n<body>\n");
    assert_int_equal(policy_reload(f->policy, f->err), -EINVAL);
    assert_non_null(strstr(f->err, "names.txt:1: no line of it is understood; the first is '<html>'"));
    assert_non_null(strstr(f->err, "p.lua:2: ctx.domains: "));
    assert_reason(f, "a.example", "name");

    (void)snprintf(path, sizeof path, "%s/names.txt", f->dir);
    assert_int_equal(truncate(path, (off_t)LIST_FILE_BYTES_MAX + 1), 0);
    assert_int_equal(policy_reload(f->policy, f->err), -EINVAL);
    assert_non_null(strstr(f->err, "names.txt: is larger than 64 MiB"));

    assert_int_equal(unlink(path), 0);
    assert_int_equal(policy_reload(f->policy, f->err), -EINVAL);
    assert_non_null(strstr(f->err, "names.txt: No such file or directory"));

    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(policy_reload(f->policy, f->err), -EINVAL);
    assert_non_null(strstr(f->err, "names.txt: expected a regular file"));
    assert_reason(f, "a.example", "name");
    assert_int_equal(f->policy->lists.n, 2); /* only those of the serving script */
}

static void too_many_names_are_refused(void **state)
{
    struct fixture *f = *state;
    char path[192];

    write_text(f, "ranges.txt", "# none\n");
    (void)snprintf(path, sizeof path, "%s/names.txt", f->dir);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    for (int i = 0; i <= LIST_FILE_ENTRIES_MAX; i++)
        (void)fprintf(out, "%x.example\n", i);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(fixture_load(f, LISTED), -EINVAL);
    assert_non_null(strstr(f->err, "names.txt: has more than 2000000 names"));
}

/* Identified by path and stamp, so a reload is immediate, and the set is the same. */
static void a_list_is_kept_while_its_file_is_the_same(void **state)
{
    struct fixture *f = *state;

    write_text(f, "names.txt", "a.example\n");
    write_text(f, "ranges.txt", "# none\n");
    FIXTURE_LOAD(f, LISTED);
    const struct list_file *before =
        list_use_find(&f->policy->script->lists, LIST_NAMES, f->policy->lists.entries[0]->path);
    assert_non_null(before);
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    assert_ptr_equal(before, f->policy->script->lists.held[0]->list);
    write_text(f, "names.txt", "b.example\n");
    assert_reason(f, "a.example", "name");
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    assert_ptr_not_equal(before, f->policy->script->lists.held[0]->list);
    assert_reason(f, "a.example", "none");
    assert_reason(f, "b.example", "name");
    assert_int_equal(f->policy->lists.n, 2);
}

/* In steps, as the proxy does, with the reading on another thread. */
static void *read_aside(void *arg)
{
    policy_lists_read(arg, NULL);
    return NULL;
}

static void the_old_policy_serves_while_lists_are_read(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;

    write_text(f, "names.txt", "a.example\n");
    write_text(f, "ranges.txt", "# none\n");
    FIXTURE_LOAD(f, LISTED);
    write_text(f, "names.txt", "b.example\n");
    policy_change_begin(f->policy);
    assert_int_equal(policy_change_step(f->policy, NULL, f->err), -EAGAIN);
    assert_reason(f, "a.example", "name");
    assert_int_equal(pthread_create(&thread, NULL, read_aside, f->policy), 0);
    for (int i = 0; i < 100; i++)
        assert_reason(f, "a.example", "name");
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(policy_generation(f->policy), 1);
    assert_int_equal(policy_change_step(f->policy, NULL, f->err), 0);
    policy_change_end(f->policy);
    assert_reason(f, "a.example", "none");
    assert_reason(f, "b.example", "name");
}

static void a_policy_that_asks_for_other_lists_each_time_is_refused(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 20; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "l%d.txt", i);
        write_text(f, name, "a.example\n");
    }
    assert_int_equal(
        fixture_load(f, PICK("local i = 0 while i < 20 do local l = ctx.domains { file = 'l' .. i .. '.txt' }"
                             " if not ctx.match(l, 'a.example') then break end i = i + 1 end",
                             "return uplinks[1]")),
        -ELOOP);
    assert_non_null(strstr(f->err, "asks for another list each time"));
    /* A few such steps are accepted. */
    FIXTURE_LOAD(f, PICK("for i = 0, 5 do local l = ctx.domains { file = 'l' .. i .. '.txt' }"
                         " if not ctx.match(l, 'a.example') then break end end",
                         "return uplinks[1]"));
    assert_int_equal(f->policy->script->lists.n, 6);
}

static void lists_are_asked_for_at_load_alone(void **state)
{
    struct fixture *f = *state;

    write_text(f, "names.txt", "a.example\n");
    assert_int_equal(
        fixture_load(f, PICK("", "local l = ctx.domains { file = 'names.txt' } return uplinks[1]")), -EINVAL);
    assert_non_null(strstr(f->err, "lists are read when the policy is loaded; call ctx.domains in new"));
    /* A list that exists may be asked for again. */
    FIXTURE_LOAD(
        f, PICK("ctx.domains { file = 'names.txt' }",
                "return uplinks[1], tostring(ctx.match(ctx.domains { file = 'names.txt' }, conn.host))"));
    assert_reason(f, "a.example", "true");
}

static void there_are_so_many_lists_and_no_more(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i <= LISTS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "l%d.txt", i);
        write_text(f, name, "a.example\n");
    }
    FIXTURE_LOAD(f,
                 PICK("for i = 1, 64 do ctx.domains { file = 'l' .. i .. '.txt' } end", "return uplinks[1]"));
    assert_int_equal(fixture_load(f, PICK("for i = 0, 64 do ctx.domains { file = 'l' .. i .. '.txt' } end",
                                          "return uplinks[1]")),
                     -EINVAL);
    assert_non_null(strstr(f->err, "l64.txt: too many lists: at most 64 for a policy"));
}

/* Log lines of an abandoned load attempt would appear twice. */
static void a_load_that_waits_for_lists_says_nothing(void **state)
{
    struct fixture *f = *state;

    write_text(f, "names.txt", "a.example\n");
    FIXTURE_LOAD(
        f, PICK("local l = ctx.domains { file = 'names.txt' } ctx.log.info('ready %s', tostring(ctx.match(l, "
                "'a.example')))",
                "return uplinks[1]"));
    assert_int_equal(fixture_log_count(f, "ready"), 1);
    assert_int_equal(fixture_log_count(f, "ready true"), 1);
}

static void what_it_says_before_it_asks_for_a_list_is_said_once(void **state)
{
    struct fixture *f = *state;

    write_text(f, "names.txt", "a.example\n");
    FIXTURE_LOAD(f, PICK("ctx.log.info('begins') ctx.domains { file = 'names.txt' } ctx.log.warn('ends')",
                         "return uplinks[1]"));
    assert_int_equal(fixture_log_count(f, "info policy says text=begins generation=1"), 1);
    assert_int_equal(fixture_log_count(f, "warn policy says text=ends generation=1"), 1);
    write_text(f, "names.txt", "b.example\nc.example\n");
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    assert_int_equal(fixture_log_count(f, "text=begins"), 2);
    assert_int_equal(fixture_log_count(f, "text=begins generation=2"), 1);
}

static void what_a_refused_load_says_is_said(void **state)
{
    struct fixture *f = *state;

    write_text(f, "names.txt", "a.example\n");
    assert_true(fixture_load(f, PICK("ctx.log.info('begins') ctx.domains { file = 'names.txt' } error 'no'",
                                     "return uplinks[1]")) < 0);
    assert_int_equal(fixture_log_count(f, "text=begins"), 1);
}

/* The old policy's export may be slow, and may count or log. */
static void a_load_that_waits_for_lists_asks_for_no_export(void **state)
{
    static const char text[] = PICK("ctx.domains { file = 'names.txt' }",
                                    "return uplinks[1] end, export = function() ctx.log.info 'exports'");
    struct fixture *f = *state;

    write_text(f, "names.txt", "a.example\n");
    FIXTURE_LOAD(f, text);
    for (size_t i = 1; i <= 3; i++) {
        write_text(f, "names.txt", i % 2 ? "b.example\nc.example\n" : "d.example\n");
        assert_int_equal(policy_reload(f->policy, f->err), 0);
        assert_int_equal(fixture_log_count(f, "text=exports"), i);
    }
}

/* Its import took too long, so it is loaded again without it. */
static void a_load_that_is_repeated_says_it_once(void **state)
{
    static const char text[] =
        "return { name = 'p', new = function(ctx) ctx.log.info 'begins' return {\n"
        "pick = function(_, u) return u[1] end, export = function() return { 1 } end,\n"
        "import = function() ctx.log.info 'imports' while true do end end } end }\n";
    struct fixture *f = *state;

    FIXTURE_LOAD(f, text);
    assert_int_equal(policy_reload(f->policy, f->err), 0);
    assert_int_equal(fixture_log_count(f, "text=begins"), 2);
    assert_int_equal(fixture_log_count(f, "text=imports"), 0);
    assert_int_equal(fixture_log_count(f, "the new one starts without it"), 1);
}

static void reading_ends_early(void **state)
{
    struct fixture *f = *state;
    const atomic_bool stop = true;
    struct list_file *list = NULL;
    char path[192], err[LIST_FILE_ERROR_MAX];

    write_text(f, "names.txt", "a.example\n");
    (void)snprintf(path, sizeof path, "%s/names.txt", f->dir);
    assert_int_equal(list_file_read(&list, LIST_NAMES, path, &stop, err), -ECANCELED);
    assert_null(list);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_are_read_and_found_in),
        TEST(what_is_not_understood_is_told_once),
        TEST(an_empty_list_is_told),
        TEST(a_list_that_is_no_text_is_refused_as_that),
        TEST(a_list_of_the_same_size_and_time_is_read_anew),
        TEST(two_writes_within_a_tick_of_the_clock_differ),
        TEST(a_list_that_cannot_be_had_refuses_the_load),
        TEST(too_many_names_are_refused),
        TEST(a_list_is_kept_while_its_file_is_the_same),
        TEST(the_old_policy_serves_while_lists_are_read),
        TEST(a_policy_that_asks_for_other_lists_each_time_is_refused),
        TEST(lists_are_asked_for_at_load_alone),
        TEST(there_are_so_many_lists_and_no_more),
        TEST(a_load_that_waits_for_lists_says_nothing),
        TEST(what_it_says_before_it_asks_for_a_list_is_said_once),
        TEST(what_a_refused_load_says_is_said),
        TEST(a_load_that_waits_for_lists_asks_for_no_export),
        TEST(a_load_that_is_repeated_says_it_once),
        TEST(reading_ends_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
