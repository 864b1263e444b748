/* Which mapping has to end where all are taken. */
#include "udp/udp_state.h"

#include "base/clock.h"
#include "support/loopback.h"

enum { WAYS_MAX = 128, CLIENTS_MAX = 5 };

static struct udp udp;
static struct udp_port port;
static struct udp_way ways[WAYS_MAX];

static int setup(void **state)
{
    (void)state;
    udp = (struct udp){.settings = {.mappings_max = 64, .client_max = 48}};
    shares_init(&udp.mappings, &(struct hash_key){1, 2});
    port.udp = &udp;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < WAYS_MAX; i++)
        udp_limit_leave(&ways[i]);
    assert_int_equal(udp.mappings.all.n + udp.mappings.all.n_settled + udp.mappings.n, 0);
    shares_done(&udp.mappings);
    return 0;
}

/* @return NULL: refused */
static struct udp_way *enter(const char *ip)
{
    struct udp_way *w = ways;

    while (w < ways + WAYS_MAX && w->share)
        w++;
    assert_true(w < ways + WAYS_MAX);
    *w = (struct udp_way){.port = &port};
    list_init(&w->in_share);
    assert_int_equal(addr_parse_ip(&w->mapping.client, slice_str(ip), 9), 0);
    return udp_limit_enter(w) ? w : NULL;
}

/* --- whose mapping ends --------------------------------------------------------------------------------- */

struct client {
    const char *ip;
    size_t n;         /* mappings */
    double silent_s;  /* of these */
    size_t addresses; /* beside it, each with as many; the last digits count on */
};

static const struct row {
    const char *what;
    struct client clients[CLIENTS_MAX];
    const char *newcomer;
    const char *displaced; /* whose mapping ends; NULL: none */
    bool refused;
} rows[] = {
    {"there is room", {{"10.0.0.1", 40, 0, 0}}, "10.0.0.2", NULL, false},
    {"the client with the most gives up one in use",
     {{"10.0.0.1", 40, 0, 0}, {"10.0.0.2", 24, 0, 0}},
     "10.0.0.3",
     "10.0.0.1",
     false},
    {"and gets none of another client",
     {{"10.0.0.1", 40, 0, 0}, {"10.0.0.2", 24, 99, 0}},
     "10.0.0.1",
     NULL,
     true},
    {"but for one of its own that is silent",
     {{"10.0.0.1", 40, 61, 0}, {"10.0.0.2", 24, 99, 0}},
     "10.0.0.1",
     "10.0.0.1",
     false},
    {"silent for a short time is not enough",
     {{"10.0.0.1", 40, 59, 0}, {"10.0.0.2", 24, 99, 0}},
     "10.0.0.1",
     NULL,
     true},
    {"a client below its fair share keeps all",
     {{"10.0.0.1", 22, 0, 0}, {"10.0.0.2", 21, 99, 0}, {"10.0.0.3", 21, 99, 0}},
     "10.0.0.3",
     NULL,
     true},
    {"an address has so many at most", {{"10.0.0.1", 48, 99, 0}}, "10.0.0.1", NULL, true},
    {"a network's addresses count together",
     {{"2001:db8::10", 6, 0, 8}, {"10.0.0.1", 10, 0, 0}},
     "10.0.0.2",
     "2001:db8::10",
     false},
    {"a network's new address gets none of another network",
     {{"2001:db8::10", 6, 0, 8}, {"10.0.0.1", 10, 99, 0}},
     "2001:db8::99",
     "2001:db8::10",
     false},
    {"with one for each address, those of the network in use stay",
     {{"2001:db8::10", 1, 0, 53}, {"10.0.0.1", 10, 99, 0}},
     "2001:db8::99",
     NULL,
     true},
    {"eight addresses of IPv4 leave room to others", {{"10.0.0.1", 8, 0, 7}}, "192.0.2.1", "10.0.0.1", false},
};

static void add_client(const struct client *c)
{
    char ip[64];
    const char *digits = strpbrk(c->ip, ":") ? strrchr(c->ip, ':') : strrchr(c->ip, '.');

    for (size_t k = 0; k <= c->addresses; k++) {
        (void)snprintf(ip, sizeof ip, "%.*s%d", (int)(digits + 1 - c->ip), c->ip, atoi(digits + 1) + (int)k);
        for (size_t i = 0; i < c->n; i++) {
            struct udp_way *w = enter(ip);
            assert_non_null(w);
            udp_limit_give(w);
            w->given_s -= c->silent_s;
        }
    }
}

static bool is_at(const struct udp_way *w, const char *ip)
{
    struct addr a;

    return addr_parse_ip(&a, slice_str(ip), 0) == 0 && addr_same_ip(&a, &w->mapping.client);
}

static void the_largest_share_makes_room(void **state)
{
    for (const struct row *r = rows; r < rows + ARRAY_LEN(rows); r++) {
        (void)setup(state);
        for (const struct client *c = r->clients; c < r->clients + CLIENTS_MAX && c->ip; c++)
            add_client(c);
        const struct udp_way *w = enter(r->newcomer), *displaced = w ? udp_limit_displaced(w) : NULL;
        if (r->refused != !w)
            fail_msg("%s: refused is %d", r->what, !w);
        if (r->displaced ? !displaced || !is_at(displaced, r->displaced) : displaced != NULL)
            fail_msg("%s: another one is displaced", r->what);
        (void)teardown(state);
    }
    (void)setup(state);
}

/* --- its order ------------------------------------------------------------------------------------------ */

static void the_mapping_used_longest_ago_ends(void **state)
{
    const struct client all = {.ip = "10.0.0.1", .n = 32, .addresses = 1};
    (void)state;
    add_client(&all);
    struct udp_way *w = enter("10.0.0.3");
    assert_non_null(w);
    assert_ptr_equal(udp_limit_displaced(w), &ways[0]);
    for (size_t i = 0; i < 32; i++)
        udp_limit_use(&ways[i]); /* of the first address, which is used later than the second one now */
    assert_ptr_equal(udp_limit_displaced(w), &ways[32]);
    udp_limit_give(&ways[32]); /* to another flow */
    assert_ptr_equal(udp_limit_displaced(w), &ways[0]);
    udp_limit_leave(&ways[0]);
    assert_null(udp_limit_displaced(w));
}

/* One device with ever new addresses: the others keep theirs, and still get new ones. */
static void a_network_with_many_addresses_hurts_only_itself(void **state)
{
    const struct client quiet = {.ip = "10.0.0.1", .n = 3};
    char ip[64];
    (void)state;
    add_client(&quiet);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(ip, sizeof ip, "2001:db8::%x", 1 + i % 500);
        struct udp_way *w = enter(ip), *displaced = w ? udp_limit_displaced(w) : NULL;
        if (displaced)
            udp_limit_leave(displaced);
        if (w)
            udp_limit_give(w);
        assert_true(udp.mappings.all.n <= udp.settings.mappings_max);
    }
    for (size_t i = 0; i < quiet.n; i++)
        assert_non_null(ways[i].share);
    assert_non_null(enter("10.0.0.2"));
}

/* --- those that wait, and those that end ---------------------------------------------------------------- */

/* They cannot make room. So a network leaves half to others, however many addresses it has. */
static void waiting_mappings_leave_room(void **state)
{
    size_t n = 0;
    char ip[64];
    (void)state;
    for (int i = 0; i < 100; i++) {
        (void)snprintf(ip, sizeof ip, "2001:db8::%x", 1 + i % 50);
        n += enter(ip) != NULL;
    }
    assert_int_equal(n, udp.settings.mappings_max / 2);
    assert_non_null(enter("10.0.0.1"));
}

/* Their descriptors are not closed yet. */
static void mappings_that_end_are_bounded(void **state)
{
    (void)state;
    udp.n_ways = 64 + 16;
    assert_non_null(enter("10.0.0.1"));
    udp.n_ways++;
    assert_null(enter("10.0.0.1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(the_largest_share_makes_room),
        TEST(the_mapping_used_longest_ago_ends),
        TEST(a_network_with_many_addresses_hurts_only_itself),
        TEST(waiting_mappings_leave_room),
        TEST(mappings_that_end_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
