/* Real links for tests, in a network namespace that ends with the test. Works as root and, where users may
 * have namespaces, as any user. */
#ifndef STEERWAY_TESTS_NET_NETNS_H
#define STEERWAY_TESTS_NET_NETNS_H

#include "machine/machine.h"
#include "support/ip.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>

static inline void netns_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

/* Become root of a user namespace, which may have network namespaces. */
static inline int netns_become_root(void)
{
    char uid_map[32], gid_map[32];

    (void)snprintf(uid_map, sizeof uid_map, "0 %u 1", getuid());
    (void)snprintf(gid_map, sizeof gid_map, "0 %u 1", getgid());
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return -errno;
    netns_write("/proc/self/setgroups", "deny");
    netns_write("/proc/self/uid_map", uid_map);
    netns_write("/proc/self/gid_map", gid_map);
    return 0;
}

/* Enter a new namespace with only a loopback link that is down. Skips the test where that is not allowed. */
static inline void netns_enter(void)
{
    int r = 0;

    if (unshare(CLONE_NEWNET) < 0)
        r = errno == EPERM ? netns_become_root() : -errno;
    if (r == 0)
        return;
    print_message("skipped: no network namespace for this user: %s\n", strerror(-r));
    skip();
}

/* Run `ip -batch` with lines such as "link add v1 type veth peer name v2".
 * @return its exit status; 127 when there is no such program */
static inline int netns_try_ip(bool six, const char *script)
{
    int ends[2], status;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(ends[0], STDIN_FILENO);
        (void)setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin", 1);
        (void)execlp("ip", "ip", six ? "-6" : "-batch", six ? "-batch" : "-", six ? "-" : NULL, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[0]);
    assert_int_equal(write(ends[1], script, strlen(script)), strlen(script));
    (void)close(ends[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void netns_run_ip(bool six, const char *script)
{
    int status = netns_try_ip(six, script);
    if (status == 127)
        fail_msg("the program ip is missing: install iproute2");
    if (status != 0)
        fail_msg("ip (exit status %d) does not like:\n%s", status, script);
}

static inline void netns_ip(const char *script)
{
    netns_run_ip(false, script);
}

/* For commands without an address that shows the family: rules, default routes without a gateway. */
static inline void netns_ip6(const char *script)
{
    netns_run_ip(true, script);
}

/* @return false, with a message, when this kernel does not know the kind of link */
static inline bool netns_have(const char *what, const char *script)
{
    if (netns_try_ip(false, script) == 0)
        return true;
    print_message("skipped in part: this kernel has no %s\n", what);
    return false;
}

/* Whether this namespace has IPv6; loopback is down. */
static inline bool netns_have_ipv6(void)
{
    char off = '0';
    int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_RDONLY | O_CLOEXEC);
    bool have = fd >= 0 && read(fd, &off, 1) == 1 && off == '0';
    if (fd >= 0)
        (void)close(fd);
    if (!have)
        print_message("skipped in part: this machine has no IPv6\n");
    return have;
}

static inline const struct machine_link *netns_link(const struct machine *m, const char *name)
{
    const struct machine_link *link = machine_link_by_name(m, name);
    if (!link)
        fail_msg("there is no link %s", name);
    return link;
}

/* Read the machine until it is as wanted: the kernel does some changes later than `ip` returns.
 * @param changes  RTMGRP_*: events to wait for */
static inline void netns_read_until(struct machine *ret, uint32_t changes,
                                    bool (*is_ready)(const struct machine *m, const void *arg),
                                    const void *arg)
{
    struct sockaddr_nl told = {.nl_family = AF_NETLINK, .nl_groups = changes};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&told, sizeof told), 0);
    for (time_t end = time(NULL) + (time_t)PATIENCE_S;;) {
        char change[8192];
        struct pollfd changed = {.fd = fd, .events = POLLIN};
        assert_int_equal(machine_read(ret), 0);
        if (is_ready(ret, arg))
            break;
        machine_done(ret);
        assert_true(time(NULL) < end);
        if (poll(&changed, 1, 1000) > 0)
            (void)!recv(fd, change, sizeof change, MSG_DONTWAIT);
    }
    (void)close(fd);
}

struct netns_carrier {
    const char *name;
    bool is_there;
};

static inline bool netns_has_carrier(const struct machine *m, const void *arg)
{
    const struct netns_carrier *wanted = arg;
    return netns_link(m, wanted->name)->carrier == wanted->is_there;
}

static inline void netns_read(struct machine *ret, const char *name, bool carrier)
{
    netns_read_until(ret, RTMGRP_LINK, netns_has_carrier,
                     &(struct netns_carrier){.name = name, .is_there = carrier});
}

#endif
