/* The name of the server in the first bytes that a client sends to an address: the policy's rules are about
 * names. */
#ifndef STEERWAY_PEEK_PEEK_H
#define STEERWAY_PEEK_PEEK_H

#include "proto/parse.h"
#include "proto/target.h"

enum { PEEK_MAX = 16 * 1024 }; /* with so many bytes the result is PARSE_OK or PARSE_BAD */

/** Look at the first bytes of a TCP connection for the server_name of a TLS ClientHello, or the Host of a
 * plain HTTP/1 request. The authority of an absolute-form target wins over Host (RFC 9112 3.2.2). A CONNECT
 * request is meant for a proxy, whose name it does not tell.
 *  @param first  all bytes so far; every call reads them anew
 *  @param host   written only with PARSE_OK: a name as target_set writes it, without the port
 *  @return PARSE_OK; PARSE_NEED_MORE while a name may still come; PARSE_BAD when there is none: another
 *          protocol, a ClientHello without a name (tls_hello.h), an IP address in the name's place */
MUST_CHECK enum parse peek_name(struct slice first, char host[TARGET_HOST_MAX + 1]);

#endif
