/* Response heads as servers write them. Clients take them, so a proxy that refuses them breaks sites; one
 * that passes them on as they are leaves it to each client what they mean. So they are read as clients read
 * them, and written anew by the rules. Private to http_head.c. */
#ifndef STEERWAY_PROTO_HTTP_LENIENT_H
#define STEERWAY_PROTO_HTTP_LENIENT_H

#include "proto/http_head.h"

/** As http_parse_response_in, for what is not by the book. What is by the book reads the same as there. */
MUST_CHECK enum parse http_parse_lenient(struct http_head *ret, const char *data, size_t len,
                                         struct http_field *room, size_t room_max);

/** The fields behind the last chunk alone, up to and with the empty line: ret has its fields, unclean and
 * consumed. PARSE_BAD also for more than HTTP_FIELDS_MAX. */
MUST_CHECK enum parse http_lenient_trailers(struct http_head *ret, const char *data, size_t len);

#endif
