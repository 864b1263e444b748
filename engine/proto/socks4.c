#include "proto/socks4.h"

/* version, command, port (2), address (4); then the user and, in 4a, the name, each ended by a NUL */
enum { AT_COMMAND = 1, AT_PORT = 2, AT_IP = 4, AT_USER = 8 };

/* An address of the form 0.0.0.x announces a name. */
static bool is_marker(const uint8_t *ip)
{
    return ip[0] == 0 && ip[1] == 0 && ip[2] == 0;
}

/* Take text up to its NUL, of at most max octets. */
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

static enum parse check_fixed(const uint8_t *octets, size_t len)
{
    if (len > 0 && octets[0] != SOCKS4_VERSION)
        return PARSE_BAD;
    if (len <= AT_COMMAND)
        return PARSE_NEED_MORE;
    bool bind = octets[AT_COMMAND] == SOCKS4_BIND;
    if (!bind && octets[AT_COMMAND] != SOCKS4_CONNECT)
        return PARSE_BAD;
    if (len >= AT_IP && !bind && octets[AT_PORT] == 0 && octets[AT_PORT + 1] == 0)
        return PARSE_BAD;
    if (len < AT_USER)
        return PARSE_NEED_MORE;
    const uint8_t *ip = octets + AT_IP;
    return is_marker(ip) && ip[3] == 0 && !bind ? PARSE_BAD : PARSE_OK;
}

enum parse socks4_parse(struct socks4_request *ret, const char *data, size_t len)
{
    const uint8_t *octets = (const uint8_t *)data;
    struct socks4_request r = {0};
    size_t at = AT_USER;

    enum parse p = check_fixed(octets, len);
    if (p != PARSE_OK)
        return p;
    r.command = octets[AT_COMMAND];
    uint16_t port = (uint16_t)(octets[AT_PORT] << 8 | octets[AT_PORT + 1]);
    const uint8_t *ip = octets + AT_IP;
    if ((p = take_text(data, len, &at, SOCKS4_USER_MAX, &r.user)) != PARSE_OK)
        return p;
    r.named = is_marker(ip) && ip[3] != 0;
    if (r.command == SOCKS4_BIND) {
        r.target.port = port; /* not served: framed, so that the client gets its answer */
        memcpy(r.target.ip, ip, 4);
    }
    if (r.named) {
        struct slice name;
        if ((p = take_text(data, len, &at, TARGET_HOST_MAX + 1, &name)) != PARSE_OK)
            return p;
        if (r.command == SOCKS4_CONNECT && target_set(&r.target, name, port) != PARSE_OK)
            return PARSE_BAD;
    } else if (r.command == SOCKS4_CONNECT && target_set_ip(&r.target, ip, 4, port) != PARSE_OK) {
        return PARSE_BAD;
    }
    r.consumed = at;
    *ret = r;
    return PARSE_OK;
}

void socks4_reply(char out[SOCKS4_REPLY_LEN], uint8_t code, const uint8_t *ip, uint16_t port)
{
    out[0] = 0; /* the version of the reply */
    out[1] = (char)code;
    out[2] = (char)(port >> 8);
    out[3] = (char)(port & 0xff);
    if (ip)
        memcpy(out + 4, ip, 4);
    else
        memset(out + 4, 0, 4);
}
