/* The head of an HTTP/1 message: start line and fields, split but not interpreted. */
#ifndef STEERWAY_PROTO_HTTP_HEAD_H
#define STEERWAY_PROTO_HTTP_HEAD_H

#include "proto/parse.h"

#include <stdbool.h>

/* Requests by the limits that servers have; answers by those of browsers, for cookies and policies pile up.
 */
enum { HTTP_FIELDS_MAX = 128, HTTP_HEAD_MAX = 64 * 1024, HTTP_ANSWER_HEAD_MAX = 256 * 1024 };

struct http_field {
    struct slice name, value; /* value without surrounding blanks */
};

struct http_head {
    /* request: */
    struct slice method, target;
    /* response: */
    int status; /* 100..999 */
    struct slice phrase;
    /* both: */
    int minor;                 /* of HTTP/1.x: 0 or 1 (a higher minor counts as 1) */
    struct http_field *fields; /* n_fields: in few, or in the room given */
    size_t n_fields;
    bool unclean; /* response: control octets or folds stand in its phrase or values */
    bool crowded; /* after PARSE_BAD: it has more fields than there is room for */
    struct http_field few[HTTP_FIELDS_MAX];
    size_t consumed; /* octets up to and with the empty line */
};

/** Parse a request head. One or more empty lines before it are skipped (and counted in consumed). A bare LF
 *  ends a line as CRLF does. PARSE_BAD at the earliest octet that cannot stand there: blanks before a colon,
 *  control octets, a target with blanks, versions other than HTTP/1.x, over HTTP_FIELDS_MAX fields. A head
 * that reaches HTTP_HEAD_MAX octets without its end is PARSE_BAD too. ret is scratch unless PARSE_OK.
 *  @see RFC 9112 2.1, 3, 5 */
MUST_CHECK enum parse http_parse_request(struct http_head *ret, const char *data, size_t len);

/** Parse a response head, as leniently as clients do: see http_lenient.c for what is taken and what becomes
 * of it. PARSE_BAD, with crowded, over HTTP_FIELDS_MAX fields, and for a head that reaches
 * HTTP_ANSWER_HEAD_MAX octets without its end. ret points into itself. @see RFC 9112 4 */
MUST_CHECK enum parse http_parse_response(struct http_head *ret, const char *data, size_t len);
/** The same with room for more fields. @param room  room_max of them, outlives ret */
MUST_CHECK enum parse http_parse_response_in(struct http_head *ret, const char *data, size_t len,
                                             struct http_field *room, size_t room_max);

/** Whether an octet may stand in a token, such as a method or a field's name. @see RFC 9110 5.6.2 */
bool http_is_token_char(unsigned char c);

/** The first field of that name, or NULL. */
const struct http_field *http_find(const struct http_head *h, const char *name);

/** Take the next element, without surrounding blanks, off a comma-separated list. @return false at its end */
bool http_list_next(struct slice *list, struct slice *ret);

/** Whether a comma-separated list field (all its occurrences) holds the token, case folded. */
bool http_lists(const struct http_head *h, const char *name, struct slice element_wanted);
bool http_has_token(const struct http_head *h, const char *name, const char *token);

#endif
