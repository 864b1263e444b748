#include "peek/quic_peek.h"

#include "hello.h"
#include "recorded.h"

#if STEERWAY_QUIC

#include "support/quic_seal.h"

/* A client whose hello has 1,800 bytes of key shares behind the name. */
static const struct slice DCID = {BYTES("8 bytes.")};
static struct bytes message;
static struct quic_sealed datagram;
static struct quic_peek peek;
static uint32_t version, number;
static char host[TARGET_HOST_MAX + 1];

static int setup(void **state)
{
    size_t name_end;

    hello_message(&message, &(struct hello){.name = "Example.COM", .after = 1800}, &name_end);
    version = QUIC_VERSION_1;
    number = 0;
    datagram.len = 0;
    memset(host, 0, sizeof host);
    memset(&peek, 0x7f, sizeof peek);
    quic_peek_init(&peek);
    (void)state;
    return 0;
}

static void add_packet_of(enum quic_type type, struct slice dcid, struct slice payload)
{
    const struct quic_seal how = {
        .version = version, .type = type, .dcid = dcid, .number = number, .number_len = 1 + number % 4};

    number++;
    quic_seal(&datagram, &how, payload);
}

static void add_packet(struct slice payload)
{
    add_packet_of(QUIC_INITIAL, DCID, payload);
}

/* Feed what was added, as a datagram of exactly that size. */
static enum parse feed(void)
{
    struct exact copy = exact_copy((const char *)datagram.data, datagram.len);
    const enum parse p = quic_peek_feed(&peek, copy.data, datagram.len, host);

    free(copy.block);
    datagram.len = 0;
    return p;
}

static enum parse feed_frames(struct slice frames)
{
    add_packet(frames);
    return feed();
}

/* --- frames --------------------------------------------------------------------------------------------- */

static void put_varint(struct bytes *b, size_t n)
{
    put_number(b, 2u << 30 | n, 4);
}

static void put_crypto(struct bytes *b, size_t from, size_t to)
{
    put_number(b, 6, 1);
    put_varint(b, from);
    put_varint(b, to - from);
    put(b, slice_of(message.data + from, to - from));
}

static struct slice slice_of_bytes(const struct bytes *b)
{
    return slice_of(b->data, b->len);
}

/* The hello's bytes from..to in a datagram of their own. */
static enum parse feed_crypto(size_t from, size_t to)
{
    static struct bytes frames;

    frames.len = 0;
    put_crypto(&frames, from, to);
    return feed_frames(slice_of_bytes(&frames));
}

static void found(enum parse p)
{
    assert_int_equal(p, PARSE_OK);
    assert_string_equal(host, "example.com");
}

static void waits(enum parse p)
{
    assert_int_equal(p, PARSE_NEED_MORE);
    assert_string_equal(host, "");
}

/* Nothing turns a refusal around. */
static void refused(enum parse p)
{
    assert_int_equal(p, PARSE_BAD);
    assert_int_equal(feed_crypto(0, 1000), PARSE_BAD);
    assert_string_equal(host, "");
}

static void test_in_order(void **state)
{
    waits(feed_crypto(0, 60));
    found(feed_crypto(60, 1100));
    assert_int_equal(feed_crypto(1100, message.len), PARSE_OK);
    (void)state;
}

static void test_version_2(void **state)
{
    version = QUIC_VERSION_2;
    waits(feed_crypto(0, 60));
    found(feed_crypto(60, 1100));
    (void)state;
}

static void test_backwards(void **state)
{
    waits(feed_crypto(1100, message.len));
    waits(feed_crypto(60, 1100));
    found(feed_crypto(0, 60));
    (void)state;
}

/* One byte a frame, in an order that jumps, with repeats and overlaps, over two datagrams. */
static void test_shuffled(void **state)
{
    static struct bytes frames;

    frames.len = 0;
    for (size_t i = 0; i < 60; i++)
        put_crypto(&frames, i * 37 % 60 * 2, i * 37 % 60 * 2 + 1);
    put(&frames, slice_of("\x01\x00\x00", 3));
    waits(feed_frames(slice_of_bytes(&frames)));
    frames.len = 0;
    for (size_t i = 0; i < 60; i++)
        put_crypto(&frames, i * 23 % 60 * 2, i * 23 % 60 * 2 + 3);
    put_crypto(&frames, 0, 0);
    put_crypto(&frames, 110, 300);
    found(feed_frames(slice_of_bytes(&frames)));
    (void)state;
}

static void test_other_frames(void **state)
{
    static const struct slice before[] = {
        {BYTES("\x00\x00\x00\x00")},                     /* PADDING */
        {BYTES("\x01\x01\x01\x01")},                     /* PING */
        {BYTES("\x02\x05\x40\x10\x00\x00")},             /* ACK */
        {BYTES("\x02\x09\x00\x02\x01\x01\x01\x01\x01")}, /* ACK of three ranges */
        {BYTES("\x03\x05\x00\x00\x00\x01\x02\x03")},     /* ACK with ECN */
    };
    static struct bytes frames;

    for (size_t i = 0; i < ARRAY_LEN(before); i++) {
        (void)setup(state);
        frames.len = 0;
        put(&frames, before[i]);
        put_crypto(&frames, 0, 1000);
        found(feed_frames(slice_of_bytes(&frames)));
    }
}

static void test_bad_frames(void **state)
{
    static const struct slice table[] = {
        {BYTES("\x1c\x00\x00\x00")},                                         /* CONNECTION_CLOSE */
        {BYTES("\x08\x00\x00\x00")},                                         /* STREAM */
        {BYTES("\x40\x06\x00\x00")},                                         /* CRYPTO in a longer form */
        {BYTES("\x06\x00\x40\x40\x01")},                                     /* CRYPTO that ends early */
        {BYTES("\x06\x00\x00\x06")},                                         /* and before its offset */
        {BYTES("\x06\x00\xff\xff\xff\xff\xff\xff\xff\xff")},                 /* with an endless length */
        {BYTES("\x02\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00\x01\x01")}, /* endless ranges */
        {BYTES("\x03\x05\x00\x00\x00\x01\x02")}, /* ACK without one of its counts */
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        (void)setup(state);
        refused(feed_frames(table[i]));
    }
}

/* --- packets -------------------------------------------------------------------------------------------- */

static void test_coalesced(void **state)
{
    static struct bytes frames;

    add_packet_of(QUIC_0RTT, DCID, slice_str("early data"));
    frames.len = 0;
    put_crypto(&frames, 500, 1000);
    add_packet(slice_of_bytes(&frames));
    frames.len = 0;
    put_crypto(&frames, 0, 500);
    add_packet(slice_of_bytes(&frames));
    memset(datagram.data + datagram.len, 0, 100); /* some clients pad the datagram, not the packet */
    datagram.len += 100;
    found(feed());
    (void)state;
}

static void test_early_data_first(void **state)
{
    add_packet_of(QUIC_0RTT, DCID, slice_str("early data"));
    waits(feed());
    found(feed_crypto(0, 1000));
    (void)state;
}

static void test_other_connection(void **state)
{
    static struct bytes frames;

    waits(feed_crypto(0, 60));
    frames.len = 0;
    put_crypto(&frames, 60, 1000);
    add_packet_of(QUIC_INITIAL, slice_str("8 others"), slice_of_bytes(&frames));
    waits(feed());
    version = QUIC_VERSION_2;
    add_packet(slice_of_bytes(&frames));
    waits(feed());
    version = QUIC_VERSION_1;
    add_packet(slice_of_bytes(&frames));
    datagram.data[datagram.len - 1] ^= 1; /* not authentic */
    waits(feed());
    memset(datagram.data, 0x40, datagram.len = 50);
    waits(feed());
    found(feed_crypto(60, 1000));
    (void)state;
}

static void test_not_a_beginning(void **state)
{
    static const struct slice table[] = {
        {BYTES("")},
        {BYTES("\x40 a short header, of a connection that has begun")},
        {BYTES("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07"
               "example\x03"
               "com\x00\x00\x01\x00\x01")},
        {BYTES("\xe0\x00\x00\x00\x01\x01x\x00\x01!")},     /* Handshake */
        {BYTES("\xc0\x1a\x2a\x3a\x4a\x01x\x00\x00\x01!")}, /* a version that does not exist */
        {BYTES("\xc0\x00\x00\x00\x01\x01x\x00\x00\x14"
               "01234567890123456789")}, /* not authentic */
        {BYTES("\xc0\x00\x00\x00\x01\x01x\x00\x00\x13"
               "0123456789012345678")}, /* too short for that */
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        (void)setup(state);
        memcpy(datagram.data, table[i].data, table[i].len);
        datagram.len = table[i].len;
        refused(feed());
    }
}

/* With each key the sample says another length of the packet number. */
static void test_short_packets(void **state)
{
    char packet[] = "\xc0\x00\x00\x00\x01\x01k\x00\x00\x00"
                    "0123456789012345678";
    enum { AT_KEY = 6, AT_LENGTH = 9, HEADER = 10 };

    for (char key = 'a'; key <= 'p'; key++)
        for (char n = 0; n < 20; n++) {
            (void)setup(state);
            packet[AT_KEY] = key;
            packet[AT_LENGTH] = n;
            memcpy(datagram.data, packet, HEADER + (size_t)n);
            datagram.len = HEADER + (size_t)n;
            assert_int_equal(feed(), PARSE_BAD);
        }
}

static void test_large_payload(void **state)
{
    static struct bytes frames;

    frames.len = 0;
    put_crypto(&frames, 0, 1000);
    put_zeros(&frames, QUIC_PAYLOAD_MAX - frames.len);
    found(feed_frames(slice_of_bytes(&frames)));
    (void)setup(state);
    put_zeros(&frames, 1);
    refused(feed_frames(slice_of_bytes(&frames)));
}

/* --- hellos --------------------------------------------------------------------------------------------- */

static void test_no_name(void **state)
{
    static const struct hello table[] = {{.name = NULL}, {.name = "192.0.2.1"}, {.name = "a b"}};
    size_t name_end;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        (void)setup(state);
        hello_message(&message, &table[i], &name_end);
        refused(feed_crypto(0, message.len));
    }
    (void)setup(state);
    refused(feed_frames(slice_of("\x06\x00\x04\x02\x00\x00\x10", 7))); /* a ServerHello */
}

static void put_far(struct bytes *b, size_t offset, size_t len)
{
    put_number(b, 6, 1);
    put_varint(b, offset);
    put_varint(b, len);
    put_zeros(b, len);
}

/* What lies beyond the room is not needed when the name lies within it. */
static void test_beyond_the_room(void **state)
{
    static const char before[4000] = "\x00\x15\x0f\x9c";
    static struct bytes frames;
    size_t name_end;

    frames.len = 0;
    put_far(&frames, QUIC_PEEK_HELLO_MAX, 10);
    put_far(&frames, QUIC_PEEK_HELLO_MAX - 1, 10);
    put_far(&frames, 1 << 29, 10);
    put(&frames, slice_of("\x06\xff\xff\xff\xff\xff\xff\xff\xff\x01x", 11));
    waits(feed_frames(slice_of_bytes(&frames)));
    found(feed_crypto(0, 1000));
    (void)setup(state);
    hello_message(&message, &(struct hello){.name = "example.com", .before = slice_of(before, sizeof before)},
                  &name_end);
    assert_true(name_end > QUIC_PEEK_HELLO_MAX);
    waits(feed_crypto(0, 2000));
    waits(feed_crypto(2000, 4000));
    refused(feed_crypto(4000, message.len));
}

static void test_too_many_datagrams(void **state)
{
    for (int i = 1; i < QUIC_PEEK_DATAGRAMS_MAX; i++)
        waits(feed_crypto(60, 1000));
    refused(feed_crypto(60, 1000));
    (void)state;
}

/* --- real clients --------------------------------------------------------------------------------------- */

static void test_recorded(void **state)
{
    static const struct {
        const char *file, *name;
        int datagrams; /* until the name is known */
    } table[] = {
        {"quic/rfc9001_a2", "example.com", 1},
        {"quic/rfc9369_a2", "example.com", 1},
        {"quic/chromium_shuffled", "www.example.com", 2},
    };
    static struct recorded r;
    struct slice next;

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        (void)setup(state);
        recorded_open(&r, table[i].file);
        enum parse p = PARSE_NEED_MORE;
        int n = 0;
        while (p == PARSE_NEED_MORE && recorded_next(&r, &next)) {
            n++;
            p = quic_peek_feed(&peek, next.data, next.len, host);
        }
        assert_int_equal(p, PARSE_OK);
        assert_string_equal(host, table[i].name);
        assert_int_equal(n, table[i].datagrams);
    }
}

/* Chrome's datagrams, the other way round. */
static void test_recorded_backwards(void **state)
{
    static struct recorded r;
    struct slice first, second;

    recorded_open(&r, "quic/chromium_shuffled");
    assert_true(recorded_next(&r, &first) && recorded_next(&r, &second));
    assert_int_equal(quic_peek_feed(&peek, second.data, second.len, host), PARSE_NEED_MORE);
    assert_int_equal(quic_peek_feed(&peek, first.data, first.len, host), PARSE_OK);
    assert_string_equal(host, "www.example.com");
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_in_order, setup),
        cmocka_unit_test_setup(test_version_2, setup),
        cmocka_unit_test_setup(test_backwards, setup),
        cmocka_unit_test_setup(test_shuffled, setup),
        cmocka_unit_test_setup(test_other_frames, setup),
        cmocka_unit_test_setup(test_bad_frames, setup),
        cmocka_unit_test_setup(test_coalesced, setup),
        cmocka_unit_test_setup(test_early_data_first, setup),
        cmocka_unit_test_setup(test_other_connection, setup),
        cmocka_unit_test_setup(test_not_a_beginning, setup),
        cmocka_unit_test_setup(test_short_packets, setup),
        cmocka_unit_test_setup(test_large_payload, setup),
        cmocka_unit_test_setup(test_no_name, setup),
        cmocka_unit_test_setup(test_beyond_the_room, setup),
        cmocka_unit_test_setup(test_too_many_datagrams, setup),
        cmocka_unit_test_setup(test_recorded, setup),
        cmocka_unit_test_setup(test_recorded_backwards, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void test_refuses(void **state)
{
    static struct recorded r;
    static struct quic_peek peek;
    char host[TARGET_HOST_MAX + 1] = "unchanged";
    struct slice next;

    recorded_open(&r, "quic/rfc9001_a2");
    assert_true(recorded_next(&r, &next));
    quic_peek_init(&peek);
    assert_int_equal(quic_peek_feed(&peek, next.data, next.len, host), PARSE_BAD);
    assert_string_equal(host, "unchanged");
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
