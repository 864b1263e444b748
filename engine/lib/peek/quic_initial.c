#include "peek/quic_initial.h"

#include <errno.h>

enum { LONG_HEADER = 0x80, TYPES = 4, RETRY = 3, FIRST_BYTE_PROTECTED = 0x0f, NUMBER_MAX = 4 };

struct slice quic_read_bytes(struct quic_reader *r, uint64_t n)
{
    if (r->failed || n > (uint64_t)(r->end - r->at)) {
        r->failed = true;
        return slice_of((const char *)r->at, 0);
    }
    const struct slice bytes = slice_of((const char *)r->at, (size_t)n);
    r->at += n;
    return bytes;
}

uint32_t quic_read_fixed(struct quic_reader *r, size_t size)
{
    const struct slice bytes = quic_read_bytes(r, size);
    uint32_t number = 0;

    for (size_t i = 0; i < bytes.len; i++)
        number = number << 8 | (uint8_t)bytes.data[i];
    return number;
}

uint64_t quic_read_varint(struct quic_reader *r)
{
    const uint32_t first = quic_read_fixed(r, 1);
    const struct slice rest = quic_read_bytes(r, (1u << (first >> 6)) - 1);
    uint64_t number = first & 0x3f;

    for (size_t i = 0; i < rest.len; i++)
        number = number << 8 | (uint8_t)rest.data[i];
    return r->failed ? 0 : number;
}

/* Version 2 has the types of version 1, one higher (RFC 9369 3.2). */
static uint32_t type_of(uint32_t first, uint32_t version)
{
    const uint32_t type = first >> 4 & (TYPES - 1);

    return version == QUIC_VERSION_2 ? (type + TYPES - 1) % TYPES : type;
}

static struct slice read_connection_id(struct quic_reader *r)
{
    const uint32_t len = quic_read_fixed(r, 1);

    r->failed = r->failed || len > QUIC_DCID_MAX;
    return quic_read_bytes(r, len);
}

enum parse quic_packet_read(struct quic_packet *ret, struct slice data)
{
    struct quic_reader r = quic_reader_of(data);
    const uint32_t first = quic_read_fixed(&r, 1);
    struct quic_packet p = {.version = quic_read_fixed(&r, 4)};

    if (!(first & LONG_HEADER) || (p.version != QUIC_VERSION_1 && p.version != QUIC_VERSION_2))
        return PARSE_BAD;
    /* A Retry has no length. Only servers send it. */
    const uint32_t type = type_of(first, p.version);
    if (type == RETRY)
        return PARSE_BAD;
    p.type = (enum quic_type)type;
    p.dcid = read_connection_id(&r);
    (void)read_connection_id(&r);
    if (p.type == QUIC_INITIAL)
        (void)quic_read_bytes(&r, quic_read_varint(&r)); /* the token */
    const uint64_t len = quic_read_varint(&r);
    p.header = slice_of(data.data, (size_t)(r.at - (const uint8_t *)data.data));
    p.protected = quic_read_bytes(&r, len);
    if (r.failed)
        return PARSE_BAD;
    *ret = p;
    return PARSE_OK;
}

/* @see RFC 9001 5.4.1: the sample is taken as if the packet number had its full length */
static int unmask_header(const struct quic_packet *p, const struct quic_keys *keys, struct quic_header *ret)
{
    const uint8_t *bytes = (const uint8_t *)p->protected.data;
    uint8_t mask[QUIC_MASK_SIZE];

    if (p->protected.len < NUMBER_MAX + QUIC_SAMPLE_SIZE)
        return -EBADMSG;
    const int r = quic_header_mask(keys, bytes + NUMBER_MAX, mask);
    if (r < 0)
        return r;
    ret->first = (uint8_t)((uint8_t)p->header.data[0] ^ (mask[0] & FIRST_BYTE_PROTECTED));
    ret->middle = slice_of(p->header.data + 1, p->header.len - 1);
    ret->number_len = (ret->first & 3u) + 1;
    for (size_t i = 0; i < ret->number_len; i++)
        ret->number[i] = bytes[i] ^ mask[1 + i];
    return 0;
}

int quic_initial_open(const struct quic_packet *packet, const struct quic_keys *keys,
                      uint8_t ret[QUIC_PAYLOAD_MAX], size_t *ret_len)
{
    struct quic_header header;
    int r = unmask_header(packet, keys, &header);

    if (r < 0)
        return r;
    const struct slice sealed =
        slice_of(packet->protected.data + header.number_len, packet->protected.len - header.number_len);
    if (sealed.len > QUIC_PAYLOAD_MAX + QUIC_TAG_SIZE)
        return -EBADMSG;
    r = quic_payload_open(keys, &header, sealed, ret);
    if (r == 0)
        *ret_len = sealed.len - QUIC_TAG_SIZE;
    return r;
}
