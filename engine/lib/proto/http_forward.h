/* The rules of a forward proxy: which parts of a head change on the way. */
#ifndef STEERWAY_PROTO_HTTP_FORWARD_H
#define STEERWAY_PROTO_HTTP_FORWARD_H

#include "base/buf.h"
#include "proto/http_body.h"
#include "proto/http_head.h"
#include "proto/target.h"

struct http_request {
    enum { HTTP_CONNECT, HTTP_FORWARD } kind;
    struct target
        target;        /* of CONNECT's authority-form, or the absolute-form's authority (default port 80) */
    struct slice path; /* to send: path and query, "/" if empty, "*" for OPTIONS without one; "?q" gets its
                          "/" when written */
    struct slice authority; /* the Host to send: as the client wrote it, without userinfo */
    struct http_body body;
    bool keep_alive;         /* the client wants to keep this connection (RFC 9112 9.3) */
    bool upgrade;            /* HTTP/1.1 with Connection: upgrade and an Upgrade field */
    bool expect_100;         /* Expect: 100-continue */
    bool has_auth;           /* there is a Proxy-Authorization field */
    struct slice user, pass; /* decoded Basic credentials, in `credentials`; empty if absent or malformed */
    char credentials[512];
};

/** Why a request that parsed cannot be served: the status to answer with. */
enum http_objection {
    HTTP_FINE = 0,
    HTTP_BAD_REQUEST = 400, /* malformed target, violated Host rules (RFC 9112 3.2), ambiguous length */
    HTTP_NOT_A_PROXY_REQUEST = 421, /* origin-form: a client of a web server, and not of a proxy */
    HTTP_NOT_SUPPORTED =
        501, /* a scheme other than http in absolute-form; Max-Forwards: 0 with OPTIONS or TRACE, which asks
                this proxy to answer; or (body.coded) a coding other than chunked (RFC 9112 6.1) */
    HTTP_BAD_EXPECTATION = 417, /* an Expect other than 100-continue */
};

/** Interpret a parsed request head. ret points into head's input, and into itself: do not copy it.
 * A connection of an HTTP/1.0 client is not kept. Proxy-Connection: close equals Connection: close. A
 * fragment in the target is dropped. HTTP/1.1 needs Host, also for CONNECT, which cannot have a body. An
 * upgrade to h2c is dropped. After an objection keep_alive, body and the credentials are still set. */
MUST_CHECK enum http_objection http_interpret(struct http_request *ret, const struct http_head *head);

/** Whether hops of the request are counted: OPTIONS or TRACE with Max-Forwards. @see RFC 9110 7.6.2 */
bool http_counts_hops(const struct http_head *head);

/** Append the head to send to the destination: origin-form, HTTP/1.1, Host from the target (RFC 9112 3.2.2).
 * Fields that are hop-by-hop or named in Connection are dropped (RFC 9110 7.6.1): Connection,
 * Proxy-Connection, Keep-Alive, TE, Transfer-Encoding unless it frames the body, Upgrade,
 * Proxy-Authorization, Proxy-Authenticate. Trailer is kept. Via is appended (RFC 9110 7.6.3) with the
 * pseudonym. With req->upgrade, Upgrade and Connection: upgrade are added. Content-Length and Host are kept,
 * even if Connection names them. Max-Forwards is decremented for OPTIONS and TRACE.
 *  @return 0, -ENOBUFS, -ENOMEM */
MUST_CHECK int http_write_request(struct buf *out, const struct http_head *head,
                                  const struct http_request *req, const char *pseudonym);

struct http_response {
    struct http_body body;
    bool keep_alive; /* the connection to the destination can be used again */
    bool switching;  /* 101: the stream is a tunnel after this head */
    bool interim;    /* 1xx other than 101: another head follows */
};

/** PARSE_BAD as http_body_of_response, or for a 101 to a request without upgrade. */
MUST_CHECK enum parse http_interpret_response(struct http_response *ret, const struct http_head *head,
                                              struct slice request_method, bool upgrade_asked);

/** Append the head to send to the client, as HTTP/1.1. Hop-by-hop fields are dropped, and Via is appended.
 * `Connection: close` is added, or, with keep_alive for an HTTP/1.0 client, `Connection: keep-alive`. For an
 * HTTP/1.0 client Transfer-Encoding is dropped: the caller sends only the content (http_body_next) and
 * closes.
 *  @param client_minor  of the request
 *  @param keep_alive    whether the client's connection is kept
 *  @return 0, -ENOBUFS, -ENOMEM */
MUST_CHECK int http_write_response(struct buf *out, const struct http_head *head,
                                   const struct http_response *resp, int client_minor, bool keep_alive,
                                   const char *pseudonym);

/** Whether a field may stand in trailers. Fields that frame or route a message, and hop-by-hop ones, may not,
 * as some receivers treat trailers as fields of the head. @see RFC 9110 6.5.1 */
bool http_may_trail(struct slice name);

/** Append a response's trailers strictly: the allowed ones, read as http_parse_lenient reads fields, and the
 * empty line.
 *  @param trailers  including their empty line, as http_lenient_trailers found it
 *  @return 0, -ENOBUFS, -ENOMEM, -EINVAL */
MUST_CHECK int http_write_trailers(struct buf *out, struct slice trailers);

/** Append a whole response of the proxy's own: status, Proxy-Status (RFC 9209), one line of text/plain, and
 * Connection: close or keep-alive. 407 gets Proxy-Authenticate: Basic realm="Steerway".
 *  @param error      an RFC 9209 error type, or NULL for none
 *  @param head_only  the answer to HEAD: no body, but its Content-Length */
MUST_CHECK int http_write_error(struct buf *out, int status, const char *error, const char *text,
                                bool keep_alive, bool head_only);

/** "Bad Gateway" for 502; "Error" for an unknown status. */
const char *http_phrase(int status);

#endif
