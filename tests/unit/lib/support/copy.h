#ifndef STEERWAY_TESTS_SUPPORT_COPY_H
#define STEERWAY_TESTS_SUPPORT_COPY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A copy of exactly that size on the heap, so that a sanitizer sees a read past its end. To be freed. */
static inline void *heap_copy(const void *data, size_t len)
{
    void *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, data, len);
    return copy;
}

#endif
