/* Messages from untrusted servers. Each lies at the end of an exact-size buffer, so that a sanitizer sees
 * reads past it. */
#include "dns/dns_message.h"

#include "support/copy.h"

#include <errno.h>
#include <stdio.h>

enum { MESSAGE_MAX = 65535, A = 1, NS = 2, CNAME = 5, SOA = 6, AAAA = 28 };

struct message {
    uint8_t data[MESSAGE_MAX];
    size_t len;
};

static struct dns_query query;
static struct message message;

static void put(const void *data, size_t n)
{
    assert_true(message.len + n <= MESSAGE_MAX);
    memcpy(message.data + message.len, data, n);
    message.len += n;
}

/* An answer to name, with these flags, and no records yet. */
static void begin(const char *name, enum dns_type type, unsigned flags)
{
    assert_int_equal(dns_query_make(&query, name, type), 0);
    dns_query_set_id(&query, 0x1234);
    message.len = 0;
    put(query.data, query.len);
    message.data[2] = (uint8_t)(0x81 | flags >> 8);
    message.data[3] = (uint8_t)flags;
}

/* @param section  6: answers, 8: authority */
static void record(int section, const char *owner, size_t owner_len, int type, unsigned ttl,
                   const void *value, size_t n)
{
    uint8_t fixed[] = {0,
                       (uint8_t)type,
                       0,
                       1,
                       (uint8_t)(ttl >> 24),
                       (uint8_t)(ttl >> 16),
                       (uint8_t)(ttl >> 8),
                       (uint8_t)ttl,
                       (uint8_t)(n >> 8),
                       (uint8_t)n};
    put(owner, owner_len);
    put(fixed, sizeof fixed);
    put(value, n);
    unsigned count = message.data[section] * 256u + message.data[section + 1] + 1;
    message.data[section] = (uint8_t)(count >> 8);
    message.data[section + 1] = (uint8_t)count;
}

static const char SELF[] = {(char)0xc0, 12}, B_TEST[] = "\1b\4test", C_TEST[] = "\1c\4test";
static const uint8_t FOUR[4] = {192, 0, 2, 1};

static struct dns_reply read_it(size_t len)
{
    struct dns_reply r;
    uint8_t *exact = heap_copy(message.data, len);
    memset(&r, 0x5a, sizeof r);
    dns_reply_read(&r, &query, exact, len);
    free(exact);
    if (r.says != DNS_SAYS_ADDRESSES)
        assert_int_equal(r.n, 0);
    return r;
}

static struct dns_reply read_all(void)
{
    return read_it(message.len);
}

static void questions_are_made(void **state)
{
    char name[DNS_NAME_SIZE], label64[65];
    struct dns_query q;
    (void)state;
    assert_int_equal(dns_query_make(&q, "a.Test", DNS_TYPE_AAAA), 0);
    dns_query_set_id(&q, 0xabcd);
    assert_memory_equal(q.data, "\xab\xcd\1\0\0\1\0\0\0\0\0\0\1a\4Test\0\0\x1c\0\1", q.len);
    memset(label64, 'a', 64);
    label64[64] = '\0';
    assert_int_equal(dns_query_make(&q, label64, DNS_TYPE_A), -EINVAL);
    assert_int_equal(dns_query_make(&q, "a..b", DNS_TYPE_A), -EINVAL);
    for (size_t i = 0; i < 253; i++)
        name[i] = i % 2 ? '.' : 'a';
    name[253] = '\0';
    assert_int_equal(dns_query_make(&q, name, DNS_TYPE_A), 0);
    assert_true(q.len <= DNS_QUERY_MAX);
}

static void addresses_and_what_led_to_them(void **state)
{
    (void)state;
    begin("a.test", DNS_TYPE_A, 0);
    record(6, SELF, 2, CNAME, 50, B_TEST, sizeof B_TEST);
    record(6, C_TEST, sizeof C_TEST, A, 40, FOUR, 4);
    record(6, B_TEST, sizeof B_TEST, CNAME, 30, C_TEST, sizeof C_TEST);
    struct dns_reply r = read_all();
    assert_int_equal(r.says, DNS_SAYS_ADDRESSES);
    assert_int_equal(r.n, 1);
    assert_true(r.ttl_s == 30);
    /* Addresses of another name are ignored. */
    begin("a.test", DNS_TYPE_A, 0);
    record(6, C_TEST, sizeof C_TEST, A, 40, FOUR, 4);
    assert_int_equal(read_all().says, DNS_SAYS_NO_DATA);
    /* So are those of another type, and times above an hour. */
    begin("a.test", DNS_TYPE_AAAA, 0);
    record(6, SELF, 2, A, 40, FOUR, 4);
    assert_int_equal(read_all().says, DNS_SAYS_NO_DATA);
    /* So are those of another class. */
    begin("a.test", DNS_TYPE_A, 0);
    record(6, SELF, 2, A, 40, FOUR, 4);
    message.data[message.len - 11] = 3;
    assert_int_equal(read_all().says, DNS_SAYS_NO_DATA);
    begin("a.test", DNS_TYPE_A, 0);
    record(6, SELF, 2, A, 0xffffffff, FOUR, 4);
    assert_true(read_all().ttl_s == 3600);
    /* Not all servers keep the case of letters. */
    begin("A.tEst", DNS_TYPE_A, 0);
    message.data[13] = 'a';
    record(6, "\1a\4TEST", 8, A, 40, FOUR, 4);
    assert_int_equal(read_all().n, 1);
}

static void what_a_server_may_say_otherwise(void **state)
{
    static const struct {
        unsigned flags;
        enum dns_says says;
    } table[] = {{0x80, DNS_SAYS_NO_DATA},  {0x81, DNS_SAYS_UNWILLING}, {0x82, DNS_SAYS_FAILED},
                 {0x83, DNS_SAYS_NO_NAME},  {0x84, DNS_SAYS_UNWILLING}, {0x85, DNS_SAYS_UNWILLING},
                 {0x8f, DNS_SAYS_UNWILLING}};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        begin("a.test", DNS_TYPE_A, table[i].flags);
        assert_int_equal(read_all().says, table[i].says);
        assert_false(read_all().truncated);
    }
    begin("a.test", DNS_TYPE_A, 0x85); /* without the question */
    message.data[5] = 0;
    assert_int_equal(read_it(12).says, DNS_SAYS_UNWILLING);
    begin("a.test", DNS_TYPE_A, 0x80);
    message.data[5] = 0;
    assert_int_equal(read_it(12).says, DNS_SAYS_NOTHING);
}

/* A server that serves others only may answer without any record; it has not looked the name up. */
static void a_server_that_has_not_looked(void **state)
{
    static const uint8_t soa[22];
    const unsigned authoritative = 0x400, recursive = 0x80;
    (void)state;
    begin("a.test", DNS_TYPE_A, 0);
    assert_int_equal(read_all().says, DNS_SAYS_FAILED);
    record(8, "", 1, NS, 50, B_TEST, sizeof B_TEST);
    assert_int_equal(read_all().says, DNS_SAYS_UNWILLING);
    record(8, "", 1, SOA, 50, soa, sizeof soa);
    assert_int_equal(read_all().says, DNS_SAYS_NO_DATA);
    begin("a.test", DNS_TYPE_A, authoritative);
    assert_int_equal(read_all().says, DNS_SAYS_NO_DATA);
    begin("a.test", DNS_TYPE_A, recursive);
    record(8, "", 1, NS, 50, B_TEST, sizeof B_TEST);
    assert_int_equal(read_all().says, DNS_SAYS_NO_DATA);
}

/* The present addresses are used but not cached, since they are a part (RFC 2181 9). */
static void what_is_truncated(void **state)
{
    (void)state;
    begin("a.test", DNS_TYPE_A, 0x280);
    assert_true(read_all().truncated);
    assert_int_equal(read_all().says, DNS_SAYS_FAILED);
    record(6, SELF, 2, CNAME, 50, B_TEST, sizeof B_TEST);
    assert_true(read_all().truncated);
    assert_int_equal(read_all().says, DNS_SAYS_ALIAS);
    record(6, B_TEST, sizeof B_TEST, A, 50, FOUR, 4);
    struct dns_reply r = read_all();
    assert_true(r.truncated);
    assert_int_equal(r.says, DNS_SAYS_ADDRESSES);
    assert_int_equal(r.n, 1);
    assert_true(r.ttl_s == 0);
    r = read_it(message.len - 1); /* cut within a record */
    assert_true(r.truncated);
    assert_int_equal(r.says, DNS_SAYS_FAILED);
    begin("a.test", DNS_TYPE_A, 0x283); /* a name that does not exist, with the authority section cut off */
    assert_int_equal(read_all().says, DNS_SAYS_NO_NAME);
}

static void an_alias_that_is_all(void **state)
{
    static const uint8_t soa[22];
    (void)state;
    begin("a.test", DNS_TYPE_A, 0);
    record(6, SELF, 2, CNAME, 50, B_TEST, sizeof B_TEST);
    struct dns_reply r = read_all();
    assert_int_equal(r.says, DNS_SAYS_ALIAS);
    assert_string_equal(r.alias, "b.test");
    record(8, "", 1, SOA, 50, soa, sizeof soa);
    assert_int_equal(read_all().says, DNS_SAYS_NO_DATA);
}

static void answers_to_other_questions(void **state)
{
    static const struct {
        size_t at;
        uint8_t flip;
    } table[] = {{0, 1},  {1, 0x80}, {2, 0x80}, {5, 1},  {5, 2}, {12, 1},
                 {13, 1}, {14, 1},   {15, 1},   {20, 2}, {22, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        begin("a.test", DNS_TYPE_A, 0);
        record(6, SELF, 2, A, 40, FOUR, 4);
        message.data[table[i].at] ^= table[i].flip;
        if (read_all().says != DNS_SAYS_NOTHING)
            fail_msg("byte %zu", table[i].at);
    }
}

static void loops_and_lies(void **state)
{
    (void)state;
    begin("a.test", DNS_TYPE_A, 0); /* an alias of itself, and two of one another */
    record(6, SELF, 2, CNAME, 50, SELF, 2);
    assert_int_equal(read_all().says, DNS_SAYS_FAILED);
    begin("a.test", DNS_TYPE_A, 0);
    record(6, SELF, 2, CNAME, 50, B_TEST, sizeof B_TEST);
    record(6, B_TEST, sizeof B_TEST, CNAME, 50, SELF, 2);
    assert_int_equal(read_all().says, DNS_SAYS_FAILED);
    begin("a.test", DNS_TYPE_A, 0); /* a name that points at itself */
    const char circle[] = {(char)0xc0, (char)message.len};
    record(6, circle, 2, A, 50, FOUR, 4);
    assert_int_equal(read_all().says, DNS_SAYS_FAILED);
    begin("a.test", DNS_TYPE_A, 0); /* and one that points beyond */
    record(6, "\xff\xff", 2, A, 50, FOUR, 4);
    assert_int_equal(read_all().says, DNS_SAYS_FAILED);
    begin("a.test", DNS_TYPE_A, 0); /* an address of three bytes */
    record(6, SELF, 2, A, 50, FOUR, 3);
    assert_int_equal(read_all().says, DNS_SAYS_FAILED);
    begin("a.test", DNS_TYPE_A, 0); /* more records than there are */
    record(6, SELF, 2, A, 50, FOUR, 4);
    message.data[6] = 0xff;
    assert_int_equal(read_all().says, DNS_SAYS_FAILED);
}

static void as_many_as_a_message_holds(void **state)
{
    char owner[] = "\5n0000\4test";
    (void)state;
    begin("a.test", DNS_TYPE_A, 0);
    while (message.len + 16 <= MESSAGE_MAX)
        record(6, SELF, 2, A, 50, FOUR, 4);
    assert_int_equal(read_all().n, DNS_ADDRS_MAX);
    begin("n0000.test", DNS_TYPE_A, 0); /* a chain of a thousand aliases */
    for (int i = 0; i < 1000; i++) {
        char next[sizeof owner + 4];
        (void)snprintf(owner + 1, sizeof owner - 1, "n%04d%c%s", i, 4, "test");
        (void)snprintf(next, sizeof next, "%cn%04d%c%s", 5, i + 1, 4, "test");
        record(6, owner, sizeof owner, CNAME, 50, next, sizeof owner);
    }
    assert_int_equal(read_all().says, DNS_SAYS_FAILED);
}

static void every_prefix_and_every_flipped_bit(void **state)
{
    (void)state;
    begin("a.test", DNS_TYPE_A, 0);
    record(6, SELF, 2, CNAME, 50, B_TEST, sizeof B_TEST);
    record(6, B_TEST, sizeof B_TEST, A, 30, FOUR, 4);
    for (size_t len = 0; len < message.len; len++)
        if (read_it(len).says == DNS_SAYS_ADDRESSES)
            fail_msg("%zu bytes are enough", len);
    for (size_t bit = 0; bit < 8 * message.len; bit++) {
        message.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        (void)read_all();
        message.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(read_all().says, DNS_SAYS_ADDRESSES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_are_made),
        cmocka_unit_test(addresses_and_what_led_to_them),
        cmocka_unit_test(what_a_server_may_say_otherwise),
        cmocka_unit_test(a_server_that_has_not_looked),
        cmocka_unit_test(what_is_truncated),
        cmocka_unit_test(an_alias_that_is_all),
        cmocka_unit_test(answers_to_other_questions),
        cmocka_unit_test(loops_and_lies),
        cmocka_unit_test(as_many_as_a_message_holds),
        cmocka_unit_test(every_prefix_and_every_flipped_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
