#include "base/host_port.h"

#include "base/digits.h"

#include <errno.h>

/* --- reading -------------------------------------------------------------------------------------------- */

static const char *port_colon(struct slice text)
{
    if (text.len == 0)
        return NULL;
    const char *end = text.data + text.len, *bracket = memrchr(text.data, ']', text.len);
    const char *from = bracket ? bracket : text.data;
    const char *colon = memchr(from, ':', (size_t)(end - from));
    bool another = colon && colon + 1 < end && memchr(colon + 1, ':', (size_t)(end - colon - 1));

    return another ? NULL : colon;
}

bool host_port_unbracket(struct slice *text)
{
    if (text->len < 2 || text->data[0] != '[' || text->data[text->len - 1] != ']')
        return false;
    *text = slice_of(text->data + 1, text->len - 2);
    return true;
}

struct host_port host_port_split(struct slice text)
{
    const char *colon = port_colon(text);
    size_t len = colon ? (size_t)(colon - text.data) : text.len;
    struct host_port ret = {.place = slice_of(text.data, len), .has_port = colon != NULL};

    ret.host = ret.place;
    ret.bracketed = host_port_unbracket(&ret.host);
    ret.port = colon ? slice_of(colon + 1, text.len - len - 1) : slice_of("", 0);
    return ret;
}

int host_port_number(struct slice text, uint16_t *ret)
{
    uint32_t n = 0;

    if (text.len == 0)
        return -EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -EINVAL;
        if (n <= UINT16_MAX) /* larger numbers stay above it, without overflow */
            n = n * 10 + (uint32_t)(text.data[i] - '0');
    }
    if (n > UINT16_MAX)
        return -ERANGE;
    *ret = (uint16_t)n;
    return 0;
}

/* --- writing -------------------------------------------------------------------------------------------- */

/* @return the length of the text so far */
static size_t put(char *out, size_t size, size_t at, const char *text, size_t len)
{
    size_t room = size - 1 - at, n = len < room ? len : room;

    if (n > 0)
        memcpy(out + at, text, n);
    out[at + n] = '\0';
    return at + n;
}

size_t host_port_put_host(char *out, size_t size, struct slice host)
{
    bool six = host.len > 0 && memchr(host.data, ':', host.len);
    size_t at = put(out, size, 0, "[", six);

    at = put(out, size, at, host.data, host.len);
    return put(out, size, at, "]", six);
}

const char *host_port_format(char *out, size_t size, struct slice host, uint16_t port)
{
    char digits[1 + DIGITS_MAX] = ":";
    size_t n = 1 + digits_put(digits + 1, port);

    (void)put(out, size, host_port_put_host(out, size, host), digits, n);
    return out;
}
