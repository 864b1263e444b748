/* Which name servers each uplink asks. The test answers in place of the machine's files and routes. */
#include "follow/name_servers.h"

#include "base/log_capture.h"
#include "uplink/machines.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include <errno.h>

/* --- the machine ---------------------------------------------------------------------------------------- */

enum { FIBRE = 2, LTE = 3 }; /* the indexes of the links below */

static struct {
    const char *link, *system; /* its servers, as text; NULL for none */
    int of_link;               /* the link that `link` belongs to */
    const char *router4, *router6;
} machine_says;

static void servers_of(struct dns_servers *ret, const char *text)
{
    *ret = (struct dns_servers){.n = 0};
    if (text)
        assert_int_equal(dns_servers_parse(ret, text), 0);
}

/* The linker gives these the calls of the file under test (tests/unit/CMakeLists.txt). */
void __wrap_dns_servers_of_link(struct dns_servers *ret, int link, const char *root);
void __wrap_dns_servers_of_system(struct dns_servers *ret, const char *root);
int __wrap_discover_gateway(const struct uplink *u, const struct machine *m, int family, struct addr *ret);

void __wrap_dns_servers_of_link(struct dns_servers *ret, int link, const char *root)
{
    assert_string_equal(root, "");
    servers_of(ret, link == machine_says.of_link ? machine_says.link : NULL);
}

void __wrap_dns_servers_of_system(struct dns_servers *ret, const char *root)
{
    assert_string_equal(root, "");
    servers_of(ret, machine_says.system);
}

int __wrap_discover_gateway(const struct uplink *u, const struct machine *m, int family, struct addr *ret)
{
    const char *router = family == AF_INET ? machine_says.router4 : machine_says.router6;

    assert_non_null(m);
    if (!router || !egress_allows(&u->egress, family))
        return -ENETUNREACH;
    *ret = ip(router);
    return 0;
}

/* --- a room with one uplink ----------------------------------------------------------------------------- */

struct room {
    struct name_servers names;
    struct config config;
    struct uplink_set uplinks;
    struct uplink u, later;
    struct made made;
    struct ev_loop *loop;
};

static void made_prefixed(struct made *made, const struct machine_link *link, const char *text,
                          uint8_t prefix)
{
    made_addr(made, link, text)->prefix = prefix;
}

static void set_families(struct uplink *u, bool any4, bool any6)
{
    u->egress.any4 = u->view.ipv4 = any4;
    u->egress.any6 = u->view.ipv6 = any6;
}

static void uplink_init(struct uplink *u, int id, const char *name)
{
    *u = (struct uplink){.view = {.id = id}};
    (void)snprintf(u->name, sizeof u->name, "%s", name);
    (void)snprintf(u->egress.device, sizeof u->egress.device, "%s", name);
    set_families(u, true, true);
}

static int room_open(void **state)
{
    struct room *r = calloc(1, sizeof *r);

    assert_non_null(r);
    *state = r;
    machine_says = (typeof(machine_says)){.of_link = LTE};
    made_init(&r->made);
    struct machine_link *fibre = made_link(&r->made, "fibre"), *lte = made_link(&r->made, "lte");
    assert_true(fibre->index == FIBRE && lte->index == LTE);
    made_prefixed(&r->made, fibre, "10.0.1.2", 24);
    made_prefixed(&r->made, fibre, "2001:db8:1::2", 64);
    made_prefixed(&r->made, lte, "10.0.2.2", 24);
    made_prefixed(&r->made, lte, "2001:db8:2::2", 64);
    uplink_init(&r->u, 1, "lte");
    uplink_init(&r->later, 2, "fibre");
    r->uplinks = (struct uplink_set){.n = 0};
    uplink_set_put(&r->uplinks, &r->u);
    config_init(&r->config);
    r->loop = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(r->loop);
    int captures = capture_begin(NULL);
    log_setup(LOG_DEBUG, LOG_TEXT); /* the first servers are told at that level */
    return captures;
}

static int room_close(void **state)
{
    struct room *r = *state;

    name_servers_close(&r->names);
    name_servers_close(&r->names); /* harmless */
    assert_null(r->u.names.resolver);
    config_done(&r->config);
    ev_loop_destroy(r->loop);
    free(r);
    return capture_end(NULL);
}

static void open_it(struct room *r)
{
    assert_int_equal(name_servers_open(&r->names, r->loop, &r->config, &r->uplinks), 0);
}

static void refresh(struct room *r)
{
    name_servers_refresh(&r->names, &r->made.m);
}

static void configure(struct room *r, const char *all)
{
    free(r->config.dns_servers);
    r->config.dns_servers = all ? strdup(all) : NULL;
    assert_true(!all || r->config.dns_servers);
}

static void assert_asks(const char *what, const struct resolver *resolver, const char *expected)
{
    char text[DNS_SERVERS_TEXT_MAX];

    dns_servers_format(resolver_servers(resolver), text);
    if (strcmp(text, expected) != 0)
        fail_msg("%s: asks \"%s\", not \"%s\"", what, text, expected);
}

/* The log tells, in the order of these words. */
static void assert_logged(const char *what, const char *event, const char *field)
{
    const char *log = captured();

    if (!event ? *log != '\0' : !strstr(log, event) || (field && !strstr(log, field)))
        fail_msg("%s: the log is \"%s\", not about \"%s\" with %s", what, log, event ? event : "nothing",
                 field ? field : "any field");
}

/* --- which servers -------------------------------------------------------------------------------------- */

struct choice {
    const char *what;
    const char *own, *all, *link, *system, *router4, *router6; /* where servers are; NULL for none */
    const char *asks, *from;                                   /* "" and NULL for none */
    bool no4, no6, no_device;
};

static const struct choice choices[] = {
    {.what = "its own come first",
     .own = "192.0.2.1",
     .all = "192.0.2.2",
     .link = "192.0.2.3",
     .system = "192.0.2.4",
     .router4 = "10.0.2.1",
     .asks = "192.0.2.1",
     .from = "from=config"},
    {.what = "then those of the config",
     .all = "192.0.2.2,192.0.2.9:5353",
     .link = "192.0.2.3",
     .system = "192.0.2.4",
     .router4 = "10.0.2.1",
     .asks = "192.0.2.2, 192.0.2.9:5353",
     .from = "from=config"},
    {.what = "then the link's",
     .link = "192.0.2.3",
     .system = "192.0.2.4",
     .router4 = "10.0.2.1",
     .asks = "192.0.2.3",
     .from = "from=link"},
    {.what = "then the system's",
     .system = "192.0.2.4",
     .router4 = "10.0.2.1",
     .asks = "192.0.2.4",
     .from = "from=system"},
    {.what = "then its routers",
     .router4 = "10.0.2.1",
     .router6 = "2001:db8:2::1",
     .asks = "10.0.2.1, 2001:db8:2::1",
     .from = "from=router"},
    {.what = "nothing has one", .asks = ""},

    /* A configured server that this uplink cannot reach leaves the choice to the others. */
    {.what = "its own are of a family that it lacks",
     .own = "2001:db8::1",
     .all = "192.0.2.2",
     .link = "192.0.2.3",
     .no6 = true,
     .asks = "192.0.2.3",
     .from = "from=link"},
    {.what = "a family that it lacks is left out",
     .all = "192.0.2.2,2001:db8::2,192.0.2.3",
     .no4 = true,
     .asks = "2001:db8::2",
     .from = "from=config"},
    {.what = "the link's, too",
     .link = "2001:db8::3,192.0.2.3",
     .no6 = true,
     .asks = "192.0.2.3",
     .from = "from=link"},
    {.what = "the system's, too",
     .system = "2001:db8::4,192.0.2.4",
     .no6 = true,
     .asks = "192.0.2.4",
     .from = "from=system"},
    {.what = "the link has none that it can reach",
     .link = "192.0.2.3",
     .system = "2001:db8::4",
     .no4 = true,
     .asks = "2001:db8::4",
     .from = "from=system"},
    {.what = "a router of a family that it lacks",
     .router4 = "10.0.2.1",
     .router6 = "2001:db8:2::1",
     .no4 = true,
     .asks = "2001:db8:2::1",
     .from = "from=router"},

    /* Loopback: by the machine's own routes. */
    {.what = "one on loopback is asked where the config names it",
     .all = "127.0.0.1:5353",
     .system = "192.0.2.4",
     .asks = "127.0.0.1:5353",
     .from = "from=config"},
    {.what = "even of a family that the uplink lacks",
     .all = "::1",
     .no6 = true,
     .asks = "::1",
     .from = "from=config"},
    {.what = "of the system's, others come first",
     .system = "127.0.0.53,192.0.2.4",
     .router4 = "10.0.2.1",
     .asks = "192.0.2.4",
     .from = "from=system"},
    {.what = "and a router",
     .system = "127.0.0.53",
     .router4 = "10.0.2.1",
     .asks = "10.0.2.1, 127.0.0.53",
     .from = "from=router"},
    {.what = "it is asked where nothing else is known",
     .system = "127.0.0.53",
     .asks = "127.0.0.53",
     .from = "from=system"},

    /* Of the system's servers, the router of another link does not serve this one. */
    {.what = "one in another link's network",
     .system = "10.0.1.1",
     .router4 = "10.0.2.1",
     .asks = "10.0.2.1",
     .from = "from=router"},
    {.what = "one in another link's IPv6 network",
     .system = "2001:db8:1::1,2001:db8::4",
     .asks = "2001:db8::4",
     .from = "from=system"},
    {.what = "one in its own network", .system = "10.0.2.1", .asks = "10.0.2.1", .from = "from=system"},
    {.what = "one in another link's network that the config names",
     .all = "10.0.1.1",
     .asks = "10.0.1.1",
     .from = "from=config"},
    {.what = "one in another link's network that its own link names",
     .link = "10.0.1.1",
     .asks = "10.0.1.1",
     .from = "from=link"},
    {.what = "an uplink without a link: the kernel routes to any network",
     .system = "10.0.1.1",
     .link = "192.0.2.3",
     .no_device = true,
     .asks = "10.0.1.1",
     .from = "from=system"},

    /* A link-local server belongs to one link, by its scope. */
    {.what = "link-local, of its own link", .all = "fe80::1%3", .asks = "fe80::1%3", .from = "from=config"},
    {.what = "link-local, of another link",
     .all = "fe80::1%2",
     .link = "fe80::1%2,fe80::2%3",
     .asks = "fe80::2%3",
     .from = "from=link"},
    {.what = "link-local, of any link", .link = "fe80::1", .asks = "fe80::1", .from = "from=link"},
    {.what = "link-local, of the system",
     .system = "fe80::1%2,fe80::1%3",
     .asks = "fe80::1%3",
     .from = "from=system"},
    {.what = "link-local without IPv6", .link = "fe80::1%3", .no6 = true, .asks = ""},
};

/* The text of a server with the scope of a link that this machine has shows the link's name. */
static const char *as_shown(const char *text, char out[DNS_SERVERS_TEXT_MAX])
{
    struct dns_servers servers;
    struct addr a;

    if (!strchr(text, '%'))
        return text;
    servers_of(&servers, NULL);
    a = ip(text);
    addr_set_port(&a, 53);
    assert_true(dns_servers_add(&servers, &a));
    return dns_servers_format(&servers, out);
}

static void choose(struct room *r, const struct choice *c)
{
    char shown[DNS_SERVERS_TEXT_MAX];

    machine_says = (typeof(machine_says)){
        .link = c->link, .system = c->system, .of_link = LTE, .router4 = c->router4, .router6 = c->router6};
    uplink_init(&r->u, 1, c->no_device ? "" : "lte");
    set_families(&r->u, !c->no4, !c->no6);
    servers_of(&r->u.names.configured, c->own);
    configure(r, c->all);
    open_it(r);
    refresh(r);
    assert_asks(c->what, r->u.names.resolver, as_shown(c->asks, shown));
    assert_true(r->u.names.named == (c->from && strcmp(c->from, "from=config") == 0));
    assert_logged(c->what, c->from ? "name servers found" : "uplink reaches no name server", c->from);
    name_servers_close(&r->names);
}

static void each_uplink_asks_the_first_source_that_it_can_reach(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(choices); i++)
        choose(*state, &choices[i]);
}

/* --- direct connections --------------------------------------------------------------------------------- */

static void direct_connections_ask_the_configs_or_the_systems(void **state)
{
    static const struct {
        const char *what, *all, *system, *asks;
    } cases[] = {
        {"the config's", "10.0.1.1", "192.0.2.4", "10.0.1.1"},
        {"the system's, in its order", NULL, "127.0.0.53,10.0.1.1", "127.0.0.53, 10.0.1.1"},
        {"none", NULL, NULL, ""},
    };
    struct room *r = *state;

    servers_of(&r->u.names.configured, "192.0.2.1"); /* for that uplink only */
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        machine_says.system = cases[i].system;
        configure(r, cases[i].all);
        open_it(r);
        refresh(r);
        assert_asks(cases[i].what, r->names.direct, cases[i].asks);
        name_servers_close(&r->names);
    }
}

/* --- later -------------------------------------------------------------------------------------------- */

static void a_change_is_logged_once(void **state)
{
    struct room *r = *state;

    open_it(r);
    machine_says.link = "192.0.2.3";
    refresh(r);
    assert_logged("first", "name servers found", "servers=192.0.2.3 from=link");
    refresh(r);
    assert_logged("the same", NULL, NULL);
    machine_says.link = "192.0.2.3,192.0.2.4";
    refresh(r);
    assert_logged("another", "name servers changed", "uplink=lte");
    assert_asks("another", r->u.names.resolver, "192.0.2.3, 192.0.2.4");
}

static void the_lack_is_told_once_until_there_is_one(void **state)
{
    struct room *r = *state;

    open_it(r);
    refresh(r);
    assert_logged("none", "uplink reaches no name server", "uplink=lte");
    refresh(r);
    assert_logged("still none", NULL, NULL);
    machine_says.link = "192.0.2.3";
    refresh(r);
    assert_logged("one", "name servers found", "from=link");
    machine_says.link = NULL;
    refresh(r);
    assert_logged("none again", "uplink reaches no name server", "uplink=lte");
    assert_asks("none again", r->u.names.resolver, "");
}

static void while_it_is_down_its_servers_stay(void **state)
{
    struct room *r = *state;

    open_it(r);
    machine_says.link = "192.0.2.3";
    refresh(r);
    (void)captured();
    set_families(&r->u, false, false);
    machine_says.link = NULL;
    refresh(r);
    assert_asks("down", r->u.names.resolver, "192.0.2.3");
    assert_logged("down", NULL, NULL);
    set_families(&r->u, true, true);
    machine_says.link = "192.0.2.3";
    refresh(r);
    assert_logged("back", NULL, NULL);
}

static void one_that_comes_later_is_looked_up_at_once(void **state)
{
    struct room *r = *state;

    open_it(r);
    refresh(r);
    assert_logged("the first has none", "uplink reaches no name server", "uplink=lte");
    machine_says.of_link = FIBRE;
    machine_says.link = "192.0.2.3";
    assert_int_equal(name_servers_add(&r->names, &r->later, &r->made.m), 0);
    uplink_set_put(&r->uplinks, &r->later);
    assert_asks("the later one", r->later.names.resolver, "192.0.2.3");
    assert_asks("the first", r->u.names.resolver, "");
    assert_logged("the later one", "name servers found", "uplink=fibre");
    machine_says.link = NULL;
    refresh(r);
    assert_logged("each is told of its own lack", "uplink reaches no name server", "uplink=fibre");
}

static void a_config_that_cannot_be_parsed_is_refused(void **state)
{
    struct room *r = *state;

    configure(r, "192.0.2.1,dns.test");
    assert_int_equal(name_servers_open(&r->names, r->loop, &r->config, &r->uplinks), -EINVAL);
    assert_null(r->u.names.resolver);
}

#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, room_open, room_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOM(each_uplink_asks_the_first_source_that_it_can_reach),
        IN_ROOM(direct_connections_ask_the_configs_or_the_systems),
        IN_ROOM(a_change_is_logged_once),
        IN_ROOM(the_lack_is_told_once_until_there_is_one),
        IN_ROOM(while_it_is_down_its_servers_stay),
        IN_ROOM(one_that_comes_later_is_looked_up_at_once),
        IN_ROOM(a_config_that_cannot_be_parsed_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
