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
    uint64_t left; /* HTTP_BODY_LENGTH: bytes to come; HTTP_BODY_CHUNKED: of this chunk */
    uint8_t state; /* of chunk framing: enum http_chunk_state */
    bool strict;   /* of a request: chunk framing is read strictly */
    bool doubtful; /* of a response whose end is unclear: bytes after it may belong to it */
    bool coded;    /* codings other than chunked: a response's receiver must understand Transfer-Encoding; a
                      request is refused */
    bool bent;     /* the next framing must be rewritten: call http_body_mend */
    bool done;
};

/** Determine the body of a request. PARSE_BAD if its length is ambiguous, which allows request smuggling:
 * - both Transfer-Encoding and Content-Length
 * - Content-Lengths that differ or are malformed
 * - a coding other than chunked, which some servers ignore
 * - any Transfer-Encoding in HTTP/1.0
 *  @see RFC 9112 6.3 */
MUST_CHECK enum parse http_body_of_request(struct http_body *ret, const struct http_head *h);

/** Whether a request that http_body_of_request refuses is well framed and only has other codings too. It is
 * answered with 501 (RFC 9112 6.1). */
bool http_body_is_coded_otherwise(const struct http_head *request);

/** Determine the body of a response to a request with this method. HEAD, 1xx, 204, 304 and a 2xx to CONNECT
 * have none. As in clients, Transfer-Encoding overrides Content-Length and the version, and codings without
 * chunked are HTTP_BODY_UNTIL_CLOSE. Clients also accept "+2" and "2;x" for a length of 2, "chunked" twice,
 * and list elements that are empty or "identity", so these are accepted. PARSE_BAD where clients disagree:
 * lengths that differ or are malformed otherwise, a coding after chunked, or one with quotes. */
MUST_CHECK enum parse http_body_of_response(struct http_body *ret, const struct http_head *h,
                                            struct slice request_method);

/** Advance over data. *ret_used bytes belong to this body, framing included, and are passed on unchanged.
 *  @return PARSE_OK if the body ends exactly there. Else PARSE_NEED_MORE; if *ret_used < len, the rest is
 *  framing: a part that must come again with more bytes, or, with b->bent, a part for http_body_mend.
 *  PARSE_BAD for broken chunk framing: in a response as in http_chunks.h; in a request for any deviation from
 *  the RFC, and for trailers that belong in a head (http_may_trail). The limits are 4 KiB for a size line (16
 *  KiB in responses), and 16 KiB for trailers.
 *  @see RFC 9112 7.1 */
MUST_CHECK enum parse http_body_advance(struct http_body *b, const char *data, size_t len, size_t *ret_used);

/** Call it after http_body_advance, with the rest of the data. The bytes to pass on are appended to out, with
 * strict framing: bare sizes, CRLF, and the trailers that http_write_trailers writes.
 *  @param ret_err  0, or -ENOBUFS or -ENOMEM: then the other results are invalid
 *  @return as http_body_advance */
MUST_CHECK enum parse http_body_mend(struct http_body *b, const char *data, size_t len, size_t *ret_used,
                                     struct buf *out, int *ret_err);

/** Like http_body_advance, for a receiver that must not see chunk framing. It stops after the first piece of
 * content, which is part of data. The piece is empty if the used bytes were framing only. If no byte was used
 * either, the rest must come again with more bytes. */
MUST_CHECK enum parse http_body_next(struct http_body *b, const char *data, size_t len, size_t *ret_used,
                                     struct slice *ret_content);

#endif
