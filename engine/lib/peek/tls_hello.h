/* The server's name in a ClientHello, the first message of a TLS client (RFC 8446 4.1.2, RFC 6066 3). */
#ifndef STEERWAY_PEEK_TLS_HELLO_H
#define STEERWAY_PEEK_TLS_HELLO_H

#include "proto/parse.h"
#include "proto/target.h"

#include <stdint.h>

/* Nothing beyond so many bytes is read. The largest that clients send is about 2 KiB: key shares against
 * quantum computers, a ticket and ECH. */
enum { TLS_HELLO_MAX = 16 * 1024, TLS_RECORD_HANDSHAKE = 22 };

/** Find the name in the first bytes of a TCP connection: a ClientHello in one or several records.
 *
 * PARSE_OK as soon as the name is whole, whether or not the rest of the hello is there. PARSE_BAD without a
 * name: another protocol, no server_name extension, an IP address or a text that cannot be a host. PARSE_BAD
 * also for TLS_HELLO_MAX bytes without a name.
 *
 * Encrypted ClientHello: the outer name is found, as a hello that hides a name looks like one that pretends
 * to (draft-ietf-tls-esni 6.2).
 *  @param host  written only with PARSE_OK: a name as target_set writes it */
MUST_CHECK enum parse tls_hello_in_records(struct slice data, char host[TARGET_HOST_MAX + 1]);

/** The same for a ClientHello without records, as QUIC carries it. */
MUST_CHECK enum parse tls_hello_in_message(struct slice data, char host[TARGET_HOST_MAX + 1]);

#endif
