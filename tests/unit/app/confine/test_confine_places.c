/* What a start has made is given away, and nothing else. As root these tests look at owners; else they are
 * skipped. */
#include "confine/confine_places.h"

#include "config/config.h"
#include "confine/confine_user.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { OTHER = 31999 };

static char folder[] = "/tmp/steerway-places-XXXXXX";
static const struct confine_user user = {.uid = OTHER, .gid = OTHER, .name = "31999"};

static int begin(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static const char *in(const char *name)
{
    static char paths[4][128];
    static size_t at;
    char *path = paths[at++ % 4];

    (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void make(const char *name)
{
    int fd = open(in(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    (void)close(fd);
}

static bool is_given(const char *name)
{
    struct stat st;

    assert_int_equal(lstat(in(name), &st), 0);
    return st.st_uid == OTHER && st.st_gid == OTHER;
}

static void give(const struct confine_places *p)
{
    const char *path = NULL;

    if (geteuid() != 0)
        skip();
    assert_int_equal(confine_places_give(p, &user, &path), 0);
}

static void test_what_was_made(void **state)
{
    struct confine_places p = {.n = 0};

    (void)state;
    assert_int_equal(mkdir(in("one"), 0700), 0);
    confine_places_note(&p, in("one/two/three/file"), true);
    assert_int_equal(mkdir(in("one/two"), 0700), 0);
    assert_int_equal(mkdir(in("one/two/three"), 0700), 0);
    make("one/two/three/file");
    make("one/two/three/file.lock");
    make("one/two/three/other");
    give(&p);
    assert_true(is_given("one/two") && is_given("one/two/three") && is_given("one/two/three/file") &&
                is_given("one/two/three/file.lock"));
    assert_false(is_given("one") || is_given("one/two/three/other"));
}

static void test_what_was_there(void **state)
{
    struct confine_places p = {.n = 0};

    (void)state;
    make("there");
    make("there.lock");
    confine_places_note(&p, in("there"), true);
    give(&p);
    assert_false(is_given("there") || is_given("there.lock"));
}

static void test_a_stale_socket_is_replaced(void **state)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct confine_places p = {.n = 0};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    (void)strcpy(at.sun_path, in("socket"));
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    confine_places_note(&p, in("socket"), true);
    give(&p);
    assert_true(is_given("socket"));
    (void)close(fd);
}

/* Links, and files with a second name, may lead to what belongs to others. */
static void test_links(void **state)
{
    struct confine_places p = {.n = 0};

    (void)state;
    make("theirs");
    make("of a link");
    confine_places_note(&p, in("symbolic"), true);
    confine_places_note(&p, in("hard"), true);
    assert_int_equal(symlink(in("of a link"), in("symbolic")), 0);
    assert_int_equal(link(in("theirs"), in("hard")), 0);
    give(&p);
    assert_false(is_given("theirs") || is_given("of a link") || is_given("symbolic"));
}

static void test_users(void **state)
{
    static const char *const refused[] = {"",
                                          ":",
                                          "x:",
                                          ":x",
                                          "no-such-user",
                                          "31999",
                                          "root",
                                          "0:0",
                                          "31999:no-such-group",
                                          "4294967295:1",
                                          "99999999999:1"};
    char err[CONFIG_ERROR_MAX];
    struct confine_user found;

    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_int_equal(confine_user_find(&found, refused[i], err), -EINVAL);
    assert_int_equal(confine_user_find(&found, "31999:31998", err), 0);
    assert_true(found.uid == 31999 && found.gid == 31998 && found.n_groups == 1 && found.groups[0] == 31998);
    assert_string_equal(found.name, "31999");
    assert_string_equal(found.home, "/");
    assert_int_equal(confine_user_find(&found, "nobody", err), 0);
    assert_true(found.uid != 0 && found.n_groups >= 1 && found.groups[0] == found.gid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_made),
        cmocka_unit_test(test_what_was_there),
        cmocka_unit_test(test_a_stale_socket_is_replaced),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_users),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
