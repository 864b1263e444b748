/* One refresh brings everything up to date that the proxy derives from the machine, and in the right order:
 * each step sees what those before it have found. On real links. */
#include "follow/surroundings.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"
#include "uplink/uplink_spec.h"

#include "support/lines.h"

struct place {
    struct config config;
    struct uplink_set uplinks;
    struct surroundings surroundings;
    struct ev_loop *loop;
    struct machine m;
};

static void add_uplink(struct place *p, const char *text, const char *gateway)
{
    struct uplink_spec spec;
    char err[CONFIG_ERROR_MAX];

    assert_int_equal(uplink_spec_parse(&spec, text, err, sizeof err), 0);
    if (gateway)
        spec.gateway4 = ip(gateway);
    assert_int_equal(uplink_set_add(&p->uplinks, &spec, &p->m), 0);
    uplink_spec_done(&spec);
}

static void place_init(struct place *p)
{
    *p = (struct place){.uplinks = {.n = 0}};
    config_init(&p->config);
    p->config.dns_servers = strdup("10.0.1.9,10.0.2.9");
    assert_non_null(p->config.dns_servers);
    p->loop = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(p->loop);
}

static void place_open(struct place *p)
{
    char err[CONFIG_ERROR_MAX] = "";

    if (surroundings_open(&p->surroundings, p->loop, &p->config, &p->uplinks, &p->m, err) < 0)
        fail_msg("%s", err);
}

static void place_done(struct place *p)
{
    surroundings_close(&p->surroundings);
    surroundings_close(&p->surroundings); /* harmless */
    uplink_set_done(&p->uplinks);
    config_done(&p->config);
    machine_done(&p->m);
    ev_loop_destroy(p->loop);
}

static bool is_local(const struct place *p, const char *text)
{
    const struct addr a = ip(text);
    return cidr_set_contains(&p->surroundings.local, &a);
}

static bool is_own(const struct place *p, const char *text)
{
    const struct addr a = ip(text);
    return own_addresses_have(&p->surroundings.own, &a);
}

static size_t n_servers(const struct place *p, size_t uplink)
{
    return resolver_servers(p->uplinks.items[uplink]->names.resolver)->n;
}

static void a_link_that_comes_is_known_everywhere_after_one_refresh(void **state)
{
    struct place p;
    (void)state;
    place_init(&p);
    lines_enter("link set lte down\naddr flush dev lte\n");
    assert_int_equal(machine_read(&p.m), 0);
    add_uplink(&p, "fibre", NULL);
    add_uplink(&p, "lte", NULL);
    place_open(&p);
    assert_true(p.uplinks.items[0]->view.up);
    assert_int_equal(n_servers(&p, 0), 2);
    assert_true(is_local(&p, "10.0.1.7") && is_own(&p, "10.0.1.2"));
    assert_false(p.uplinks.items[1]->view.up);
    assert_int_equal(n_servers(&p, 1), 0);
    assert_false(is_local(&p, "10.0.2.7") || is_own(&p, "10.0.2.2"));

    netns_ip("link set lte up\naddr add 10.0.2.2/24 dev lte\n");
    machine_done(&p.m);
    netns_read(&p.m, "lte", true);
    surroundings_refresh(&p.surroundings, &p.m);
    assert_true(p.uplinks.items[1]->view.up);
    assert_int_equal(n_servers(&p, 1), 2);
    assert_true(is_local(&p, "10.0.2.7") && is_own(&p, "10.0.2.2"));
    place_done(&p);
}

static void an_uplink_is_up_by_the_gateway_that_is_set_just_before(void **state)
{
    struct place p;
    (void)state;
    place_init(&p);
    lines_read(&p.m, "");
    add_uplink(&p, "fibre", "10.0.1.1");
    if (!egress_may_mark()) {
        print_message("skipped: this user may not mark packets\n");
        place_done(&p);
        skip();
    }
    assert_false(p.uplinks.items[0]->view.up);
    place_open(&p);
    assert_true(p.uplinks.items[0]->view.up);
    assert_int_equal(n_servers(&p, 0), 2);
    assert_int_equal(netns_try_ip(false, "route get 192.0.2.1 mark 0x53570001\n"), 0);

    netns_ip("link set fibre-peer down\n");
    machine_done(&p.m);
    netns_read(&p.m, "fibre", false);
    surroundings_refresh(&p.surroundings, &p.m);
    assert_false(p.uplinks.items[0]->view.up);
    netns_ip("link set fibre-peer up\n");
    machine_done(&p.m);
    netns_read(&p.m, "fibre", true);
    surroundings_refresh(&p.surroundings, &p.m);
    assert_true(p.uplinks.items[0]->view.up);
    place_done(&p);
    assert_int_not_equal(netns_try_ip(false, "route get 192.0.2.1 mark 0x53570001\n"), 0);
}

/* `check` says of an uplink what a start would, and sets nothing. */
static void supposed_gateways_are_up_and_not_set(void **state)
{
    struct place p;
    (void)state;
    place_init(&p);
    lines_read(&p.m, "");
    add_uplink(&p, "fibre", "10.0.1.1");
    surroundings_suppose(&p.uplinks, &p.m);
    assert_int_equal(p.uplinks.items[0]->view.up, egress_may_mark());
    assert_int_not_equal(netns_try_ip(false, "route get 192.0.2.1 mark 0x53570001\n"), 0);
    place_done(&p);
}

static void one_that_is_added_later_has_its_name_servers_at_once(void **state)
{
    struct place p;
    struct uplink_spec spec;
    char err[CONFIG_ERROR_MAX];
    (void)state;
    place_init(&p);
    lines_read(&p.m, "");
    add_uplink(&p, "fibre", NULL);
    place_open(&p);
    assert_int_equal(uplink_spec_parse(&spec, "lte", err, sizeof err), 0);
    assert_int_equal(surroundings_add(&p.surroundings, &spec, &p.m), 0);
    assert_int_equal(p.uplinks.n, 2);
    assert_true(p.uplinks.items[1]->view.up);
    assert_int_equal(n_servers(&p, 1), 2);
    assert_int_equal(surroundings_add(&p.surroundings, &spec, &p.m), -EEXIST);
    assert_int_equal(p.uplinks.n, 2);
    surroundings_drop_last(&p.surroundings);
    assert_int_equal(p.uplinks.n, 1);
    uplink_spec_done(&spec);
    place_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_link_that_comes_is_known_everywhere_after_one_refresh),
        cmocka_unit_test(an_uplink_is_up_by_the_gateway_that_is_set_just_before),
        cmocka_unit_test(supposed_gateways_are_up_and_not_set),
        cmocka_unit_test(one_that_is_added_later_has_its_name_servers_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
