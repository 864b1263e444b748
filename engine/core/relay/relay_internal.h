/* Shared by relay.c, which moves bytes and ends, relay_look.c, which detects what no watcher reports, and
 * relay_upload.c, which tells what the kernel holds.
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

/* relay_upload.c */
void relay_uploads_init(struct relay_room *room);
void relay_uploads_done(struct relay_room *room);
/** Call it before the bytes are counted: from now on, the counters tell how many of them have left. */
void relay_upload_begin(struct relay *r);
/** It leaves its room or ends. The counters keep what has left until now. */
void relay_upload_end(struct relay *r);
/** It has joined another room, or its destination takes bytes again. */
void relay_upload_resume(struct relay *r);

#endif
