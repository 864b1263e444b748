/* Shared by the tests of the net room: real sockets on loopback, and a loop whose waits are limited. */
#ifndef STEERWAY_TESTS_NET_LOOPBACK_H
#define STEERWAY_TESTS_NET_LOOPBACK_H

#include "addr/addr.h"

#include <dirent.h>
#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Far longer than anything here takes; a test that waits this long fails. */
static const double PATIENCE_S = 30;
/* A loaded machine sometimes suspends a process. So an event that must come at once may do so in any one
 * of this many tries. */
enum { TRIES = 30 };

static inline struct addr loopback(int family, uint16_t port)
{
    struct addr a;
    const char *text = family == AF_INET ? "127.0.0.1" : "::1";
    assert_int_equal(addr_parse_ip(&a, slice_str(text), port), 0);
    return a;
}

static inline struct addr bound_addr(int fd)
{
    struct addr a;
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(addr_from_sockaddr(&a, (struct sockaddr *)&sa, len), 0);
    return a;
}

/* A blocking socket on a free port of loopback. */
static inline int socket_at_loopback(int family, int type, struct addr *ret)
{
    struct addr a = loopback(family, 0);
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, &a.sa, addr_len(&a)), 0);
    *ret = bound_addr(fd);
    return fd;
}

static inline int listen_at_loopback(int family, int backlog, struct addr *ret)
{
    int fd = socket_at_loopback(family, SOCK_STREAM, ret);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

/* A listener whose queue is full: it does not answer. Its sockets stay open. */
static inline void silent_at_loopback(struct addr *ret)
{
    (void)listen_at_loopback(AF_INET, 0, ret);
    for (int i = 0; i < 4; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(fd >= 0);
        if (connect(fd, &ret->sa, addr_len(ret)) < 0)
            assert_int_equal(errno, EINPROGRESS);
        if (i == 0) /* the queue takes only this one */
            assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, 5000), 1);
    }
}

static inline bool have_ipv6(void)
{
    struct addr a = loopback(AF_INET6, 0);
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool have = fd >= 0 && bind(fd, &a.sa, addr_len(&a)) == 0;
    if (fd >= 0)
        (void)close(fd);
    if (!have)
        print_message("skipped in part: this machine has no IPv6 loopback\n");
    return have;
}

static inline int count_fds(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    (void)closedir(dir);
    return n;
}

static inline void on_patience_over(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    (void)timer;
    ev_break(loop, EVBREAK_ALL);
}

/* Turn the loop until *flag, or until a number of seconds has passed. @return *flag */
static inline bool run_until_within(struct ev_loop *loop, const bool *flag, double limit_s)
{
    ev_timer patience;
    ev_now_update(loop);
    ev_timer_init(&patience, on_patience_over, limit_s, 0);
    ev_timer_start(loop, &patience);
    while (!*flag && ev_is_active(&patience))
        ev_run(loop, EVRUN_ONCE);
    ev_timer_stop(loop, &patience);
    return *flag;
}

static inline void run_until(struct ev_loop *loop, const bool *flag)
{
    assert_true(run_until_within(loop, flag, PATIENCE_S));
}

/* No watcher is active. */
static inline void assert_idle(struct ev_loop *loop)
{
    assert_int_equal(ev_pending_count(loop), 0);
    assert_false(ev_run(loop, EVRUN_NOWAIT));
}

#endif
