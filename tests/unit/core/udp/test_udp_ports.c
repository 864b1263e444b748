/* The ports of associations: a range, one fixed port for all, and the address that clients are told. */
#include "udp/gate.h"

/* Consecutive ports that are free now. */
static uint16_t free_ports(size_t n)
{
    for (int tries = 0; tries < 200; tries++) {
        struct addr first;
        int fds[4];
        size_t open = 0;
        assert_true(n <= ARRAY_LEN(fds));
        fds[open++] = socket_at_loopback(AF_INET, SOCK_DGRAM, &first);
        while (open < n && open < ARRAY_LEN(fds)) {
            struct addr next = loopback(AF_INET, (uint16_t)(addr_port(&first) + open));
            int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
            if (addr_port(&first) > 65000 || bind(fd, &next.sa, addr_len(&next)) < 0) {
                (void)close(fd);
                break;
            }
            fds[open++] = fd;
        }
        bool found = open == n;
        while (open > 0)
            (void)close(fds[--open]);
        if (found)
            return addr_port(&first);
    }
    fail_msg("no consecutive free ports");
    return 0;
}

static void open_range(uint16_t low, uint16_t high)
{
    gate_open(&(struct udp_settings){GATE_SETTINGS, .port_low = low, .port_high = high});
}

/* Every port of the range is found, from wherever the search begins. */
static void ports_are_of_the_range(void **state)
{
    enum { N = 3 };
    struct udp_association *a[N + 1];
    struct addr port;
    uint16_t low = free_ports(N);
    unsigned seen = 0;
    (void)state;
    open_range(low, (uint16_t)(low + N - 1));
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(gate_try("127.0.0.1", 0, &a[i], &port), 0);
        seen |= 1u << (addr_port(&port) - low);
    }
    assert_int_equal(seen, (1u << N) - 1);
    struct addr none;
    assert_int_equal(gate_try("127.0.0.1", 0, &a[N], &none), -EADDRINUSE);
    assert_int_equal(udp_counts(&gate.udp).associations, N);
    (void)gate_talk(&port, gate.server, &gate.server_at);
}

/* --- one fixed port ------------------------------------------------------------------------------------- */

/* The hint tells associations of one address apart; where it cannot, the second one is refused. */
static void hints_share_a_fixed_port(void **state)
{
    struct udp_association *one, *two, *three;
    struct addr port, second_at;
    uint16_t fixed = free_ports(1);
    int second = socket_at_loopback(AF_INET, SOCK_DGRAM, &second_at);
    (void)state;
    open_range(fixed, fixed);
    assert_int_equal(gate_try("127.0.0.1", addr_port(&gate.client_at), &one, &port), 0);
    assert_int_equal(addr_port(&port), fixed);
    assert_int_equal(gate_try("127.0.0.1", addr_port(&second_at), &two, &port), 0);
    assert_int_equal(addr_port(&port), fixed);
    assert_int_equal(gate_try("127.0.0.1", addr_port(&second_at), &three, &port), -EEXIST);
    assert_int_equal(gate_try("127.0.0.1", 0, &three, &port), -EEXIST);
    (void)gate_talk(&port, gate.server, &gate.server_at);
    assert_true(udp_association_moved(one) > 0);
    assert_true(udp_association_moved(two) == 0);
    gate_say_from(second, &port, &gate.other_at, "to two");
    struct addr mapped = gate_arrives(gate.other, "to two");
    gate_send(gate.other, &mapped, "answer", strlen("answer"));
    gate_hears(second, &port, &gate.other_at, "answer");
    assert_true(udp_association_moved(two) > 0);
    udp_association_close(one); /* its mappings end, and the other's stay */
    GATE_UNTIL(gate_mappings() == 1);
    gate_say_from(second, &port, &gate.other_at, "still");
    (void)gate_arrives(gate.other, "still");
    assert_int_equal(gate_try("127.0.0.1", addr_port(&gate.client_at), &one, &port), 0);
    (void)close(second);
}

/* Without a hint, one association of an address has the port, with all ports of the client. */
static void without_a_hint_one_has_the_fixed_port(void **state)
{
    struct udp_association *one, *two;
    struct addr port;
    uint16_t fixed = free_ports(1);
    (void)state;
    open_range(fixed, fixed);
    assert_int_equal(gate_try("127.0.0.1", 0, &one, &port), 0);
    assert_int_equal(gate_try("127.0.0.1", 0, &two, &port), -EEXIST);
    assert_int_equal(gate_try("127.0.0.1", 5, &two, &port), -EEXIST);
    (void)gate_talk(&port, gate.server, &gate.server_at);
    udp_association_close(one);
    assert_int_equal(gate_try("127.0.0.1", 0, &two, &port), 0);
    assert_int_equal(udp_counts(&gate.udp).associations, 1);
}

/* A machine has several addresses: replies come from the one that the client knows. */
static void a_fixed_port_answers_from_each_address(void **state)
{
    static const char *const own[] = {"127.0.0.1", "127.0.0.2", "127.0.0.1"};
    struct udp_association *a;
    struct addr port, known;
    uint16_t fixed = free_ports(1);
    (void)state;
    open_range(fixed, fixed);
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        assert_int_equal(gate_try(own[i], addr_port(&gate.client_at), &a, &port), 0);
        assert_int_equal(addr_parse_ip(&known, slice_str(own[i]), fixed), 0);
        assert_true(addr_same_ip(&port, &known));
        assert_int_equal(addr_port(&port), fixed);
        (void)gate_talk(&port, gate.server, &gate.server_at); /* which looks at the source */
        udp_association_close(a);
    }
}

/* Datagrams of a port that no association has told of. */
static void strangers_have_no_use_of_a_fixed_port(void **state)
{
    struct udp_association *one;
    struct addr port;
    uint16_t fixed = free_ports(1);
    (void)state;
    open_range(fixed, fixed);
    assert_int_equal(gate_try("127.0.0.1", 5, &one, &port), 0);
    gate_say(&port, &gate.server_at, "x");
    GATE_UNTIL(gate_drops(DROP_REFUSED) == 1);
    assert_int_equal(gate_mappings(), 0);
}

static int socket_of_another_client(struct addr *ret_at)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(addr_parse_ip(ret_at, slice_str("127.0.0.2"), 0), 0);
    assert_int_equal(bind(fd, &ret_at->sa, addr_len(ret_at)), 0);
    assert_int_equal(getsockname(fd, &ret_at->sa, &(socklen_t){sizeof *ret_at}), 0);
    return fd;
}

/* Nobody answers for the names of one client. */
static void names_of_one_client_keep_out_no_other(void **state)
{
    enum { NAMES_MAX = 64 };
    struct udp_association *one, *two;
    struct addr port, other_at;
    struct udp_request r = {.listener = "127.0.0.1:1080"};
    uint16_t fixed = free_ports(1);
    int other = socket_of_another_client(&other_at);
    (void)state;
    open_range(fixed, fixed);
    assert_int_equal(gate_try("127.0.0.1", 0, &one, &port), 0);
    for (uint16_t i = 0; i <= NAMES_MAX; i++)
        gate_say_name(&port, "never.example", (uint16_t)(1000 + i), "x");
    GATE_UNTIL(gate_drops(DROP_REFUSED) == 1);
    r.client = other_at;
    r.at = port;
    assert_int_equal(udp_associate(&gate.udp, &r, &two, &port), 0);
    size_t n = socks_udp_write_name(gate_text, slice_str("here.example"), addr_port(&gate.server_at));
    gate_send(other, &port, gate_text, n);
    (void)gate_arrives(gate.server, "");
    (void)close(other);
}

/* A proxy that drains waits for associations, and not for the port that stays open. */
static void a_fixed_port_is_idle_without_associations(void **state)
{
    struct udp_association *one;
    struct addr port;
    uint16_t fixed = free_ports(1);
    (void)state;
    open_range(fixed, fixed);
    assert_true(udp_is_idle(&gate.udp));
    assert_int_equal(gate_try("127.0.0.1", 0, &one, &port), 0);
    assert_false(udp_is_idle(&gate.udp));
    (void)gate_talk(&port, gate.server, &gate.server_at);
    size_t before = gate.n_idle;
    udp_association_close(one);
    GATE_UNTIL(gate.n_idle > before);
    assert_true(udp_is_idle(&gate.udp));
    assert_int_equal(gate.n_idle, before + 1);
    assert_int_equal(gate_mappings(), 0);
}

static bool admit(void *arg, const struct addr *client)
{
    (void)arg, (void)client;
    return true;
}

/* The same for a forward: it has no associations, but mappings. */
static void a_forward_is_idle_without_mappings(void **state)
{
    const struct udp_service service = {.admits = admit, .listener = "forward"};
    const uint8_t ip[] = {127, 0, 0, 1};
    struct addr at = loopback(AF_INET, 0), port;
    struct udp_port *served;
    struct target to;
    (void)state;
    gate_open(&(struct udp_settings){.filter = UDP_FILTER_ADDRESS, .idle_s = 0.3});
    udp_start(&gate.udp);
    assert_int_equal(target_set_ip(&to, ip, sizeof ip, addr_port(&gate.server_at)), PARSE_OK);
    assert_int_equal(udp_forward(&gate.udp, &at, &to, &service, &served, &port), 0);
    assert_true(udp_is_idle(&gate.udp));
    gate_send(gate.client, &port, "plain", 5);
    (void)gate_arrives(gate.server, "plain");
    assert_false(udp_is_idle(&gate.udp));
    size_t before = gate.n_idle;
    GATE_UNTIL(gate.n_idle > before);
    assert_true(udp_is_idle(&gate.udp));
    gate_send(gate.client, &port, "again", 5);
    (void)gate_arrives(gate.server, "again");
}

/* Each client has a mapping of its own, and another one once that has ended. */
static void a_forward_has_many_clients(void **state)
{
    enum { CLIENTS = 64 };
    const struct udp_service service = {.admits = admit, .listener = "forward"};
    const uint8_t ip[] = {127, 0, 0, 1};
    struct addr at = loopback(AF_INET, 0), port, mapped[CLIENTS], own;
    int clients[CLIENTS];
    struct udp_port *served;
    struct target to;
    (void)state;
    gate_open(&(struct udp_settings){GATE_SETTINGS, .client_max = 2 * CLIENTS, .mappings_max = 2 * CLIENTS});
    udp_start(&gate.udp);
    assert_int_equal(target_set_ip(&to, ip, sizeof ip, addr_port(&gate.server_at)), PARSE_OK);
    assert_int_equal(udp_forward(&gate.udp, &at, &to, &service, &served, &port), 0);
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i] = socket_at_loopback(AF_INET, SOCK_DGRAM, &own);
        gate_send(clients[i], &port, "plain", 5);
        mapped[i] = gate_arrives(gate.server, "plain");
    }
    assert_int_equal(gate_mappings(), CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++) {
        gate_send(clients[i], &port, "again", 5);
        struct addr same = gate_arrives(gate.server, "again");
        assert_int_equal(addr_port(&same), addr_port(&mapped[i]));
    }
    assert_int_equal(udp_cut(&gate.udp, gate.f->set.items[0], NULL), CLIENTS);
    GATE_UNTIL(gate_mappings() == 0);
    for (size_t i = CLIENTS; i-- > 0;) {
        gate_send(clients[i], &port, "anew", 4);
        (void)gate_arrives(gate.server, "anew");
    }
    assert_int_equal(gate_mappings(), CLIENTS);
    for (size_t i = 0; i < CLIENTS; i++)
        (void)close(clients[i]);
}

/* --- the address that clients are told ------------------------------------------------------------------ */

/* It is that of the control connection, and never a wildcard. */
static void clients_are_told_the_address_that_they_know(void **state)
{
    struct udp_association *one;
    struct addr port, expected;
    (void)state;
    gate_open(&(struct udp_settings){GATE_SETTINGS});
    assert_int_equal(gate_try("127.0.0.2", 0, &one, &port), 0);
    assert_int_equal(addr_parse_ip(&expected, slice_str("127.0.0.2"), 0), 0);
    assert_true(addr_same_ip(&port, &expected));
    assert_int_not_equal(addr_port(&port), 0);
    assert_int_not_equal(addr_port(&port), 1080);
    (void)gate_talk(&port, gate.server, &gate.server_at); /* and replies come from there */
}

/* Behind a NAT, users know the address that clients reach. */
static void another_address_may_be_advertised(void **state)
{
    struct udp_settings s = {GATE_SETTINGS};
    struct udp_association *one;
    struct addr port;
    (void)state;
    assert_int_equal(addr_parse_ip(&s.advertise4, slice_str("192.0.2.77"), 0), 0);
    gate_open(&s);
    assert_int_equal(gate_try("127.0.0.1", 0, &one, &port), 0);
    assert_true(addr_same_ip(&port, &s.advertise4));
    struct addr real = loopback(AF_INET, addr_port(&port));
    (void)gate_talk(&real, gate.server, &gate.server_at);
    if (!have_ipv6())
        return;
    assert_int_equal(gate_try("::1", 0, &one, &port), 0);
    assert_int_equal(addr_family(&port), AF_INET6);
    assert_true(addr_is_loopback(&port));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, gate_setup_closed, gate_teardown)
        TEST(ports_are_of_the_range),
        TEST(hints_share_a_fixed_port),
        TEST(without_a_hint_one_has_the_fixed_port),
        TEST(a_fixed_port_answers_from_each_address),
        TEST(strangers_have_no_use_of_a_fixed_port),
        TEST(names_of_one_client_keep_out_no_other),
        TEST(a_fixed_port_is_idle_without_associations),
        TEST(a_forward_is_idle_without_mappings),
        TEST(a_forward_has_many_clients),
        TEST(clients_are_told_the_address_that_they_know),
        TEST(another_address_may_be_advertised),
    };
    int failed = cmocka_run_group_tests_name("without workers", tests, NULL, NULL);
    gate_threads = 2;
    return failed + cmocka_run_group_tests_name("with two workers", tests, NULL, NULL);
}
