/* The rules of a forward proxy: what to change in a head that passes through. */
#ifndef STEERWAY_PROTO_HTTP_FORWARD_H
#define STEERWAY_PROTO_HTTP_FORWARD_H

#include "base/buf.h"
#include "proto/http_body.h"
#include "proto/http_head.h"
#include "proto/target.h"

struct http_request {
    enum { HTTP_CONNECT, HTTP_FORWARD } kind;
    struct target target; /* of CONNECT's authority-form or the absolute-form's authority (default port 80) */
    struct slice path;    /* to send: path and query, "/" if empty, "*" for OPTIONS without one; a query alone
                             ("?q") gets its "/" when written */
    struct slice authority; /* as the client wrote it, without userinfo: the Host to send */
    struct http_body body;
    bool keep_alive; /* the client wants this connection kept (RFC 9112 9.3) */
    bool upgrade;    /* Connection: upgrade together with an Upgrade field, HTTP/1.1 */
    bool expect_100; /* Expect: 100-continue */
    bool has_auth;   /* a Proxy-Authorization field is there */
    struct slice user,
        pass; /* from Basic credentials, decoded into `credentials`; empty if none or malformed */
    char credentials[512];
};

/** Why a request that parsed cannot be served; each is answered with its status. */
enum http_objection {
    HTTP_FINE = 0,
    HTTP_BAD_REQUEST = 400, /* malformed target, Host rules broken (RFC 9112 3.2), ambiguous length */
    HTTP_NOT_A_PROXY_REQUEST =
        421,                  /* origin-form: somebody browses to the proxy itself; nothing to forward */
    HTTP_NOT_SUPPORTED = 501, /* a scheme other than http in absolute-form, or Max-Forwards: 0 to OPTIONS and
                                 TRACE, which makes this proxy the one to answer; or (body.coded) a
                                 transfer coding other than chunked (RFC 9112 6.1) */
    HTTP_BAD_EXPECTATION = 417, /* an Expect other than 100-continue */
};

/** Interpret a parsed request head. ret points into head's input (and into itself: do not copy ret).
 *  An HTTP/1.0 client's connection is not kept. Proxy-Connection: close is honoured like Connection: close. A
 *  fragment in the target is dropped. HTTP/1.1 needs Host, for CONNECT too, which cannot have a body. An
 * upgrade to h2c is not one: it is dropped. After an objection keep_alive, body and the credentials are still
 * told. */
MUST_CHECK enum http_objection http_interpret(struct http_request *ret, const struct http_head *head);

/** Whether the request is of those whose hops are counted, and says so. @see RFC 9110 7.6.2 */
bool http_counts_hops(const struct http_head *head);

/** Append the head to send parent proxy: origin-form, HTTP/1.1, Host set from the target (RFC 9112 3.2.2),
 * fields that are hop-by-hop or named in Connection dropped (RFC 9110 7.6.1: Connection, Proxy-Connection,
 * Keep-Alive, TE, Transfer-Encoding unless it frames the body, Upgrade, Proxy-Authorization,
 * Proxy-Authenticate, Trailer is kept), Via appended (RFC 9110 7.6.3) with pseudonym, Upgrade and Connection:
 * upgrade put back when upgrade is set. Content-Length and Host are never dropped, even if Connection names
 * them. Max-Forwards is lowered for OPTIONS and TRACE.
 *  @return 0, -ENOBUFS, -ENOMEM */
MUST_CHECK int http_write_request(struct buf *out, const struct http_head *head,
                                  const struct http_request *req, const char *pseudonym);

struct http_response {
    struct http_body body;
    bool keep_alive; /* the connection to the destination can be used again */
    bool switching;  /* 101: the stream is a tunnel from here on */
    bool interim;    /* 1xx other than 101: another head follows */
};

/** PARSE_BAD as http_body_of_response, or a 101 to a request that did not ask to upgrade. */
MUST_CHECK enum parse http_interpret_response(struct http_response *ret, const struct http_head *head,
                                              struct slice request_method, bool upgrade_asked);

/** Append the head to send to the client: hop-by-hop fields dropped, Via appended, `Connection: close`
 * added, or, with keep_alive for an HTTP/1.0 client, `Connection: keep-alive`. The status line says HTTP/1.1.
 * For an HTTP/1.0 client Transfer-Encoding is dropped: the caller sends it the content alone (http_body_next)
 * and closes.
 *  @param client_minor  of the request  @param keep_alive  whether the client's connection is kept */
MUST_CHECK int http_write_response(struct buf *out, const struct http_head *head,
                                   const struct http_response *resp, int client_minor, bool keep_alive,
                                   const char *pseudonym);

/** Whether a field of that name may stand behind a body. Those that frame or route a message, and those of
 * one hop, may not: some receivers take trailers for fields of the head. @see RFC 9110 6.5.1 */
bool http_may_trail(struct slice name);

/** Append the trailers of a server's answer by the rules: those that may be, read as http_parse_lenient reads
 *  fields, and the empty line. @param trailers  up to and with their empty line, as http_lenient_trailers
 * told */
MUST_CHECK int http_write_trailers(struct buf *out, struct slice trailers);

/** Append a whole response of the proxy's own: status, Proxy-Status (RFC 9209) with this error type, a
 * one-line text/plain body, Connection: close or keep-alive. 407 gets Proxy-Authenticate: Basic
 * realm="Steerway".
 *  @param error   an RFC 9209 error type, or NULL for none
 *  @param head_only  answer to HEAD: no body octets, same Content-Length */
MUST_CHECK int http_write_error(struct buf *out, int status, const char *error, const char *text,
                                bool keep_alive, bool head_only);

/** "Bad Gateway" for 502; "Error" for a status it does not know. */
const char *http_phrase(int status);

#endif
