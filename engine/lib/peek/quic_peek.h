/* The name of the server in the first datagrams of a QUIC client (RFC 9000, RFC 9001, RFC 9369): the
 * ClientHello is in the CRYPTO frames of its Initial packets. Chrome shuffles these frames and spreads them
 * over two or three datagrams. */
#ifndef STEERWAY_PEEK_QUIC_PEEK_H
#define STEERWAY_PEEK_QUIC_PEEK_H

#include "peek/quic_initial.h"
#include "proto/target.h"

/* A ClientHello has up to about 2 KiB (tls_hello.h). Chrome's first flight has at most three datagrams; the
 * others are for what it sends again. */
enum { QUIC_PEEK_HELLO_MAX = 4096, QUIC_PEEK_DATAGRAMS_MAX = 16 };

/** What is known of one client's hello. About 5 KiB, embedded by the caller; nothing of it needs to be freed.
 */
struct quic_peek {
    enum parse state;
    unsigned datagrams; /* that were fed */
    bool keyed;         /* the first Initial was opened by these keys */
    struct quic_keys keys;
    size_t whole;                           /* bytes of the hello from its beginning without a gap */
    uint8_t there[QUIC_PEEK_HELLO_MAX / 8]; /* a bit for each byte of the hello that has come */
    uint8_t hello[QUIC_PEEK_HELLO_MAX];
};

void quic_peek_init(struct quic_peek *q);

/** Take the next datagram of a client, which is not changed.
 *
 * PARSE_OK: the name is known. PARSE_NEED_MORE: it may come with another datagram. PARSE_BAD: there is none
 * to be had, as the first datagram is not the beginning of a connection in QUIC 1 or 2, the hello has no
 * name, or it does not come within QUIC_PEEK_DATAGRAMS_MAX datagrams. In a build without libcrypto it is
 * always PARSE_BAD. After PARSE_OK or PARSE_BAD the result stays.
 *  @param host  written only with PARSE_OK: a name as target_set writes it */
MUST_CHECK enum parse quic_peek_feed(struct quic_peek *q, const void *datagram, size_t len,
                                     char host[TARGET_HOST_MAX + 1]);

#endif
