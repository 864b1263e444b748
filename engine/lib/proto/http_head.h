/* The head of an HTTP/1 message: start line and fields, split but not interpreted. */
#ifndef STEERWAY_PROTO_HTTP_HEAD_H
#define STEERWAY_PROTO_HTTP_HEAD_H

#include "proto/parse.h"

#include <stdbool.h>

/* Limits for requests are those of servers. Limits for responses are those of browsers, as cookies and
 * policies take much room. */
enum { HTTP_FIELDS_MAX = 128, HTTP_HEAD_MAX = 64 * 1024, HTTP_ANSWER_HEAD_MAX = 256 * 1024 };

struct http_field {
    struct slice name, value; /* value without blanks around it */
};

struct http_head {
    /* request: */
    struct slice method, target;
    /* response: */
    int status; /* 100..999 */
    struct slice phrase;
    /* both: */
    int minor;                 /* of HTTP/1.x: 0 or 1; a higher minor counts as 1 */
    struct http_field *fields; /* n_fields of them, in few or in the given room */
    size_t n_fields;
    bool unclean; /* response: there are control characters or folds in its phrase or values */
    bool crowded; /* after PARSE_BAD: there are too many fields */
    struct http_field few[HTTP_FIELDS_MAX];
    size_t consumed; /* bytes, including the empty line */
};

/** Parse a request head. Empty lines before it are skipped, and counted in consumed. A bare LF ends a line
 * too. PARSE_BAD at the earliest wrong byte: blanks before a colon, control characters, a target with blanks,
 * a version other than HTTP/1.x. PARSE_BAD also for more than HTTP_FIELDS_MAX fields, and for HTTP_HEAD_MAX
 * bytes without the end of the head. ret is undefined unless PARSE_OK.
 *  @see RFC 9112 2.1, 3, 5 */
MUST_CHECK enum parse http_parse_request(struct http_head *ret, const char *data, size_t len);

/** Parse a response head as leniently as clients do; http_lenient.c has the details. PARSE_BAD, with crowded,
 * over HTTP_FIELDS_MAX fields. PARSE_BAD also for HTTP_ANSWER_HEAD_MAX bytes without the end of the head. ret
 * may point into itself: do not copy it. @see RFC 9112 4 */
MUST_CHECK enum parse http_parse_response(struct http_head *ret, const char *data, size_t len);
/** The same with room for more fields. @param room  room_max of them; outlives ret */
MUST_CHECK enum parse http_parse_response_in(struct http_head *ret, const char *data, size_t len,
                                             struct http_field *room, size_t room_max);

/** Whether a character may stand in a token, such as a method or a field's name. @see RFC 9110 5.6.2 */
bool http_is_token_char(unsigned char c);

/** The first field of that name (case-insensitive), or NULL. */
const struct http_field *http_find(const struct http_head *h, const char *name);

/** Take the next element off a comma-separated list, without blanks around it. @return false at the end */
bool http_list_next(struct slice *list, struct slice *ret);

/** Whether a list field, in any of its occurrences, has this element (case-insensitive). */
bool http_lists(const struct http_head *h, const char *name, struct slice element_wanted);
bool http_has_token(const struct http_head *h, const char *name, const char *token);

#endif
