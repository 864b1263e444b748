#include "control/uplink_json.h"

#include "control/json_text.h"
#include "dns/resolver.h"
#include "uplink/parent_spec.h"
#include "uplink/uplink.h"
#include "uplink/uplink_health.h"

static json_t *address_json(const struct addr *a, bool there)
{
    char text[ADDR_TEXT_MAX];

    return there && addr_family(a) != AF_UNSPEC ? json_string(addr_format_ip(a, text)) : json_null();
}

static json_t *tags_of(const struct uplink *u)
{
    json_t *tags = json_array();

    for (size_t i = 0; i < u->n_tags; i++)
        (void)json_array_append_new(tags, json_text(u->tags[i]));
    return tags;
}

/* The name servers that are asked through this uplink. */
static json_t *servers_of(const struct uplink *u)
{
    const struct dns_servers none = {.n = 0};
    const struct dns_servers *servers = u->names.resolver ? resolver_servers(u->names.resolver) : &none;
    json_t *list = json_array();

    for (size_t i = 0; i < servers->n; i++) {
        const struct dns_servers one = {.items = {servers->items[i]}, .n = 1};
        char text[DNS_SERVERS_TEXT_MAX];
        (void)json_array_append_new(list, json_string(dns_servers_format(&one, text)));
    }
    return list;
}

static void add_parent(json_t *o, const struct uplink *u)
{
    char text[PARENT_TEXT_MAX], address[ADDR_TEXT_MAX];
    bool by_address = addr_family(&u->way.address) != AF_UNSPEC, by_link = u->interface[0] != '\0';

    (void)json_object_set_new(o, "upstream", json_string(parent_spec_format(u->parent, text)));
    (void)json_object_set_new(o, "via",
                              by_address ? json_string(addr_format_ip(&u->way.address, address))
                              : by_link  ? json_text(u->interface)
                                         : json_null());
}

static json_t *families_of(const struct uplink *u)
{
    static const char *const names[] = {"up", "suspect", "down", "captive"};

    return json_pack("{s:s?, s:s?}", "ipv4", u->view.ipv4 ? names[uplink_health_state(u, AF_INET)] : NULL,
                     "ipv6", u->view.ipv6 ? names[uplink_health_state(u, AF_INET6)] : NULL);
}

/* No quota is infinity, which JSON cannot express; it becomes null. */
static json_t *quota_of(const struct uplink *u)
{
    return u->view.quota_left > 1e300 ? json_null() : json_real(u->view.quota_left);
}

json_t *uplink_json(const struct uplink *u)
{
    const struct uplink_view *v = &u->view;
    json_t *o = json_pack(
        "{s:o, s:i, s:s, s:o, s:s, s:b, s:o, s:o, s:f, s:f, s:o}", "name", json_text(u->name), "id",
        (int)v->id, "kind", uplink_kind_name(u->kind), "interface", json_text(u->interface), "state",
        uplink_state_name(u), "up", (int)v->up, "ipv4", address_json(&u->egress.source4, v->ipv4), "ipv6",
        address_json(&u->egress.source6, v->ipv6), "weight", v->weight, "tier", v->tier, "tags", tags_of(u));
    (void)json_object_set_new(o, "dns", servers_of(u));
    if (u->parent)
        add_parent(o, u);
    (void)json_object_set_new(o, "families", families_of(u));
    json_t *meters = json_pack(
        "{s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:f, s:f, s:f, s:f, s:I, s:f, s:f, s:o}", "active",
        (json_int_t)v->active, "total", (json_int_t)v->total, "failures", (json_int_t)v->failures,
        "races_lost", (json_int_t)v->races_lost, "fail_rate", v->fail_rate, "tx_bytes",
        (json_int_t)v->tx_bytes, "rx_bytes", (json_int_t)v->rx_bytes, "tx_rate", v->tx_rate, "rx_rate",
        v->rx_rate, "tx_capacity", v->tx_capacity, "rx_capacity", v->rx_capacity, "busy", (json_int_t)v->busy,
        "connect_time", v->connect_time, "rtt", v->rtt, "quota_left", quota_of(u));
    if (!o || !meters || json_object_update(o, meters) < 0) {
        json_decref(o);
        o = NULL;
    }
    json_decref(meters);
    return o;
}

json_t *uplink_json_seen(const struct uplink *u)
{
    const struct uplink_view *v = &u->view;

    return json_pack("{s:o, s:o, s:o, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}",
                     "name", json_text(u->name), "tags", tags_of(u), "quota_left", quota_of(u), "weight",
                     v->weight, "tier", v->tier, "active", v->active, "busy", v->busy, "total", v->total,
                     "failures", v->failures, "races_lost", v->races_lost, "fail_rate", v->fail_rate,
                     "connect_time", v->connect_time, "rtt", v->rtt, "tx_rate", v->tx_rate, "rx_rate",
                     v->rx_rate, "rx_capacity", v->rx_capacity, "tx_capacity", v->tx_capacity);
}
