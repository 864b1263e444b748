/* Base64 (RFC 4648 4), as Basic credentials use it. */
#ifndef STEERWAY_PROTO_BASE64_H
#define STEERWAY_PROTO_BASE64_H

#include "proto/parse.h"

/** Decode all of text. @return octets written to out, or -1: bad alphabet, bad padding, or out too small */
MUST_CHECK long base64_decode(struct slice text, char *out, size_t out_size);

/** Encode all of data. @param out  (data.len + 2) / 3 * 4 + 1 octets, for the NUL as well */
void base64_encode(struct slice data, char *out);

#endif
