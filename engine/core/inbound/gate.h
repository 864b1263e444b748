/* Who may connect to a listener: clients in the allowed ranges or, where the listener is behind a balancer
 * (use.proxy_header), named sources only. There each connection begins with a header of the PROXY protocol.
 * It tells the client's address, which is believed, hence the named sources. A header is read nowhere else.
 */
#ifndef STEERWAY_INBOUND_GATE_H
#define STEERWAY_INBOUND_GATE_H

#include "base/fault.h"
#include "inbound/session.h"
#include "proto/parse.h"
#include "relay/pace.h"

/* --- who ------------------------------------------------------------------------------------------------ */

/** Whether a connection from this address may begin; a refusal is logged (rate-limited). */
bool gate_lets_in(struct proxy_listener *l, const struct addr *from);

/** Read the header from the front of s->in. With PARSE_OK s->peer is the client that it names, if it names
 * one. PARSE_BAD: what came is not a header, or that client is not allowed; it was logged (rate-limited). */
MUST_CHECK enum parse gate_read_header(struct session *s);

/* --- how many (access/limits.h) ------------------------------------------------------------------------- */

/** The client is known: its handshake begins. @return false: it has too many of them; it was logged
 * (rate-limited) */
MUST_CHECK bool gate_enter(struct session *s);
/** Its request was accepted, or it is closed. */
void gate_end_handshake(struct session *s);
/** Its request may be served: the session counts from now on. A refusal is logged (rate-limited).
 *  @return FAULT_NONE, FAULT_LIMIT or FAULT_BUSY, as for each further request of this session */
MUST_CHECK enum fault gate_serves(struct session *s);
/** Its password needs no check any more, if one is under way (login.h). */
void gate_end_check(struct session *s);
/** The rate caps of its connection to the destination, which is there. */
struct pace_caps gate_caps(const struct session *s);
/** It is closed. */
void gate_leave(struct session *s);

#endif
