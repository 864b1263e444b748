/* The first datagrams of a QUIC client. The input is a row of pieces, each behind its length in two bytes:
 * datagrams as they were recorded, or the payloads of packets, which are encrypted here, as no fuzzer could.
 */
#include "fuzz.h"
#include "peek/quic_peek.h"
#include "support/quic_seal.h"

enum {
    PIECE_HEADER = 2,
    LONGEST_PIECE = 0x7ff,
    SEALED = 0x80,
    VERSION_2 = 0x40,
    JOINED = 0x20,
    EARLY = 0x10
};
enum { LONGEST = 16 * 1024 };

struct client {
    struct quic_peek peek;
    struct quic_sealed datagram; /* packets that wait for the others in their datagram */
    uint32_t number;
    enum parse verdict;
};

static void check_name(const char *host)
{
    struct target t;

    CHECK(target_set(&t, slice_str(host), 1) == PARSE_OK);
    CHECK(t.kind == TARGET_NAME && strcmp(t.host, host) == 0);
}

/* A verdict stays, and a name is written once. */
static void feed(struct client *c, const char *data, size_t len)
{
    char host[TARGET_HOST_MAX + 1] = "unchanged", *copy = fuzz_copy(data, len);
    const enum parse before = c->verdict;

    c->verdict = quic_peek_feed(&c->peek, copy, len, host);
    free(copy);
    CHECK(before == PARSE_NEED_MORE || c->verdict == before);
    CHECK(c->peek.whole <= QUIC_PEEK_HELLO_MAX);
    CHECK(c->verdict != PARSE_NEED_MORE || c->peek.datagrams < QUIC_PEEK_DATAGRAMS_MAX);
    if (before == PARSE_NEED_MORE && c->verdict == PARSE_OK)
        check_name(host);
    else
        CHECK(strcmp(host, "unchanged") == 0);
}

static void flush(struct client *c)
{
    if (c->datagram.len > 0)
        feed(c, (const char *)c->datagram.data, c->datagram.len);
    c->datagram.len = 0;
}

/* Nobody else's bytes are taken: a datagram that was cut off anywhere gives no name of its own. */
static void fuzz_packets(struct slice data)
{
    struct quic_packet p;
    struct quic_keys keys;
    uint8_t payload[QUIC_PAYLOAD_MAX];
    size_t len = 0;
    char *copy = fuzz_copy(data.data, data.len);

    if (quic_packet_read(&p, slice_of(copy, data.len)) == PARSE_OK) {
        CHECK(p.header.data == copy && p.header.len + p.protected.len <= data.len);
        CHECK(p.dcid.len <= QUIC_DCID_MAX);
        CHECK(quic_keys_derive(&keys, p.version, p.dcid) == 0);
        if (quic_initial_open(&p, &keys, payload, &len) == 0)
            CHECK(len < p.protected.len);
    }
    free(copy);
}

static void add_sealed(struct client *c, uint8_t flags, struct slice payload)
{
    static const char padding[4];
    struct quic_seal how = {
        .version = flags & VERSION_2 ? QUIC_VERSION_2 : QUIC_VERSION_1,
        .type = flags & EARLY ? QUIC_0RTT : QUIC_INITIAL,
        .dcid = slice_str("8 bytes."),
        .number = c->number,
        .number_len = 1 + c->number % 4,
    };

    if (payload.len < sizeof padding)
        payload = slice_of(padding, sizeof padding);
    c->number++;
    if (c->datagram.len + payload.len + 64 > sizeof c->datagram.data)
        flush(c);
    quic_seal(&c->datagram, &how, payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct client c;

    if (size > LONGEST)
        return 0;
    quic_peek_init(&c.peek);
    c.datagram.len = 0;
    c.number = 0;
    c.verdict = PARSE_NEED_MORE;
    while (size >= PIECE_HEADER) {
        const uint8_t flags = data[0];
        size_t len = (size_t)(data[0] << 8 | data[1]) & LONGEST_PIECE;
        len = len < size - PIECE_HEADER ? len : size - PIECE_HEADER;
        const struct slice piece = slice_of((const char *)data + PIECE_HEADER, len);
        if (flags & SEALED) {
            add_sealed(&c, flags, piece);
        } else {
            fuzz_packets(piece);
            feed(&c, piece.data, piece.len);
        }
        if (!(flags & JOINED))
            flush(&c);
        data += PIECE_HEADER + len;
        size -= PIECE_HEADER + len;
    }
    flush(&c);
    return 0;
}
