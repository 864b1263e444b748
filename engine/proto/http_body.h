/* How long a message's body is, and where it ends in a stream of bytes. */
#ifndef STEERWAY_PROTO_HTTP_BODY_H
#define STEERWAY_PROTO_HTTP_BODY_H

#include "proto/http_head.h"

enum http_body_kind {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,
    HTTP_BODY_CHUNKED,
    HTTP_BODY_UNTIL_CLOSE, /* responses only */
};

struct http_body {
    enum http_body_kind kind;
    uint64_t left;  /* HTTP_BODY_LENGTH: octets to come; CHUNKED: of the present chunk */
    uint8_t state;  /* of the chunk framing */
    bool strict;    /* of a request: no blanks behind a chunk size, nor at the end of its line */
    bool padded;    /* blanks are there: http_body_tidy removes those behind a size */
    uint16_t line;  /* octets of the present chunk-size line, bounded */
    uint32_t extra; /* octets of trailers so far, bounded */
    bool done;
};

/** Decide the body of a request. PARSE_BAD when its length is ambiguous, which is how requests are smuggled:
 *  both Transfer-Encoding and Content-Length, differing or malformed Content-Length, a transfer coding whose
 *  last is not chunked, or any Transfer-Encoding in HTTP/1.0. @see RFC 9112 6.3 */
MUST_CHECK enum parse http_body_of_request(struct http_body *ret, const struct http_head *h);

/** Decide the body of a response to a request with this method; HEAD, 1xx, 204, 304 and a 2xx to CONNECT have
 *  none. PARSE_BAD for differing or malformed lengths and codings. Transfer-Encoding overrides Content-Length
 *  and the version, as clients have it; "identity" alone is none; codings without chunked are UNTIL_CLOSE. */
MUST_CHECK enum parse http_body_of_response(struct http_body *ret, const struct http_head *h,
                                            struct slice request_method);

/** Advance over data: *ret_used octets of it belong to this body (framing octets included, to be passed on
 *  as they are). PARSE_OK when the body ends exactly there, PARSE_NEED_MORE when all of data was body (then
 *  *ret_used == len), PARSE_BAD for broken chunk framing: bare LF, junk after a size or a
 *  chunk, blanks behind a request's size or at the end of its line, sizes of 2^62 and more, size lines over 4
 * KiB, trailers that are no fields or over 16 KiB.
 *  @see RFC 9112 7.1 */
MUST_CHECK enum parse http_body_advance(struct http_body *b, const char *data, size_t len, size_t *ret_used);

/** After http_body_advance has found padding (and ret is as it was before): the same once more, and what is
 * to be passed on is taken together at the start of data, without the blanks behind chunk sizes.
 *  @param ret_kept  octets of that */
MUST_CHECK enum parse http_body_tidy(struct http_body *b, char *data, size_t len, size_t *ret_used,
                                     size_t *ret_kept);

/** Like http_body_advance, but stops after the first piece of content and tells where it lies within data
 *  (empty when the octets used were framing only): for a receiver that must not see chunk framing. */
MUST_CHECK enum parse http_body_next(struct http_body *b, const char *data, size_t len, size_t *ret_used,
                                     struct slice *ret_content);

#endif
