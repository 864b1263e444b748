#include "sets/range_set.h"

#include "base/host_port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

enum { ROOM_MIN = 16, TEXT_MAX = 64, BITS4 = 32, BITS6 = 128, MAPPED_BITS = 96 };

static const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct range4 {
    uint32_t low, high;
};

struct range6 {
    uint8_t low[16], high[16]; /* in network order, so that memcmp orders them */
};

struct range_set {
    struct range4 *v4;
    struct range6 *v6;
    size_t n4, room4, n6, room6;
};

struct range_set *range_set_new(void)
{
    return calloc(1, sizeof(struct range_set));
}

void range_set_free(struct range_set *s)
{
    if (!s)
        return;
    free(s->v4);
    free(s->v6);
    free(s);
}

/* Make room for one more item. */
static int make_room(void *list, size_t n, size_t *room, size_t size)
{
    void **items = list;
    size_t more = *room ? *room * 2 : ROOM_MIN;

    if (n < *room)
        return 0;
    void *grown = reallocarray(*items, more, size);
    if (!grown)
        return -ENOMEM;
    *items = grown;
    *room = more;
    return 0;
}

static int add4(struct range_set *s, const uint8_t *ip, unsigned bits)
{
    uint32_t address, rest = bits == 0 ? UINT32_MAX : (uint32_t)((UINT64_C(1) << (BITS4 - bits)) - 1);
    int r = make_room(&s->v4, s->n4, &s->room4, sizeof *s->v4);

    if (r < 0)
        return r;
    memcpy(&address, ip, sizeof address);
    address = ntohl(address);
    s->v4[s->n4++] = (struct range4){.low = address & ~rest, .high = address | rest};
    return 0;
}

static int add6(struct range_set *s, const uint8_t *ip, unsigned bits)
{
    struct range6 range;
    int r = make_room(&s->v6, s->n6, &s->room6, sizeof *s->v6);

    if (r < 0)
        return r;
    for (unsigned i = 0; i < sizeof range.low; i++) {
        unsigned kept = bits > i * 8 ? bits - i * 8 : 0;
        uint8_t rest = (uint8_t)(kept >= 8 ? 0 : 0xff >> kept);
        range.low[i] = ip[i] & (uint8_t)~rest;
        range.high[i] = ip[i] | rest;
    }
    s->v6[s->n6++] = range;
    return 0;
}

/* Parse "10.0.0.0/8"; without a prefix, *ret_bits is that of one address. @return AF_INET, AF_INET6, or 0 for
 * invalid text */
static int parse(struct slice text, uint8_t ip[static 16], unsigned *ret_bits)
{
    const char *slash = memchr(text.data, '/', text.len);
    size_t len = slash ? (size_t)(slash - text.data) : text.len, digits = text.len - len;
    char copy[TEXT_MAX];
    unsigned bits = 0;

    if (len == 0 || len >= sizeof copy || memchr(text.data, '\0', len))
        return 0;
    memcpy(copy, text.data, len);
    copy[len] = '\0';
    int family = inet_pton(AF_INET, copy, ip) == 1    ? AF_INET
                 : inet_pton(AF_INET6, copy, ip) == 1 ? AF_INET6
                                                      : 0;
    unsigned width = family == AF_INET ? BITS4 : BITS6;
    if (slash && (digits < 2 || digits > 4))
        return 0;
    for (size_t i = len + 1; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return 0;
        bits = bits * 10 + (unsigned)(text.data[i] - '0');
    }
    if (bits > width)
        return 0;
    *ret_bits = slash ? bits : width;
    return family;
}

int range_set_add(struct range_set *s, struct slice text)
{
    uint8_t ip[16];
    unsigned bits;
    int family = parse(text, ip, &bits);

    if (family == AF_INET)
        return add4(s, ip, bits);
    if (family == AF_INET6 && bits >= MAPPED_BITS && memcmp(ip, MAPPED, sizeof MAPPED) == 0)
        return add4(s, ip + sizeof MAPPED, bits - MAPPED_BITS);
    return family == AF_INET6 ? add6(s, ip, bits) : -EINVAL;
}

/* --- order ---------------------------------------------------------------------------------------------- */

static int order4(const void *a, const void *b)
{
    const struct range4 *x = a, *y = b;

    return (x->low > y->low) - (x->low < y->low);
}

static int order6(const void *a, const void *b)
{
    const struct range6 *x = a, *y = b;

    return memcmp(x->low, y->low, sizeof x->low);
}

static void merge4(struct range_set *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n4; i++) {
        struct range4 *last = n > 0 ? &s->v4[n - 1] : NULL;
        if (!last || s->v4[i].low > last->high)
            s->v4[n++] = s->v4[i];
        else if (s->v4[i].high > last->high)
            last->high = s->v4[i].high;
    }
    s->n4 = n;
}

static void merge6(struct range_set *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n6; i++) {
        struct range6 *last = n > 0 ? &s->v6[n - 1] : NULL;
        if (!last || memcmp(s->v6[i].low, last->high, sizeof last->high) > 0)
            s->v6[n++] = s->v6[i];
        else if (memcmp(s->v6[i].high, last->high, sizeof last->high) > 0)
            memcpy(last->high, s->v6[i].high, sizeof last->high);
    }
    s->n6 = n;
}

static void trim(void *list, size_t n, size_t *room, size_t size)
{
    void **items = list, *smaller = n > 0 ? reallocarray(*items, n, size) : NULL;

    if (!smaller)
        return;
    *items = smaller;
    *room = n;
}

void range_set_finish(struct range_set *s)
{
    if (s->n4 > 0)
        qsort(s->v4, s->n4, sizeof *s->v4, order4);
    if (s->n6 > 0)
        qsort(s->v6, s->n6, sizeof *s->v6, order6);
    merge4(s);
    merge6(s);
    trim(&s->v4, s->n4, &s->room4, sizeof *s->v4);
    trim(&s->v6, s->n6, &s->room6, sizeof *s->v6);
}

/* --- look-up -------------------------------------------------------------------------------------------- */

static bool holds4(const struct range_set *s, const uint8_t *ip)
{
    uint32_t address;
    size_t from = 0, to = s->n4; /* ranges before `from` begin at or below the address */

    memcpy(&address, ip, sizeof address);
    address = ntohl(address);
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (s->v4[mid].low <= address)
            from = mid + 1;
        else
            to = mid;
    }
    return from > 0 && address <= s->v4[from - 1].high;
}

static bool holds6(const struct range_set *s, const uint8_t *ip)
{
    size_t from = 0, to = s->n6;

    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (memcmp(s->v6[mid].low, ip, sizeof s->v6[mid].low) <= 0)
            from = mid + 1;
        else
            to = mid;
    }
    return from > 0 && memcmp(ip, s->v6[from - 1].high, sizeof s->v6->high) <= 0;
}

/* An IPv6 range may include the mapped addresses: ::/0. */
static bool holds_mapped(const struct range_set *s, const uint8_t *ip4)
{
    uint8_t ip[16];

    memcpy(ip, MAPPED, sizeof MAPPED);
    memcpy(ip + sizeof MAPPED, ip4, 4);
    return s->n6 > 0 && holds6(s, ip);
}

int range_set_match(const struct range_set *s, const char *host, size_t len)
{
    uint8_t ip[16];
    unsigned bits;

    struct slice bare = slice_of(host, len);

    (void)host_port_unbracket(&bare);
    if (bare.len == 0 || bare.len >= TEXT_MAX || memchr(bare.data, '/', bare.len))
        return 0;
    const char *scope = memchr(bare.data, '%', bare.len);
    int family = parse(slice_of(bare.data, scope ? (size_t)(scope - bare.data) : bare.len), ip, &bits);
    if (family == AF_INET)
        return holds4(s, ip) || holds_mapped(s, ip);
    if (family == AF_INET6 && memcmp(ip, MAPPED, sizeof MAPPED) == 0)
        return holds4(s, ip + sizeof MAPPED) || holds6(s, ip);
    return family == AF_INET6 && holds6(s, ip);
}

size_t range_set_count(const struct range_set *s)
{
    return s->n4 + s->n6;
}

size_t range_set_bytes(const struct range_set *s)
{
    return sizeof *s + s->room4 * sizeof *s->v4 + s->room6 * sizeof *s->v6;
}
