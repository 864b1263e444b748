/* Plain HTTP through the proxy: one request and its response at a time, over an destination connection that
 * is kept for the client's next request to the same destination. */
#ifndef STEERWAY_INBOUND_EXCHANGE_H
#define STEERWAY_INBOUND_EXCHANGE_H

#include "inbound/session.h"
#include "proto/http_forward.h"

/* The name by which Via fields speak of this proxy (RFC 9110 7.6.3). */
#define EXCHANGE_PSEUDONYM "steerway"

/** Forward the request at the front of s->in: its head is consumed. Reuses the destination connection or
 * makes one. The session is reading or closed; afterwards it exchanges, connects, ends or is closed. */
void exchange_begin(struct session *s, const struct http_head *head, const struct http_request *request);

/** Whether the connection being made is for an exchange (and not for CONNECT). */
bool exchange_pending(const struct session *s);
/** s->dest_fd has just been connected for this exchange. */
void exchange_connected(struct session *s);
/** It could not be: answer the client. */
void exchange_failed(struct session *s, enum fault fault, const char *refusal);

/** More input, or its end, in s->in. */
void exchange_client_readable(struct session *s);
/** What waits for the client has become less. */
void exchange_client_writable(struct session *s);
/** Whether more input of the client has a place to go. Takes NULL, as the following do. */
bool exchange_wants_input(const struct exchange *x);
/** Whether the client's input is a body that need not be looked at: then exchange_move_request takes it. */
bool exchange_moves_request(const struct exchange *x);
void exchange_move_request(struct exchange *x);
/** When to look at it next, in seconds. */
double exchange_look_after(const struct session *s);
/** That time has come. */
void exchange_deadline(struct session *s);

/** Close the kept destination connection and settle its account; harmless without one. */
void exchange_drop_dest(struct session *s, const char *outcome);

/** The socket of the destination connection; -1 for none. Takes NULL. */
int exchange_dest_fd(const struct exchange *x);
/** Nothing can arrive over the destination connection any more: drop it, and answer the client if it waits.
 */
void exchange_cut(struct exchange *x);

/** Frees and closes; the outbound connection stays the session's to finish. Takes NULL. */
void exchange_free(struct exchange *x);
/** The session is closed: close the destination connection. Takes NULL. */
void exchange_stop(struct exchange *x);

#endif
