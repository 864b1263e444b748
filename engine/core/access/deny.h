/* Rules of destinations that nobody gets, or that some do not get (--deny). */
#ifndef STEERWAY_ACCESS_DENY_H
#define STEERWAY_ACCESS_DENY_H

#include "addr/addr.h"
#include "base/compiler.h"
#include "base/slice.h"

struct deny_place {
    struct cidr range; /* ip_len 0: every address */
    uint16_t first_port, last_port;
};

struct deny_rule {
    struct deny_place *places;
    size_t n_places;
    struct cidr_set clients; /* whom it is for; empty: everybody */
    char **users;            /* likewise; both must fit */
    size_t n_users;
};

/** Zero-initialised denies nothing. */
struct deny {
    struct deny_rule *rules;
    size_t n;
};

/** What deny_place_parse takes, for messages. */
extern const char DENY_EXPECTED[];

/** Parse "CIDR", "CIDR:PORT" or "CIDR:PORT-PORT". The CIDR is as for cidr_parse, or "*" for every address;
 * with a port, an IPv6 address stands in brackets: "[2001:db8::]/32:25". @return 0, -EINVAL */
MUST_CHECK int deny_place_parse(struct deny_place *ret, struct slice text);

/** @return 0, -EINVAL, -ENOMEM */
MUST_CHECK int deny_rule_add_place(struct deny_rule *r, struct slice text);
/** @return 0, -ENOMEM */
MUST_CHECK int deny_rule_add_user(struct deny_rule *r, struct slice name);
void deny_rule_done(struct deny_rule *r);

/** Takes what the rule owns, on failure too. @return 0, -ENOMEM */
MUST_CHECK int deny_add(struct deny *d, struct deny_rule *rule);
/** Add a place that is for everybody. @return 0, -EINVAL, -ENOMEM */
MUST_CHECK int deny_add_place(struct deny *d, struct slice text);

/** The place that covers a destination, as it is spelt: see reach.h for other spellings.
 *  @param to    with its port; AF_UNSPEC: a name, which only a place with every address covers
 *  @param port  of it
 *  @param user  NULL for none  @return NULL for none */
const struct deny_place *deny_find(const struct deny *d, const struct addr *client, const char *user,
                                   const struct addr *to, uint16_t port);

/** As deny_place_parse takes it. @return out */
enum { DENY_TEXT_MAX = ADDR_TEXT_MAX + 16 };
const char *deny_place_format(const struct deny_place *p, char out[DENY_TEXT_MAX]);

void deny_done(struct deny *d);

#endif
