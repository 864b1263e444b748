#include "machine/machine.h"

#include "support/lines.h"

#include <libmnl/libmnl.h>

/* --- failures between the kernel and the reader
 * ---------------------------------------------------------- */

/* Failures of the next answers. Each test sets its own. */
static struct {
    int torn;        /* this many answers report a change meanwhile */
    int interrupted; /* this many receptions are interrupted by a signal */
    int end_error;   /* dumps end with this error */
    int n_received;
} trouble;

/* Replaces libmnl's own function. */
ssize_t mnl_socket_recvfrom(const struct mnl_socket *nl, void *buf, size_t size)
{
    trouble.n_received++;
    if (trouble.interrupted > 0) {
        trouble.interrupted--;
        errno = EINTR;
        return -1;
    }
    ssize_t n = recv(mnl_socket_get_fd(nl), buf, size, 0);
    struct nlmsghdr *nlh = buf;
    if (n > 0 && trouble.torn > 0) {
        trouble.torn--;
        nlh->nlmsg_flags |= NLM_F_DUMP_INTR;
    }
    for (int left = (int)n; mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left)) {
        if (nlh->nlmsg_type == NLMSG_DONE && trouble.end_error)
            memcpy(mnl_nlmsg_get_payload(nlh), &(int){-trouble.end_error}, sizeof(int));
    }
    return n;
}

static int clear_trouble(void **state)
{
    (void)state;
    memset(&trouble, 0, sizeof trouble);
    return 0;
}

static void test_torn_answers_are_asked_again(void **state)
{
    struct machine m;
    int fds = count_fds();
    trouble.torn = 4;
    assert_int_equal(machine_read(&m), 0);
    assert_int_equal(trouble.torn, 0);
    assert_non_null(machine_link_by_name(&m, "lo"));
    machine_done(&m);

    trouble.interrupted = 4;
    assert_int_equal(machine_read(&m), 0);
    assert_non_null(machine_link_by_name(&m, "lo"));
    machine_done(&m);
    assert_int_equal(count_fds(), fds);
    (void)state;
}

static void test_it_gives_up(void **state)
{
    struct machine m = {.n_links = 7};
    int fds = count_fds();
    trouble.torn = 1000;
    trouble.n_received = 0;
    assert_int_equal(machine_read(&m), -EINTR);
    assert_int_equal(trouble.n_received, 5);
    trouble.torn = 0;
    trouble.end_error = EMSGSIZE;
    assert_int_equal(machine_read(&m), -EMSGSIZE);
    trouble.end_error = 0;
    assert_int_equal(m.n_links, 7); /* untouched */
    assert_null(m.links);
    assert_int_equal(count_fds(), fds);
    (void)state;
}

/* --- the machine as it is --------------------------------------------------------------------------------
 */

static void test_loopback_is_there(void **state)
{
    struct machine m;
    struct addr a = ip("127.0.0.1");
    assert_int_equal(machine_read(&m), 0);
    const struct machine_link *lo = netns_link(&m, "lo");
    assert_int_equal(lo->index, if_nametoindex("lo"));
    assert_true(lo->loopback && lo->up && lo->carrier && !lo->point_to_point);
    assert_string_equal(lo->kind, "");
    assert_ptr_equal(machine_link_by_index(&m, lo->index), lo);
    assert_ptr_equal(machine_link_of_addr(&m, &a), lo);
    assert_null(machine_link_by_name(&m, ""));
    assert_null(machine_link_by_name(&m, "nosuchdevice000"));
    assert_null(machine_link_by_index(&m, 0));
    machine_done(&m);
    assert_null(machine_link_by_name(&m, "lo"));
    machine_done(&m); /* harmless */
    (void)state;
}

/* As any user. Only root can become the user nobody; for others the tests above have shown it. */
static void test_nobody_may_read(void **state)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct machine m;
        struct machine_route route;
        struct addr to = ip("127.0.0.1");
        if (getuid() == 0 && setresuid(65534, 65534, 65534) < 0 && errno != EINVAL)
            _exit(2); /* EINVAL: a user namespace without nobody, whose root is no more than its user */
        int r = machine_read(&m);
        if (r == 0)
            machine_done(&m);
        _exit(r == 0 && machine_route_get(&(struct machine_packet){.to = &to}, &route) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    (void)state;
}

/* --- links -----------------------------------------------------------------------------------------------
 */

static void test_links(void **state)
{
    struct machine m;
    netns_enter();
    netns_ip("link add v1 type veth peer name v2\n"
             "link add br0 type bridge\n"
             "link set v2 master br0\n"
             "link set v1 up\n"
             "link set v2 up\n"
             "link set br0 up\n"
             "link add w1 type veth peer name w2\n"
             "link set w1 up\n");
    netns_read(&m, "v1", true);
    const struct machine_link *v1 = netns_link(&m, "v1"), *v2 = netns_link(&m, "v2");
    const struct machine_link *br0 = netns_link(&m, "br0"), *w1 = netns_link(&m, "w1");
    const struct machine_link *w2 = netns_link(&m, "w2"), *lo = netns_link(&m, "lo");

    assert_string_equal(v1->kind, "veth");
    assert_string_equal(br0->kind, "bridge");
    assert_int_equal(v1->index, if_nametoindex("v1"));
    assert_int_equal(v2->master, br0->index);
    assert_int_equal(v1->master, 0);
    assert_true(v1->up && v2->up && w1->up && !w2->up && !lo->up);
    assert_true(!w1->carrier && !w2->carrier);
    for (size_t i = 0; i < m.n_links; i++) {
        assert_int_equal(m.links[i].loopback, &m.links[i] == lo);
        assert_false(m.links[i].point_to_point);
        assert_false(m.links[i].default4 || m.links[i].default6);
    }
    machine_done(&m);
    (void)state;
}

static void test_other_kinds(void **state)
{
    static const struct {
        const char *kind, *script;
        bool point_to_point;
    } cases[] = {
        {"dummy", "link add x0 type dummy\n", false},
        {"ifb", "link add x0 type ifb\n", false},
        {"tun", "tuntap add x0 mode tun\n", true},
        {"vlan", "link add v1 type veth peer name v2\nlink add link v1 name x0 type vlan id 5\n", false},
        {"macvlan", "link add v1 type veth peer name v2\nlink add link v1 name x0 type macvlan\n", false},
        {"wireguard", "link add x0 type wireguard\n", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct machine m;
        netns_enter();
        if (!netns_have(cases[i].kind, cases[i].script))
            continue;
        assert_int_equal(machine_read(&m), 0);
        const struct machine_link *x0 = netns_link(&m, "x0");
        assert_string_equal(x0->kind, cases[i].kind);
        assert_int_equal(x0->point_to_point, cases[i].point_to_point);
        assert_false(x0->up || x0->loopback);
        machine_done(&m);
    }
    (void)state;
}

/* More than one message of the kernel holds. */
static void test_many_links(void **state)
{
    enum { PAIRS = 40 };
    char script[PAIRS * 100];
    size_t len = 0;
    struct machine m;
    netns_enter();
    for (int i = 0; i < PAIRS; i++)
        len += (size_t)snprintf(script + len, sizeof script - len,
                                "link add a%d type veth peer name b%d\naddr add 10.1.%d.1/24 dev a%d\n", i, i,
                                i, i);
    netns_ip(script);
    trouble.n_received = 0;
    assert_int_equal(machine_read(&m), 0);
    assert_true(trouble.n_received > 8); /* four answers of one message and its end */
    for (int i = 0; i < PAIRS; i++) {
        char name[IFNAMSIZ], text[ADDR_TEXT_MAX];
        (void)snprintf(name, sizeof name, "a%d", i);
        (void)snprintf(text, sizeof text, "10.1.%d.1", i);
        struct addr a = ip(text);
        assert_ptr_equal(machine_link_of_addr(&m, &a), netns_link(&m, name));
    }
    machine_done(&m);
    (void)state;
}

static void test_alternative_names(void **state)
{
    static const char long_name[] = "enx0c5b8f279a64-the-phone-of-a-guest";
    struct machine m;
    netns_enter();
    netns_ip("link add v1 type veth peer name v2\n");
    if (!netns_have("alternative names", "link property add dev v2 altname office altname "
                                         "enx0c5b8f279a64-the-phone-of-a-guest\n"))
        return;
    assert_int_equal(machine_read_links(&m), 0);
    const struct machine_link *v2 = netns_link(&m, "v2");
    assert_ptr_equal(machine_link_by_name(&m, "office"), v2);
    assert_ptr_equal(machine_link_by_name(&m, long_name), v2);
    assert_null(machine_link_by_name(&m, "enx0c5b8f279a64"));
    assert_int_equal(link_index("v2"), v2->index);
    assert_int_equal(link_index("office"), v2->index);
    assert_int_equal(link_index(long_name), v2->index);
    assert_int_equal(link_index("nowhere"), 0);
    assert_int_equal(link_index(""), 0);
    /* The scope of an address is a link's name, too. */
    struct addr a = ip("fe80::1%enx0c5b8f279a64-the-phone-of-a-guest");
    assert_int_equal(a.in6.sin6_scope_id, v2->index);
    machine_done(&m);
    (void)state;
}

/* --- addresses -------------------------------------------------------------------------------------------
 */

static const struct machine_addr *find(const struct machine *m, const char *text)
{
    struct addr a = ip(text);
    for (size_t i = 0; i < m->n_addrs; i++) {
        if (addr_same_ip(&m->addrs[i].addr, &a))
            return &m->addrs[i];
    }
    fail_msg("there is no address %s", text);
    return NULL;
}

static void test_addresses4(void **state)
{
    struct machine m;
    netns_enter();
    netns_ip("link add v1 type veth peer name v2\n"
             "link set lo up\n"
             "link set v1 up\n"
             "addr add 10.0.1.2/24 dev v1\n"
             "addr add 10.0.1.3/24 dev v1\n"
             "addr add 169.254.7.7/16 dev v1 scope link\n"
             "addr add 10.0.3.1 peer 10.0.3.9 dev v1\n"
             "addr add 169.254.8.8/16 dev v2 scope link\n");
    assert_int_equal(machine_read(&m), 0);
    int v1 = netns_link(&m, "v1")->index, v2 = netns_link(&m, "v2")->index;
    const struct machine_addr *second = find(&m, "10.0.1.3");
    assert_int_equal(second->link, v1);
    assert_int_equal(second->prefix, 24);
    assert_int_equal(second->scope, RT_SCOPE_UNIVERSE);
    assert_false(second->temporary || second->deprecated || second->tentative);
    assert_int_equal(addr_port(&second->addr), 0);
    assert_int_equal(find(&m, "169.254.7.7")->scope, RT_SCOPE_LINK);
    assert_int_equal(find(&m, "169.254.7.7")->prefix, 16);
    assert_int_equal(find(&m, "127.0.0.1")->scope, RT_SCOPE_HOST);
    assert_int_equal(find(&m, "10.0.3.1")->link, v1); /* not the peer's address */
    assert_ip(machine_source(&m, v1, AF_INET), "10.0.1.2");
    assert_ip(machine_source(&m, v2, AF_INET), "169.254.8.8");
    assert_null(machine_source(&m, v1, AF_INET6));
    assert_null(machine_source(&m, netns_link(&m, "lo")->index, AF_INET));
    machine_done(&m);
    (void)state;
}

static void test_addresses6(void **state)
{
    struct machine m;
    netns_enter();
    netns_ip("link add v1 type veth peer name v2\n"
             "link set v1 up\n"
             "link set v2 up\n"
             "link add w1 type veth peer name w2\n"
             "link set w1 up\n");
    if (!netns_have_ipv6())
        return;
    netns_ip("addr add fd00:1::2/64 dev v1 nodad\n"
             "addr add 2001:db8:1::3/64 dev v1 nodad preferred_lft 0\n"
             "addr add 2001:db8:1::2/64 dev v1 nodad\n"
             /* no carrier: the kernel cannot check whether the address is free */
             "addr add 2001:db8:2::2/64 dev w1\n"
             "addr add fe80::77/64 dev v1 nodad\n");
    netns_read(&m, "v1", true);
    int v1 = netns_link(&m, "v1")->index, w1 = netns_link(&m, "w1")->index;
    assert_true(find(&m, "2001:db8:1::3")->deprecated);
    assert_false(find(&m, "2001:db8:1::2")->deprecated || find(&m, "2001:db8:1::2")->tentative);
    assert_int_equal(find(&m, "2001:db8:1::2")->prefix, 64);
    assert_true(find(&m, "2001:db8:2::2")->tentative);
    assert_int_equal(find(&m, "fe80::77")->scope, RT_SCOPE_LINK);
    assert_int_equal(find(&m, "fe80::77")->addr.in6.sin6_scope_id, v1);
    assert_ip(machine_source(&m, v1, AF_INET6), "2001:db8:1::2");
    assert_null(machine_source(&m, w1, AF_INET6));
    struct addr a = ip("2001:db8:2::2");
    assert_null(machine_link_of_addr(&m, &a));
    machine_done(&m);
    (void)state;
}

/* Privacy extensions (RFC 8981): the kernel makes a temporary address beside a managed one. */
static void test_temporary(void **state)
{
    static const char knob[] = "/proc/sys/net/ipv6/conf/v1/use_tempaddr";
    struct machine m;
    size_t n_temporary = 0;
    netns_enter();
    netns_ip("link add v1 type veth peer name v2\nlink set v1 up\nlink set v2 up\n");
    int fd = open(knob, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        print_message("skipped: %s: %s\n", knob, strerror(errno));
        skip();
    }
    assert_int_equal(write(fd, "2", 1), 1);
    (void)close(fd);
    netns_ip("addr add 2001:db8:1::2/64 dev v1 nodad mngtmpaddr valid_lft 86400 preferred_lft 80000\n");
    netns_read(&m, "v1", true);
    for (size_t i = 0; i < m.n_addrs; i++)
        n_temporary += m.addrs[i].temporary;
    assert_int_equal(n_temporary, 1);
    assert_false(find(&m, "2001:db8:1::2")->temporary);
    assert_ip(machine_source(&m, netns_link(&m, "v1")->index, AF_INET6), "2001:db8:1::2");
    machine_done(&m);
    (void)state;
}

/* --- default routes --------------------------------------------------------------------------------------
 */

static void assert_default4(const struct machine *m, const char *name, const char *gateway)
{
    assert_int_equal(netns_link(m, name)->default4, gateway != NULL);
    assert_ip(&netns_link(m, name)->gateway4, gateway ? gateway : "none");
}

static void assert_default6(const struct machine *m, const char *name, const char *gateway)
{
    assert_int_equal(netns_link(m, name)->default6, gateway != NULL);
    assert_ip(&netns_link(m, name)->gateway6, gateway ? gateway : "none");
}

static void test_default_routes4(void **state)
{
    struct machine m;
    lines_read(&m, "route add default via 10.0.1.9 dev fibre metric 500\n"
                   "route add default via 10.0.1.1 dev fibre metric 100\n"
                   "route add default via 10.0.1.8 dev fibre metric 900\n"
                   "route add default via 10.0.1.7 dev fibre table 7\n"
                   "route add default via 10.0.2.1 dev lte table 300\n"
                   "route add 10.9.0.0/16 via 10.0.3.1 dev lan\n"
                   "route add 0.0.0.0/1 via 10.0.3.1 dev lan\n");
    assert_default4(&m, "fibre", "10.0.1.1");
    assert_default4(&m, "lte", "10.0.2.1");
    assert_default4(&m, "lan", NULL);
    assert_default4(&m, "lo", NULL);
    assert_default6(&m, "fibre", NULL);
    size_t links = m.n_links, addrs = m.n_addrs;
    machine_done(&m);
    assert_int_equal(machine_read_links(&m), 0);
    assert_default4(&m, "fibre", NULL);
    assert_int_equal(m.n_links, links);
    assert_int_equal(m.n_addrs, addrs);
    machine_done(&m);
    (void)state;
}

/* The main table's route is first, even with a worse metric, however the kernel orders the tables. */
static void test_main_table_first(void **state)
{
    struct machine m;
    lines_read(&m, "route add default via 10.0.1.7 dev fibre table 7 metric 1\n"
                   "route add default via 10.0.1.6 dev fibre table 1000 metric 1\n"
                   "route add default via 10.0.1.1 dev fibre metric 500\n");
    assert_default4(&m, "fibre", "10.0.1.1");
    machine_done(&m);
    (void)state;
}

static void test_routes_that_lead_nowhere(void **state)
{
    static const char *const routes[] = {
        "route add unreachable default\n",
        "route add blackhole default\n",
        "route add prohibit default\n",
        "route add throw default table 7\n",
        "route add local default dev lo table 7\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        struct machine m;
        lines_read(&m, routes[i]);
        for (size_t k = 0; k < m.n_links; k++)
            assert_false(m.links[k].default4 || m.links[k].default6);
        machine_done(&m);
    }
    (void)state;
}

static void test_multipath(void **state)
{
    struct machine m;
    lines_read(&m, "route add default nexthop via 10.0.1.1 dev fibre weight 7 nexthop dev lte weight 3\n");
    assert_default4(&m, "fibre", "10.0.1.1");
    assert_true(netns_link(&m, "lte")->default4);
    assert_ip(&netns_link(&m, "lte")->gateway4, "none");
    assert_default4(&m, "lan", NULL);
    machine_done(&m);
    (void)state;
}

static void test_gateway_of_the_other_family(void **state)
{
    struct machine m;
    if (lines_read6(&m, "route add 0.0.0.0/0 via inet6 2001:db8:1::1 dev fibre\n"))
        assert_default4(&m, "fibre", "2001:db8:1::1");
    assert_default6(&m, "fibre", NULL);
    machine_done(&m);
    (void)state;
}

static void test_default_routes6(void **state)
{
    struct machine m;
    if (lines_read6(&m, "route add default via fe80::1 dev fibre metric 100\n"
                        "route add default via 2001:db8:2::9 dev lte metric 900\n"
                        "route add default via 2001:db8:2::1 dev lte table 7\n"
                        "route add unreachable ::/0 metric 5000\n")) {
        assert_default6(&m, "fibre", "fe80::1%fibre");
        assert_default6(&m, "lte", "2001:db8:2::9");
        assert_default6(&m, "lan", NULL);
        assert_default6(&m, "lo", NULL);
        assert_default4(&m, "fibre", NULL);
    }
    machine_done(&m);
    (void)state;
}

static void test_multipath6(void **state)
{
    struct machine m;
    if (lines_read6(
            &m,
            "route add default nexthop via 2001:db8:1::1 dev fibre nexthop via 2001:db8:2::1 dev lte\n")) {
        assert_default6(&m, "fibre", "2001:db8:1::1");
        assert_default6(&m, "lte", "2001:db8:2::1");
        assert_default6(&m, "lan", NULL);
    }
    machine_done(&m);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* on this machine's own links */
        cmocka_unit_test(test_loopback_is_there),
        cmocka_unit_test(test_nobody_may_read),
        cmocka_unit_test_setup_teardown(test_torn_answers_are_asked_again, clear_trouble, clear_trouble),
        cmocka_unit_test_setup_teardown(test_it_gives_up, clear_trouble, clear_trouble),
        /* on made ones, and from here on this process is in another namespace */
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_other_kinds),
        cmocka_unit_test(test_many_links),
        cmocka_unit_test(test_alternative_names),
        cmocka_unit_test(test_addresses4),
        cmocka_unit_test(test_addresses6),
        cmocka_unit_test(test_temporary),
        cmocka_unit_test(test_default_routes4),
        cmocka_unit_test(test_main_table_first),
        cmocka_unit_test(test_routes_that_lead_nowhere),
        cmocka_unit_test(test_multipath),
        cmocka_unit_test(test_gateway_of_the_other_family),
        cmocka_unit_test(test_default_routes6),
        cmocka_unit_test(test_multipath6),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
