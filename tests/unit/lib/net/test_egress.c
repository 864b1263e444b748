#include "net/egress.h"

#include "support/lines.h"

#include <errno.h>
#include <fcntl.h>

/* An address for documentation (RFC 5737, RFC 3849), which no machine has. */
static const char ABSENT4[] = "203.0.113.1", ABSENT6[] = "2001:db8::dead";

static void assert_fails(const struct egress *e, int family, int type, int err)
{
    int before = count_fds();
    assert_int_equal(egress_socket(e, to_some(family), type), err);
    assert_int_equal(count_fds(), before);
}

static void test_direct_socket_is_not_bound(void **state)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        int type = 0;
        int fd = egress_socket(&EGRESS_DIRECT, to_some(AF_INET), types[i]);
        assert_true(fd >= 0);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){sizeof type}), 0);
        assert_int_equal(type, types[i]);
        struct addr a = bound_addr(fd), any = ip("0.0.0.0");
        assert_true(addr_same_ip(&a, &any));
        (void)close(fd);
    }
    (void)state;
}

static void test_family_not_allowed(void **state)
{
    struct egress e = {.any4 = false};
    assert_fails(&e, AF_INET, SOCK_STREAM, -EAFNOSUPPORT);
    assert_fails(&e, AF_INET6, SOCK_STREAM, -EAFNOSUPPORT);
    e = (struct egress){.any4 = true};
    assert_fails(&e, AF_INET6, SOCK_STREAM, -EAFNOSUPPORT);
    e = (struct egress){.any6 = true};
    assert_fails(&e, AF_INET, SOCK_STREAM, -EAFNOSUPPORT);
    assert_fails(&EGRESS_DIRECT, AF_UNIX, SOCK_STREAM, -EAFNOSUPPORT);
    assert_fails(&EGRESS_DIRECT, AF_UNSPEC, SOCK_STREAM, -EAFNOSUPPORT);
    (void)state;
}

static void test_device(void **state)
{
    struct egress e = {.device = "lo", .any4 = true};
    char device[IFNAMSIZ] = "";
    int fd = egress_socket(&e, to_some(AF_INET), SOCK_STREAM);
    assert_true(fd >= 0);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &(socklen_t){sizeof device}), 0);
    assert_string_equal(device, "lo");
    (void)close(fd);

    e = (struct egress){.device = "nosuchdevice000", .any4 = true, .any6 = true};
    assert_int_equal(strlen(e.device), IFNAMSIZ - 1);
    assert_fails(&e, AF_INET, SOCK_STREAM, -ENODEV);
    assert_fails(&e, AF_INET, SOCK_DGRAM, -ENODEV);
    assert_fails(&e, AF_INET6, SOCK_STREAM, -ENODEV);
    (void)state;
}

static void test_source(void **state)
{
    struct egress e = {.any4 = true, .source4 = ip("127.0.0.7")};
    addr_set_port(&e.source4, 9);
    int fd = egress_socket(&e, to_some(AF_INET), SOCK_STREAM);
    assert_true(fd >= 0);
    struct addr a = bound_addr(fd);
    assert_true(addr_same_ip(&a, &e.source4));
    assert_int_equal(addr_port(&a), 0); /* connect will choose */
    (void)close(fd);

    fd = egress_socket(&e, to_some(AF_INET), SOCK_DGRAM);
    assert_true(fd >= 0);
    a = bound_addr(fd);
    assert_true(addr_same_ip(&a, &e.source4));
    assert_true(addr_port(&a) != 0 && addr_port(&a) != 9);
    (void)close(fd);

    e.source4 = ip(ABSENT4);
    assert_fails(&e, AF_INET, SOCK_STREAM, -EADDRNOTAVAIL);
    assert_fails(&e, AF_INET, SOCK_DGRAM, -EADDRNOTAVAIL);
    e.source4 = ip("::1"); /* of the wrong family: not the same as no address */
    assert_fails(&e, AF_INET, SOCK_STREAM, -EADDRNOTAVAIL);
    (void)state;
}

static void test_ipv6(void **state)
{
    if (!have_ipv6())
        return;
    struct egress e = {.device = "lo", .any6 = true};
    int only = 0;
    int fd = egress_socket(&e, to_some(AF_INET6), SOCK_STREAM);
    assert_true(fd >= 0);
    assert_int_equal(getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &(socklen_t){sizeof only}), 0);
    assert_int_equal(only, 1);
    (void)close(fd);

    e.source6 = ip("::1");
    fd = egress_socket(&e, to_some(AF_INET6), SOCK_STREAM);
    assert_true(fd >= 0);
    struct addr a = bound_addr(fd);
    assert_true(addr_same_ip(&a, &e.source6));
    assert_int_equal(addr_port(&a), 0);
    (void)close(fd);
    e.source6 = ip(ABSENT6);
    assert_fails(&e, AF_INET6, SOCK_STREAM, -EADDRNOTAVAIL);
    (void)state;
}

/* connect chooses the port that bind left open, and keeps the source. */
static void test_port_is_chosen_by_connect(void **state)
{
    struct egress e = {.any4 = true, .source4 = ip("127.0.0.7")};
    struct addr server;
    int listening = listen_at_loopback(AF_INET, 16, &server);
    int fd = egress_socket(&e, to_some(AF_INET), SOCK_STREAM);
    assert_true(fd >= 0);
    if (connect(fd, &server.sa, addr_len(&server)) < 0)
        assert_int_equal(errno, EINPROGRESS);
    struct addr a = bound_addr(fd);
    assert_true(addr_same_ip(&a, &e.source4));
    assert_true(addr_port(&a) != 0);
    (void)close(fd);
    (void)close(listening);
    (void)state;
}

/* --- marks ---------------------------------------------------------------------------------------------- */

static void assert_mark(const struct egress *e, uint32_t expected)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM};

    assert_int_equal(egress_mark(e->mark), expected);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        uint32_t mark = 0;
        int fd = egress_socket(e, to_some(AF_INET), types[i]);
        assert_true(fd >= 0);
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &(socklen_t){sizeof mark}), 0);
        assert_int_equal(mark, expected);
        (void)close(fd);
    }
}

static void test_every_socket_has_the_own_mark_beside_that_of_its_uplink(void **state)
{
    const struct egress plain = {.any4 = true}, marked = {.any4 = true, .mark = 7};
    (void)state;
    lines_enter("");
    assert_int_equal(egress_own_mark(), 0);
    assert_mark(&plain, 0);
    assert_mark(&marked, 7);
    egress_mark_own(0x80000000);
    assert_int_equal(egress_own_mark(), 0x80000000);
    assert_mark(&plain, 0x80000000);
    assert_mark(&marked, 0x80000007);
    assert_mark(&EGRESS_DIRECT, 0x80000000);
    assert_mark(&EGRESS_ON_LINK, 0x80000000);
    egress_mark_own(0);
    assert_mark(&marked, 7);
}

/* --- sources -------------------------------------------------------------------------------------------- */

static void assert_source(const struct egress *e, const char *to, const char *expected)
{
    struct addr dest = ip(to), source, own = ip(expected);
    assert_int_equal(egress_find_source(e, &dest, &source), 0);
    assert_true(addr_same_ip(&source, &own) && addr_port(&source) == 0);
}

static void test_the_source_for_a_destination(void **state)
{
    const struct egress bound = {.any4 = true, .source4 = ip("127.0.0.7")};
    const struct egress floats = {.any4 = true, .source4 = ip("127.0.0.7"), .floats4 = EGRESS_FLOATS};
    const struct egress absent = {.any4 = true, .source4 = ip(ABSENT4)};
    struct addr dest = ip("127.0.0.2"), source, far = ip(ABSENT4);
    int before = count_fds();
    assert_source(&bound, "127.0.0.2", "127.0.0.7");
    assert_source(&floats, "127.0.0.2", "127.0.0.1");
    assert_source(&EGRESS_DIRECT, "127.0.0.2", "127.0.0.1");
    assert_int_equal(egress_find_source(&absent, &dest, &source), -EADDRNOTAVAIL);
    assert_int_equal(egress_find_source(&EGRESS_ON_LINK, &far, &source), -ENETUNREACH);
    assert_int_equal(count_fds(), before);
    (void)state;
}

/* --- sockets for neighbours
 * -------------------------------------------------------------------------------- */

static void assert_device(int fd, const char *expected)
{
    char device[IFNAMSIZ] = "";
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &(socklen_t){sizeof device}), 0);
    assert_string_equal(device, expected);
}

/* Aim a fresh socket. @return egress_aim's answer */
static int aim(const struct egress *e, const char *to, const char *device)
{
    struct addr a = ip(to);
    int fd = egress_socket(e, &a, SOCK_STREAM);
    assert_true(fd >= 0);
    int r = egress_aim(e, fd, &a);
    assert_device(fd, device);
    (void)close(fd);
    return r;
}

static void test_what_is_local_is_held_to_its_link(void **state)
{
    lines_enter("route add default dev fibre\n");
    assert_int_equal(aim(&EGRESS_ON_LINK, "10.0.2.7", "lte"), 0);
    assert_int_equal(aim(&EGRESS_ON_LINK, "10.0.3.7", "lan"), 0);
    assert_int_equal(aim(&EGRESS_ON_LINK, "10.0.3.2", ""), 0); /* this machine itself */
    assert_int_equal(aim(&EGRESS_ON_LINK, "127.0.0.1", ""), 0);
    assert_int_equal(aim(&EGRESS_ON_LINK, "198.51.100.1", ""), -ENETUNREACH);
    /* When the link is down, its neighbours must not be reached by the default route. */
    netns_ip("link set lte down\n");
    assert_int_equal(aim(&EGRESS_ON_LINK, "10.0.2.7", ""), -ENETUNREACH);
    (void)state;
}

static void test_other_egresses_are_not_aimed(void **state)
{
    const struct egress device = {.device = "lte", .any4 = true};
    lines_enter("route add default dev fibre\n");
    assert_int_equal(aim(&EGRESS_DIRECT, "10.0.2.7", ""), 0);
    assert_int_equal(aim(&EGRESS_DIRECT, "198.51.100.1", ""), 0);
    assert_int_equal(aim(&device, "10.0.3.7", "lte"), 0);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_direct_socket_is_not_bound),
        cmocka_unit_test(test_family_not_allowed),
        cmocka_unit_test(test_device),
        cmocka_unit_test(test_source),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_port_is_chosen_by_connect),
        cmocka_unit_test(test_every_socket_has_the_own_mark_beside_that_of_its_uplink),
        cmocka_unit_test(test_the_source_for_a_destination),
        cmocka_unit_test(test_what_is_local_is_held_to_its_link),
        cmocka_unit_test(test_other_egresses_are_not_aimed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
