/* What a front answers and offers: the two ways of asking for a connection. */
#ifndef STEERWAY_INBOUND_FRONT_H
#define STEERWAY_INBOUND_FRONT_H

#include "inbound/session.h"

/** Read on in s->in while SESSION_READING. A front returns when it needs more octets, or after it has changed
 * the session's state. */
void socks4_advance(struct session *s);
void socks5_advance(struct session *s);
void http_advance(struct session *s);

/** The outbound connection stands (s->dest_fd) or failed: tell the client and go on.
 *  @param refusal  a text for a person (reply_refusal) where the policy has refused; else empty */
void socks4_connected(struct session *s, enum fault fault);
void socks5_connected(struct session *s, enum fault fault);
void http_connected(struct session *s, enum fault fault, const char *refusal);

/** The client was too slow to say what it wants. */
void socks_timed_out(struct session *s);
void http_timed_out(struct session *s);

/** SESSION_SLOWED is over: give the answer that was held back, or check what was not checked. */
void http_hold_over(struct session *s);
void socks_hold_over(struct session *s);

#endif
