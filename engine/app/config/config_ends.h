/* The ends of a config: what it binds. Two ends that the kernel does not bind beside each other clash. */
#ifndef STEERWAY_CONFIG_CONFIG_ENDS_H
#define STEERWAY_CONFIG_CONFIG_ENDS_H

#include "config/config.h"

enum config_end_kind {
    CONFIG_END_LISTENER,
    CONFIG_END_FORWARD,
    CONFIG_END_TRANSPARENT,
    CONFIG_END_UDP_PORTS
};

struct own_addresses;

struct config_end {
    enum config_end_kind kind;
    size_t at; /* of the listeners, forwards or transparent listeners */
    bool udp;
    const struct listen_place *place; /* its port does not count */
    uint16_t low, high;               /* ports; 0: the kernel chooses one */
};

/* Two places each, of which a tproxy listener binds two protocols. */
enum { CONFIG_ENDS_MAX = CONFIG_PLACES_MAX + 3 * CONFIG_LISTEN_MAX };

/** List what the config binds, after config_finish has made its listeners.
 *  @param ret  borrows from c. @return their number */
size_t config_ends(const struct config *c, struct config_end ret[CONFIG_ENDS_MAX]);

/** A port that both bind at an address that they share. An unspecified address shares all of its family.
 *  @return 0: they do not clash */
uint16_t config_ends_shared(const struct config_end *a, const struct config_end *b);

/** The forward of the same protocol that listens at a forward's destination: it may be the same one. A name
 * is not looked up, except for localhost. @return NULL for none */
const struct config_forward *config_ends_next(const struct config *c, const struct config_forward *f);

/** @return 0, or -EINVAL with one line in err (CONFIG_ERROR_MAX) that names two options on one port, or a
 * forward that leads to itself as far as the config tells. A range of --udp-ports may have ports that others
 * take, but not all of them */
MUST_CHECK int config_ends_check(const struct config *c, char *err);

/** Look for forwards in a circle by the machine, too: its addresses, and its hosts file. Other names are
 * checked once a client comes (loops.h, udp_decide.c). @return 0, or -EINVAL with one line in err
 * (CONFIG_ERROR_MAX) */
MUST_CHECK int config_ends_check_circles(const struct config *c, const struct own_addresses *own, char *err);

#endif
