/* Associations and mappings: which datagrams share one, the limits, and how each ends. All tests run without
 * workers, and again with two. */
#include "udp/gate.h"

static struct udp_way *only_way(void)
{
    struct udp_way *found = NULL;
    size_t n = 0;

    LIST_EACH(&gate.udp.ports, port, next_port)
        LIST_EACH(&container_of(port, struct udp_port, node)->ways, node, next) {
            found = container_of(node, struct udp_way, node);
            n++;
        }
    assert_int_equal(n, 1);
    return found;
}

static struct addr at_port(uint16_t port)
{
    return loopback(AF_INET, port);
}

static void assert_logged(const char *what, size_t times)
{
    size_t n = fixture_log_count(gate.f, what);
    if (n != times)
        FIXTURE_FAIL(gate.f, "'%s' is in the log %zu times, not %zu", what, n, times);
}

/* --- mappings ------------------------------------------------------------------------------------------- */

/* All of a client's port goes by one uplink and one address; the account counts both directions. */
static void a_client_has_one_mapping(void **state)
{
    struct addr port;
    (void)state;
    struct udp_association *a = gate_associate(&port);
    struct addr one = gate_talk(&port, gate.server, &gate.server_at);
    struct addr two = gate_talk(&port, gate.other, &gate.other_at);
    assert_int_equal(addr_port(&one), addr_port(&two));
    assert_int_equal(gate_mappings(), 1);
    assert_true(gate.f->set.items[0]->view.active == 1);
    assert_int_equal(udp_association_moved(a), 2 * (strlen("question") + strlen("answer")));
    assert_int_equal(udp_counts(&gate.udp).associations, 1);
    assert_true(udp_counts(&gate.udp).moved >= 4);
    udp_association_close(a);
    GATE_UNTIL(udp_is_idle(&gate.udp));
    assert_int_equal(gate.n_idle, 1);
    assert_int_equal(gate_mappings(), 0);
    assert_logged("proto=udp user=ann", 1);
    assert_logged("tx=16 rx=12", 1);
    assert_logged("outcome=closed", 1);
}

/* The policy is asked once for a client's port, and not for each destination. */
static void the_policy_is_asked_for_a_mapping(void **state)
{
    struct addr port;
    (void)state;
    gate_policy(PICK("", "ctx.log.info('asked') return uplinks[1]"));
    size_t before = fixture_log_count(gate.f, "asked"); /* by the selftest */
    (void)gate_associate(&port);
    (void)gate_talk(&port, gate.server, &gate.server_at);
    (void)gate_talk(&port, gate.other, &gate.other_at);
    assert_logged("asked", before + 1);
}

/* DNS, QUIC and TLS gain from being spread; the others want one address. */
static void some_ports_are_spread(void **state)
{
    static const uint16_t spread[] = {53, 443, 853};
    struct addr port;
    (void)state;
    (void)gate_associate(&port);
    (void)gate_talk(&port, gate.server, &gate.server_at);
    for (size_t i = 0; i < ARRAY_LEN(spread); i++) {
        struct addr to = at_port(spread[i]);
        gate_say(&port, &to, "x");
        GATE_UNTIL(gate_mappings() == 2 + i);
    }
    (void)gate_talk(&port, gate.other, &gate.other_at);
    assert_int_equal(gate_mappings(), 4);
}

static void a_policy_may_spread_all(void **state)
{
    struct addr port;
    (void)state;
    gate_policy(PICK("", "return uplinks[1], 'all', { per = 'destination' }"));
    (void)gate_associate(&port);
    struct addr one = gate_talk(&port, gate.server, &gate.server_at);
    struct addr two = gate_talk(&port, gate.other, &gate.other_at);
    assert_int_not_equal(addr_port(&one), addr_port(&two));
    assert_int_equal(gate_mappings(), 2);
    (void)gate_talk(&port, gate.server, &gate.server_at);
    assert_int_equal(gate_mappings(), 2);
}

/* A question to a name server does not shorten the life of a mapping that all else shares. */
static void a_policy_may_spread_nothing(void **state)
{
    struct addr port, dns = at_port(53);
    (void)state;
    gate_policy(PICK("", "return uplinks[1], 'one', { per = 'client' }"));
    (void)gate_associate(&port);
    gate_say(&port, &dns, "x");
    GATE_UNTIL(gate_mappings() == 1);
    assert_true(only_way()->mapping.idle_s >= 1000);
    (void)gate_talk(&port, gate.server, &gate.server_at);
    assert_int_equal(gate_mappings(), 1);
}

static void questions_to_name_servers_are_soon_idle(void **state)
{
    struct addr port, dns = at_port(53);
    (void)state;
    (void)gate_associate(&port);
    gate_say(&port, &dns, "x");
    GATE_UNTIL(gate_mappings() == 1);
    assert_true(only_way()->mapping.idle_s <= UDP_DNS_IDLE_S);
}

static void idle_mappings_end(void **state)
{
    struct addr port;
    (void)state;
    gate_open(&(struct udp_settings){.filter = UDP_FILTER_ADDRESS, .idle_s = 0.2});
    struct udp_association *a = gate_associate(&port);
    (void)gate_talk(&port, gate.server, &gate.server_at);
    GATE_UNTIL(gate_mappings() == 0);
    assert_logged("outcome=idle", 1);
    assert_int_equal(udp_association_moved(a), strlen("question") + strlen("answer"));
    (void)gate_talk(&port, gate.server, &gate.server_at); /* the association lives */
    assert_int_equal(udp_association_moved(a), 2 * (strlen("question") + strlen("answer")));
}

/* What is bypassed asks no policy, and uses no uplink. */
static void bypassed_destinations_go_direct(void **state)
{
    struct cidr range;
    struct addr port;
    (void)state;
    assert_int_equal(cidr_parse(&range, slice_str("127.0.0.0/8")), 0);
    assert_int_equal(cidr_set_add(&gate.scene.bypass, &range), 0);
    struct udp_association *a = gate_associate(&port);
    (void)gate_talk(&port, gate.server, &gate.server_at);
    assert_true(gate.f->set.items[0]->view.active == 0);
    udp_association_close(a);
    GATE_UNTIL(udp_is_idle(&gate.udp));
    assert_logged("uplink=direct reason=bypass", 1);
}

static void a_refusal_of_the_policy_drops(void **state)
{
    struct addr port;
    (void)state;
    gate_policy(PICK("", "return false, 'not by me'"));
    (void)gate_associate(&port);
    gate_say(&port, &gate.server_at, "x");
    GATE_UNTIL(gate_drops(DROP_REFUSED) == 1);
    assert_int_equal(gate_mappings(), 0);
    assert_logged("not by me", 2); /* the refusal, and the account */
}

/* --- cuts ----------------------------------------------------------------------------------------------- */

/* Mappings by an uplink end; the next datagram makes a new one, by another uplink if the policy says so. */
static void a_cut_ends_those_of_one_uplink(void **state)
{
    struct addr port;
    char policy[256];
    (void)state;
    (void)snprintf(policy, sizeof policy,
                   PICK("", "return uplinks[conn.port == %u and 1 or 2], 'by port', { per = 'destination' }"),
                   (unsigned)addr_port(&gate.server_at));
    gate_policy(policy);
    (void)gate_associate(&port);
    struct addr before = gate_talk(&port, gate.server, &gate.server_at);
    struct addr kept = gate_talk(&port, gate.other, &gate.other_at);
    assert_int_equal(udp_cut(&gate.udp, gate.f->set.items[2], NULL), 0);
    assert_int_equal(udp_cut(&gate.udp, NULL, NULL), 0);
    assert_int_equal(udp_cut(&gate.udp, gate.f->set.items[0], NULL), 1);
    assert_int_equal(udp_cut(&gate.udp, gate.f->set.items[0], NULL), 0); /* it is ending already */
    GATE_UNTIL(gate_mappings() == 1);
    assert_logged("outcome=cut", 1);
    struct addr after = gate_talk(&port, gate.server, &gate.server_at);
    assert_int_not_equal(addr_port(&before), addr_port(&after));
    struct addr same = gate_talk(&port, gate.other, &gate.other_at);
    assert_int_equal(addr_port(&same), addr_port(&kept));
    assert_true(gate.f->set.items[0]->view.active == 1);
    assert_true(gate.f->set.items[1]->view.active == 1);
}

/* Not even before the room has ended it. */
static void a_mapping_that_ends_is_given_to_no_more_flows(void **state)
{
    struct addr port;
    (void)state;
    (void)gate_associate(&port);
    (void)gate_talk(&port, gate.server, &gate.server_at);
    assert_int_equal(gate.udp.by_client.n, 1);
    assert_int_equal(udp_cut(&gate.udp, gate.f->set.items[0], NULL), 1);
    assert_int_equal(gate.udp.by_client.n, 0);
    (void)gate_talk(&port, gate.other, &gate.other_at);
}

/* --- names ---------------------------------------------------------------------------------------------- */

static void names_are_resolved_by_the_uplink(void **state)
{
    struct addr port;
    (void)state;
    (void)gate_associate(&port);
    gate_say_name(&port, "Here.Example", addr_port(&gate.server_at), "by name");
    struct addr mapped = gate_arrives(gate.server, "by name");
    gate_send(gate.server, &mapped, "answer", strlen("answer"));
    gate_hears(gate.client, &port, &gate.server_at, "answer");
    assert_int_equal(gate_mappings(), 1);
}

/* The mapping that resolved it is not kept: it would count against the client's limit. */
static void a_name_of_a_denied_address_leaves_nothing(void **state)
{
    struct addr port;
    (void)state;
    assert_int_equal(deny_add_place(&gate.scene.deny, slice_str("127.0.0.7")), 0);
    (void)gate_associate(&port);
    gate_say_name(&port, "denied.example", 443, "x");
    GATE_UNTIL(gate_drops(DROP_REFUSED) == 1);
    assert_int_equal(gate_mappings(), 0);
    assert_int_equal(gate.udp.mappings.n, 0);
    assert_true(gate.f->set.items[0]->view.active == 0);
}

/* Nobody answers for the name: the association may end at any time. */
static void an_end_cancels_names(void **state)
{
    struct addr port;
    (void)state;
    struct udp_association *a = gate_associate(&port);
    gate_say_name(&port, "never.example", 99, "x");
    gate_say_name(&port, "never.example", 98, "x");
    GATE_UNTIL(gate_mappings() == 1);
    assert_int_equal(gate.udp.mappings.all.n, 1);
    GATE_UNTIL(recv(gate.mute, gate_text, sizeof gate_text, MSG_DONTWAIT) > 0);
    udp_association_close(a);
    GATE_UNTIL(udp_is_idle(&gate.udp));
    assert_int_equal(gate_mappings(), 0);
}

/* The flow asks for another uplink, a few times. */
static void a_cut_asks_again_for_names(void **state)
{
    struct addr port;
    (void)state;
    gate_policy(PICK("local n = 0", "n = n + 1 return uplinks[n % 2 + 1], 'in turn'"));
    (void)gate_associate(&port);
    gate_say_name(&port, "never.example", 99, "x");
    for (int i = 0; i <= FLOW_AGAIN_MAX; i++) {
        GATE_UNTIL(gate_mappings() == 1);
        assert_int_equal(gate_drops(DROP_REFUSED), 0);
        const struct uplink *by = only_way()->account->lease.uplink;
        assert_int_equal(udp_cut(&gate.udp, by, NULL), 1);
        assert_int_equal(udp_cut(&gate.udp, by, NULL), 0);
    }
    GATE_UNTIL(gate_drops(DROP_REFUSED) == 1);
    assert_int_equal(gate_mappings(), 0);
    assert_logged("outcome=cut", FLOW_AGAIN_MAX + 1);
    (void)gate_talk(&port, gate.server, &gate.server_at);
}

static void report_idle(struct udp_way *w)
{
    mailbox_send(&gate.udp.news, &w->mapping.news.message, NEWS_IDLE);
    mailbox_empty(&gate.udp.news);
}

/* The room has found it idle, and its report crosses an answer. */
static void a_mapping_that_was_just_given_is_not_idle(void **state)
{
    struct addr port;
    (void)state;
    (void)gate_associate(&port);
    (void)gate_talk(&port, gate.server, &gate.server_at);
    struct udp_way *w = only_way();
    report_idle(w);
    assert_null(w->outcome);
    w->given_s -= 2 * w->mapping.idle_s;
    gate_say_name(&port, "never.example", 99, "x");
    GATE_UNTIL(!list_is_empty(&w->asks));
    report_idle(w); /* a flow waits for it */
    assert_null(w->outcome);
    udp_refuse_waiting(w);
    report_idle(w);
    assert_non_null(w->outcome);
    GATE_UNTIL(gate_mappings() == 0);
    assert_logged("outcome=idle", 1);
}

/* --- limits --------------------------------------------------------------------------------------------- */

static void a_client_has_so_many_associations(void **state)
{
    struct udp_association *one, *two, *three;
    struct addr port;
    (void)state;
    gate_open(&(struct udp_settings){GATE_SETTINGS, .client_max = 2});
    assert_int_equal(gate_try("127.0.0.1", 0, &one, &port), 0);
    assert_int_equal(gate_try("127.0.0.1", 0, &two, &port), 0);
    assert_int_equal(gate_try("127.0.0.1", 0, &three, &port), -EDQUOT);
    gate.client_at = at_port(1);
    gate.client_at.in4.sin_addr.s_addr = htonl(0x7f000009); /* another client */
    assert_int_equal(gate_try("127.0.0.1", 0, &three, &port), 0);
    gate.client_at = bound_addr(gate.client);
    udp_association_close(one);
    assert_int_equal(gate_try("127.0.0.1", 0, &one, &port), 0);
    assert_int_equal(udp_counts(&gate.udp).associations, 3);
}

static void a_client_has_so_many_mappings(void **state)
{
    struct addr port;
    (void)state;
    gate_open(&(struct udp_settings){GATE_SETTINGS, .client_max = 2});
    gate_policy(PICK("", "return uplinks[1], 'all', { per = 'destination' }"));
    (void)gate_associate(&port);
    (void)gate_talk(&port, gate.server, &gate.server_at);
    (void)gate_talk(&port, gate.other, &gate.other_at);
    struct addr third = at_port(99);
    gate_say(&port, &third, "x");
    GATE_UNTIL(gate_drops(DROP_REFUSED) == 1);
    assert_int_equal(gate_mappings(), 2);
    (void)gate_talk(&port, gate.server, &gate.server_at);
    assert_int_equal(udp_cut(&gate.udp, gate.f->set.items[0], NULL), 2);
    GATE_UNTIL(gate_mappings() == 0);
    (void)gate_talk(&port, gate.server, &gate.server_at);
}

static void all_clients_have_so_many_mappings(void **state)
{
    struct addr port;
    (void)state;
    gate_open(&(struct udp_settings){GATE_SETTINGS, .mappings_max = 1, .client_max = 9});
    gate_policy(PICK("", "return uplinks[1], 'all', { per = 'destination' }"));
    (void)gate_associate(&port);
    (void)gate_talk(&port, gate.server, &gate.server_at);
    gate_say(&port, &gate.other_at, "x");
    GATE_UNTIL(gate_drops(DROP_REFUSED) == 1);
    assert_int_equal(gate_mappings(), 1);
}

/* The one used longest ago: what its traffic tells counts, and not when it was made. */
static void a_client_with_more_mappings_gives_one_up(void **state)
{
    struct addr port, port2, other_at;
    struct udp_association *newcomer;
    int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    (void)state;
    gate_open(&(struct udp_settings){GATE_SETTINGS, .mappings_max = 2, .client_max = 9});
    gate_policy(PICK("", "return uplinks[1], 'all', { per = 'destination' }"));
    (void)gate_associate(&port);
    struct addr mapped = gate_talk(&port, gate.server, &gate.server_at);
    (void)gate_talk(&port, gate.other, &gate.other_at);
    udp_silence_look(&gate.udp);
    (void)gate_talk(&port, gate.server, &gate.server_at);
    udp_silence_look(&gate.udp);
    assert_int_equal(addr_parse_ip(&other_at, slice_str("127.0.0.2"), 0), 0);
    assert_int_equal(bind(client, &other_at.sa, addr_len(&other_at)), 0);
    gate.client_at = bound_addr(client);
    assert_int_equal(gate_try("127.0.0.1", 0, &newcomer, &port2), 0);
    gate_say_from(client, &port2, &gate.server_at, "from another client");
    (void)gate_arrives(gate.server, "from another client");
    assert_int_equal(gate.udp.mappings.all.n, 2); /* what ends does not count */
    GATE_UNTIL(gate_mappings() == 2);
    assert_logged("outcome=displaced", 1);
    struct addr same = gate_talk(&port, gate.server, &gate.server_at);
    assert_int_equal(addr_port(&same), addr_port(&mapped));
    (void)close(client);
}

/* --- the end -------------------------------------------------------------------------------------------- */

/* Clients come, send, and go without waiting for anything, whatever is under way. */
static void clients_may_leave_at_any_time(void **state)
{
    enum { ROUNDS = 60 };
    struct udp_association *open[4] = {NULL};
    struct addr port;
    (void)state;
    gate_policy(PICK("local n = 0", "n = n % 3 + 1 return uplinks[n], 'in turn',"
                                    "{ per = n == 2 and 'destination' or 'client' }"));
    int before = count_fds();
    for (size_t i = 0; i < ROUNDS; i++) {
        udp_association_close(open[i % 4]);
        open[i % 4] = gate_associate(&port);
        for (uint16_t k = 0; k < i % 5; k++) {
            struct addr to = k % 2 ? at_port((uint16_t)(5 + k)) : gate.server_at;
            gate_say(&port, &to, "x");
        }
        if (i % 7 == 0)
            gate_say_name(&port, i % 2 ? "never.example" : "here.example", addr_port(&gate.server_at), "x");
        if (i % 11 == 3)
            (void)udp_cut(&gate.udp, gate.f->set.items[i % 3], NULL);
        for (size_t turns = 0; turns < i % 4; turns++)
            ev_run(gate.loop, EVRUN_NOWAIT);
        if (i % 13 == 5) /* what has come from the server's side */
            while (recv(gate.server, gate_text, sizeof gate_text, MSG_DONTWAIT) > 0)
                ;
    }
    for (size_t i = 0; i < 4; i++)
        udp_association_close(open[i]);
    GATE_UNTIL(udp_is_idle(&gate.udp));
    assert_int_equal(gate_mappings(), 0);
    assert_int_equal(udp_counts(&gate.udp).associations, 0);
    assert_int_equal(gate.udp.mappings.n, 0);
    assert_int_equal(gate.udp.associations_of.n, 0);
    assert_true(count_fds() <= before + 2); /* the resolver's socket may be open */
}

/* The proxy stops while all is in use: the teardown does the rest. */
static void a_stop_ends_all(void **state)
{
    struct addr port;
    (void)state;
    for (size_t i = 0; i < 6; i++) {
        (void)gate_associate(&port);
        if (i % 2)
            (void)gate_talk(&port, gate.server, &gate.server_at);
        gate_say(&port, &gate.other_at, "under way");
        gate_say_name(&port, "never.example", 99, "under way");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, gate_setup, gate_teardown)
#define TEST_CLOSED(name) cmocka_unit_test_setup_teardown(name, gate_setup_closed, gate_teardown)
        TEST(a_client_has_one_mapping),
        TEST(the_policy_is_asked_for_a_mapping),
        TEST(some_ports_are_spread),
        TEST(a_policy_may_spread_all),
        TEST(a_policy_may_spread_nothing),
        TEST(questions_to_name_servers_are_soon_idle),
        TEST_CLOSED(idle_mappings_end),
        TEST(bypassed_destinations_go_direct),
        TEST(a_refusal_of_the_policy_drops),
        TEST(a_cut_ends_those_of_one_uplink),
        TEST(a_mapping_that_ends_is_given_to_no_more_flows),
        TEST(names_are_resolved_by_the_uplink),
        TEST(a_name_of_a_denied_address_leaves_nothing),
        TEST(an_end_cancels_names),
        TEST(a_cut_asks_again_for_names),
        TEST(a_mapping_that_was_just_given_is_not_idle),
        TEST_CLOSED(a_client_has_so_many_associations),
        TEST_CLOSED(a_client_has_so_many_mappings),
        TEST_CLOSED(all_clients_have_so_many_mappings),
        TEST_CLOSED(a_client_with_more_mappings_gives_one_up),
        TEST(clients_may_leave_at_any_time),
        TEST(a_stop_ends_all),
    };
    int failed = cmocka_run_group_tests_name("without workers", tests, NULL, NULL);
    gate_threads = 2;
    return failed + cmocka_run_group_tests_name("with two workers", tests, NULL, NULL);
}
