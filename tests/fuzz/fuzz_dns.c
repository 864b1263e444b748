/* DNS: a name, the question made from it, and an untrusted answer. The first byte selects how the rest is
 * read, the second is the name's length; the message follows. */
#include "dns/dns_message.h"
#include "dns/dns_name.h"
#include "fuzz.h"

#include <ctype.h>

enum { LONGEST = 1024, IS_AAAA = 1, IS_OURS = 2, ID = 0x1234, FLAGS = 2, COUNT = 4, QUESTION = 12 };

static void fuzz_addrs(const struct dns_reply *r, enum dns_type type)
{
    for (size_t i = 0; i < r->n; i++) {
        int family = addr_family(&r->addrs[i]);
        CHECK(family == AF_INET || (type == DNS_TYPE_AAAA && family == AF_INET6));
        CHECK(addr_port(&r->addrs[i]) == 0);
    }
}

/* An alias can be asked for like any name. */
static void fuzz_alias(const char *alias)
{
    struct dns_query q;

    CHECK(memchr(alias, '\0', DNS_NAME_SIZE));
    if (dns_name_length(alias) > 0)
        CHECK(dns_query_make(&q, alias, DNS_TYPE_A) == 0);
}

static struct dns_reply read_exactly(const struct dns_query *q, const uint8_t *data, size_t len)
{
    struct dns_reply r;
    char *exact = fuzz_copy((const char *)data, len);

    memset(&r, 0x5a, sizeof r);
    dns_reply_read(&r, q, (const uint8_t *)exact, len);
    free(exact);
    return r;
}

static void fuzz_reply(const struct dns_query *q, enum dns_type type, const uint8_t *data, size_t len)
{
    const struct dns_reply r = read_exactly(q, data, len);
    bool ours = len >= QUESTION && data[0] == q->data[0] && data[1] == q->data[1] && (data[FLAGS] & 0x80);

    CHECK(r.says <= DNS_SAYS_UNWILLING);
    CHECK(ours || r.says == DNS_SAYS_NOTHING);
    CHECK(r.n <= DNS_ADDRS_MAX && (r.n > 0) == (r.says == DNS_SAYS_ADDRESSES));
    CHECK(r.ttl_s >= 0 && r.ttl_s <= 3600);
    CHECK(!r.truncated || r.ttl_s == 0);
    CHECK(!r.truncated || r.n > 0 || r.says == DNS_SAYS_ALIAS || r.says == DNS_SAYS_FAILED);
    fuzz_addrs(&r, type);
    if (r.says == DNS_SAYS_ALIAS)
        fuzz_alias(r.alias);
}

/* Most inputs of the fuzzer answer another question; make them answer this one. */
static void make_ours(const struct dns_query *q, uint8_t *data, size_t len)
{
    if (len < q->len)
        return;
    memcpy(data, q->data, 2);
    data[FLAGS] |= 0x80;
    memcpy(data + COUNT, q->data + COUNT, 2);
    memcpy(data + QUESTION, q->data + QUESTION, q->len - QUESTION);
}

/* A valid name can be asked for, and capitals do not matter. */
static void fuzz_name(const char *name)
{
    char capitals[DNS_NAME_SIZE] = "", bare[DNS_NAME_SIZE] = "";
    size_t len = dns_name_length(name);
    struct dns_query q;

    if (len == 0)
        return;
    CHECK(len < DNS_NAME_SIZE && len <= strlen(name));
    memcpy(bare, name, len);
    for (size_t i = 0; i < len; i++)
        capitals[i] = (char)toupper((unsigned char)name[i]);
    const struct slice text = slice_str(bare), again = slice_str(capitals);
    CHECK(dns_query_make(&q, bare, DNS_TYPE_AAAA) == 0);
    CHECK(q.len == QUESTION + len + 2 + 4 && q.len <= DNS_QUERY_MAX);
    CHECK(dns_name_hash(text) == dns_name_hash(again));
    CHECK(dns_name_is_local(text) == dns_name_is_local(again));
    CHECK(dns_name_is_systems(text) == dns_name_is_systems(again));
    CHECK(dns_name_is_localhost(text) == dns_name_is_localhost(again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_query q;

    if (size < 2 || size > LONGEST || size < 2u + data[1])
        return 0;
    enum dns_type type = data[0] & IS_AAAA ? DNS_TYPE_AAAA : DNS_TYPE_A;
    const size_t name_len = data[1], len = size - 2 - name_len;
    char name[UINT8_MAX + 1] = "";
    memcpy(name, data + 2, name_len);
    fuzz_name(name);
    if (dns_query_make(&q, name, type) < 0)
        return 0;
    dns_query_set_id(&q, ID);
    uint8_t *message = (uint8_t *)fuzz_copy((const char *)data + 2 + name_len, len);
    if (data[0] & IS_OURS)
        make_ours(&q, message, len);
    for (size_t n = len > 64 ? len - 64 : 0; n <= len; n++)
        fuzz_reply(&q, type, message, n);
    free(message);
    return 0;
}
