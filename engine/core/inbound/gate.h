/* Who may connect to a listener: clients in the allowed ranges or, where the listener is behind a balancer
 * (use.proxy_header), named sources only. There each connection begins with a header of the PROXY protocol.
 * It tells the client's address, which is believed, hence the named sources. A header is read nowhere else.
 */
#ifndef STEERWAY_INBOUND_GATE_H
#define STEERWAY_INBOUND_GATE_H

#include "inbound/session.h"
#include "proto/parse.h"

/** Whether a connection from this address may begin; a refusal is logged (rate-limited). */
bool gate_lets_in(struct proxy_listener *l, const struct addr *from);

/** Read the header from the front of s->in. With PARSE_OK s->peer is the client that it names, if it names
 * one. PARSE_BAD: what came is not a header, or that client is not allowed; it was logged (rate-limited). */
MUST_CHECK enum parse gate_read_header(struct session *s);

#endif
