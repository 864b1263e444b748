#include "proto/socks4.h"

/* version, command, port (2), address (4); then the user and, in 4a, the name, each with a NUL */
enum { AT_COMMAND = 1, AT_PORT = 2, AT_IP = 4, AT_USER = 8 };

/* Take text up to its NUL, of at most max bytes. */
static enum parse take_text(const char *data, size_t len, size_t *at, size_t max, struct slice *ret)
{
    size_t there = len - *at, look = there < max + 1 ? there : max + 1;
    const char *nul = look ? memchr(data + *at, '\0', look) : NULL;

    if (!nul)
        return there > max ? PARSE_BAD : PARSE_NEED_MORE;
    *ret = slice_of(data + *at, (size_t)(nul - data) - *at);
    *at += ret->len + 1;
    return PARSE_OK;
}

static enum parse check_fixed(const uint8_t *bytes, size_t len)
{
    if (len > 0 && bytes[0] != SOCKS4_VERSION)
        return PARSE_BAD;
    if (len <= AT_COMMAND)
        return PARSE_NEED_MORE;
    bool bind = bytes[AT_COMMAND] == SOCKS4_BIND;
    if (!bind && bytes[AT_COMMAND] != SOCKS4_CONNECT)
        return PARSE_BAD;
    if (len >= AT_IP && !bind && bytes[AT_PORT] == 0 && bytes[AT_PORT + 1] == 0)
        return PARSE_BAD;
    if (len < AT_USER)
        return PARSE_NEED_MORE;
    return !bind && memcmp(bytes + AT_IP, "\0\0\0\0", 4) == 0 ? PARSE_BAD : PARSE_OK;
}

enum parse socks4_parse(struct socks4_request *ret, const char *data, size_t len)
{
    const uint8_t *bytes = (const uint8_t *)data;
    struct socks4_request r = {0};
    size_t at = AT_USER;

    enum parse p = check_fixed(bytes, len);
    if (p != PARSE_OK)
        return p;
    r.command = bytes[AT_COMMAND];
    /* 0.0.0.x announces a name; 0.0.0.0 is an address, which BIND allows */
    r.named = memcmp(bytes + AT_IP, "\0\0\0", 3) == 0 && bytes[AT_IP + 3] != 0;
    uint16_t port = (uint16_t)(bytes[AT_PORT] << 8 | bytes[AT_PORT + 1]);
    uint16_t any = port ? port : 1; /* BIND may have port 0 */
    if ((p = take_text(data, len, &at, SOCKS4_USER_MAX, &r.user)) != PARSE_OK)
        return p;
    if (r.named) {
        struct slice name = slice_of(data + at, len - at);
        if ((p = take_text(data, len, &at, TARGET_HOST_MAX + 1, &name)) != PARSE_OK)
            return target_may_begin(name) ? p : PARSE_BAD;
        p = target_set(&r.target, name, any);
    } else {
        p = target_set_ip(&r.target, bytes + AT_IP, 4, any);
    }
    if (p != PARSE_OK)
        return PARSE_BAD;
    r.target.port = port;
    r.consumed = at;
    *ret = r;
    return PARSE_OK;
}

void socks4_reply(char out[SOCKS4_REPLY_LEN], uint8_t code, const uint8_t *ip, uint16_t port)
{
    out[0] = 0; /* version of the reply */
    out[1] = (char)code;
    out[2] = (char)(port >> 8);
    out[3] = (char)(port & 0xff);
    if (ip)
        memcpy(out + 4, ip, 4);
    else
        memset(out + 4, 0, 4);
}
