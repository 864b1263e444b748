#include "proto/base64.h"

#include <errno.h>

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(struct slice text, char *out, size_t out_size, size_t *ret_len)
{
    size_t n = text.len, written = 0;
    uint32_t bits = 0;
    unsigned pending = 0; /* bits that are not written yet */

    if (n % 4 != 0)
        return -EINVAL;
    while (n > 0 && text.len - n < 2 && text.data[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++) {
        int v = value_of(text.data[i]);
        if (v < 0)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)v;
        pending += 6;
        if (pending < 8)
            continue;
        pending -= 8;
        if (written == out_size)
            return -ENOBUFS;
        out[written++] = (char)(bits >> pending & 0xff);
    }
    /* Bits under the padding must be zero, or two texts would decode to the same bytes. */
    if (bits & ((1u << pending) - 1))
        return -EINVAL;
    *ret_len = written;
    return 0;
}

void base64_encode(struct slice data, char *out)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < data.len; i += 3) {
        size_t left = data.len - i;
        uint32_t bits = (uint32_t)(uint8_t)data.data[i] << 16;
        if (left > 1)
            bits |= (uint32_t)(uint8_t)data.data[i + 1] << 8;
        if (left > 2)
            bits |= (uint8_t)data.data[i + 2];
        *out++ = letters[bits >> 18];
        *out++ = letters[bits >> 12 & 63];
        *out++ = left > 1 ? letters[bits >> 6 & 63] : '=';
        *out++ = left > 2 ? letters[bits & 63] : '=';
    }
    *out = '\0';
}
