/* Base64 (RFC 4648 4), for Basic credentials. */
#ifndef STEERWAY_PROTO_BASE64_H
#define STEERWAY_PROTO_BASE64_H

#include "proto/parse.h"

/** Decode all of text. @return bytes written to out, or -1 for a wrong character, wrong padding, or a small
 * out */
MUST_CHECK long base64_decode(struct slice text, char *out, size_t out_size);

/** Encode all of data. @param out  of (data.len + 2) / 3 * 4 + 1 bytes, the NUL included */
void base64_encode(struct slice data, char *out);

#endif
