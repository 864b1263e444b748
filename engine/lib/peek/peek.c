#include "peek/peek.h"

#include "peek/tls_hello.h"
#include "proto/http_forward.h"

static const uint16_t HTTP_PORT = 80;

/* Origin-form and "*", as a server gets them: exactly one Host (RFC 9112 3.2). */
static enum parse read_host(const struct http_head *head, struct target *ret)
{
    const struct http_field *host = http_find(head, "Host");

    if (!host)
        return PARSE_BAD;
    for (const struct http_field *f = host + 1; f < head->fields + head->n_fields; f++)
        if (slice_ieq(f->name, host->name))
            return PARSE_BAD;
    return target_parse(ret, host->value, HTTP_PORT);
}

static enum parse read_absolute(const struct http_head *head, struct target *ret)
{
    struct http_request request;

    if (http_interpret(&request, head) != HTTP_FINE || request.kind != HTTP_FORWARD)
        return PARSE_BAD;
    *ret = request.target;
    return PARSE_OK;
}

static enum parse peek_http(struct slice first, char host[TARGET_HOST_MAX + 1])
{
    struct http_head head;
    struct target t;
    enum parse p = http_parse_request(&head, first.data, first.len < PEEK_MAX ? first.len : PEEK_MAX);

    if (p == PARSE_NEED_MORE && first.len >= PEEK_MAX)
        return PARSE_BAD;
    if (p != PARSE_OK)
        return p;
    const bool at_server = head.target.data[0] == '/' || slice_eq(head.target, slice_str("*"));
    p = at_server ? read_host(&head, &t) : read_absolute(&head, &t);
    if (p != PARSE_OK || t.kind != TARGET_NAME)
        return PARSE_BAD;
    memcpy(host, t.host, strlen(t.host) + 1);
    return PARSE_OK;
}

enum parse peek_name(struct slice first, char host[TARGET_HOST_MAX + 1])
{
    if (first.len == 0)
        return PARSE_NEED_MORE;
    return first.data[0] == TLS_RECORD_HANDSHAKE ? tls_hello_in_records(first, host) : peek_http(first, host);
}
