/* Connections by an parent proxy that come back to this proxy: one request would become thousands.
 *
 * - A parent proxy's address at which this proxy listens is not dialled. The start refuses it as well, where
 * it shows (config/startup.h).
 * - A request from a client whose address and port are those of a connection by a parent proxy of ours has
 * come back by a way that nobody could foresee, such as a redirection by the firewall. Its address cannot be
 * forged: the connection stands.
 * - By another proxy between, it comes from that proxy's address. Then requests for one destination by one
 *   parent proxy grow in number while none of them is answered: there is a bound. Via (RFC 9110 7.6.3) could
 * show such a loop at its first turn where each proxy between hands the field on in its own CONNECT, which
 * few do; SOCKS has no such field. So the bound is needed anyway, and parents are told of no proxy before
 * them.
 *
 * Where no parent proxy is being talked with, this costs one comparison a connection. */
#ifndef STEERWAY_PARENT_LOOPS_H
#define STEERWAY_PARENT_LOOPS_H

#include "base/list.h"
#include "base/log.h"
#include "machine/own_addresses.h"
#include "proto/target.h"
#include "uplink/parent_spec.h"

struct parent;

/* More than a client opens at once to one port of one host, and few against the limit of open files. */
enum { LOOPS_SAME_MAX = 256 };
enum { LOOPS_LISTENERS_MAX = 32 };

struct loops {
    const struct own_addresses *own;
    const struct addr *listening[LOOPS_LISTENERS_MAX]; /* the listeners' own, which may change */
    size_t n_listening;
    struct list talks; /* parents under way */
    size_t n;
    struct log_limit limit;
};

/** @param own  this machine's addresses; outlives it, and may change */
void loops_init(struct loops *l, const struct own_addresses *own);

/** The proxy listens there. @param at  outlives l. At most LOOPS_LISTENERS_MAX */
void loops_listen(struct loops *l, const struct addr *at);
/** The proxy listens nowhere any more. */
void loops_unlisten(struct loops *l);

/** A parent proxy begins and ends; it ends once. */
void loops_enter(struct loops *l, struct parent *u);
void loops_leave(struct loops *l, struct parent *u);

/** Whether a listener takes what is sent to that address. */
bool loops_is_heard_at(const struct addr *listening, const struct addr *to, const struct own_addresses *own);

/** Copy the addresses at which this proxy does not listen. @return how many; max at most */
size_t loops_leave_out(const struct loops *l, const struct addr *addrs, size_t n, struct addr *ret,
                       size_t max);

/** The uplink by whose parent proxy a client's connection has come back. @return NULL for none */
const char *loops_uplink_of(const struct loops *l, const struct addr *client);

/** Whether too many ask this parent proxy for this destination at present. */
bool loops_are_too_many(const struct loops *l, const struct parent_spec *spec, const struct target *target);

/** Warn of it, now and then. */
void loops_tell(struct loops *l, const char *uplink, const char *why);

#endif
