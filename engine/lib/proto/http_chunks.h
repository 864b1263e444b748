/* The parts of a chunked body, and how they are written by the rules. Private to http_body.c.
 *
 * Requests are read by the rules (RFC 9112 7.1). Answers are read as clients read them, because a proxy that
 * refuses what clients take breaks sites:
 *  - a bare LF, or more than one CR before an LF, ends a line
 *  - blanks around a size, leading zeros, and any text behind a size: dropped, as are extensions
 *  - trailers: as http_lenient.h reads fields
 * Refused, because two readers could see two sizes or two ends: no digit where a size must stand, "0x5" and
 * "5_0" (5 and 80 for Python), sizes of 2^62 and more, octets behind a chunk's data, a CR alone at the
 * beginning of a trailer's line. */
#ifndef STEERWAY_PROTO_HTTP_CHUNKS_H
#define STEERWAY_PROTO_HTTP_CHUNKS_H

#include "proto/http_body.h"

/* What comes next in the body. */
enum http_chunk_state {
    HTTP_CHUNK_SIZE, /* a size line */
    HTTP_CHUNK_DATA,
    HTTP_CHUNK_DATA_END,
    HTTP_CHUNK_TRAILERS, /* with the empty line that ends it all */
};

struct http_chunk_part {
    size_t used;
    uint64_t size; /* of a size line */
    bool by_the_book;
};

/** Read the next part of b, which is not done: as much data as there is, or another part as a whole.
 * PARSE_BAD at the earliest octet that cannot stand there. @param len  1 or more */
MUST_CHECK enum parse http_chunk_read(const struct http_body *b, const char *data, size_t len,
                                      struct http_chunk_part *ret);

/** Go on behind that part. */
void http_chunk_pass(struct http_body *b, const struct http_chunk_part *part);

/** Append the part that was read, by the rules, to out. @return 0, -ENOBUFS, -ENOMEM */
MUST_CHECK int http_chunk_write(const struct http_body *b, const struct http_chunk_part *part,
                                const char *data, struct buf *out);

#endif
