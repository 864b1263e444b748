/* What real clients sent; the fuzz targets begin with it. Datagrams have their length in two bytes before
 * them. */
#ifndef TESTS_UNIT_PEEK_RECORDED_H
#define TESTS_UNIT_PEEK_RECORDED_H

#include "proto/exact.h"

struct recorded {
    size_t len, at;
    char data[16 * 1024];
};

static inline void recorded_open(struct recorded *r, const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/tests/fuzz/corpus/%s", STEERWAY_SOURCE_DIR, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s cannot be read", path);
    r->at = 0;
    r->len = fread(r->data, 1, sizeof r->data, f);
    (void)fclose(f);
}

/* @return false at the end */
static inline bool recorded_next(struct recorded *r, struct slice *ret)
{
    if (r->at + 2 > r->len)
        return false;
    const size_t n = (size_t)(uint8_t)r->data[r->at] << 8 | (uint8_t)r->data[r->at + 1];
    assert_true(n <= r->len - r->at - 2);
    *ret = slice_of(r->data + r->at + 2, n);
    r->at += 2 + n;
    return true;
}

/* Without libcrypto there is nothing to test. */
#if STEERWAY_QUIC
#define NEED_CRYPTO() (void)state
#else
#define NEED_CRYPTO()                                                                                        \
    do {                                                                                                     \
        (void)state;                                                                                         \
        (void)puts("skipped: this build has no libcrypto");                                                  \
        skip();                                                                                              \
    } while (0)
#endif

#endif
