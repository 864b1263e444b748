#include "capture/capture_ranges.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- filling -------------------------------------------------------------------------------------------- */

static int add(struct capture_ranges *r, const struct capture_range *one)
{
    struct capture_range *items = reallocarray(r->items, r->n + 1, sizeof *items);

    if (!items)
        return -ENOMEM;
    items[r->n++] = *one;
    r->items = items;
    return 0;
}

static struct capture_range range_of(const struct cidr *c)
{
    struct capture_range one = {.ip_len = c->ip_len};

    for (size_t i = 0; i < c->ip_len; i++) {
        size_t fixed = c->bits > 8 * i ? c->bits - 8 * i : 0;
        uint8_t open = fixed >= 8 ? 0 : (uint8_t)(0xff >> fixed);
        one.first[i] = c->ip[i] & (uint8_t)~open;
        one.last[i] = c->ip[i] | open;
    }
    return one;
}

int capture_ranges_add(struct capture_ranges *r, const struct cidr *c)
{
    const struct capture_range one = range_of(c);
    return add(r, &one);
}

/* @param text  "10.0.0.0/8", "10.1.0.1", or "10.1.0.1-10.1.0.7" */
static int parse_element(struct capture_range *ret, struct slice text)
{
    const char *dash = memchr(text.data, '-', text.len);
    size_t len = dash ? (size_t)(dash - text.data) : text.len;
    struct cidr first, last;

    if (cidr_parse(&first, slice_of(text.data, len)) < 0)
        return -EINVAL;
    *ret = range_of(&first);
    if (!dash)
        return 0;
    if (cidr_parse(&last, slice_of(dash + 1, text.len - len - 1)) < 0 || last.ip_len != first.ip_len)
        return -EINVAL;
    const struct capture_range end = range_of(&last);
    memcpy(ret->last, end.last, sizeof ret->last);
    return 0;
}

int capture_ranges_add_text(struct capture_ranges *r, struct slice text)
{
    static const char between[] = ", \t\n";
    const char *at = text.data, *end = text.data + text.len;

    while (at < end) {
        const char *begin = at;
        while (at < end && !strchr(between, *at))
            at++;
        struct capture_range one;
        int rc = at == begin ? 0 : parse_element(&one, slice_of(begin, (size_t)(at - begin)));
        if (rc == 0 && at > begin)
            rc = add(r, &one);
        if (rc < 0)
            return rc;
        at++;
    }
    return 0;
}

/* --- joining -------------------------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    const struct capture_range *one = a, *other = b;
    int order = (int)one->ip_len - (int)other->ip_len;

    if (order == 0)
        order = memcmp(one->first, other->first, sizeof one->first);
    return order ? order : memcmp(one->last, other->last, sizeof one->last);
}

/* Whether b begins within a, or right behind it. */
static bool reaches(const struct capture_range *a, const struct capture_range *b)
{
    uint8_t behind[16];

    if (a->ip_len != b->ip_len)
        return false;
    memcpy(behind, a->last, sizeof behind);
    for (size_t i = a->ip_len; i-- > 0;)
        if (++behind[i] != 0)
            return memcmp(b->first, behind, a->ip_len) <= 0;
    return true; /* a goes up to the last address */
}

void capture_ranges_join(struct capture_ranges *r)
{
    size_t n = 0;

    if (r->n == 0)
        return;
    qsort(r->items, r->n, sizeof *r->items, by_place);
    for (size_t i = 1; i < r->n; i++) {
        struct capture_range *a = &r->items[n], *b = &r->items[i];
        if (!reaches(a, b))
            r->items[++n] = *b;
        else if (memcmp(b->last, a->last, sizeof a->last) > 0)
            memcpy(a->last, b->last, sizeof a->last);
    }
    r->n = n + 1;
}

/* --- comparing ------------------------------------------------------------------------------------------ */

bool capture_ranges_same(const struct capture_ranges *a, const struct capture_ranges *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (by_place(&a->items[i], &b->items[i]) != 0)
            return false;
    return true;
}

static bool covers(const struct capture_range *a, const struct capture_range *b)
{
    return a->ip_len == b->ip_len && memcmp(a->first, b->first, a->ip_len) <= 0 &&
           memcmp(a->last, b->last, a->ip_len) >= 0;
}

const struct capture_range *capture_ranges_lack(const struct capture_ranges *all,
                                                const struct capture_ranges *wanted)
{
    for (size_t i = 0; i < wanted->n; i++) {
        bool there = false;
        for (size_t k = 0; k < all->n && !there; k++)
            there = covers(&all->items[k], &wanted->items[i]);
        if (!there)
            return &wanted->items[i];
    }
    return NULL;
}

/* The prefix length of the range; -1 if the range is not exactly one network. */
static int bits_of(const struct capture_range *r)
{
    int bits = 0;

    while (bits < 8 * r->ip_len && !((r->first[bits / 8] ^ r->last[bits / 8]) & 0x80 >> bits % 8))
        bits++;
    for (int i = bits; i < 8 * r->ip_len; i++)
        if (r->first[i / 8] & 0x80 >> i % 8 || !(r->last[i / 8] & 0x80 >> i % 8))
            return -1;
    return bits;
}

static const char *format_ip(const uint8_t *ip, uint8_t ip_len, char out[ADDR_TEXT_MAX])
{
    struct addr a;

    if (addr_from_ip(&a, ip, ip_len, 0) < 0)
        a.sa.sa_family = AF_UNSPEC;
    return addr_format_ip(&a, out);
}

const char *capture_range_format(const struct capture_range *r, char out[CAPTURE_RANGE_TEXT_MAX])
{
    char first[ADDR_TEXT_MAX], last[ADDR_TEXT_MAX];
    int bits = bits_of(r);

    (void)format_ip(r->first, r->ip_len, first);
    if (bits < 0)
        (void)snprintf(out, CAPTURE_RANGE_TEXT_MAX, "%s-%s", first, format_ip(r->last, r->ip_len, last));
    else if (bits == 8 * r->ip_len)
        (void)snprintf(out, CAPTURE_RANGE_TEXT_MAX, "%s", first);
    else
        (void)snprintf(out, CAPTURE_RANGE_TEXT_MAX, "%s/%d", first, bits);
    return out;
}

void capture_ranges_done(struct capture_ranges *r)
{
    free(r->items);
    *r = (struct capture_ranges){.n = 0};
}
