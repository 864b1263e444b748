/* The shares of clients in a port: whose flow makes room for a new one, and how much may wait. */
#include "datagram/shares.h"

#include "support/loopback.h"

#include <stdlib.h>

enum { FLOWS_MAX = 400, CLIENTS_MAX = 6 };

struct one {
    struct list node;
    struct share *share; /* NULL: unused */
    size_t client;
    bool settled;
};

static struct shares shares;
static struct one flows[FLOWS_MAX];

static int setup(void **state)
{
    (void)state;
    shares_init(&shares, &(struct hash_key){1, 2});
    memset(flows, 0, sizeof flows);
    return 0;
}

static void drop(struct one *f)
{
    if (f->settled)
        share_unsettle(f->share, &f->node);
    shares_leave(&shares, f->share);
    *f = (struct one){.share = NULL};
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < FLOWS_MAX; i++)
        if (flows[i].share)
            drop(&flows[i]);
    assert_int_equal(shares.all.n + shares.all.n_settled + shares.all.most + shares.n, 0);
    shares_done(&shares);
    return 0;
}

static struct one *enter(const char *ip)
{
    struct addr client;
    size_t i = 0;

    assert_int_equal(addr_parse_ip(&client, slice_str(ip), 9), 0);
    while (i < FLOWS_MAX && flows[i].share)
        i++;
    assert_true(i < FLOWS_MAX);
    flows[i].share = shares_enter(&shares, &client);
    assert_non_null(flows[i].share);
    list_init(&flows[i].node);
    return &flows[i];
}

static struct one *settle(struct one *f)
{
    share_settle(f->share, &f->node);
    f->settled = true;
    return f;
}

static struct one *chosen_for(const struct one *f, bool *ret_owed)
{
    struct list *node = shares_choose(&shares, f->share, ret_owed);

    return node ? container_of(node, struct one, node) : NULL;
}

/* --- who makes room ------------------------------------------------------------------------------------- */

struct client {
    const char *ip;
    size_t settled, waiting;
};

/* Clients that have so many flows each, one more flow, and whose flow makes room for it. */
static const struct row {
    const char *what;
    struct client clients[CLIENTS_MAX];
    const char *newcomer;
    const char *expected; /* the client of the flow that makes room; NULL: none is settled */
    bool owed;
} rows[] = {
    {"alone, it makes room for itself, if it is idle", {{"10.0.0.1", 4, 0}}, "10.0.0.1", "10.0.0.1", false},
    {"a scanner makes room for others",
     {{"10.0.0.1", 5, 0}, {"10.0.0.2", 3, 0}},
     "10.0.0.2",
     "10.0.0.1",
     true},
    {"a scanner makes room for a new client",
     {{"10.0.0.1", 2, 0}, {"10.0.0.2", 1, 0}},
     "10.0.0.3",
     "10.0.0.1",
     true},
    {"a scanner takes nothing of others",
     {{"10.0.0.1", 5, 0}, {"10.0.0.2", 3, 0}},
     "10.0.0.1",
     "10.0.0.1",
     false},
    {"nor while most of its own wait",
     {{"10.0.0.1", 1, 4}, {"10.0.0.2", 3, 0}},
     "10.0.0.1",
     "10.0.0.1",
     false},
    {"nor while all of its own wait", {{"10.0.0.1", 0, 5}, {"10.0.0.2", 3, 0}}, "10.0.0.1", NULL, false},
    {"clients that have as many keep what they use",
     {{"10.0.0.1", 3, 0}, {"10.0.0.2", 2, 0}},
     "10.0.0.2",
     "10.0.0.1",
     false},
    {"an idle flow of many small clients makes room",
     {{"10.0.0.1", 1, 0}, {"10.0.0.2", 1, 0}},
     "10.0.0.3",
     "10.0.0.1", /* the one used longest ago */
     false},
    {"devices of a household have one network",
     {{"2001:db8::1", 5, 0}, {"2001:db8::2", 1, 0}},
     "2001:db8::2",
     "2001:db8::1",
     true},
    {"a network with many addresses makes room for others",
     {{"2001:db8::1", 1, 0},
      {"2001:db8::2", 1, 0},
      {"2001:db8::3", 1, 0},
      {"2001:db8::4", 1, 0},
      {"10.0.0.1", 2, 0}},
     "10.0.0.1",
     "2001:db8::1",
     true},
    {"and takes nothing of others",
     {{"2001:db8::1", 1, 0}, {"2001:db8::2", 1, 0}, {"2001:db8::3", 1, 0}, {"10.0.0.1", 3, 0}},
     "2001:db8::4",
     "2001:db8::1",
     false},
    {"another network is another client",
     {{"2001:db8:0:1::1", 4, 0}, {"2001:db8:0:2::1", 1, 0}},
     "2001:db8:0:2::1",
     "2001:db8:0:1::1",
     true},
    {"link-local addresses have no network in common",
     {{"fe80::1", 2, 0}, {"fe80::2", 2, 0}, {"10.0.0.1", 2, 0}},
     "10.0.0.2",
     "fe80::1",
     true},
};

static bool is_of(const struct one *f, const char *ip)
{
    struct one *probe = enter(ip);
    bool same = f->share == probe->share;

    drop(probe);
    return same;
}

static void the_largest_share_makes_room(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        bool owed = false;
        (void)setup(state);
        for (const struct client *c = r->clients; c < r->clients + CLIENTS_MAX && c->ip; c++) {
            for (size_t k = 0; k < c->settled; k++)
                (void)settle(enter(c->ip));
            for (size_t k = 0; k < c->waiting; k++)
                (void)enter(c->ip);
        }
        struct one *found = chosen_for(enter(r->newcomer), &owed);
        if (!r->expected ? found != NULL : !found || !is_of(found, r->expected))
            fail_msg("%s: another flow makes room", r->what);
        if (found && owed != r->owed)
            fail_msg("%s: owed is %d", r->what, owed);
        (void)teardown(state);
    }
    (void)setup(state);
}

static void the_flow_used_longest_ago_makes_room(void **state)
{
    struct one *f[3];
    bool owed;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(f); i++)
        f[i] = settle(enter("10.0.0.1"));
    struct one *newcomer = enter("10.0.0.1");
    assert_ptr_equal(chosen_for(newcomer, &owed), f[0]);
    share_touch(f[0]->share, &f[0]->node);
    assert_ptr_equal(chosen_for(newcomer, &owed), f[1]);
    share_touch(f[2]->share, &f[2]->node);
    share_touch(f[1]->share, &f[1]->node);
    assert_ptr_equal(chosen_for(newcomer, &owed), f[0]);
}

/* Of clients that have as many. */
static void the_client_used_longest_ago_makes_room(void **state)
{
    bool owed;
    (void)state;
    struct one *first = settle(enter("10.0.0.1")), *second = settle(enter("10.0.0.2"));
    struct one *newcomer = enter("10.0.0.3");
    assert_ptr_equal(chosen_for(newcomer, &owed), first);
    share_touch(first->share, &first->node);
    assert_ptr_equal(chosen_for(newcomer, &owed), second);
}

/* A port with room for so many: a scanner sends to one new destination after another, and the others keep
 * theirs, however many clients there are and however long it goes on. */
static void a_scanner_hurts_only_itself(void **state)
{
    enum { ROOM = 300, OTHERS = 20, EACH = 10 };
    char ip[32];
    (void)state;
    for (int i = 0; i < OTHERS * EACH; i++) {
        (void)snprintf(ip, sizeof ip, "10.0.1.%d", i % OTHERS);
        (void)settle(enter(ip));
    }
    struct share *others[OTHERS];
    for (int i = 0; i < OTHERS; i++)
        others[i] = flows[i].share;
    for (int i = 0; i < 5 * ROOM; i++) {
        struct one *f = enter("10.0.0.1");
        if (shares.all.n > ROOM) {
            bool owed;
            struct one *least = chosen_for(f, &owed);
            assert_true(least->share == f->share); /* though all others were used before */
            drop(least);
        }
        (void)settle(f);
    }
    for (int i = 0; i < OTHERS; i++)
        assert_int_equal(others[i]->n_settled, EACH);
}

/* --- the order stays true ------------------------------------------------------------------------------- */

static size_t most_settled(size_t counts[CLIENTS_MAX])
{
    size_t most = 0;

    memset(counts, 0, CLIENTS_MAX * sizeof *counts);
    for (size_t i = 0; i < FLOWS_MAX; i++)
        if (flows[i].share && flows[i].settled)
            counts[flows[i].client]++;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        most = counts[i] > most ? counts[i] : most;
    return most;
}

/* Beside a count of all. */
static void any_sequence_leaves_the_order_true(void **state)
{
    static const char *const ips[CLIENTS_MAX] = {"10.0.0.1", "10.0.0.2",    "fe80::1",
                                                 "fe80::2",  "2001:db8::1", "2001:db8:0:1::1"};
    size_t counts[CLIENTS_MAX];
    unsigned seed = 7;
    (void)state;
    for (int step = 0; step < 20000; step++) {
        seed = seed * 1103515245u + 12345u;
        struct one *f = &flows[(seed >> 16) % (step % 2000 < 1000 ? FLOWS_MAX : 20)];
        size_t client = (seed >> 8) % CLIENTS_MAX * ((seed >> 24) % 3 > 0);
        if (!f->share) {
            struct addr a;
            assert_int_equal(addr_parse_ip(&a, slice_str(ips[client]), 9), 0);
            list_init(&f->node);
            f->client = client;
            f->share = shares_enter(&shares, &a);
            assert_non_null(f->share);
        } else if (!f->settled) {
            (void)settle(f);
        } else if (seed & 0x10000) {
            share_touch(f->share, &f->node);
        } else {
            drop(f);
        }
        if (step % 16 == 0)
            assert_int_equal(shares.all.most, most_settled(counts));
    }
    for (size_t i = 0; i < FLOWS_MAX; i++)
        if (flows[i].share)
            assert_int_equal(flows[i].share->n_settled, (most_settled(counts), counts[flows[i].client]));
}

/* --- waiting -------------------------------------------------------------------------------------------- */

/* Flows that wait until one may not. */
static size_t wait_in_vain(const char *ip, size_t max)
{
    for (size_t n = 0;; n++) {
        struct one *f = enter(ip);
        if (share_may_wait(f->share, max))
            continue;
        drop(f);
        return n;
    }
}

static void an_address_waits_for_a_third(void **state)
{
    enum { MAX = 300 };
    (void)state;
    assert_int_equal(wait_in_vain("10.0.0.1", MAX), MAX / 3);
    assert_true(wait_in_vain("10.0.0.2", MAX) >= MAX / 6);
    assert_true(wait_in_vain("10.0.0.3", MAX) >= MAX / 12);
    assert_int_equal(wait_in_vain("10.0.0.1", MAX), 0);
}

/* However many addresses it has. */
static void a_network_waits_for_half(void **state)
{
    enum { MAX = 300 };
    size_t n = 0;
    char ip[32];
    (void)state;
    for (int i = 1; i < 40; i++) {
        (void)snprintf(ip, sizeof ip, "2001:db8::%d", i);
        n += wait_in_vain(ip, MAX);
    }
    assert_int_equal(n, MAX / 2);
    assert_true(wait_in_vain("2001:db8:0:1::1", MAX) >= MAX / 6);
}

static void settled_flows_do_not_wait(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        (void)settle(enter("10.0.0.1"));
    assert_int_equal(wait_in_vain("10.0.0.1", 30), 10);
}

static void bytes_wait_as_flows_do(void **state)
{
    enum { MAX = 9000, SIZE = 100 };
    struct one *greedy = enter("10.0.0.1"), *other = enter("10.0.0.2");
    size_t n = 0;
    (void)state;
    for (; share_may_queue(greedy->share, SIZE, MAX); n++)
        share_queue(greedy->share, SIZE);
    assert_int_equal(n, MAX / SIZE / 3);
    assert_true(share_may_queue(other->share, MAX / 6, MAX));
    assert_int_equal(shares.all.queued, n * SIZE);
    assert_false(share_may_queue(other->share, MAX, MAX));
    share_unqueue(greedy->share, n * SIZE);
    assert_true(share_may_queue(greedy->share, MAX / 3, MAX));
    assert_int_equal(shares.all.queued + greedy->share->up->queued, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(the_largest_share_makes_room),
        TEST(the_flow_used_longest_ago_makes_room),
        TEST(the_client_used_longest_ago_makes_room),
        TEST(a_scanner_hurts_only_itself),
        TEST(any_sequence_leaves_the_order_true),
        TEST(an_address_waits_for_a_third),
        TEST(a_network_waits_for_half),
        TEST(settled_flows_do_not_wait),
        TEST(bytes_wait_as_flows_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
