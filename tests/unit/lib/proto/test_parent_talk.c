/* The client's side of each protocol, with answers in any pieces, and invalid ones. */
#include "proto/parent_talk.h"

#include "proto/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BYTES(text) (text), sizeof(text) - 1

struct dialogue {
    enum parent_protocol protocol;
    const char *host, *user, *pass;
    struct {
        const char *said; /* by us */
        size_t said_len;
        const char *heard;
        size_t heard_len;
    } turns[3];
    enum fault fault;
};

static const struct dialogue dialogues[] = {
    {PARENT_SOCKS5,
     "192.0.2.1",
     "",
     "",
     {{BYTES("\5\1\0"), BYTES("\5\0")}, {BYTES("\5\1\0\1\300\0\2\1\1\273"), BYTES("\5\0\0\1\0\0\0\0\0\0")}},
     FAULT_NONE},
    {PARENT_SOCKS5,
     "example.org",
     "me",
     "secret",
     {{BYTES("\5\2\0\2"), BYTES("\5\2")},
      {BYTES("\1\2me\6secret"), BYTES("\1\0")},
      {BYTES("\5\1\0\3\13example.org\1\273"), BYTES("\5\0\0\3\4name\0\120")}},
     FAULT_NONE},
    {PARENT_SOCKS5,
     "2001:db8::1",
     "me",
     "",
     {{BYTES("\5\2\0\2"), BYTES("\5\0")},
      {BYTES("\5\1\0\4\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1\1\273"),
       BYTES("\5\5\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")}},
     FAULT_REFUSED},
    {PARENT_SOCKS5,
     "192.0.2.1",
     "me",
     "x",
     {{BYTES("\5\2\0\2"), BYTES("\5\2")}, {BYTES("\1\2me\1x"), BYTES("\1\1")}},
     FAULT_PARENT},
    {PARENT_SOCKS5, "192.0.2.1", "", "", {{BYTES("\5\1\0"), BYTES("\5\2")}}, FAULT_PARENT},
    {PARENT_SOCKS5, "192.0.2.1", "", "", {{BYTES("\5\1\0"), BYTES("\4\0")}}, FAULT_PARENT},
    {PARENT_SOCKS5,
     "192.0.2.1",
     "",
     "",
     {{BYTES("\5\1\0"), BYTES("\5\0")}, {BYTES("\5\1\0\1\300\0\2\1\1\273"), BYTES("\5\2\0\1\0\0\0\0\0\0")}},
     FAULT_REJECTED},
    {PARENT_SOCKS4A,
     "192.0.2.1",
     "me",
     "",
     {{BYTES("\4\1\1\273\300\0\2\1me\0"), BYTES("\0\132\0\0\0\0\0\0")}},
     FAULT_NONE},
    {PARENT_SOCKS4A,
     "example.org",
     "",
     "",
     {{BYTES("\4\1\1\273\0\0\0\1\0example.org\0"), BYTES("\0\133\0\0\0\0\0\0")}},
     FAULT_FAILED},
    {PARENT_HTTP,
     "example.org",
     "Aladdin",
     "open sesame",
     {{BYTES("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n"
             "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"),
       BYTES("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")}},
     FAULT_NONE},
    {PARENT_HTTP,
     "2001:db8::1",
     "",
     "",
     {{BYTES("CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n"),
       BYTES("HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")}},
     FAULT_PARENT},
    {PARENT_HTTP,
     "192.0.2.1",
     "",
     "",
     {{BYTES("CONNECT 192.0.2.1:443 HTTP/1.1\r\nHost: 192.0.2.1:443\r\n\r\n"), BYTES("HTTP/1.0 503 No\n\n")}},
     FAULT_FAILED},
};

/* @param step  bytes that arrive at once; the destination's follow them */
static void hold(const struct dialogue *d, size_t step)
{
    static const char behind[] = "the destination's";
    struct parent_talk *t = calloc(1, sizeof *t);
    struct target target;
    bool over = false;
    assert_non_null(t);
    assert_int_equal(target_set(&target, slice_str(d->host), 443), PARSE_OK);
    parent_talk_begin(t, &(struct parent_talk_request){
                             .protocol = d->protocol, .target = &target, .user = d->user, .pass = d->pass});
    for (size_t i = 0; i < 3 && d->turns[i].said; i++) {
        char all[512];
        size_t len = d->turns[i].heard_len, at = 0;
        assert_false(over);
        assert_int_equal(t->out_len, d->turns[i].said_len);
        assert_memory_equal(t->out, d->turns[i].said, t->out_len);
        memcpy(all, d->turns[i].heard, len);
        memcpy(all + len, behind, sizeof behind);
        while (at < len) {
            size_t there = len + sizeof behind - at < step ? len + sizeof behind - at : step;
            size_t share = parent_talk_share(t, all + at, there);
            assert_true(share >= 1 && share <= len - at); /* never the destination's */
            assert_false(over);
            over = parent_talk_take(t, all + at, share);
            at += share;
        }
    }
    assert_true(over);
    assert_string_equal(fault_name(t->fault), fault_name(d->fault));
    free(t);
}

static void each_dialogue_in_any_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dialogues / sizeof *dialogues; i++)
        for (size_t step = 1; step < 80; step++)
            hold(&dialogues[i], step);
}

/* A parent proxy's error about the destination keeps its reason. */
static void its_reasons_are_told_apart(void **state)
{
    static const enum fault of_code[] = {FAULT_NONE,        FAULT_FAILED,  FAULT_REJECTED, FAULT_UNREACHABLE,
                                         FAULT_HOST,        FAULT_REFUSED, FAULT_EXPIRED,  FAULT_PARENT,
                                         FAULT_UNREACHABLE, FAULT_FAILED};
    static const struct {
        int status;
        enum fault fault;
    } of_status[] = {{200, FAULT_NONE},     {299, FAULT_NONE},     {301, FAULT_FAILED}, {400, FAULT_FAILED},
                     {403, FAULT_REJECTED}, {451, FAULT_REJECTED}, {404, FAULT_FAILED}, {407, FAULT_PARENT},
                     {408, FAULT_EXPIRED},  {500, FAULT_FAILED},   {502, FAULT_FAILED}, {503, FAULT_FAILED},
                     {504, FAULT_EXPIRED}};
    static const struct {
        unsigned char code;
        enum fault fault;
    } of_code4[] = {{90, FAULT_NONE}, {91, FAULT_FAILED}, {92, FAULT_PARENT}, {93, FAULT_PARENT}};
    struct parent_talk *t = calloc(1, sizeof *t);
    struct target target;

    (void)state;
    assert_non_null(t);
    assert_int_equal(target_set(&target, slice_str("192.0.2.1"), 443), PARSE_OK);
    struct parent_talk_request request = {
        .protocol = PARENT_SOCKS5, .target = &target, .user = "", .pass = ""};
    for (size_t i = 0; i < ARRAY_LEN(of_code); i++) {
        const char reply[] = {5, (char)i, 0, 1, 0, 0, 0, 0, 0, 0};
        parent_talk_begin(t, &request);
        assert_false(parent_talk_take(t, BYTES("\5\0")));
        assert_true(parent_talk_take(t, reply, sizeof reply));
        assert_string_equal(fault_name(t->fault), fault_name(of_code[i]));
    }
    request.protocol = PARENT_SOCKS4A;
    for (size_t i = 0; i < ARRAY_LEN(of_code4); i++) {
        const char reply[] = {0, (char)of_code4[i].code, 0, 0, 0, 0, 0, 0};
        parent_talk_begin(t, &request);
        assert_true(parent_talk_take(t, reply, sizeof reply));
        assert_string_equal(fault_name(t->fault), fault_name(of_code4[i].fault));
    }
    request.protocol = PARENT_HTTP;
    for (size_t i = 0; i < ARRAY_LEN(of_status); i++) {
        char reply[64];
        int n = snprintf(reply, sizeof reply, "HTTP/1.1 %d x\r\n\r\n", of_status[i].status);
        parent_talk_begin(t, &request);
        assert_true(parent_talk_take(t, reply, (size_t)n));
        assert_string_equal(fault_name(t->fault), fault_name(of_status[i].fault));
    }
    free(t);
}

/* UDP ASSOCIATE names no address. The reply tells where the proxy takes datagrams. */
static void an_association_tells_its_relay(void **state)
{
    static const struct {
        struct slice reply;
        enum fault fault;
        struct parent_relay relay;
        bool unsupported;
    } table[] = {
        {{BYTES("\5\0\0\1\300\0\2\1\1\273")}, FAULT_NONE, {{192, 0, 2, 1}, 4, 443}, false},
        {{BYTES("\5\0\0\1\0\0\0\0\0\65")}, FAULT_NONE, {{0}, 4, 53}, false},
        {{BYTES("\5\0\0\4\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1\377\376")},
         FAULT_NONE,
         {{0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 16, 65534},
         false},
        {{BYTES("\5\0\0\1\300\0\2\1\0\0")}, FAULT_PARENT, {{0}, 0, 0}, false}, /* port 0 */
        {{BYTES("\5\0\0\3\4name\1\273")}, FAULT_PARENT, {{0}, 0, 0}, false},
        {{BYTES("\5\0\0\0\300\0\2\1\1\273")}, FAULT_PARENT, {{0}, 0, 0}, false},
        {{BYTES("\5\7\0\1\0\0\0\0\0\0")}, FAULT_PARENT, {{0}, 0, 0}, true},
        {{BYTES("\5\2\0\1\0\0\0\0\0\0")}, FAULT_REJECTED, {{0}, 0, 0}, false},
    };
    static const char request[] = "\5\3\0\1\0\0\0\0\0\0";
    struct parent_talk *t = calloc(1, sizeof *t);

    (void)state;
    assert_non_null(t);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        parent_talk_begin(t, &(struct parent_talk_request){
                                 .protocol = PARENT_SOCKS5, .datagrams = true, .user = "me", .pass = "x"});
        assert_false(parent_talk_take(t, BYTES("\5\2")));
        assert_int_equal(t->out_len, 6); /* the credentials */
        assert_false(parent_talk_take(t, BYTES("\1\0")));
        assert_int_equal(t->out_len, sizeof request - 1);
        assert_memory_equal(t->out, request, t->out_len);
        for (size_t n = 0; n < table[i].reply.len; n++) {
            assert_int_equal(parent_talk_share(t, table[i].reply.data + n, 1), 1);
            assert_int_equal(parent_talk_take(t, table[i].reply.data + n, 1), n + 1 == table[i].reply.len);
        }
        assert_string_equal(fault_name(t->fault), fault_name(table[i].fault));
        assert_int_equal(t->unsupported, table[i].unsupported);
        if (t->fault != FAULT_NONE)
            continue;
        assert_int_equal(t->relay.port, table[i].relay.port);
        assert_int_equal(t->relay.ip_len, table[i].relay.ip_len);
        assert_memory_equal(t->relay.ip, table[i].relay.ip, t->relay.ip_len);
    }
    free(t);
}

/* Any input leads to an end, within the limits. */
static void noise_ends(void **state)
{
    struct parent_talk *t = calloc(1, sizeof *t);
    struct target target;
    (void)state;
    srand(1);
    assert_int_equal(target_set(&target, slice_str("example.org"), 443), PARSE_OK);
    for (int round = 0; round < 30000; round++) {
        parent_talk_begin(t, &(struct parent_talk_request){.protocol = (enum parent_protocol)(round % 3),
                                                           .datagrams = round % 6 == PARENT_SOCKS5,
                                                           .target = &target,
                                                           .user = round % 2 ? "u" : "",
                                                           .pass = "p"});
        bool over = false;
        for (int i = 0; i < 12000 && !over; i++) {
            char data[16];
            for (size_t k = 0; k < sizeof data; k++)
                data[k] = (char)(rand() % 4 ? rand() % 6 : rand());
            over = parent_talk_take(t, data, parent_talk_share(t, data, sizeof data));
        }
        assert_true(over);
    }
    free(t);
}

static void a_head_without_an_end_ends(void **state)
{
    struct parent_talk *t = calloc(1, sizeof *t);
    struct target target;
    char x[1000];
    bool over = false;
    (void)state;
    memset(x, 'x', sizeof x);
    assert_int_equal(target_set(&target, slice_str("example.org"), 443), PARSE_OK);
    parent_talk_begin(
        t, &(struct parent_talk_request){.protocol = PARENT_HTTP, .target = &target, .user = "", .pass = ""});
    assert_false(parent_talk_take(t, BYTES("HTTP/1.1 200 OK\r\nX: ")));
    for (int i = 0; i < 100 && !over; i++)
        over = parent_talk_take(t, x, parent_talk_share(t, x, sizeof x));
    assert_true(over);
    assert_int_equal(t->fault, FAULT_PARENT);
    free(t);
}

/* RFC 4648 10 */
static void base64_is_written(void **state)
{
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        char out[16];
        base64_encode(slice_str(vectors[i][0]), out);
        assert_string_equal(out, vectors[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_dialogue_in_any_pieces),    cmocka_unit_test(its_reasons_are_told_apart),
        cmocka_unit_test(an_association_tells_its_relay), cmocka_unit_test(noise_ends),
        cmocka_unit_test(a_head_without_an_end_ends),     cmocka_unit_test(base64_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
