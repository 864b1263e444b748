#include "proto/target.h"

#include "base/host_port.h"
#include "base/ip_text.h"

#include <arpa/inet.h>

static const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
enum { LABEL_MAX = 63 };

enum parse target_set_ip(struct target *ret, const uint8_t *ip, size_t len, uint16_t port)
{
    if (port == 0 || (len != 4 && len != 16))
        return PARSE_BAD;
    if (len == 16 && memcmp(ip, MAPPED, sizeof MAPPED) == 0) {
        ip += sizeof MAPPED;
        len = 4;
    }
    struct target t = {.kind = len == 4 ? TARGET_IPV4 : TARGET_IPV6, .port = port};
    memcpy(t.ip, ip, len);
    (void)ip_text(ip, len, t.host);
    *ret = t;
    return PARSE_OK;
}

static enum parse set_ipv6(struct target *ret, struct slice text, uint16_t port)
{
    char copy[INET6_ADDRSTRLEN];
    uint8_t ip[16];

    if (text.len >= sizeof copy || memchr(text.data, '\0', text.len))
        return PARSE_BAD;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET6, copy, ip) != 1)
        return PARSE_BAD;
    return target_set_ip(ret, ip, sizeof ip, port);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_name_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* Whether some resolvers would read the last label, in lower case, as a number: digits, or 0x with hex
 * digits. */
static bool ends_in_number(const char *label, size_t len)
{
    bool hex = len >= 2 && label[0] == '0' && label[1] == 'x';

    for (size_t i = hex ? 2 : 0; i < len; i++)
        if (hex ? !is_hex(label[i]) : !is_digit(label[i]))
            return false;
    return true;
}

/* Copy a name in lower case. @return its length, or 0 for an invalid name */
static size_t copy_name(char out[TARGET_HOST_MAX + 1], struct slice name)
{
    size_t label = 0; /* start of the present label */

    if (name.len > 0 && name.data[name.len - 1] == '.')
        name.len--;
    if (name.len == 0 || name.len > TARGET_HOST_MAX)
        return 0;
    for (size_t i = 0; i <= name.len; i++) {
        char c = i < name.len ? name.data[i] : '.';
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        out[i] = i < name.len ? c : '\0';
        if (c != '.') {
            if (!is_name_char(c))
                return 0;
            continue;
        }
        if (i == label || i - label > LABEL_MAX)
            return 0;
        if (i == name.len && ends_in_number(out + label, i - label))
            return 0;
        label = i + 1;
    }
    return name.len;
}

/* For text with a bracket or a colon. The text before the first colon is also the beginning of a name, so
 * that no further byte can turn a bad name into an address. */
static bool ipv6_may_begin(struct slice text)
{
    static const size_t GROUP_MAX = 4;
    size_t start = text.data[0] == '[';
    bool colon = false;

    for (size_t i = start; i < text.len; i++) {
        char c = text.data[i];
        if (c == ']')
            return start == 1 && i + 1 == text.len;
        if (i - start == INET6_ADDRSTRLEN - 1)
            return false;
        if (c == ':')
            colon = true;
        else if (colon ? !is_hex(c) && c != '.' : !is_hex(c) || i - start == GROUP_MAX)
            return false;
    }
    return true;
}

bool target_may_begin(struct slice text)
{
    size_t label = 0;

    if (text.len > 0 && (text.data[0] == '[' || memchr(text.data, ':', text.len)))
        return ipv6_may_begin(text);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '.' ? label == 0 : !is_name_char(c) || label == LABEL_MAX)
            return false;
        label = c == '.' ? 0 : label + 1;
    }
    return text.len <= TARGET_HOST_MAX || (text.len == TARGET_HOST_MAX + 1 && label == 0);
}

enum parse target_set(struct target *ret, struct slice host, uint16_t port)
{
    struct target t = {.kind = TARGET_NAME, .port = port};
    uint8_t ip[4];

    if (port == 0 || host.len == 0)
        return PARSE_BAD;
    if (host_port_unbracket(&host) || memchr(host.data, ':', host.len))
        return set_ipv6(ret, host, port);
    if (host.len < INET_ADDRSTRLEN && !memchr(host.data, '\0', host.len)) {
        memcpy(t.host, host.data, host.len); /* t.host is zeroed */
        if (inet_pton(AF_INET, t.host, ip) == 1)
            return target_set_ip(ret, ip, sizeof ip, port);
    }
    if (copy_name(t.host, host) == 0)
        return PARSE_BAD;
    *ret = t;
    return PARSE_OK;
}

enum parse target_parse(struct target *ret, struct slice authority, uint16_t default_port)
{
    const struct host_port split = host_port_split(authority);
    uint16_t port = default_port;

    if (split.port.len > 0 && host_port_number(split.port, &port) < 0)
        return PARSE_BAD;
    /* A lone IPv6 address needs its brackets here. */
    if (!split.bracketed && split.host.len > 0 && memchr(split.host.data, ':', split.host.len))
        return PARSE_BAD;
    return target_set(ret, split.place, port);
}
