#include "takeover/handed.h"

#include "control/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static int any_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void a_socket_is_used_once(void **state)
{
    struct handed_set s = {.items = NULL};
    int a = any_fd(), b = any_fd();

    (void)state;
    assert_int_equal(handed_add(&s, HANDED_LISTENER, "127.0.0.1:0", NULL, a), 0);
    assert_int_equal(handed_add(&s, HANDED_LISTENER, "127.0.0.1:0", "forward", b), 0);
    assert_int_equal(handed_take(&s, HANDED_DATAGRAMS, "127.0.0.1:0", ""), -1);
    assert_int_equal(handed_take(&s, HANDED_LISTENER, "127.0.0.1:1", ""), -1);
    assert_int_equal(handed_take(&s, HANDED_LISTENER, "127.0.0.1:0", "forward"), b);
    assert_int_equal(handed_take(&s, HANDED_LISTENER, "127.0.0.1:0", "forward"), -1);
    handed_close(&s);
    assert_false(is_open(a));
    assert_true(is_open(b));
    (void)close(b);
}

static void a_list_says_what_each_is_for(void **state)
{
    struct handed_set s = {.items = NULL}, got;
    int fds[N_HANDED];

    (void)state;
    for (int k = 0; k < N_HANDED; k++) {
        fds[k] = any_fd();
        assert_int_equal(handed_add(&s, (enum handed_kind)k, "here", "tproxy", fds[k]), 0);
    }
    json_t *list = handed_json(&s);
    assert_int_equal(handed_parse(&got, list, fds, N_HANDED), 0);
    for (int k = 0; k < N_HANDED; k++) {
        assert_int_equal(handed_take(&got, (enum handed_kind)k, "here", "tproxy"), fds[k]);
        (void)close(fds[k]);
    }
    json_decref(list);
    handed_done(&s);
    handed_close(&got);
}

static void what_is_not_understood_is_closed(void **state)
{
    struct handed_set got;
    json_t *list = json_pack("[{s:s}, {s:s, s:s}, i]", "for", "later", "for", "control", "place", "/x", 7);
    int fds[] = {any_fd(), any_fd(), any_fd()};

    (void)state;
    assert_int_equal(handed_parse(&got, list, fds, 3), 0);
    assert_false(is_open(fds[0]));
    assert_false(is_open(fds[2]));
    assert_int_equal(handed_take(&got, HANDED_CONTROL, "/x", NULL), fds[1]);
    handed_close(&got);
    fds[0] = any_fd();
    assert_int_equal(handed_parse(&got, list, fds, 1), -EPROTO);
    assert_false(is_open(fds[0]));
    assert_int_equal(handed_parse(&got, NULL, fds, 0), -EPROTO);
    (void)close(fds[1]);
    json_decref(list);
}

/* More than one message of the kernel takes. */
static void many_descriptors_travel(void **state)
{
    enum { MANY = 450 };
    struct descriptors out = {.n = 0}, in = {.n = 0};
    const char text[] = "a line of text\n";
    struct slice rest = slice_of(text, sizeof text - 1);
    char got[64];
    size_t len = 0;
    int ends[2], fds[MANY];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    int one = any_fd();
    for (int i = 0; i < MANY; i++)
        fds[i] = one;
    assert_int_equal(descriptors_copy(&out, fds, MANY), 0);
    assert_int_equal(descriptors_copy(&out, &(int){-1}, 1), -EBADF);
    assert_int_equal(out.n, MANY);
    while (rest.len > 0) {
        ssize_t n = descriptors_send(&out, ends[0], rest);
        assert_true(n > 0);
        rest = slice_of(rest.data + n, rest.len - (size_t)n);
    }
    assert_int_equal(out.n, 0);
    assert_null(out.fds);
    while (len < sizeof text - 1) {
        ssize_t n = descriptors_receive(&in, ends[1], got + len, sizeof got - len);
        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_memory_equal(got, text, len);
    assert_int_equal(in.n, MANY);
    for (size_t i = 0; i < in.n; i++)
        assert_int_equal(fcntl(in.fds[i], F_GETFD), FD_CLOEXEC);
    descriptors_drop(&in, in.n);
    (void)close(one);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_is_used_once),
        cmocka_unit_test(a_list_says_what_each_is_for),
        cmocka_unit_test(what_is_not_understood_is_closed),
        cmocka_unit_test(many_descriptors_travel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
