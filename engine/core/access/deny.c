#include "access/deny.h"

#include "base/host_port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char DENY_EXPECTED[] =
    "a destination (CIDR, or CIDR:PORT or CIDR:PORT-PORT with an IPv6 address in brackets: "
    "10.0.0.0/8, 0.0.0.0/0:25, [2001:db8::]/32:1-1023, or *:25 for every address)";

/* --- one place ------------------------------------------------------------------------------------------ */

static int parse_ports(struct slice text, struct deny_place *ret)
{
    const char *dash = text.len ? memchr(text.data, '-', text.len) : NULL;
    struct slice first = slice_of(text.data, dash ? (size_t)(dash - text.data) : text.len);
    struct slice last = dash ? slice_of(dash + 1, text.len - first.len - 1) : first;

    if (host_port_number(first, &ret->first_port) < 0 || host_port_number(last, &ret->last_port) < 0 ||
        ret->first_port == 0 || ret->last_port < ret->first_port)
        return -EINVAL;
    if (ret->first_port == 1 && ret->last_port == UINT16_MAX)
        ret->first_port = 0;
    return 0;
}

int deny_place_parse(struct deny_place *ret, struct slice text)
{
    struct deny_place p = {.first_port = 0, .last_port = UINT16_MAX};
    const struct host_port split = host_port_split(text);

    if (split.has_port && parse_ports(split.port, &p) < 0)
        return -EINVAL;
    if (!slice_eq(split.place, slice_str("*")) && cidr_parse(&p.range, split.place) < 0)
        return -EINVAL;
    *ret = p;
    return 0;
}

const char *deny_place_format(const struct deny_place *p, char out[DENY_TEXT_MAX])
{
    char range[ADDR_TEXT_MAX] = "*";

    if (p->range.ip_len > 0)
        (void)cidr_format(&p->range, range);
    if (p->first_port == 0 && p->last_port == UINT16_MAX) {
        (void)snprintf(out, DENY_TEXT_MAX, "%s", range);
        return out;
    }
    size_t ip_len = strcspn(range, "/");
    size_t len = host_port_put_host(out, DENY_TEXT_MAX, slice_of(range, ip_len));
    len += (size_t)snprintf(out + len, DENY_TEXT_MAX - len, "%s:%u", range + ip_len, p->first_port);
    if (p->last_port != p->first_port)
        (void)snprintf(out + len, DENY_TEXT_MAX - len, "-%u", p->last_port);
    return out;
}

/* --- rules ---------------------------------------------------------------------------------------------- */

int deny_rule_add_place(struct deny_rule *r, struct slice text)
{
    struct deny_place place;
    int e = deny_place_parse(&place, text);
    struct deny_place *places = e == 0 ? reallocarray(r->places, r->n_places + 1, sizeof *places) : NULL;

    if (!places)
        return e < 0 ? e : -ENOMEM;
    places[r->n_places++] = place;
    r->places = places;
    return 0;
}

int deny_rule_add_user(struct deny_rule *r, struct slice name)
{
    char **users = reallocarray(r->users, r->n_users + 1, sizeof *users);
    if (!users)
        return -ENOMEM;
    r->users = users;
    users[r->n_users] = strndup(name.data, name.len);
    return users[r->n_users] ? (r->n_users++, 0) : -ENOMEM;
}

void deny_rule_done(struct deny_rule *r)
{
    for (size_t i = 0; i < r->n_users; i++)
        free(r->users[i]);
    free(r->users);
    free(r->places);
    cidr_set_done(&r->clients);
    *r = (struct deny_rule){.n_places = 0};
}

int deny_add(struct deny *d, struct deny_rule *rule)
{
    struct deny_rule *rules = reallocarray(d->rules, d->n + 1, sizeof *rules);

    if (!rules) {
        deny_rule_done(rule);
        return -ENOMEM;
    }
    rules[d->n++] = *rule;
    d->rules = rules;
    return 0;
}

int deny_add_place(struct deny *d, struct slice text)
{
    struct deny_rule rule = {.n_places = 0};
    int r = deny_rule_add_place(&rule, text);

    return r < 0 ? r : deny_add(d, &rule);
}

static bool has_user(const struct deny_rule *r, const char *user)
{
    for (size_t i = 0; user && i < r->n_users; i++)
        if (strcmp(r->users[i], user) == 0)
            return true;
    return false;
}

static bool applies_to(const struct deny_rule *r, const struct addr *client, const char *user)
{
    if (r->clients.n > 0 && !cidr_set_contains(&r->clients, client))
        return false;
    return r->n_users == 0 || has_user(r, user);
}

const struct deny_place *deny_find(const struct deny *d, const struct addr *client, const char *user,
                                   const struct addr *to, uint16_t port)
{
    for (size_t i = 0; i < d->n; i++) {
        const struct deny_rule *r = &d->rules[i];
        if (!applies_to(r, client, user))
            continue;
        for (size_t j = 0; j < r->n_places; j++) {
            const struct deny_place *p = &r->places[j];
            if (port >= p->first_port && port <= p->last_port &&
                (p->range.ip_len == 0 || cidr_contains(&p->range, to)))
                return p;
        }
    }
    return NULL;
}

void deny_done(struct deny *d)
{
    for (size_t i = 0; i < d->n; i++)
        deny_rule_done(&d->rules[i]);
    free(d->rules);
    *d = (struct deny){.n = 0};
}
