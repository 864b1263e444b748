#include "base/ip_text.h"

#include <stdbool.h>

enum { GROUPS = 8 };

static char *put_decimal(char *to, unsigned n)
{
    if (n >= 100)
        *to++ = (char)('0' + n / 100);
    if (n >= 10)
        *to++ = (char)('0' + n / 10 % 10);
    *to++ = (char)('0' + n % 10);
    return to;
}

static char *put_ipv4(char *to, const uint8_t ip[static 4])
{
    for (int i = 0; i < 4; i++) {
        if (i > 0)
            *to++ = '.';
        to = put_decimal(to, ip[i]);
    }
    return to;
}

/* Without leading zeroes. */
static char *put_group(char *to, unsigned n)
{
    static const char digits[] = "0123456789abcdef";

    for (unsigned shift = n > 0xfff ? 12 : n > 0xff ? 8 : n > 0xf ? 4 : 0;; shift -= 4) {
        *to++ = digits[n >> shift & 0xf];
        if (shift == 0)
            return to;
    }
}

/* The longest run of zero groups, the first of equals; a single group does not count (RFC 5952 4.2). @return
 * its length, or 0 */
static int find_zeroes(const unsigned group[static GROUPS], int *ret_from)
{
    int from = 0, longest = 0;

    for (int i = 0, run = 0; i < GROUPS; i++) {
        run = group[i] == 0 ? run + 1 : 0;
        if (run > longest) {
            longest = run;
            from = i + 1 - run;
        }
    }
    *ret_from = from;
    return longest > 1 ? longest : 0;
}

static char *put_ipv6(char *to, const uint8_t ip[static 16])
{
    unsigned group[GROUPS];
    int from;

    for (int i = 0; i < GROUPS; i++)
        group[i] = (unsigned)ip[2 * i] << 8 | ip[2 * i + 1];
    int zeroes = find_zeroes(group, &from);
    /* An IPv4 address inside (RFC 4291 2.2): IPv4-mapped, or the deprecated IPv4-compatible form. */
    bool holds_ipv4 = from == 0 && (zeroes == 6 || (zeroes == 5 && group[5] == 0xffff));
    for (int i = 0; i < GROUPS;) {
        if (zeroes > 0 && i == from) {
            *to++ = ':';
            i += zeroes;
            if (i == GROUPS)
                *to++ = ':';
            continue;
        }
        if (i > 0)
            *to++ = ':';
        if (i == 6 && holds_ipv4)
            return put_ipv4(to, ip + 12);
        to = put_group(to, group[i++]);
    }
    return to;
}

size_t ip_text(const uint8_t *ip, size_t len, char out[static IP_TEXT_MAX])
{
    char *end = len == 4 ? put_ipv4(out, ip) : put_ipv6(out, ip);

    *end = '\0';
    return (size_t)(end - out);
}
