/* Rules for destinations that all or some clients may not reach (--deny). */
#ifndef STEERWAY_ACCESS_DENY_H
#define STEERWAY_ACCESS_DENY_H

#include "addr/addr.h"
#include "base/compiler.h"
#include "base/slice.h"

struct deny_place {
    struct cidr range;              /* ip_len 0: every address */
    uint16_t first_port, last_port; /* 0 and 65535: every port, and peers that connect (SOCKS BIND) */
};

struct deny_rule {
    struct deny_place *places;
    size_t n_places;
    struct cidr_set clients; /* clients that the rule applies to; empty: all */
    char **users;            /* users that it applies to; both lists must match */
    size_t n_users;
};

/** Zero-initialised denies nothing. */
struct deny {
    struct deny_rule *rules;
    size_t n;
};

/** The syntax of deny_place_parse, for messages. */
extern const char DENY_EXPECTED[];

/** Parse "CIDR", "CIDR:PORT" or "CIDR:PORT-PORT". The CIDR is as for cidr_parse, or "*" for every address;
 * with a port, an IPv6 address stands in brackets: "[2001:db8::]/32:25". @return 0, -EINVAL */
MUST_CHECK int deny_place_parse(struct deny_place *ret, struct slice text);

/** @return 0, -EINVAL, -ENOMEM */
MUST_CHECK int deny_rule_add_place(struct deny_rule *r, struct slice text);
/** @return 0, -ENOMEM */
MUST_CHECK int deny_rule_add_user(struct deny_rule *r, struct slice name);
void deny_rule_done(struct deny_rule *r);

/** Add a rule; takes what it owns, on failure too. @return 0, -ENOMEM */
MUST_CHECK int deny_add(struct deny *d, struct deny_rule *rule);
/** Add a place that is denied to all. @return 0, -EINVAL, -ENOMEM */
MUST_CHECK int deny_add_place(struct deny *d, struct slice text);

/** Find a place that covers a destination in this spelling; reach.h handles other spellings.
 *  @param to    with its port; AF_UNSPEC for a name, which only a place with every address covers
 *  @param port  the destination's port; 0 for a peer that is to connect, which only places with every port
 *  cover
 *  @param user  NULL for none  @return NULL for none */
const struct deny_place *deny_find(const struct deny *d, const struct addr *client, const char *user,
                                   const struct addr *to, uint16_t port);

/** The place in the syntax of deny_place_parse. @return out */
enum { DENY_TEXT_MAX = ADDR_TEXT_MAX + 16 };
const char *deny_place_format(const struct deny_place *p, char out[DENY_TEXT_MAX]);

void deny_done(struct deny *d);

#endif
