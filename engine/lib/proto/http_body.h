/* How long a message's body is, and where it ends in a stream of bytes. */
#ifndef STEERWAY_PROTO_HTTP_BODY_H
#define STEERWAY_PROTO_HTTP_BODY_H

#include "base/buf.h"
#include "proto/http_head.h"

enum http_body_kind {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,
    HTTP_BODY_CHUNKED,
    HTTP_BODY_UNTIL_CLOSE, /* responses only */
};

struct http_body {
    enum http_body_kind kind;
    uint64_t left; /* HTTP_BODY_LENGTH: octets to come; CHUNKED: of the present chunk */
    uint8_t state; /* of the chunk framing: enum http_chunk_state */
    bool strict;   /* of a request: its chunk framing is read by the rules */
    bool doubtful; /* of a response that is odd about its end: what lies behind may belong to it */
    bool coded;    /* by more than chunked: a response's receiver must know Transfer-Encoding, a request is
                      refused */
    bool bent;     /* framing comes next that is not to be passed on as it is: http_body_mend */
    bool done;
};

/** Decide the body of a request. PARSE_BAD when its length is ambiguous, which is how requests are smuggled:
 *  both Transfer-Encoding and Content-Length, differing or malformed Content-Length, a transfer coding other
 * than chunked, which some servers take for no coding at all, or any Transfer-Encoding in HTTP/1.0.
 *  @see RFC 9112 6.3 */
MUST_CHECK enum parse http_body_of_request(struct http_body *ret, const struct http_head *h);

/** Whether that body, which http_body_of_request refuses, is framed well, and its transfer codings alone are
 *  too many: these are answered with 501 (RFC 9112 6.1). */
bool http_body_is_coded_otherwise(const struct http_head *request);

/** Decide the body of a response to a request with this method; HEAD, 1xx, 204, 304 and a 2xx to CONNECT have
 *  none. Transfer-Encoding overrides Content-Length and the version, as clients have it; codings without
 * chunked are UNTIL_CLOSE. Taken as clients take them: "+2" and "2;x" for a length of 2; "chunked" said
 * twice, elements of a list that are empty or "identity", which is no coding. PARSE_BAD where clients could
 * differ: lengths that differ or are otherwise malformed, a coding behind chunked or with quotes. */
MUST_CHECK enum parse http_body_of_response(struct http_body *ret, const struct http_head *h,
                                            struct slice request_method);

/** Advance over data: *ret_used octets of it belong to this body and are to be passed on as they are, framing
 *  included. PARSE_OK when the body ends exactly there. PARSE_NEED_MORE else, and then, where *ret_used <
 * len, the rest is a piece of framing: one that is not whole yet, and must come again with more, or, with
 *  b->bent, one for http_body_mend. PARSE_BAD for broken chunk framing: in a response what http_chunks.h
 * says; in a request whatever is not by the rules, and trailers that a head should have (http_may_trail).
 * Size lines have at most 4 KiB (16 KiB in responses), trailers 16 KiB.
 *  @see RFC 9112 7.1 */
MUST_CHECK enum parse http_body_advance(struct http_body *b, const char *data, size_t len, size_t *ret_used);

/** After http_body_advance, with the rest of the data: the same, but what is to be passed on is appended to
 * out, with framing of our own: bare sizes, CRLF, and those of the trailers that http_write_trailers writes.
 *  @param ret_err  0, or -ENOBUFS or -ENOMEM: then nothing else counts */
MUST_CHECK enum parse http_body_mend(struct http_body *b, const char *data, size_t len, size_t *ret_used,
                                     struct buf *out, int *ret_err);

/** Like http_body_advance, for a receiver that must not see chunk framing: stops after the first piece of
 *  content and tells where it lies within data. It is empty when the octets used were framing only; when none
 *  was used either, the rest must come again with more. */
MUST_CHECK enum parse http_body_next(struct http_body *b, const char *data, size_t len, size_t *ret_used,
                                     struct slice *ret_content);

#endif
