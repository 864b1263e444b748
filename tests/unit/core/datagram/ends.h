/* Two ends between which batches go, both on loopback, and a walk through what has come. */
#ifndef STEERWAY_TEST_DATAGRAM_ENDS_H
#define STEERWAY_TEST_DATAGRAM_ENDS_H

#include "datagram/batch.h"

#include "support/loopback.h"

static struct batch_sent sent;
static struct batch_out out;
static struct batch_in in;
static struct batch_socket from;
static struct addr from_at, to_at;
static int to;
static char bytes[BATCH_MESSAGE_MAX];

static inline int open_end(int family, struct addr *ret_at)
{
    int fd = socket_at_loopback(family, SOCK_DGRAM, ret_at);
    batch_tune(fd);
    return fd;
}

static inline void begin(int family)
{
    sent = (struct batch_sent){.sent = 0};
    out = (struct batch_out){.sent = &sent};
    from = (struct batch_socket){.fd = open_end(family, &from_at)};
    to = open_end(family, &to_at);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 31 + i / 251);
}

static inline int setup(void **state)
{
    (void)state;
    begin(AF_INET);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    if (from.fd >= 0)
        (void)close(from.fd);
    if (to >= 0)
        (void)close(to);
    batch_out_done(&out);
    batch_in_done(&in);
    return 0;
}

static inline struct slice piece(size_t at, size_t len)
{
    assert_true(at + len <= sizeof bytes);
    return slice_of(bytes + at, len);
}

static inline void add(size_t at, size_t len)
{
    batch_add(&out, &from, &to_at, slice_of("", 0), piece(at, len));
}

static inline void assert_sent(uint64_t n)
{
    assert_int_equal(sent.sent, n);
    assert_int_equal(sent.no_room, 0);
    assert_int_equal(sent.too_big, 0);
    assert_int_equal(sent.failed, 0);
    assert_int_equal(sent.in_fragments, 0);
}

/* --- receiving ------------------------------------------------------------------------------------------ */

/* What has come is walked through datagram by datagram. */
static struct batch_message message;
static int n_messages, i_message;
static size_t at_byte;
static size_t longest; /* datagrams of one message */

static inline void take_more(void)
{
    assert_int_equal(poll(&(struct pollfd){.fd = to, .events = POLLIN}, 1, (int)(PATIENCE_S * 1000)), 1);
    n_messages = batch_receive(&in, to);
    assert_true(n_messages > 0);
    i_message = 0;
}

static inline void take_message(void)
{
    if (i_message == n_messages)
        take_more();
    assert_true(batch_message(&in, i_message++, &message));
    assert_true(addr_same_ip(message.source, &from_at));
    assert_int_equal(addr_port(message.source), addr_port(&from_at));
    assert_null(message.to);
    at_byte = 0;
    size_t n = (size_t)batch_message_count(&message);
    longest = n > longest ? n : longest;
}

/* The next datagram is this one. */
static inline void take(const char *header, struct slice payload)
{
    size_t head = strlen(header), left;

    if (at_byte >= message.bytes.len)
        take_message();
    left = message.bytes.len - at_byte;
    size_t len = left < message.segment ? left : message.segment;
    assert_int_equal(len, head + payload.len);
    assert_memory_equal(message.bytes.data + at_byte, header, head);
    assert_memory_equal(message.bytes.data + at_byte + head, payload.data, payload.len);
    at_byte += message.segment;
}

static inline void take_plain(size_t at, size_t len)
{
    take("", piece(at, len));
}

static inline void assert_nothing_more(void)
{
    assert_true(at_byte >= message.bytes.len);
    assert_int_equal(i_message, n_messages);
    assert_int_equal(batch_receive(&in, to), 0);
}

static inline void forget_received(void)
{
    message = (struct batch_message){.source = NULL};
    n_messages = i_message = 0;
    at_byte = longest = 0;
}

#endif
