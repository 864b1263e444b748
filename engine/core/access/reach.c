#include "access/reach.h"

#include <stdio.h>

static void tell_denied(const struct deny_place *p, const struct addr *to, char why[REACH_WHY_MAX])
{
    char ip[ADDR_TEXT_MAX], place[DENY_TEXT_MAX];

    (void)deny_place_format(p, place);
    if (addr_family(to) == AF_UNSPEC)
        (void)snprintf(why, REACH_WHY_MAX, "deny %s", place);
    else
        (void)snprintf(why, REACH_WHY_MAX, "%s: deny %s", addr_format_ip(to, ip), place);
}

static bool forbids_own(const struct reach *r, const struct addr *client, const struct addr *to)
{
    if (addr_is_loopback(client))
        return false;
    if (addr_is_loopback(to))
        return true;
    return !r->allow_own && own_addresses_have(r->own, to) && !own_addresses_have(r->own, client);
}

/* Decides for one spelling. */
static bool allows(const struct reach *r, const struct addr *client, const char *user, const struct addr *to,
                   char why[REACH_WHY_MAX])
{
    char ip[ADDR_TEXT_MAX];
    const struct deny_place *p = deny_find(r->deny, client, user, to, addr_port(to));

    if (p) {
        tell_denied(p, to, why);
        return false;
    }
    if (!forbids_own(r, client, to))
        return true;
    (void)snprintf(why, REACH_WHY_MAX, "%s is an address of the proxy's own machine", addr_format_ip(to, ip));
    return false;
}

/* @return false if the address has only one spelling */
static bool other_spelling(const struct addr *to, struct addr *ret)
{
    *ret = *to;
    return addr_name_this_machine(ret) || addr_embedded4(to, ret);
}

bool reach_allows(const struct reach *r, const struct addr *client, const char *user, const struct addr *to,
                  char why[REACH_WHY_MAX])
{
    struct addr other;

    if (!allows(r, client, user, to, why))
        return false;
    /* Twice, as an IPv6 address can stand for 0.0.0.0, which stands for loopback. */
    for (int i = 0; i < 2 && other_spelling(to, &other); i++) {
        if (!allows(r, client, user, &other, why))
            return false;
        to = &other;
    }
    return true;
}

bool reach_allows_name(const struct reach *r, const struct addr *client, const char *user, uint16_t port,
                       char why[REACH_WHY_MAX])
{
    const struct addr none = {.sa.sa_family = AF_UNSPEC};
    const struct deny_place *p = deny_find(r->deny, client, user, &none, port);

    if (p)
        tell_denied(p, &none, why);
    return !p;
}
