/* Detects connections by a parent proxy that come back to this proxy. Without it, one request would become
 * thousands.
 *
 * - A parent proxy's address at which this proxy listens is not dialled. The start refuses it too, if it
 * is known by then (config/startup.h).
 * - A client may have the address and port of one of our connections to a parent proxy. That connection has
 * come back, for example by a redirection in the firewall. The address cannot be forged, since the connection
 * is established.
 * - A forward or a captured connection may lead to a listener whose clients ask for nothing. From there it
 * would go on to itself.
 * - Through another proxy in between, the request comes from that proxy's address. Then requests for one
 * destination by one parent proxy grow in number, and none is answered: they are limited. Via (RFC 9110
 * 7.6.3) could show such a loop at its first turn. But few proxies pass it on in CONNECT, and SOCKS has no
 * such field. So the limit is needed anyway, and no Via is sent.
 *
 * Without a dialogue with a parent proxy in progress, this costs one comparison for each connection. */
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
enum { LOOPS_LISTENERS_MAX = 128 };

struct loops {
    const struct own_addresses *own;
    struct loops_listener {
        const struct addr *at; /* may change */
        bool unasked;          /* its clients ask for nothing: forwards, captured connections */
    } listening[LOOPS_LISTENERS_MAX];
    size_t n_listening;
    struct list talks; /* dialogues in progress */
    size_t n;
    struct log_limit limit;
};

/** @param own  this machine's addresses; must outlive it, and may change */
void loops_init(struct loops *l, const struct own_addresses *own);

/** Add an address that the proxy listens on. At most LOOPS_LISTENERS_MAX
 *  @param at       must outlive l
 *  @param unasked  its clients ask for nothing */
void loops_listen(struct loops *l, const struct addr *at, bool unasked);
/** Remove the address again. */
void loops_unlisten(struct loops *l, const struct addr *at);

/** Call them when a dialogue begins and ends; a second end is harmless. */
void loops_enter(struct loops *l, struct parent *u);
void loops_leave(struct loops *l, struct parent *u);

/** Whether the listener receives what is sent to that address. */
bool loops_is_heard_at(const struct addr *listening, const struct addr *to, const struct own_addresses *own);

/** Whether this proxy listens at the address. A connection that no client has asked for would come back there
 * without end.
 *  @param unasked  only listeners whose clients ask for nothing */
bool loops_hear(const struct loops *l, const struct addr *to, bool unasked);

/** Copy the addresses at which this proxy does not listen. @return their number, max at most */
size_t loops_leave_out(const struct loops *l, const struct addr *addrs, size_t n, struct addr *ret,
                       size_t max);

/** The uplink whose parent proxy has sent this client's connection back. @return NULL for none */
const char *loops_uplink_of(const struct loops *l, const struct addr *client);

/** Whether too many dialogues with this parent proxy are for this destination. */
bool loops_are_too_many(const struct loops *l, const struct parent_spec *spec, const struct target *target);

/** Log a warning, rate-limited. */
void loops_tell(struct loops *l, const char *uplink, const char *why);

#endif
