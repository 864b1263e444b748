/* Whole numbers as text, for log lines that each connection writes: printf takes about 600 instructions for
 * one. */
#ifndef STEERWAY_BASE_DIGITS_H
#define STEERWAY_BASE_DIGITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** The number of digits of UINT64_MAX. */
enum { DIGITS_MAX = 20 };

/** Write n in decimal, without leading zeroes and without a NUL. @return the number of digits, 1 to
 * DIGITS_MAX */
static inline size_t digits_put(char out[static DIGITS_MAX], uint64_t n)
{
    char text[DIGITS_MAX];
    size_t at = sizeof text;

    do {
        text[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    memcpy(out, text + at, sizeof text - at);
    return sizeof text - at;
}

#endif
