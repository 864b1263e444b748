/* Plain HTTP through the proxy: one request and its response at a time, over a destination connection that
 * is kept for the client's next request to the same destination. */
#ifndef STEERWAY_INBOUND_EXCHANGE_H
#define STEERWAY_INBOUND_EXCHANGE_H

#include "inbound/front.h"
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

/** Close the kept destination connection and settle its account; harmless without one. */
void exchange_drop_dest(struct session *s, const char *outcome);

/** For the front's table. */
extern const struct front_exchange EXCHANGE_FUNCTIONS;

#endif
