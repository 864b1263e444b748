#include "proto/http_forward.h"

#include "proto/base64.h"

static const uint16_t HTTP_PORT = 80;

/* --- the target ----------------------------------------------------------------------------------------- */

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Split "scheme://rest". @return false for another form; @see RFC 3986 3.1 */
static bool split_scheme(struct slice target, struct slice *scheme, struct slice *rest)
{
    size_t n = 0;

    while (n < target.len && (is_alpha(target.data[n]) ||
                              (n > 0 && target.data[n] != '\0' && strchr("0123456789+-.", target.data[n]))))
        n++;
    if (n == 0 || target.len - n < 3 || memcmp(target.data + n, "://", 3) != 0)
        return false;
    *scheme = slice_of(target.data, n);
    *rest = slice_of(target.data + n + 3, target.len - n - 3);
    return true;
}

/* Userinfo is useless on the way, and often hides the real host (RFC 9110 4.2.4). */
static bool drop_userinfo(struct slice *authority)
{
    const char *at = authority->len ? memchr(authority->data, '@', authority->len) : NULL;

    if (!at)
        return true;
    /* With characters that userinfo cannot have, parsers disagree on where the host begins (RFC 3986 3.2.1).
     */
    for (const char *c = authority->data; c < at; c++)
        if (!is_alpha(*c) && (*c == '\0' || !strchr("0123456789-._~%!$&'()*+,;=:", *c)))
            return false;
    *authority = slice_of(at + 1, authority->len - (size_t)(at + 1 - authority->data));
    return true;
}

/* A fragment is not part of the target URI (RFC 9110 7.1), but urllib, LWP and others send it. */
static struct slice without_fragment(struct slice target)
{
    const char *mark = memchr(target.data, '#', target.len);

    return mark ? slice_of(target.data, (size_t)(mark - target.data)) : target;
}

static enum http_objection interpret_absolute(struct http_request *r, const struct http_head *head)
{
    struct slice scheme, rest;
    size_t n = 0;

    if (head->target.data[0] == '/' || slice_eq(head->target, slice_str("*")))
        return HTTP_NOT_A_PROXY_REQUEST;
    if (!split_scheme(without_fragment(head->target), &scheme, &rest))
        return HTTP_BAD_REQUEST;
    if (!slice_ieq(scheme, slice_str("http")))
        return HTTP_NOT_SUPPORTED;
    while (n < rest.len && rest.data[n] != '/' && rest.data[n] != '?')
        n++;
    r->kind = HTTP_FORWARD;
    r->authority = slice_of(rest.data, n);
    r->path = slice_of(rest.data + n, rest.len - n);
    if (r->path.len == 0)
        r->path = slice_str(slice_eq(head->method, slice_str("OPTIONS")) ? "*" : "/");
    if (!drop_userinfo(&r->authority))
        return HTTP_BAD_REQUEST;
    return target_parse(&r->target, r->authority, HTTP_PORT) == PARSE_OK ? HTTP_FINE : HTTP_BAD_REQUEST;
}

static enum http_objection interpret_connect(struct http_request *r, const struct http_head *head)
{
    r->kind = HTTP_CONNECT;
    r->authority = head->target;
    r->path = slice_of(head->target.data, 0);
    return target_parse(&r->target, head->target, 0) == PARSE_OK ? HTTP_FINE : HTTP_BAD_REQUEST;
}

/* --- fields --------------------------------------------------------------------------------------------- */

static size_t count(const struct http_head *head, const char *name)
{
    size_t n = 0;

    for (size_t i = 0; i < head->n_fields; i++)
        n += slice_ieq(head->fields[i].name, slice_str(name));
    return n;
}

static bool host_is_good(const struct http_request *r, const struct http_head *head)
{
    size_t n = count(head, "Host");
    struct target ignored; /* the target's authority decides (RFC 9112 3.2.2) */

    if (n == 0)
        return head->minor == 0;
    struct slice value = http_find(head, "Host")->value;
    return n == 1 && (value.len == 0 || slice_eq(value, r->authority) ||
                      target_parse(&ignored, value, HTTP_PORT) == PARSE_OK);
}

/* A connection of an HTTP/1.0 client is not kept: such a client cannot tell which proxy on the way agreed to
 * it (RFC 9112 9.3). */
static bool wants_keep_alive(const struct http_head *head)
{
    return head->minor >= 1 && !http_has_token(head, "Connection", "close") &&
           !http_has_token(head, "Proxy-Connection", "close");
}

/* An upgrade to HTTP/2 is not passed on, as it needs a hop-by-hop field that ends here. The server may
 * continue in HTTP/1.1 (RFC 9110 7.8). */
static bool wants_upgrade(const struct http_head *head)
{
    return head->minor >= 1 && http_find(head, "Upgrade") && http_has_token(head, "Connection", "upgrade") &&
           !http_has_token(head, "Upgrade", "h2c");
}

/* @see RFC 7617 2 */
static void read_credentials(struct http_request *r, const struct http_head *head)
{
    static const char basic[] = "Basic ";
    const struct http_field *f = http_find(head, "Proxy-Authorization");

    r->has_auth = f != NULL;
    r->user = r->pass = slice_of(r->credentials, 0);
    size_t n = sizeof basic - 1;
    if (!f || f->value.len < n || !slice_ieq(slice_of(f->value.data, n), slice_str(basic)))
        return;
    while (n < f->value.len && f->value.data[n] == ' ')
        n++;
    const struct slice text = slice_of(f->value.data + n, f->value.len - n);
    size_t len;
    if (base64_decode(text, r->credentials, sizeof r->credentials, &len) < 0)
        return;
    const char *colon = memchr(r->credentials, ':', len);
    if (!colon)
        return;
    size_t user = (size_t)(colon - r->credentials);
    r->user = slice_of(r->credentials, user);
    r->pass = slice_of(colon + 1, len - user - 1);
}

/* @return false for an expectation other than 100-continue */
static bool read_expectation(struct http_request *r, const struct http_head *head)
{
    r->expect_100 = false;
    if (head->minor == 0)
        return true; /* HTTP/1.0 ignores it (RFC 9110 10.1.1) */
    for (size_t i = 0; i < head->n_fields; i++) {
        if (!slice_ieq(head->fields[i].name, slice_str("Expect")))
            continue;
        if (!slice_ieq(head->fields[i].value, slice_str("100-continue")))
            return false;
        r->expect_100 = true;
    }
    return true;
}

/* Whether Max-Forwards is 0: the client wants this proxy to answer. */
static bool is_last_hop(const struct http_head *head)
{
    if (!http_counts_hops(head))
        return false;
    struct slice hops = http_find(head, "Max-Forwards")->value;
    for (size_t i = 0; i < hops.len; i++)
        if (hops.data[i] != '0')
            return false;
    return hops.len > 0;
}

enum http_objection http_interpret(struct http_request *ret, const struct http_head *head)
{
    bool connect = slice_eq(head->method, slice_str("CONNECT"));

    enum http_objection why = connect ? interpret_connect(ret, head) : interpret_absolute(ret, head);
    ret->keep_alive = wants_keep_alive(head);
    read_credentials(ret, head);
    if (http_body_of_request(&ret->body, head) != PARSE_OK) {
        bool coded = http_body_is_coded_otherwise(head);
        ret->body = (struct http_body){.kind = HTTP_BODY_NONE, .done = true, .coded = coded};
        return coded ? HTTP_NOT_SUPPORTED : HTTP_BAD_REQUEST;
    }
    if (why != HTTP_FINE)
        return why;
    if (!host_is_good(ret, head) || (connect && ret->body.kind != HTTP_BODY_NONE))
        return HTTP_BAD_REQUEST;
    ret->upgrade = !connect && wants_upgrade(head);
    if (!read_expectation(ret, head))
        return HTTP_BAD_EXPECTATION;
    return is_last_hop(head) ? HTTP_NOT_SUPPORTED : HTTP_FINE;
}
