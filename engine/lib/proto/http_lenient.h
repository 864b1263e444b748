/* Response heads as servers write them. Clients accept them, so a proxy that refuses them breaks sites. If it
 * passes them on unchanged, each client decides what they mean. So they are read as clients read them, and
 * written strictly. Private to http_head.c and the parsers of trailers. */
#ifndef STEERWAY_PROTO_HTTP_LENIENT_H
#define STEERWAY_PROTO_HTTP_LENIENT_H

#include "proto/http_head.h"

/** As http_parse_response_in, without its strict first try. A strict head gives the same result with both. */
MUST_CHECK enum parse http_parse_lenient(struct http_head *ret, const char *data, size_t len,
                                         struct http_field *room, size_t room_max);

/** Only the fields after the last chunk, including the empty line: sets ret's fields, unclean and consumed.
 * PARSE_BAD also for more than HTTP_FIELDS_MAX. */
MUST_CHECK enum parse http_lenient_trailers(struct http_head *ret, const char *data, size_t len);

#endif
