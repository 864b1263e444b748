/* Headers of the PROXY protocol, both versions. */
#include "fuzz.h"
#include "proto/proxy_header.h"

/* Each prefix is parsed, so long inputs would take long. */
enum { LONGEST = 2048 };

static enum parse parse(const char *data, size_t len, size_t *ret_consumed)
{
    struct proxy_header h;
    enum parse p = proxy_header_parse(&h, data, len);

    if (p != PARSE_OK)
        return p;
    CHECK(h.ip_len == 0 || h.ip_len == 4 || h.ip_len == 16);
    CHECK(h.consumed > 0 && h.consumed <= len);
    CHECK(h.consumed <= (*data == 'P' ? PROXY_HEADER_LINE_MAX : PROXY_HEADER_MAX));
    *ret_consumed = h.consumed;
    return p;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t consumed;

    if (size <= LONGEST)
        fuzz_prefixes(parse, (const char *)data, size);
    else
        (void)parse((const char *)data, size, &consumed);
    return 0;
}
