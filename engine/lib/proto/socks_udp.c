#include "proto/socks_udp.h"

/* reserved (2), fragment, address type, address, port (2) */
enum { AT_FRAG = 2, AT_TYPE = 3, AT_ADDRESS = 4, PORT_SIZE = 2 };
enum { ATYP_IPV4 = 1, ATYP_NAME = 3, ATYP_IPV6 = 4 };
enum { IPV4_SIZE = 4, IPV6_SIZE = 16 };

static const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static uint16_t read_port(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static enum parse parse_ip(struct socks_udp *ret, const uint8_t *bytes, size_t len, size_t ip_len)
{
    const uint8_t *ip = bytes + AT_ADDRESS;

    if (len < AT_ADDRESS + ip_len + PORT_SIZE)
        return PARSE_BAD;
    ret->port = read_port(ip + ip_len);
    if (ret->port == 0)
        return PARSE_BAD;
    ret->consumed = AT_ADDRESS + ip_len + PORT_SIZE;
    if (ip_len == IPV6_SIZE && memcmp(ip, MAPPED, sizeof MAPPED) == 0) {
        ip += sizeof MAPPED;
        ip_len = IPV4_SIZE;
    }
    ret->ip_len = (uint8_t)ip_len;
    memcpy(ret->ip, ip, ip_len);
    ret->name = slice_of((const char *)bytes, 0);
    return PARSE_OK;
}

/* Kept out of the path of addresses, which needs no struct target on the stack. */
static SELDOM enum parse parse_name(struct socks_udp *ret, const uint8_t *bytes, size_t len)
{
    struct target t;

    if (len <= AT_ADDRESS)
        return PARSE_BAD;
    const size_t name_len = bytes[AT_ADDRESS], at_port = AT_ADDRESS + 1 + name_len;
    if (len < at_port + PORT_SIZE)
        return PARSE_BAD;
    const struct slice name = slice_of((const char *)bytes + AT_ADDRESS + 1, name_len);
    if (target_set(&t, name, read_port(bytes + at_port)) != PARSE_OK)
        return PARSE_BAD;
    ret->port = t.port;
    ret->consumed = at_port + PORT_SIZE;
    ret->ip_len = t.kind == TARGET_NAME ? 0 : t.kind == TARGET_IPV4 ? IPV4_SIZE : IPV6_SIZE;
    memcpy(ret->ip, t.ip, sizeof ret->ip);
    ret->name = slice_of(name.data, t.kind == TARGET_NAME ? name.len : 0);
    return PARSE_OK;
}

enum parse socks_udp_parse(struct socks_udp *ret, const void *datagram, size_t len)
{
    const uint8_t *bytes = datagram;

    if (len <= AT_TYPE)
        return PARSE_BAD;
    ret->frag = bytes[AT_FRAG];
    switch (bytes[AT_TYPE]) {
    case ATYP_IPV4:
        return parse_ip(ret, bytes, len, IPV4_SIZE);
    case ATYP_IPV6:
        return parse_ip(ret, bytes, len, IPV6_SIZE);
    case ATYP_NAME:
        return parse_name(ret, bytes, len);
    default:
        return PARSE_BAD;
    }
}

enum parse socks_udp_target(struct target *ret, const struct socks_udp *udp)
{
    return udp->ip_len == 0 ? target_set(ret, udp->name, udp->port)
                            : target_set_ip(ret, udp->ip, udp->ip_len, udp->port);
}

size_t socks_udp_write(char out[SOCKS_UDP_HEADER_MAX], const uint8_t *ip, size_t ip_len, uint16_t port)
{
    out[0] = out[1] = out[AT_FRAG] = 0;
    out[AT_TYPE] = ip_len == IPV6_SIZE ? ATYP_IPV6 : ATYP_IPV4;
    memcpy(out + AT_ADDRESS, ip, ip_len);
    out[AT_ADDRESS + ip_len] = (char)(port >> 8);
    out[AT_ADDRESS + ip_len + 1] = (char)(port & 0xff);
    return AT_ADDRESS + ip_len + PORT_SIZE;
}

size_t socks_udp_write_name(char out[SOCKS_UDP_NAMED_MAX], struct slice name, uint16_t port)
{
    out[0] = out[1] = out[AT_FRAG] = 0;
    out[AT_TYPE] = ATYP_NAME;
    out[AT_ADDRESS] = (char)name.len;
    memcpy(out + AT_ADDRESS + 1, name.data, name.len);
    out[AT_ADDRESS + 1 + name.len] = (char)(port >> 8);
    out[AT_ADDRESS + 2 + name.len] = (char)(port & 0xff);
    return AT_ADDRESS + 1 + name.len + PORT_SIZE;
}
