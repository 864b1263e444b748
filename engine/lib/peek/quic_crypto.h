/* The cryptography of QUIC's Initial packets (RFC 9001 5, RFC 9369 3.3), by libcrypto. It hides nothing from
 * an observer: the keys follow from what the first packet says in clear. In a build without libcrypto every
 * function fails. */
#ifndef STEERWAY_PEEK_QUIC_CRYPTO_H
#define STEERWAY_PEEK_QUIC_CRYPTO_H

#include "base/compiler.h"
#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

#define QUIC_VERSION_1 0x00000001u /* RFC 9000 */
#define QUIC_VERSION_2 0x6b3343cfu /* RFC 9369 */
enum { QUIC_KEY_SIZE = 16, QUIC_IV_SIZE = 12, QUIC_TAG_SIZE = 16, QUIC_SAMPLE_SIZE = 16, QUIC_MASK_SIZE = 5 };

struct quic_keys {
    uint8_t key[QUIC_KEY_SIZE], iv[QUIC_IV_SIZE], hp[QUIC_KEY_SIZE];
};

/** Whether this build has libcrypto. */
bool quic_crypto_is_there(void);

/** The keys of the client's Initial packets.
 *  @param version  QUIC_VERSION_1 or QUIC_VERSION_2
 *  @param dcid     the Destination Connection ID of the client's first packet
 *  @return 0, -EOPNOTSUPP without libcrypto, -EIO if that fails */
MUST_CHECK int quic_keys_derive(struct quic_keys *ret, uint32_t version, struct slice dcid);

/** The mask of the header's protection. @return as quic_keys_derive  @see RFC 9001 5.4.3 */
MUST_CHECK int quic_header_mask(const struct quic_keys *keys, const uint8_t sample[QUIC_SAMPLE_SIZE],
                                uint8_t ret[QUIC_MASK_SIZE]);

/* What is authenticated beside the payload: the header without protection, in parts. */
struct quic_header {
    uint8_t first;       /* the first byte */
    struct slice middle; /* up to the packet number */
    uint8_t number[4];   /* number_len bytes of it, as they are sent */
    size_t number_len;
};

/** Decrypt a payload.
 *  @param sealed  with its tag of QUIC_TAG_SIZE bytes
 *  @param out     room for sealed.len - QUIC_TAG_SIZE bytes; what it holds after a failure is not authentic
 *  @return as quic_keys_derive, or -EBADMSG if it is not authentic */
MUST_CHECK int quic_payload_open(const struct quic_keys *keys, const struct quic_header *header,
                                 struct slice sealed, uint8_t *out);

#endif
