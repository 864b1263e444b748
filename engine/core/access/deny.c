#include "access/deny.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char DENY_EXPECTED[] =
    "a destination (CIDR, or CIDR:PORT or CIDR:PORT-PORT with an IPv6 address in brackets: "
    "10.0.0.0/8, 0.0.0.0/0:25, [2001:db8::]/32:1-1023, or *:25 for every address)";

/* --- one place ------------------------------------------------------------------------------------------ */

static int parse_port(struct slice text, uint16_t *ret)
{
    uint32_t n = 0;

    if (text.len == 0)
        return -EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -EINVAL;
        n = n * 10 + (uint32_t)(text.data[i] - '0');
        if (n > UINT16_MAX)
            return -EINVAL;
    }
    if (n == 0)
        return -EINVAL;
    *ret = (uint16_t)n;
    return 0;
}

static int parse_ports(struct slice text, struct deny_place *ret)
{
    const char *dash = text.len ? memchr(text.data, '-', text.len) : NULL;
    struct slice first = slice_of(text.data, dash ? (size_t)(dash - text.data) : text.len);
    struct slice last = dash ? slice_of(dash + 1, text.len - first.len - 1) : first;

    if (parse_port(first, &ret->first_port) < 0 || parse_port(last, &ret->last_port) < 0 ||
        ret->last_port < ret->first_port)
        return -EINVAL;
    return 0;
}

/* The colon before the ports. An IPv6 address without brackets has none: its last group cannot be told
 * from a port. */
static const char *ports_colon(struct slice text)
{
    const char *bracket = text.len ? memrchr(text.data, ']', text.len) : NULL;
    const char *from = bracket ? bracket : text.data;
    const char *colon = text.len ? memchr(from, ':', text.len - (size_t)(from - text.data)) : NULL;
    size_t behind = colon ? text.len - (size_t)(colon + 1 - text.data) : 0;

    return colon && behind > 0 && memchr(colon + 1, ':', behind) ? NULL : colon;
}

int deny_place_parse(struct deny_place *ret, struct slice text)
{
    struct deny_place p = {.first_port = 1, .last_port = UINT16_MAX};
    const char *colon = ports_colon(text);
    struct slice range = slice_of(text.data, colon ? (size_t)(colon - text.data) : text.len);

    if (colon && parse_ports(slice_of(colon + 1, text.len - range.len - 1), &p) < 0)
        return -EINVAL;
    if (!slice_eq(range, slice_str("*")) && cidr_parse(&p.range, range) < 0)
        return -EINVAL;
    *ret = p;
    return 0;
}

const char *deny_place_format(const struct deny_place *p, char out[DENY_TEXT_MAX])
{
    char range[ADDR_TEXT_MAX] = "*", *slash;
    bool all = p->first_port == 1 && p->last_port == UINT16_MAX;

    if (p->range.ip_len > 0)
        (void)cidr_format(&p->range, range);
    slash = strchr(range, '/');
    if (all)
        (void)snprintf(out, DENY_TEXT_MAX, "%s", range);
    else if (p->range.ip_len == 16 && slash)
        (void)snprintf(out, DENY_TEXT_MAX, "[%.*s]%s:%u", (int)(slash - range), range, slash, p->first_port);
    else
        (void)snprintf(out, DENY_TEXT_MAX, "%s:%u", range, p->first_port);
    size_t len = strlen(out);
    if (!all && p->last_port != p->first_port)
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

static bool is_for(const struct deny_rule *r, const struct addr *client, const char *user)
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
        if (!is_for(r, client, user))
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
