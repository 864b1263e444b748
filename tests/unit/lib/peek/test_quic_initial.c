#include "peek/quic_initial.h"

#include "recorded.h"

#include <errno.h>

static enum parse read_exactly(struct quic_packet *ret, struct slice data)
{
    struct exact copy = exact_copy(data.data, data.len);
    const enum parse p = quic_packet_read(ret, slice_of(copy.data, data.len));

    free(copy.block);
    return p;
}

/* RFC 9000 A.1, and what is cut off */
static void test_varints(void **state)
{
    static const struct {
        struct slice bytes;
        uint64_t number;
    } table[] = {
        {{BYTES("\xc2\x19\x7c\x5e\xff\x14\xe8\x8c")}, 151288809941952652},
        {{BYTES("\x9d\x7f\x3e\x7d")}, 494878333},
        {{BYTES("\x7b\xbd")}, 15293},
        {{BYTES("\x25")}, 37},
        {{BYTES("\x40\x25")}, 37},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        for (size_t n = 0; n <= table[i].bytes.len; n++) {
            struct exact copy = exact_copy(table[i].bytes.data, n);
            struct quic_reader r = quic_reader_of(slice_of(copy.data, n));
            const uint64_t number = quic_read_varint(&r);
            assert_int_equal(r.failed, n < table[i].bytes.len);
            assert_true(number == (r.failed ? 0 : table[i].number));
            assert_int_equal(quic_read_varint(&r), 0);
            free(copy.block);
        }
    }
    (void)state;
}

#define V1 "\x00\x00\x00\x01"
#define V2 "\x6b\x33\x43\xcf"

static void test_headers(void **state)
{
    static const struct {
        struct slice packet;
        enum quic_type type;
        size_t dcid, header, protected;
    } table[] = {
        {{BYTES("\xc0" V1 "\x03xyz\x02"
                "ab\x03tok\x02!!")},
         QUIC_INITIAL,
         3,
         17,
         2},
        {{BYTES("\xcf" V1 "\x00\x00\x00\x00")}, QUIC_INITIAL, 0, 9, 0},
        {{BYTES("\xd0" V1 "\x01x\x00\x01!")}, QUIC_0RTT, 1, 9, 1},
        {{BYTES("\xe0" V1 "\x01x\x00\x01!")}, QUIC_HANDSHAKE, 1, 9, 1},
        {{BYTES("\xd0" V2 "\x01x\x00\x00\x01!")}, QUIC_INITIAL, 1, 10, 1},
        {{BYTES("\xe0" V2 "\x01x\x00\x01!")}, QUIC_0RTT, 1, 9, 1},
        {{BYTES("\xf0" V2 "\x01x\x00\x01!")}, QUIC_HANDSHAKE, 1, 9, 1},
        /* without the fixed bit (RFC 9287) */
        {{BYTES("\x80" V1 "\x01x\x00\x00\x01!")}, QUIC_INITIAL, 1, 10, 1},
        {{BYTES("\xc0" V1 "\x14"
                "01234567890123456789\x14"
                "01234567890123456789\x00\x01!")},
         QUIC_INITIAL,
         20,
         49,
         1},
    };
    struct quic_packet p;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const struct slice packet = table[i].packet;
        char *longer = exact_join(packet, slice_str("another packet"));
        for (size_t n = 0; n < packet.len; n++)
            assert_int_equal(read_exactly(&p, slice_of(packet.data, n)), PARSE_BAD);
        assert_int_equal(quic_packet_read(&p, slice_of(longer, packet.len + 14)), PARSE_OK);
        assert_int_equal(p.type, table[i].type);
        assert_int_equal(p.dcid.len, table[i].dcid);
        assert_int_equal(p.header.len, table[i].header);
        assert_int_equal(p.protected.len, table[i].protected);
        assert_ptr_equal(p.header.data, longer);
        assert_ptr_equal(p.protected.data, longer + p.header.len);
        free(longer);
    }
    (void)state;
}

static void test_other_headers(void **state)
{
    static const struct slice table[] = {
        {BYTES("\x40" V1 "\x01x\x00\x00\x01!")}, /* a short header */
        {BYTES("\xf0" V1 "\x01x\x00\x00\x01!")}, /* Retry */
        {BYTES("\xc0" V2 "\x01x\x00\x00\x01!")},
        {BYTES("\xc0\x00\x00\x00\x00\x01x\x00\x00\x01!")}, /* version negotiation */
        {BYTES("\xc0\x1a\x2a\x3a\x4a\x01x\x00\x00\x01!")}, /* a reserved version */
        {BYTES("\xc0\xff\x00\x00\x1d\x01x\x00\x00\x01!")}, /* draft 29 */
        {BYTES("\xc0" V1 "\x15"
               "012345678901234567890\x00\x00\x01!")}, /* a long connection ID */
        {BYTES("\xc0" V1 "\x00\x15"
               "012345678901234567890\x00\x01!")},
        {BYTES("\xc0" V1 "\x01x\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff!")}, /* a length beyond all */
        {BYTES("\xc0" V1 "\x01x\x00\xff\xff\xff\xff\xff\xff\xff\xff\x01!")},
    };
    struct quic_packet p;

    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (read_exactly(&p, table[i]) != PARSE_BAD)
            fail_msg("accepted: \"%s\"", exact_show(table[i].data, table[i].len));
    (void)state;
}

static int open_exactly(struct slice datagram, uint8_t payload[QUIC_PAYLOAD_MAX], size_t *ret_len)
{
    struct exact copy = exact_copy(datagram.data, datagram.len);
    const struct slice data = slice_of(copy.data, datagram.len);
    struct quic_packet p;
    struct quic_keys keys;
    int r = -EINVAL;

    if (quic_packet_read(&p, data) == PARSE_OK && p.type == QUIC_INITIAL) {
        assert_int_equal(quic_keys_derive(&keys, p.version, p.dcid), 0);
        r = quic_initial_open(&p, &keys, payload, ret_len);
    }
    free(copy.block);
    return r;
}

/* RFC 9001 A.2 and RFC 9369 A.2: a CRYPTO frame of 245 bytes, and padding. */
static void test_examples(void **state)
{
    static const char *const names[] = {"quic/rfc9001_a2", "quic/rfc9369_a2"};
    static struct recorded r;
    static uint8_t payload[QUIC_PAYLOAD_MAX];
    struct slice datagram;
    size_t len;

    NEED_CRYPTO();
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        recorded_open(&r, names[i]);
        assert_true(recorded_next(&r, &datagram));
        assert_int_equal(open_exactly(datagram, payload, &len), 0);
        assert_int_equal(len, 1162);
        assert_memory_equal(payload, "\x06\x00\x40\xf1\x01\x00\x00\xed\x03\x03\xeb\xf8\xfa\x56\xf1\x29", 16);
        assert_memory_equal(payload + 241, "\x80\x00\xff\xff\0\0\0\0", 8);
    }
}

/* What is not authentic is refused, whichever bit of the header or the payload was changed. */
static void test_changed_bits(void **state)
{
    static struct recorded r;
    static uint8_t payload[QUIC_PAYLOAD_MAX];
    struct slice datagram;
    size_t len;

    NEED_CRYPTO();
    recorded_open(&r, "quic/rfc9001_a2");
    assert_true(recorded_next(&r, &datagram));
    for (size_t bit = 0; bit < datagram.len * 8; bit += bit < 400 ? 1 : 37) {
        char *copy = heap_copy(datagram.data, datagram.len);
        copy[bit / 8] ^= (char)(1 << bit % 8);
        assert_true(open_exactly(slice_of(copy, datagram.len), payload, &len) < 0);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_varints),       cmocka_unit_test(test_headers),
        cmocka_unit_test(test_other_headers), cmocka_unit_test(test_examples),
        cmocka_unit_test(test_changed_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
