#include "uplink/parent_spec.h"

#include "base/host_port.h"
#include "dns/dns_name.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* @return false if the %-encoding is wrong, the text is too long, or it contains a NUL */
static bool decode(struct slice text, char out[PARENT_SECRET_MAX + 1])
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        int c = (unsigned char)text.data[i];
        if (c == '%') {
            if (text.len - i < 3 || hex(text.data[i + 1]) < 0 || hex(text.data[i + 2]) < 0)
                return false;
            c = hex(text.data[i + 1]) * 16 + hex(text.data[i + 2]);
            i += 2;
        }
        if (n == PARENT_SECRET_MAX || c == 0)
            return false;
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return true;
}

static const char *take_scheme(struct parent_spec *s, struct slice *rest)
{
    static const char *const schemes[] = {"socks5", "socks4a", "http"};
    const char *end = memmem(rest->data, rest->len, "://", 3);

    for (size_t i = 0; end && i < ARRAY_LEN(schemes); i++) {
        if (!slice_ieq(slice_of(rest->data, (size_t)(end - rest->data)), slice_str(schemes[i])))
            continue;
        (void)snprintf(s->scheme, sizeof s->scheme, "%s", schemes[i]);
        *rest = slice_of(end + 3, rest->len - (size_t)(end + 3 - rest->data));
        return NULL;
    }
    return "expected socks5://, socks4a:// or http://";
}

static const char *take_user(struct parent_spec *s, struct slice text)
{
    const char *colon = memchr(text.data, ':', text.len);
    struct slice user = slice_of(text.data, colon ? (size_t)(colon - text.data) : text.len);
    struct slice pass = colon ? slice_of(colon + 1, text.len - user.len - 1) : slice_of("", 0);

    if (!decode(user, s->user) || !decode(pass, s->pass))
        return "user and password: expected 255 bytes at most, with %XX for each byte that is not a letter "
               "or digit";
    if (user.len == 0)
        return "expected a user before the @";
    if (pass.len > 0 && strcmp(s->scheme, "socks4a") == 0)
        return "SOCKS4a knows no passwords";
    if (strcmp(s->scheme, "http") == 0 && strchr(s->user, ':')) /* RFC 7617 2 */
        return "a user name with a colon cannot be sent by HTTP";
    return NULL;
}

static const char *take_place(struct parent_spec *s, struct slice text)
{
    const struct host_port split = host_port_split(text);
    struct slice host = split.host;

    if (!split.bracketed && memchr(host.data, ':', host.len))
        return "expected an IPv6 address in brackets";
    int r = split.port.len > 0 ? host_port_number(split.port, &s->port) : 0;
    if (r == -EINVAL || (split.bracketed && !split.has_port))
        return "expected a port behind the host";
    if (s->port == 0)
        return "expected host:port";
    if (host.len > PARENT_HOST_MAX)
        return "the host is too long";
    memcpy(s->host, host.data, host.len);
    s->host[host.len] = '\0';
    return dns_name_length(s->host) == 0 ? "expected host:port" : NULL;
}

int parent_spec_parse(struct parent_spec *ret, struct slice url, const char **ret_why)
{
    struct parent_spec s = {.port = 0};
    struct slice rest = url;

    *ret_why = take_scheme(&s, &rest);
    const char *at = *ret_why ? NULL : memrchr(rest.data, '@', rest.len);
    if (at) {
        *ret_why = take_user(&s, slice_of(rest.data, (size_t)(at - rest.data)));
        rest = slice_of(at + 1, rest.len - (size_t)(at + 1 - rest.data));
    }
    if (!*ret_why)
        *ret_why = take_place(&s, rest);
    if (!*ret_why)
        *ret = s;
    parent_spec_done(&s);
    return *ret_why ? -EINVAL : 0;
}

const char *parent_spec_format(const struct parent_spec *s, char out[PARENT_TEXT_MAX])
{
    int n = snprintf(out, PARENT_TEXT_MAX, "%s://", s->scheme);

    (void)host_port_format(out + n, PARENT_TEXT_MAX - (size_t)n, slice_str(s->host), s->port);
    return out;
}

void parent_spec_done(struct parent_spec *s)
{
    explicit_bzero(s->user, sizeof s->user);
    explicit_bzero(s->pass, sizeof s->pass);
}
