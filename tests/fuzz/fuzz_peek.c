/* The name in the first bytes of a TCP connection, and a ClientHello with and without records. */
#include "fuzz.h"
#include "peek/peek.h"
#include "peek/tls_hello.h"

enum { LONGEST_FOR_PREFIXES = 300, RECORD_HEADER = 5 };

static void check_name(const char *host)
{
    struct target t;

    CHECK(memchr(host, '\0', TARGET_HOST_MAX + 1));
    CHECK(target_set(&t, slice_str(host), 1) == PARSE_OK);
    CHECK(t.kind == TARGET_NAME && strcmp(t.host, host) == 0);
    fuzz_target(&t);
}

/* A host is written with PARSE_OK alone. */
static enum parse peek(const char *data, size_t len, char host[TARGET_HOST_MAX + 1])
{
    char *copy = fuzz_copy(data, len);

    memset(host, 0x7f, TARGET_HOST_MAX + 1);
    const enum parse p = peek_name(slice_of(copy, len), host);
    free(copy);
    if (p == PARSE_OK)
        check_name(host);
    for (size_t i = 0; p != PARSE_OK && i <= TARGET_HOST_MAX; i++)
        CHECK(host[i] == 0x7f);
    CHECK(p != PARSE_NEED_MORE || len < PEEK_MAX);
    return p;
}

/* The first verdict stays, and the name with it, whatever comes behind. */
static void fuzz_peeks(const char *data, size_t len)
{
    char first[TARGET_HOST_MAX + 1], host[TARGET_HOST_MAX + 1];
    enum parse before = PARSE_NEED_MORE;

    for (size_t n = len <= LONGEST_FOR_PREFIXES ? 0 : len; n <= len; n++) {
        const enum parse p = peek(data, n, host);
        CHECK(before == PARSE_NEED_MORE || p == before);
        if (p == PARSE_OK && before != PARSE_OK)
            memcpy(first, host, sizeof first);
        CHECK(p != PARSE_OK || strcmp(first, host) == 0);
        before = p;
    }
}

/* The same bytes in records of any size have the same name. */
static void fuzz_records(const char *data, size_t len, size_t size)
{
    char *wrapped = malloc(len * (RECORD_HEADER + 1) + 1);
    char in_message[TARGET_HOST_MAX + 1] = "", in_records[TARGET_HOST_MAX + 1] = "";
    size_t n = 0;

    CHECK(wrapped);
    for (size_t at = 0; at < len; at += size) {
        const size_t piece = len - at < size ? len - at : size;
        memcpy(wrapped + n, "\x16\x03\x01", 3);
        wrapped[n + 3] = (char)(piece >> 8);
        wrapped[n + 4] = (char)(piece & 0xff);
        memcpy(wrapped + n + RECORD_HEADER, data + at, piece);
        n += RECORD_HEADER + piece;
    }
    char *exact = fuzz_copy(wrapped, n), *message = fuzz_copy(data, len);
    free(wrapped);
    const enum parse p = tls_hello_in_message(slice_of(message, len), in_message);
    if (n < TLS_HELLO_MAX) {
        CHECK(tls_hello_in_records(slice_of(exact, n), in_records) == p);
        CHECK(strcmp(in_message, in_records) == 0);
    }
    free(exact);
    free(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;

    fuzz_peeks(text, size);
    fuzz_records(text, size, size ? data[size - 1] + 1u : 1);
    /* A recorded hello begins behind the header of its record. */
    if (size > RECORD_HEADER)
        fuzz_records(text + RECORD_HEADER, size - RECORD_HEADER, data[size - 1] + 1u);
    return 0;
}
