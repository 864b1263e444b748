/* The file holds the old text or the new one, the latest text wins, and only one program has it open. */
#include "keep/state_file.h"
#include "keep/whole_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/steerway-state-XXXXXX", path[64];
static struct ev_loop *loop;
static int failure;

static void on_failed(struct state_file *f, int err)
{
    (void)f;
    failure = err;
}

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/steerway-state-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/a/b/state.json", folder);
    loop = ev_loop_new(EVFLAG_AUTO);
    failure = 0;
    return loop ? 0 : -1;
}

static int teardown(void **state)
{
    char command[64];
    (void)state;
    ev_loop_destroy(loop);
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void open_it(struct state_file *f, const char *expected)
{
    char *text = NULL;
    assert_int_equal(state_file_open(f, loop, path, &text), 0);
    f->failed = on_failed;
    if (expected)
        assert_string_equal(text, expected);
    else
        assert_null(text);
    free(text);
}

static void write_it(struct state_file *f, const char *text)
{
    char *copy = strdup(text);
    assert_non_null(copy);
    state_file_write(f, copy);
}

/* Until the writer has reported, with a timeout. */
static void wait_for(struct state_file *f)
{
    for (int i = 0; i < 3000 && f->writing; i++) {
        (void)ev_run(loop, EVRUN_NOWAIT);
        (void)usleep(10000);
    }
    assert_false(f->writing);
}

static void assert_holds(const char *expected)
{
    char text[64] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t n = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    assert_int_equal(n, strlen(expected));
    assert_string_equal(text, expected);
}

static void what_is_written_is_read_by_the_next_run(void **state)
{
    struct state_file f;
    struct stat info;
    (void)state;
    open_it(&f, NULL);
    write_it(&f, "one");
    wait_for(&f);
    assert_holds("one");
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    state_file_close(&f, NULL);
    open_it(&f, "one");
    state_file_close(&f, strdup("two"));
    assert_holds("two");
    state_file_close(&f, NULL); /* harmless */
    assert_int_equal(failure, 0);
}

static void the_latest_text_wins(void **state)
{
    struct state_file f;
    char text[16];
    (void)state;
    open_it(&f, NULL);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        write_it(&f, text);
    }
    wait_for(&f);
    assert_holds("99");
    write_it(&f, "100");
    write_it(&f, "101");
    state_file_close(&f, strdup("102"));
    assert_holds("102");
    assert_int_equal(failure, 0);
}

static void one_program_has_it(void **state)
{
    struct state_file f, other = {.loop = NULL};
    char *text = NULL;
    (void)state;
    open_it(&f, NULL);
    assert_int_equal(state_file_open(&other, loop, path, &text), -EADDRINUSE);
    assert_null(other.loop);
    state_file_close(&f, NULL);
    open_it(&f, NULL);
    state_file_close(&f, NULL);
}

static void a_write_that_fails_is_told_and_leaves_the_old(void **state)
{
    struct state_file f;
    char name[80];
    (void)state;
    open_it(&f, NULL);
    write_it(&f, "old");
    wait_for(&f);
    (void)snprintf(name, sizeof name, "%s.new", path);
    assert_int_equal(mkdir(name, 0700), 0); /* a folder in its place */
    write_it(&f, "new");
    wait_for(&f);
    assert_int_equal(failure, -EISDIR);
    assert_holds("old");
    assert_int_equal(rmdir(name), 0);
    write_it(&f, "newer");
    wait_for(&f);
    assert_holds("newer");
    state_file_close(&f, NULL);
}

static void what_is_no_file_of_ours_is_refused(void **state)
{
    struct state_file f;
    char *text = NULL;
    (void)state;
    open_it(&f, NULL);
    state_file_close(&f, NULL);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(state_file_open(&f, loop, path, &text), -EEXIST);
    assert_int_equal(unlink(path), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fseek(file, WHOLE_FILE_MAX, SEEK_SET), 0);
    assert_int_equal(fputc('x', file), 'x');
    (void)fclose(file);
    assert_int_equal(state_file_open(&f, loop, path, &text), -EFBIG);
    assert_null(text);
}

static void it_can_be_put_aside(void **state)
{
    struct state_file f;
    char aside[80];
    (void)state;
    open_it(&f, NULL);
    state_file_close(&f, strdup("?"));
    open_it(&f, "?");
    assert_int_equal(state_file_set_aside(&f), 0);
    (void)snprintf(aside, sizeof aside, "%s.bad", path);
    assert_int_equal(access(aside, F_OK), 0);
    assert_int_equal(access(path, F_OK), -1);
    state_file_close(&f, NULL);
}

static void the_default_place_is_the_users(void **state)
{
    char place[PATH_MAX];
    (void)state;
    assert_int_equal(setenv("STATE_DIRECTORY", "/var/lib/x:/var/lib/y", 1), 0);
    assert_int_equal(setenv("XDG_STATE_HOME", "/home/u/state", 1), 0);
    assert_int_equal(state_file_default(place), 0);
    assert_string_equal(place, "/var/lib/x/state.json");
    assert_int_equal(unsetenv("STATE_DIRECTORY"), 0);
    assert_int_equal(state_file_default(place), 0);
    assert_string_equal(place, "/home/u/state/steerway/state.json");
    assert_int_equal(setenv("XDG_STATE_HOME", "relative", 1),
                     0); /* the XDG specification says that a relative path counts as unset */
    assert_int_equal(setenv("HOME", "/home/u", 1), 0);
    assert_int_equal(state_file_default(place), 0);
    assert_string_equal(place, geteuid() == 0 ? "/var/lib/steerway/state.json"
                                              : "/home/u/.local/state/steerway/state.json");
    assert_int_equal(unsetenv("HOME"), 0);
    assert_int_equal(state_file_default(place), geteuid() == 0 ? 0 : -ENOENT);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_written_is_read_by_the_next_run),
        T(the_latest_text_wins),
        T(one_program_has_it),
        T(a_write_that_fails_is_told_and_leaves_the_old),
        T(what_is_no_file_of_ours_is_refused),
        T(it_can_be_put_aside),
        cmocka_unit_test(the_default_place_is_the_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
