#include "peek/quic_peek.h"

#include "peek/tls_hello.h"

/* The frames that an Initial packet may carry, except CONNECTION_CLOSE: that client wants nothing any more
 * (RFC 9000 12.4). */
enum { PADDING = 0, PING = 1, ACK = 2, ACK_ECN = 3, CRYPTO = 6 };
enum { ECN_COUNTS = 3 };

void quic_peek_init(struct quic_peek *q)
{
    q->state = PARSE_NEED_MORE;
    q->datagrams = 0;
    q->keyed = false;
    q->whole = 0;
    memset(q->there, 0, sizeof q->there);
}

/* --- frames --------------------------------------------------------------------------------------------- */

static bool is_there(const struct quic_peek *q, size_t at)
{
    return q->there[at / 8] >> at % 8 & 1;
}

/* Frames come in any order, twice, and beyond what is kept. */
static void keep_crypto(struct quic_peek *q, uint64_t offset, struct slice data)
{
    if (offset >= QUIC_PEEK_HELLO_MAX)
        return;
    const size_t at = (size_t)offset, room = QUIC_PEEK_HELLO_MAX - at;
    const size_t n = data.len < room ? data.len : room;
    memcpy(q->hello + at, data.data, n);
    for (size_t i = at; i < at + n; i++)
        q->there[i / 8] |= (uint8_t)(1 << i % 8);
    while (q->whole < QUIC_PEEK_HELLO_MAX && is_there(q, q->whole))
        q->whole++;
}

static void pass_ack(struct quic_reader *r, bool ecn)
{
    (void)quic_read_varint(r); /* the largest number */
    (void)quic_read_varint(r); /* the delay */
    const uint64_t ranges = quic_read_varint(r);
    (void)quic_read_varint(r); /* the first range */
    for (uint64_t i = 0; i < ranges && !r->failed; i++) {
        (void)quic_read_varint(r);
        (void)quic_read_varint(r);
    }
    for (int i = 0; ecn && i < ECN_COUNTS; i++)
        (void)quic_read_varint(r);
}

/* @return false for what no client sends here */
static bool take_frame(struct quic_peek *q, struct quic_reader *r)
{
    const uint32_t type = quic_read_fixed(r, 1);

    switch (type) {
    case PADDING:
    case PING:
        break;
    case ACK:
    case ACK_ECN:
        pass_ack(r, type == ACK_ECN);
        break;
    case CRYPTO: {
        const uint64_t offset = quic_read_varint(r);
        keep_crypto(q, offset, quic_read_bytes(r, quic_read_varint(r)));
        break;
    }
    default:
        return false;
    }
    return !r->failed;
}

static enum parse take_payload(struct quic_peek *q, struct slice payload)
{
    struct quic_reader r = quic_reader_of(payload);

    while (r.at < r.end)
        if (!take_frame(q, &r))
            return PARSE_BAD;
    return PARSE_NEED_MORE;
}

/* --- packets -------------------------------------------------------------------------------------------- */

/* The first Initial says which keys all of them have; one that they do not open is not the first one of a
 * connection. Later ones that they do not open are dropped, as a server drops them (RFC 9001 5.5). */
static enum parse take_initial(struct quic_peek *q, const struct quic_packet *p)
{
    uint8_t payload[QUIC_PAYLOAD_MAX];
    size_t len;

    if (!q->keyed && quic_keys_derive(&q->keys, p->version, p->dcid) < 0)
        return PARSE_BAD;
    if (quic_initial_open(p, &q->keys, payload, &len) < 0)
        return q->keyed ? PARSE_NEED_MORE : PARSE_BAD;
    q->keyed = true;
    return take_payload(q, slice_of((const char *)payload, len));
}

/* Several packets may share a datagram (RFC 9000 12.2). Data of 0-RTT may overtake the Initial. */
static enum parse take_datagram(struct quic_peek *q, struct slice data)
{
    struct quic_packet p;
    bool any = q->keyed;

    while (data.len > 0 && quic_packet_read(&p, data) == PARSE_OK) {
        any = any || p.type != QUIC_HANDSHAKE;
        if (p.type == QUIC_INITIAL && take_initial(q, &p) == PARSE_BAD)
            return PARSE_BAD;
        const size_t used = p.header.len + p.protected.len;
        data = slice_of(data.data + used, data.len - used);
    }
    return any ? PARSE_NEED_MORE : PARSE_BAD;
}

static enum parse look(struct quic_peek *q, struct slice datagram, char host[TARGET_HOST_MAX + 1])
{
    if (take_datagram(q, datagram) == PARSE_BAD)
        return PARSE_BAD;
    const enum parse p = tls_hello_in_message(slice_of((const char *)q->hello, q->whole), host);
    if (p == PARSE_NEED_MORE)
        return ++q->datagrams < QUIC_PEEK_DATAGRAMS_MAX && q->whole < QUIC_PEEK_HELLO_MAX ? p : PARSE_BAD;
    return p;
}

enum parse quic_peek_feed(struct quic_peek *q, const void *datagram, size_t len,
                          char host[TARGET_HOST_MAX + 1])
{
    if (q->state == PARSE_NEED_MORE)
        q->state = look(q, slice_of(datagram, len), host);
    return q->state;
}
