/* The control socket's path: for its user only, one program at a time, and no other file is removed. */
#include "control/control_path.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[32], path[64];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/steerway-control-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/own/control.sock", folder);
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s %s.lock", folder, folder);
    return system(command);
}

static mode_t mode_of(const char *name)
{
    struct stat info;
    assert_int_equal(stat(name, &info), 0);
    return info.st_mode & 07777;
}

static int try_connect(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
    int r = connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0 ? -errno : 0;
    (void)close(fd);
    return r;
}

static void it_is_for_its_user_alone(void **state)
{
    struct control_place p;
    char own[128];
    (void)state;
    (void)umask(0);
    assert_int_equal(control_place_take(&p, path), 0);
    assert_int_equal(mode_of(path), 0600);
    (void)snprintf(own, sizeof own, "%s/own", folder);
    assert_int_equal(mode_of(own), 0700);
    assert_int_equal(try_connect(), 0);
    assert_int_equal(umask(0), 0); /* unchanged */
    control_place_leave(&p);
    assert_int_equal(access(path, F_OK), -1);
    control_place_leave(&p); /* harmless */
}

static void one_program_serves_it(void **state)
{
    struct control_place first, second = {.fd = -7};
    (void)state;
    assert_int_equal(control_place_take(&first, path), 0);
    assert_int_equal(control_place_take(&second, path), -EADDRINUSE);
    assert_int_equal(second.fd, -7);
    assert_int_equal(try_connect(), 0);
    control_place_leave(&first);
    assert_int_equal(control_place_take(&second, path), 0);
    control_place_leave(&second);
}

static void what_a_crash_left_is_replaced(void **state)
{
    struct control_place p;
    (void)state;
    assert_int_equal(control_place_take(&p, path), 0);
    (void)close(p.fd); /* like a process that ends without cleaning up */
    (void)close(p.lock_fd);
    assert_int_equal(try_connect(), -ECONNREFUSED);
    assert_int_equal(control_place_take(&p, path), 0);
    assert_int_equal(try_connect(), 0);
    control_place_leave(&p);
}

static void what_is_no_socket_stays(void **state)
{
    struct control_place p;
    char file[128];
    (void)state;
    (void)snprintf(file, sizeof file, "%s/file", folder);
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "x", 1), 1);
    (void)close(fd);
    assert_int_equal(control_place_take(&p, file), -EEXIST);
    assert_int_equal(control_place_take(&p, folder), -EEXIST);
    assert_int_equal(access(file, F_OK), 0);
}

static void where_it_cannot_be(void **state)
{
    struct control_place p;
    char name[512];
    (void)state;
    (void)snprintf(name, sizeof name, "%s/%0200d", folder, 0);
    assert_int_equal(control_place_take(&p, name), -ENAMETOOLONG);
    (void)snprintf(name, sizeof name, "%s/none/none/control.sock", folder);
    assert_int_equal(control_place_take(&p, name), -ENOENT);
}

static void the_default_is_in_the_runtime_directory(void **state)
{
    char name[CONTROL_PATH_MAX], long_name[512];
    (void)state;
    (void)setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    (void)setenv("RUNTIME_DIRECTORY", "/run/one:/run/two", 1);
    assert_int_equal(control_path_default(name), 0);
    assert_string_equal(name, "/run/one/control.sock");
    (void)setenv("RUNTIME_DIRECTORY", "relative", 1);
    assert_int_equal(control_path_default(name), 0);
    assert_string_equal(name, "/run/user/7/steerway/control.sock");
    (void)unsetenv("RUNTIME_DIRECTORY");
    assert_int_equal(control_path_default(name), 0);
    assert_string_equal(name, "/run/user/7/steerway/control.sock");
    (void)setenv("XDG_RUNTIME_DIR", "relative", 1);
    int r = control_path_default(name);
    if (geteuid() == 0) {
        assert_int_equal(r, 0);
        assert_string_equal(name, "/run/steerway/control.sock");
    } else {
        assert_int_equal(r, -ENOENT);
    }
    (void)snprintf(long_name, sizeof long_name, "/%0120d", 0);
    (void)setenv("XDG_RUNTIME_DIR", long_name, 1);
    assert_int_equal(control_path_default(name), -ENAMETOOLONG);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(it_is_for_its_user_alone), T(one_program_serves_it), T(what_a_crash_left_is_replaced),
        T(what_is_no_socket_stays),  T(where_it_cannot_be),    T(the_default_is_in_the_runtime_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
