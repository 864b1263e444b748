#include "proto/socks5.h"

enum { ATYP_IPV4 = 1, ATYP_NAME = 3, ATYP_IPV6 = 4 };
/* request: version, command, reserved, address type, address, port (2) */
enum { AT_COMMAND = 1, AT_TYPE = 3, AT_ADDRESS = 4 };

enum parse socks5_parse_greeting(struct socks5_greeting *ret, const char *data, size_t len)
{
    const uint8_t *bytes = (const uint8_t *)data;

    if (len > 0 && bytes[0] != SOCKS5_VERSION)
        return PARSE_BAD;
    if (len < 2)
        return PARSE_NEED_MORE;
    size_t whole = 2u + bytes[1];
    if (bytes[1] == 0)
        return PARSE_BAD;
    if (len < whole)
        return PARSE_NEED_MORE;
    struct socks5_greeting g = {.consumed = whole};
    for (size_t i = 2; i < whole; i++) {
        g.no_auth |= bytes[i] == SOCKS5_NO_AUTH;
        g.user_pass |= bytes[i] == SOCKS5_USER_PASS;
    }
    *ret = g;
    return PARSE_OK;
}

enum parse socks5_parse_auth(struct socks5_auth *ret, const char *data, size_t len)
{
    const uint8_t *bytes = (const uint8_t *)data;

    if (len > 0 && bytes[0] != SOCKS5_AUTH_VERSION)
        return PARSE_BAD;
    if (len < 2)
        return PARSE_NEED_MORE;
    size_t user = bytes[1], at_pass = 2 + user;
    if (len <= at_pass)
        return PARSE_NEED_MORE;
    size_t pass = bytes[at_pass], whole = at_pass + 1 + pass;
    if (len < whole)
        return PARSE_NEED_MORE;
    *ret = (struct socks5_auth){
        .user = slice_of(data + 2, user),
        .pass = slice_of(data + at_pass + 1, pass),
        .consumed = whole,
    };
    return PARSE_OK;
}

/* Port 0 means "any" to BIND and UDP ASSOCIATE; target_set would reject it. */
static void set_target(struct socks5_request *r, const uint8_t *address, size_t len, uint16_t port)
{
    uint16_t any = port == 0 && r->command != SOCKS5_CONNECT ? 1 : port;
    enum parse p = r->named ? target_set(&r->target, slice_of((const char *)address, len), any)
                            : target_set_ip(&r->target, address, len, any);

    if (p == PARSE_OK)
        r->target.port = port;
    else
        r->objection = SOCKS5_GENERAL_FAILURE;
}

enum parse socks5_parse_request(struct socks5_request *ret, const char *data, size_t len)
{
    const uint8_t *bytes = (const uint8_t *)data;
    size_t at = AT_ADDRESS, address;

    if (len > 0 && bytes[0] != SOCKS5_VERSION)
        return PARSE_BAD;
    if (len <= AT_TYPE)
        return PARSE_NEED_MORE;
    struct socks5_request r = {.command = bytes[AT_COMMAND], .objection = SOCKS5_SUCCEEDED};
    switch (bytes[AT_TYPE]) {
    case ATYP_IPV4:
        address = 4;
        break;
    case ATYP_IPV6:
        address = 16;
        break;
    case ATYP_NAME:
        if (len <= at)
            return PARSE_NEED_MORE;
        address = bytes[at++];
        r.named = true;
        break;
    default:
        r.objection = SOCKS5_ADDRESS_UNSUPPORTED;
        r.consumed = at;
        *ret = r;
        return PARSE_OK;
    }
    if (len < at + address + 2)
        return PARSE_NEED_MORE;
    const uint8_t *port = bytes + at + address;
    set_target(&r, bytes + at, address, (uint16_t)(port[0] << 8 | port[1]));
    r.consumed = at + address + 2;
    *ret = r;
    return PARSE_OK;
}

size_t socks5_reply(char out[SOCKS5_REPLY_MAX], enum socks5_reply_code code, const uint8_t *ip, size_t ip_len,
                    uint16_t port)
{
    size_t len = ip_len == 16 ? 16 : 4;

    out[0] = SOCKS5_VERSION;
    out[1] = (char)code;
    out[2] = 0;
    out[3] = len == 16 ? ATYP_IPV6 : ATYP_IPV4;
    if (ip_len == len)
        memcpy(out + AT_ADDRESS, ip, len);
    else
        memset(out + AT_ADDRESS, 0, len);
    out[AT_ADDRESS + len] = (char)(port >> 8);
    out[AT_ADDRESS + len + 1] = (char)(port & 0xff);
    return AT_ADDRESS + len + 2;
}
