/* The packets of QUIC with long headers, in which a client's connection begins (RFC 9000 17.2). */
#ifndef STEERWAY_PEEK_QUIC_INITIAL_H
#define STEERWAY_PEEK_QUIC_INITIAL_H

#include "peek/quic_crypto.h"
#include "proto/parse.h"

/* Of a payload. A client's first packets fit into an Ethernet frame, as it knows no path with more. */
enum { QUIC_DCID_MAX = 20, QUIC_PAYLOAD_MAX = 2048 };

enum quic_type { QUIC_INITIAL, QUIC_0RTT, QUIC_HANDSHAKE };

struct quic_packet {
    enum quic_type type;
    uint32_t version; /* QUIC_VERSION_1 or QUIC_VERSION_2 */
    struct slice dcid;
    struct slice header;    /* up to the packet number */
    struct slice protected; /* packet number and payload, up to the packet's end */
};

/** Read the packet at the beginning of this data; others may follow. Nothing is decrypted.
 *  @return PARSE_OK or PARSE_BAD: not a QUIC packet of these versions with a long header and a length; cut
 * off
 */
MUST_CHECK enum parse quic_packet_read(struct quic_packet *ret, struct slice data);

/** Remove the protection of a QUIC_INITIAL packet. The packet number is the one that was sent: nothing was
 * acknowledged yet, so it is not shortened (RFC 9000 A.2).
 *  @param ret  its payload; undefined after a failure
 *  @return 0; -EBADMSG: not authentic, or too long; or as quic_keys_derive */
MUST_CHECK int quic_initial_open(const struct quic_packet *packet, const struct quic_keys *keys,
                                 uint8_t ret[QUIC_PAYLOAD_MAX], size_t *ret_len);

/* Reads numbers of variable length (RFC 9000 16). Past the end, and from then on, they are 0. */
struct quic_reader {
    const uint8_t *at, *end;
    bool failed;
};

static inline struct quic_reader quic_reader_of(struct slice data)
{
    const uint8_t *bytes = (const uint8_t *)data.data;

    return (struct quic_reader){.at = bytes, .end = data.len ? bytes + data.len : bytes};
}
/** So many bytes; none when fewer are left. */
struct slice quic_read_bytes(struct quic_reader *r, uint64_t n);
/** A number of 1 to 4 bytes, which the caller knows. */
uint32_t quic_read_fixed(struct quic_reader *r, size_t size);
uint64_t quic_read_varint(struct quic_reader *r);

#endif
