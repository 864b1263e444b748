/* SOCKS5 UDP ASSOCIATE (RFC 1928 section 7). */
#ifndef STEERWAY_SOCKS_ASSOCIATE_H
#define STEERWAY_SOCKS_ASSOCIATE_H

#include "inbound/session.h"
#include "proto/socks5.h"

/** Open a UDP port for the client; the session is SESSION_ASSOCIATED then.
 *  @param ret_at  the port's address, for the reply
 *  @return SOCKS5_SUCCEEDED, or why not, which is logged; the session stays as it is */
MUST_CHECK enum socks5_reply_code associate(struct session *s, const struct socks5_request *r,
                                            struct addr *ret_at);

#endif
