/* What name servers answer to captured clients: the question within it, and the names that are learned. Both
 * the client and the server are strangers. The input is the message. */
#include "dns/dns_message.h"
#include "dns/dns_name.h"
#include "fuzz.h"
#include "udp/udp_learned.h"

enum { LONGEST = 1024, HEADER = 12, FLAGS = 2, ANSWERS = 0x80, COUNT = 4 };
static const double NOW_S = 1000;

/* The question is one that the proxy could ask itself. Made again, it is the same. */
static void fuzz_question(const struct dns_query *q, const char *name)
{
    struct dns_query again;
    char same[DNS_NAME_SIZE];

    CHECK(memchr(name, '\0', DNS_NAME_SIZE) && dns_name_length(name) > 0);
    CHECK(q->len > HEADER && q->len <= DNS_QUERY_MAX);
    char *exact = fuzz_copy((const char *)q->data, q->len);
    CHECK(dns_question_of(&again, same, (const uint8_t *)exact, q->len));
    free(exact);
    CHECK(strcmp(same, name) == 0);
    CHECK(again.len == q->len && memcmp(again.data, q->data, q->len) == 0);
}

/* It is the message's only question, byte for byte, unless that is compressed. */
static void fuzz_is_the_messages(const struct dns_query *q, const uint8_t *data, size_t len)
{
    enum { LABEL_TYPES = 0xc0, TYPE_AND_CLASS = 4 };
    size_t at = HEADER;

    CHECK(memcmp(q->data, data, 2) == 0 && data[COUNT] == 0 && data[COUNT + 1] == 1);
    while (at < len && data[at] && !(data[at] & LABEL_TYPES))
        at += 1u + data[at];
    if (at < len && data[at])
        return;
    CHECK(at + 1 + TYPE_AND_CLASS == q->len && q->len <= len);
    CHECK(memcmp(q->data + HEADER, data + HEADER, q->len - HEADER) == 0);
}

/* Every address has this name from now on, unless another address has taken its place in the table. */
static void fuzz_names(const struct udp_learned *l, const struct addr *client, const struct dns_reply *r,
                       const struct target *host)
{
    const char *last = NULL;

    for (size_t i = 0; i < r->n; i++) {
        last = udp_learned_name(l, client, &r->addrs[i], NOW_S);
        CHECK(!last || strcmp(last, host->host) == 0);
    }
    CHECK(last);
}

static void fuzz_message(const uint8_t *data, size_t len)
{
    static struct udp_learned learned; /* its table is large */
    struct udp_learned none = {.seats = NULL};
    struct dns_query q;
    struct dns_reply r;
    struct target host;
    struct addr client;
    char name[DNS_NAME_SIZE];

    CHECK(addr_parse_ip(&client, slice_str("192.168.1.7"), 4711) == 0);
    memset(name, 'x', sizeof name);
    bool asks = dns_question_of(&q, name, data, len);
    if (asks) {
        fuzz_question(&q, name);
        fuzz_is_the_messages(&q, data, len);
        dns_reply_read(&r, &q, data, len);
        CHECK(r.n <= DNS_ADDRS_MAX && (r.n == 0 || (data[FLAGS] & ANSWERS)));
    }
    if (asks && r.n > 0 && target_set(&host, slice_str(name), 1) == PARSE_OK && host.kind == TARGET_NAME) {
        fuzz_target(&host);
        udp_learned_hear(&learned, &client, data, len, NOW_S);
        return fuzz_names(&learned, &client, &r, &host);
    }
    udp_learned_hear(&none, &client, data, len, NOW_S);
    CHECK(!none.seats);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > LONGEST)
        return 0;
    for (size_t n = size > 64 ? size - 64 : 0; n <= size; n++) {
        char *exact = fuzz_copy((const char *)data, n);
        fuzz_message((const uint8_t *)exact, n);
        free(exact);
    }
    return 0;
}
