#include "proto/proxy_header.h"

#include <arpa/inet.h>
#include <stdbool.h>

/* --- version 1: a line of text -------------------------------------------------------------------------- */

/* Take this literal from the front. */
static enum parse take_literal(struct slice *in, const char *literal)
{
    size_t want = strlen(literal), n = in->len < want ? in->len : want;

    if (n > 0 && memcmp(in->data, literal, n) != 0)
        return PARSE_BAD;
    if (n < want)
        return PARSE_NEED_MORE;
    *in = slice_of(in->data + want, in->len - want);
    return PARSE_OK;
}

/* Take the characters before `stop`, 1 to `most` of those in `known`. */
static enum parse take_word(struct slice *in, const char *known, size_t most, char stop, struct slice *ret)
{
    size_t n = 0;

    while (n < in->len && n <= most && in->data[n] != '\0' && strchr(known, in->data[n]))
        n++;
    if (n > most)
        return PARSE_BAD;
    if (n == in->len)
        return PARSE_NEED_MORE;
    if (n == 0 || in->data[n] != stop)
        return PARSE_BAD;
    *ret = slice_of(in->data, n);
    *in = slice_of(in->data + n + 1, in->len - n - 1);
    return PARSE_OK;
}

static enum parse take_ip(struct slice *in, int family, uint8_t ip[16])
{
    char text[INET6_ADDRSTRLEN];
    struct slice word;
    enum parse p = family == AF_INET
                       ? take_word(in, "0123456789.", INET_ADDRSTRLEN - 1, ' ', &word)
                       : take_word(in, "0123456789abcdefABCDEF:.", INET6_ADDRSTRLEN - 1, ' ', &word);
    if (p != PARSE_OK)
        return p;
    memcpy(text, word.data, word.len);
    text[word.len] = '\0';
    return inet_pton(family, text, ip) == 1 ? PARSE_OK : PARSE_BAD;
}

/* A number without leading zeroes, at most 65535. */
static enum parse take_port(struct slice *in, char stop, uint16_t *ret)
{
    uint32_t port = 0;

    for (size_t n = 0; n < in->len; n++) {
        char c = in->data[n];
        if (c == stop && n > 0) {
            *ret = (uint16_t)port;
            *in = slice_of(in->data + n + 1, in->len - n - 1);
            return PARSE_OK;
        }
        if (c < '0' || c > '9' || (n > 0 && port == 0))
            return PARSE_BAD;
        port = port * 10 + (uint32_t)(c - '0');
        if (port > UINT16_MAX)
            return PARSE_BAD;
    }
    return PARSE_NEED_MORE;
}

static enum parse parse_ends(struct slice *in, int family, struct proxy_header *h)
{
    uint8_t dest_ip[16];
    uint16_t dest_port;
    enum parse p;

    if ((p = take_ip(in, family, h->ip)) != PARSE_OK || (p = take_ip(in, family, dest_ip)) != PARSE_OK ||
        (p = take_port(in, ' ', &h->port)) != PARSE_OK || (p = take_port(in, '\r', &dest_port)) != PARSE_OK)
        return p;
    h->ip_len = family == AF_INET ? 4 : 16;
    return take_literal(in, "\n");
}

/* What follows UNKNOWN has no meaning. */
static enum parse skip_line(struct slice *in)
{
    while (in->len > 0) {
        const char *end = memchr(in->data, '\r', in->len);
        size_t n = end ? (size_t)(end - in->data) + 1 : in->len;
        *in = slice_of(in->data + n, in->len - n);
        if (end && in->len > 0 && *in->data == '\n')
            return take_literal(in, "\n");
    }
    return PARSE_NEED_MORE;
}

static enum parse parse_unknown(struct slice *in)
{
    enum parse p = take_literal(in, "UNKNOWN");

    if (p != PARSE_OK || in->len == 0)
        return p == PARSE_OK ? PARSE_NEED_MORE : p;
    if (*in->data != ' ' && *in->data != '\r')
        return PARSE_BAD;
    return *in->data == '\r' ? take_literal(in, "\r\n") : skip_line(in);
}

static enum parse parse_line(struct slice *in, struct proxy_header *h)
{
    enum parse p = take_literal(in, "PROXY ");

    if (p != PARSE_OK || in->len == 0)
        return p == PARSE_OK ? PARSE_NEED_MORE : p;
    if (*in->data == 'U')
        return parse_unknown(in);
    if ((p = take_literal(in, "TCP")) != PARSE_OK || in->len == 0)
        return p == PARSE_OK ? PARSE_NEED_MORE : p;
    int family = *in->data == '4' ? AF_INET : AF_INET6;
    if ((p = take_literal(in, family == AF_INET ? "4 " : "6 ")) != PARSE_OK)
        return p;
    return parse_ends(in, family, h);
}

static enum parse parse_v1(struct proxy_header *ret, const char *data, size_t len)
{
    struct proxy_header h = {.ip_len = 0};
    struct slice in = slice_of(data, len < PROXY_HEADER_LINE_MAX ? len : PROXY_HEADER_LINE_MAX);
    enum parse p = parse_line(&in, &h);

    if (p == PARSE_NEED_MORE && len >= PROXY_HEADER_LINE_MAX)
        return PARSE_BAD;
    if (p == PARSE_OK) {
        h.consumed = (size_t)(in.data - data);
        *ret = h;
    }
    return p;
}

/* --- version 2: bytes ----------------------------------------------------------------------------------- */

static const char SIGNATURE[12] = {'\r', '\n', '\r', '\n', '\0', '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

/* signature (12), version and command, family and transport, length of the rest (2), addresses, TLVs */
enum { AT_COMMAND = 12, AT_FAMILY = 13, AT_LENGTH = 14, AT_ADDRESS = 16 };
enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 };
enum { TCP_OVER_IPV4 = 0x11, TCP_OVER_IPV6 = 0x21 };
/* type, length (2), value */
enum { TLV_HEAD = 3, TLV_CRC32C = 3 };

/* Families: none, IPv4, IPv6, Unix; transports: none, stream, datagram. None goes with none only. */
static bool is_family(uint8_t b)
{
    return b == 0 || (b >> 4 >= 1 && b >> 4 <= 3 && ((b & 15) == 1 || (b & 15) == 2));
}

static size_t number16(const uint8_t *at)
{
    return (size_t)at[0] << 8 | at[1];
}

/* CRC-32C of the header, in which the checksum itself counts as zero. Bit by bit: headers are short, and only
 * trusted sources send them. @see RFC 3720 12.1 */
static uint32_t crc32c(const uint8_t *data, size_t len, size_t zero_at)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= i - zero_at < 4 ? 0 : data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static enum parse check_tlvs(const uint8_t *data, size_t len, size_t at, size_t whole)
{
    size_t crc_at = 0;

    while (at < whole) {
        if (whole - at < TLV_HEAD)
            return PARSE_BAD;
        if (len < at + TLV_HEAD)
            return PARSE_NEED_MORE;
        size_t size = number16(data + at + 1), value_at = at + TLV_HEAD;
        bool is_crc = data[at] == TLV_CRC32C;
        if (size > whole - value_at || (is_crc && (size != 4 || crc_at > 0)))
            return PARSE_BAD;
        crc_at = is_crc ? value_at : crc_at;
        at = value_at + size;
    }
    if (len < whole)
        return PARSE_NEED_MORE;
    if (crc_at == 0)
        return PARSE_OK;
    uint32_t told = (uint32_t)number16(data + crc_at) << 16 | (uint32_t)number16(data + crc_at + 2);
    return crc32c(data, whole, crc_at) == told ? PARSE_OK : PARSE_BAD;
}

/* The bytes before the addresses. @return PARSE_OK when all of them are there */
static enum parse check_start(const uint8_t *bytes, size_t len)
{
    if (memcmp(bytes, SIGNATURE, len < sizeof SIGNATURE ? len : sizeof SIGNATURE) != 0)
        return PARSE_BAD;
    if (len > AT_COMMAND && bytes[AT_COMMAND] != V2_LOCAL && bytes[AT_COMMAND] != V2_PROXY)
        return PARSE_BAD;
    if (len > AT_FAMILY && bytes[AT_COMMAND] == V2_PROXY && !is_family(bytes[AT_FAMILY]))
        return PARSE_BAD;
    if (len > AT_LENGTH && bytes[AT_LENGTH] > (PROXY_HEADER_MAX - AT_ADDRESS) >> 8)
        return PARSE_BAD;
    return len < AT_ADDRESS ? PARSE_NEED_MORE : PARSE_OK;
}

static enum parse parse_v2(struct proxy_header *ret, const char *data, size_t len)
{
    const uint8_t *bytes = (const uint8_t *)data;
    enum parse p = check_start(bytes, len);

    if (p != PARSE_OK)
        return p;
    struct proxy_header h = {.consumed = AT_ADDRESS + number16(bytes + AT_LENGTH)};
    if (bytes[AT_COMMAND] == V2_PROXY && bytes[AT_FAMILY] == TCP_OVER_IPV4)
        h.ip_len = 4;
    else if (bytes[AT_COMMAND] == V2_PROXY && bytes[AT_FAMILY] == TCP_OVER_IPV6)
        h.ip_len = 16;
    /* source, destination, and their ports */
    size_t addresses = h.ip_len > 0 ? 2 * h.ip_len + 4 : 0;
    if (h.consumed - AT_ADDRESS < addresses)
        return PARSE_BAD;
    /* Without an address, where the TLVs begin depends on a family that is not for us: all is skipped. */
    p = h.ip_len > 0       ? check_tlvs(bytes, len, AT_ADDRESS + addresses, h.consumed)
        : len < h.consumed ? PARSE_NEED_MORE
                           : PARSE_OK;
    if (p != PARSE_OK)
        return p;
    memcpy(h.ip, bytes + AT_ADDRESS, h.ip_len);
    if (h.ip_len > 0)
        h.port = (uint16_t)number16(bytes + AT_ADDRESS + 2 * h.ip_len);
    *ret = h;
    return PARSE_OK;
}

enum parse proxy_header_parse(struct proxy_header *ret, const char *data, size_t len)
{
    if (len == 0)
        return PARSE_NEED_MORE;
    return *data == SIGNATURE[0] ? parse_v2(ret, data, len) : parse_v1(ret, data, len);
}
