/* Shared by relay.c, which moves bytes and ends, and relay_look.c, which detects what no watcher reports.
 * No other file includes this. */
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
/** Close both sides and call done. r may be freed afterwards. */
void relay_finish(struct relay *r, enum relay_end end);
/** One side was reset. The other is reset too, once it has received the earlier bytes. */
void relay_break(struct relay *r, struct relay_side *broken);

/* relay_look.c */
/** Bytes for a side that its peer has not acknowledged, including those that are not sent yet. */
size_t relay_undelivered(const struct relay_side *s);
/** Schedule the next look. Traffic does not move the timer; the look computes how long the silence really
 * was. */
void relay_look_later(struct relay *r);
/** Bytes move after a pause: look more often from now on. */
void relay_stir(struct relay *r);
void relay_on_look(struct wheel *w, struct wheel_entry *e);

#endif
