/* Base64 (RFC 4648 4), for Basic credentials. */
#ifndef STEERWAY_PROTO_BASE64_H
#define STEERWAY_PROTO_BASE64_H

#include "proto/parse.h"

/** Decode all of text.
 *  @param ret_len  bytes written to out
 *  @return 0, -EINVAL for a wrong character or wrong padding, or -ENOBUFS for a small out */
MUST_CHECK int base64_decode(struct slice text, char *out, size_t out_size, size_t *ret_len);

/** Encode all of data. @param out  of (data.len + 2) / 3 * 4 + 1 bytes, the NUL included */
void base64_encode(struct slice data, char *out);

#endif
