/* Each field of an uplink has its own number or text here, so a field that shows another one's is found. */
#include "control/uplink_json.h"

#include "dns/resolver.h"
#include "support/ip.h"
#include "uplink/parent_spec.h"
#include "uplink/uplink.h"

#include <math.h>

/* A field, and its value as JSON; NULL: the field must be absent. */
struct field {
    const char *key, *value;
};

/* --- an uplink ------------------------------------------------------------------------------------------ */

static char fast[] = "fast", odd[] = "caf\xe9";

static struct uplink made(void)
{
    struct uplink u = {
        .kind = UPLINK_INTERFACE,
        .name = "fibre",
        .interface = "eth0",
        .tags = {fast, odd},
        .n_tags = 2,
        .view = {.id = 7,
                 .up = true,
                 .ipv4 = true,
                 .ipv6 = true,
                 .weight = 1.5,
                 .tier = 2,
                 .active = 3,
                 .total = 4,
                 .failures = 5,
                 .races_lost = 6,
                 .fail_rate = 0.25,
                 .tx_bytes = 8e15,
                 .rx_bytes = 9e15,
                 .tx_rate = 10.5,
                 .rx_rate = 11.5,
                 .tx_capacity = 12.5,
                 .rx_capacity = 13.5,
                 .busy = 14,
                 .connect_time = 0.5,
                 .rtt = 0.125,
                 .quota_left = 15.5},
    };

    u.egress.source4 = ip("192.0.2.7");
    u.egress.source6 = ip("2001:db8::7");
    return u;
}

static struct parent_spec parent(const char *scheme)
{
    struct parent_spec p = {.host = "proxy.test", .port = 1080, .user = "me", .pass = "secret"};

    (void)snprintf(p.scheme, sizeof p.scheme, "%s", scheme);
    return p;
}

/* --- comparing ------------------------------------------------------------------------------------------ */

static void assert_field(const json_t *o, const struct field *f)
{
    const json_t *value = json_object_get(o, f->key);
    json_t *expected = f->value ? json_loads(f->value, JSON_DECODE_ANY, NULL) : NULL;
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;

    assert_true(expected || !f->value);
    if (value != expected && !json_equal(value, expected))
        fail_msg("%s is %s, not %s", f->key, text ? text : "absent", f->value ? f->value : "absent");
    free(text);
    json_decref(expected);
}

/* The object has these fields, and no other one. */
static void assert_fields(const json_t *o, const struct field *fields, size_t n)
{
    assert_non_null(o);
    for (size_t i = 0; i < n; i++)
        assert_field(o, &fields[i]);
    assert_int_equal(json_object_size(o), n);
}

static void assert_shows(const struct uplink *u, const char *key, const char *value)
{
    json_t *o = uplink_json(u);

    assert_non_null(o);
    assert_field(o, &(struct field){key, value});
    json_decref(o);
}

/* --- all fields ----------------------------------------------------------------------------------------- */

static void every_field_has_its_own_value(void **state)
{
    static const struct field fields[] = {
        {"name", "\"fibre\""},
        {"id", "7"},
        {"kind", "\"interface\""},
        {"interface", "\"eth0\""},
        {"state", "\"up\""},
        {"up", "true"},
        {"ipv4", "\"192.0.2.7\""},
        {"ipv6", "\"2001:db8::7\""},
        {"weight", "1.5"},
        {"tier", "2.0"},
        {"tags", "[\"fast\", \"caf\\\\xe9\"]"},
        {"dns", "[]"},
        {"families", "{\"ipv4\": \"up\", \"ipv6\": \"up\"}"},
        {"active", "3"},
        {"total", "4"},
        {"failures", "5"},
        {"races_lost", "6"},
        {"fail_rate", "0.25"},
        {"tx_bytes", "8000000000000000"},
        {"rx_bytes", "9000000000000000"},
        {"tx_rate", "10.5"},
        {"rx_rate", "11.5"},
        {"tx_capacity", "12.5"},
        {"rx_capacity", "13.5"},
        {"busy", "14"},
        {"connect_time", "0.5"},
        {"rtt", "0.125"},
        {"quota_left", "15.5"},
    };
    const struct uplink u = made();
    json_t *o = uplink_json(&u);

    (void)state;
    assert_fields(o, fields, ARRAY_LEN(fields));
    json_decref(o);
}

static void a_policy_sees_these_fields(void **state)
{
    static const struct field fields[] = {
        {"name", "\"fibre\""},   {"tags", "[\"fast\", \"caf\\\\xe9\"]"},
        {"quota_left", "15.5"},  {"weight", "1.5"},
        {"tier", "2.0"},         {"active", "3.0"},
        {"busy", "14.0"},        {"total", "4.0"},
        {"failures", "5.0"},     {"races_lost", "6.0"},
        {"fail_rate", "0.25"},   {"connect_time", "0.5"},
        {"rtt", "0.125"},        {"tx_rate", "10.5"},
        {"rx_rate", "11.5"},     {"rx_capacity", "13.5"},
        {"tx_capacity", "12.5"},
    };
    const struct uplink u = made();
    json_t *o = uplink_json_seen(&u);

    (void)state;
    assert_fields(o, fields, ARRAY_LEN(fields));
    json_decref(o);
}

/* --- decisions ------------------------------------------------------------------------------------------ */

/* A link keeps its source address in the egress while it lacks that family; clients must not be told it. */
static void an_address_is_shown_while_its_family_serves(void **state)
{
    struct uplink u = made();

    (void)state;
    u.view.ipv4 = false;
    assert_shows(&u, "ipv4", "null");
    assert_shows(&u, "ipv6", "\"2001:db8::7\"");
    assert_shows(&u, "families", "{\"ipv4\": null, \"ipv6\": \"up\"}");
    u.view.ipv4 = true;
    u.view.ipv6 = false;
    assert_shows(&u, "ipv4", "\"192.0.2.7\"");
    assert_shows(&u, "ipv6", "null");
    assert_shows(&u, "families", "{\"ipv4\": \"up\", \"ipv6\": null}");
    u.view.ipv6 = true;
    u.egress.source4 = u.egress.source6 = (struct addr){.sa = {.sa_family = AF_UNSPEC}};
    assert_shows(&u, "ipv4", "null"); /* as of a parent proxy that the kernel's routes reach */
    assert_shows(&u, "ipv6", "null");
    assert_shows(&u, "families", "{\"ipv4\": \"up\", \"ipv6\": \"up\"}");
}

static void each_family_has_its_state(void **state)
{
    static const struct {
        struct health four, six;
        const char *families;
    } cases[] = {
        {{.known = true}, {.silences = HEALTH_SILENCES}, "{\"ipv4\": \"up\", \"ipv6\": \"suspect\"}"},
        {{.silences = HEALTH_SILENCES}, {.known = true}, "{\"ipv4\": \"suspect\", \"ipv6\": \"up\"}"},
        {{.silences = HEALTH_SILENCES, .failed_checks = HEALTH_FAILED_CHECKS},
         {.captive = true},
         "{\"ipv4\": \"down\", \"ipv6\": \"captive\"}"},
    };
    struct parent_spec p = parent("socks5");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct uplink u = made();
        u.four.health = cases[i].four;
        u.six.health = cases[i].six;
        assert_shows(&u, "families", cases[i].families);
    }
    struct uplink u = made(); /* a parent proxy has one health for both */
    u.parent = &p;
    u.four.health.captive = true;
    assert_shows(&u, "families", "{\"ipv4\": \"captive\", \"ipv6\": \"captive\"}");
}

static void the_state_is_the_uplinks(void **state)
{
    struct uplink u = made();

    (void)state;
    u.draining = true;
    u.view.up = false;
    assert_shows(&u, "state", "\"draining\"");
    assert_shows(&u, "up", "false");
    u.draining = false;
    u.quota = (struct quota){.plan = {.bytes = 1, .hard = true}, .used = 1};
    assert_shows(&u, "state", "\"used up\"");
    u.view.ipv4 = u.view.ipv6 = false;
    assert_shows(&u, "state", "\"down\"");
}

static void no_quota_is_null(void **state)
{
    struct uplink u = made();
    json_t *seen;

    (void)state;
    u.view.quota_left = INFINITY;
    assert_shows(&u, "quota_left", "null");
    seen = uplink_json_seen(&u);
    assert_field(seen, &(struct field){"quota_left", "null"});
    json_decref(seen);
    u.view.quota_left = 0;
    assert_shows(&u, "quota_left", "0.0");
}

static void a_parent_proxy_is_shown_without_its_password(void **state)
{
    struct parent_spec p = parent("socks5");
    struct uplink u = made();

    (void)state;
    assert_shows(&u, "upstream", NULL);
    assert_shows(&u, "via", NULL);
    u.kind = UPLINK_PARENT;
    u.parent = &p;
    assert_shows(&u, "kind", "\"upstream\"");
    assert_shows(&u, "upstream", "\"socks5://proxy.test:1080\"");
    assert_shows(&u, "via", "\"eth0\"");
    u.way.address = ip("192.0.2.9"); /* precedes the link that has it */
    assert_shows(&u, "via", "\"192.0.2.9\"");
    u.way.address = (struct addr){.sa = {.sa_family = AF_UNSPEC}};
    u.interface[0] = '\0';
    assert_shows(&u, "via", "null");
    assert_shows(&u, "interface", "\"\"");
}

/* Linux allows any bytes in the name of an interface. */
static void names_that_are_not_utf8_are_escaped(void **state)
{
    struct parent_spec p = parent("http");
    struct uplink u = made();

    (void)state;
    (void)snprintf(u.name, sizeof u.name, "%s", odd);
    (void)snprintf(u.interface, sizeof u.interface, "%s", odd);
    u.parent = &p;
    assert_shows(&u, "name", "\"caf\\\\xe9\"");
    assert_shows(&u, "interface", "\"caf\\\\xe9\"");
    assert_shows(&u, "via", "\"caf\\\\xe9\"");
    json_t *seen = uplink_json_seen(&u);
    assert_field(seen, &(struct field){"name", "\"caf\\\\xe9\""});
    json_decref(seen);
}

static void name_servers_are_shown_in_their_order(void **state)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct uplink u = made();
    struct resolver_commons commons;
    struct dns_servers servers;

    (void)state;
    assert_non_null(loop);
    resolver_commons_init(&commons, "/dev/null");
    assert_int_equal(resolver_new(&u.names.resolver, loop, &commons, 10), 0);
    assert_shows(&u, "dns", "[]");
    assert_int_equal(dns_servers_parse(&servers, "192.0.2.53,[2001:db8::53]:5353,192.0.2.1"), 0);
    resolver_aim(u.names.resolver, &EGRESS_DIRECT, &servers);
    assert_shows(&u, "dns", "[\"192.0.2.53\", \"[2001:db8::53]:5353\", \"192.0.2.1\"]");
    resolver_free(u.names.resolver);
    resolver_commons_done(&commons);
    ev_loop_destroy(loop);
}

static void without_tags_the_list_is_empty(void **state)
{
    struct uplink u = made();

    (void)state;
    u.n_tags = 0;
    assert_shows(&u, "tags", "[]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_has_its_own_value),
        cmocka_unit_test(a_policy_sees_these_fields),
        cmocka_unit_test(an_address_is_shown_while_its_family_serves),
        cmocka_unit_test(each_family_has_its_state),
        cmocka_unit_test(the_state_is_the_uplinks),
        cmocka_unit_test(no_quota_is_null),
        cmocka_unit_test(a_parent_proxy_is_shown_without_its_password),
        cmocka_unit_test(names_that_are_not_utf8_are_escaped),
        cmocka_unit_test(name_servers_are_shown_in_their_order),
        cmocka_unit_test(without_tags_the_list_is_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
