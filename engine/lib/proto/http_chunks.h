/* The parts of a chunked body, and how they are written strictly. Private to http_body.c.
 *
 * Requests are read strictly (RFC 9112 7.1). Responses are read as clients read them, as a proxy that refuses
 * what clients accept breaks sites:
 * - a bare LF, or several CRs before an LF, end a line
 * - blanks around a size, leading zeros, and any text after a size are dropped, as are extensions
 * - trailers are read as the fields in http_lenient.h
 * Refused, as two readers may see two sizes or two ends: no digit where a size must stand, "0x5" and "5_0" (5
 * and 80 for Python), sizes of 2^62 and more, bytes after a chunk's data, a CR alone at the start of a
 * trailer's line. */
#ifndef STEERWAY_PROTO_HTTP_CHUNKS_H
#define STEERWAY_PROTO_HTTP_CHUNKS_H

#include "proto/http_body.h"

/* The part of the body that comes next. */
enum http_chunk_state {
    HTTP_CHUNK_SIZE, /* a size line */
    HTTP_CHUNK_DATA,
    HTTP_CHUNK_DATA_END,
    HTTP_CHUNK_TRAILERS, /* including the empty line after them */
};

struct http_chunk_part {
    size_t used;
    uint64_t size; /* for HTTP_CHUNK_SIZE */
    bool by_the_book;
};

/** Read the next part of b, which is not done. Of data it takes the bytes that are there, of other parts the
 * whole. PARSE_BAD at the earliest wrong byte. @param len  1 or more */
MUST_CHECK enum parse http_chunk_read(const struct http_body *b, const char *data, size_t len,
                                      struct http_chunk_part *ret);

/** Advance past that part. */
void http_chunk_pass(struct http_body *b, const struct http_chunk_part *part);

/** Append the part that was read to out, strictly. @return 0, -ENOBUFS, -ENOMEM */
MUST_CHECK int http_chunk_write(const struct http_body *b, const struct http_chunk_part *part,
                                const char *data, struct buf *out);

#endif
