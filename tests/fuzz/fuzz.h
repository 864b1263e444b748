/* Shared by the fuzz targets. A target checks that the parsers keep the promises of their headers for any
 * input, and aborts when they do not. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "proto/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/** The entry for the fuzzer and for replay.c. data is an allocation of exactly size bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(promise)                                                                                       \
    do {                                                                                                     \
        if (!(promise)) {                                                                                    \
            (void)fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #promise);                      \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/** An allocation of exactly len bytes, so that the address sanitizer guards its end. */
static inline char *fuzz_copy(const char *data, size_t len)
{
    CHECK(len <= PTRDIFF_MAX); /* gcc warns of larger allocations where it cannot bound len */
    char *copy = malloc(len ? len : 1);
    CHECK(copy);
    if (len > 0)
        memcpy(copy, data, len);
    return copy;
}

/** Parses data; on PARSE_OK returns the bytes that the message took. */
typedef enum parse (*fuzz_parser)(const char *data, size_t len, size_t *ret_consumed);

/** Every prefix of data asks for more until one is a message or bad; longer prefixes then give the same
 * result. */
static inline void fuzz_prefixes(fuzz_parser parse, const char *data, size_t len)
{
    enum parse before = PARSE_NEED_MORE;
    size_t message = 0;

    for (size_t n = 0; n <= len; n++) {
        size_t consumed = 0;
        char *copy = fuzz_copy(data, n);
        enum parse p = parse(copy, n, &consumed);
        free(copy);
        CHECK(before == PARSE_NEED_MORE || p == before);
        if (before == PARSE_NEED_MORE)
            message = n;
        CHECK(p != PARSE_OK || consumed == message);
        before = p;
    }
}

/** A target is the same in its text and in its bytes. */
static inline void fuzz_target(const struct target *t)
{
    struct target again;
    size_t len = strlen(t->host);

    CHECK(len > 0 && len <= TARGET_HOST_MAX);
    for (const char *c = t->host; *c; c++)
        CHECK(*c > ' ' && *c < 0x7f && !(*c >= 'A' && *c <= 'Z') && *c != '[' && *c != ']');
    for (size_t n = 0; n <= len; n++)
        CHECK(target_may_begin(slice_of(t->host, n)));
    CHECK(target_set(&again, slice_of(t->host, len), 1) == PARSE_OK);
    CHECK(again.kind == t->kind && strcmp(again.host, t->host) == 0);
    if (t->kind == TARGET_NAME)
        return;
    CHECK(memcmp(again.ip, t->ip, t->kind == TARGET_IPV4 ? 4 : 16) == 0);
    CHECK(target_set_ip(&again, t->ip, t->kind == TARGET_IPV4 ? 4 : 16, 1) == PARSE_OK);
    CHECK(again.kind == t->kind && strcmp(again.host, t->host) == 0);
}

#endif
