/* Plain HTTP through the proxy: one request and its response at a time. The connection to the destination
 * is kept for the client's next request to the same destination. */
#ifndef STEERWAY_HTTP_EXCHANGE_H
#define STEERWAY_HTTP_EXCHANGE_H

#include "inbound/front.h"
#include "proto/http_forward.h"

/* This proxy's name in Via fields (RFC 9110 7.6.3). */
#define EXCHANGE_PSEUDONYM "steerway"

/** Forward the request at the front of s->in, and consume its head. Reuses the destination connection, or
 * makes one. The session is reading or closed; afterwards it exchanges, connects, ends or is closed. */
void exchange_begin(struct session *s, const struct http_head *head, const struct http_request *request);

/** Whether the connection in progress is for an exchange, not for CONNECT. */
bool exchange_pending(const struct session *s);
/** s->dest_fd has been connected for this exchange. */
void exchange_connected(struct session *s);
/** The connection failed: answer the client. */
void exchange_failed(struct session *s, enum fault fault, const char *refusal);

/** Input, or the client's FIN, has come in s->in. */
void exchange_client_readable(struct session *s);

/** Close the kept destination connection and finish its account. Harmless without one. */
void exchange_drop_dest(struct session *s, const char *outcome);

/** For the front's table. */
extern const struct front_exchange EXCHANGE_FUNCTIONS;

#endif
