/* What relay.c and relay_look.c share: the one moves bytes and ends, the other looks now and then for what no
 * watcher tells. Nobody else includes this. */
#ifndef STEERWAY_RELAY_RELAY_INTERNAL_H
#define STEERWAY_RELAY_RELAY_INTERNAL_H

#include "base/compiler.h"
#include "relay/relay.h"

static inline struct relay *relay_of_side(struct relay_side *s)
{
    return s->is_client ? container_of(s, struct relay, client) : container_of(s, struct relay, dest);
}

static inline struct relay_side *relay_other(struct relay_side *s)
{
    return s->is_client ? &relay_of_side(s)->dest : &relay_of_side(s)->client;
}

static inline int relay_side_fd(const struct relay_side *s)
{
    return s->io.fd;
}

/* relay.c */
/** Close both sides and tell. r may be gone afterwards. */
void relay_finish(struct relay *r, enum relay_end end);
/** A side was reset. The other shall be reset too, but not before it has what was said before: closing with a
 * reset throws away what the kernel has not delivered. */
void relay_break(struct relay *r, struct relay_side *broken);

/* relay_look.c */
/** Octets sent to a side that its peer has not acknowledged, and those not sent yet. */
size_t relay_undelivered(const struct relay_side *s);
/** Traffic does not touch the timer; when it rings, relay_on_look sees how long the silence has really been.
 */
void relay_look_later(struct relay *r);
/** It moves something after a rest: from now on it is looked at more often. */
void relay_stir(struct relay *r);
void relay_on_look(struct wheel *w, struct wheel_entry *e);

#endif
