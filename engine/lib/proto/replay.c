#include "proto/replay.h"

#include "base/compiler.h"

#include <string.h>

/* ContentType handshake, and the first byte of every version since SSL 3.0 (RFC 8446 5.1). */
static const char TLS_HANDSHAKE[] = {22, 3};
static const char *const SAFE_METHODS[] = {"GET ", "HEAD ", "OPTIONS "};

static bool begins_with(struct slice s, const char *start, size_t n)
{
    return s.len >= n && memcmp(s.data, start, n) == 0;
}

/* Bytes after the head may be another request, whose method is not safe. */
static bool is_one_head(struct slice s)
{
    static const char end[] = "\r\n\r\n";
    size_t n = sizeof end - 1;
    const char *found = memmem(s.data, s.len, end, n);

    return found && found + n == s.data + s.len;
}

bool replay_is_safe(struct slice first)
{
    if (begins_with(first, TLS_HANDSHAKE, sizeof TLS_HANDSHAKE))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(SAFE_METHODS); i++)
        if (begins_with(first, SAFE_METHODS[i], strlen(SAFE_METHODS[i])))
            return is_one_head(first);
    return false;
}
