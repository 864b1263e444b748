/* After a truncated answer the question is asked again over TCP; what that lacks, the truncated one has. */
#include "dns/exchange_room.h"

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
    (void)events;
    ev_io_stop(loop, io);
    *(bool *)io->data = true;
}

/* Turn the loop, with the exchange in it, until the server's socket has something to read. */
static void await_readable(struct room *r, int fd)
{
    bool readable = false;
    ev_io io;

    ev_io_init(&io, on_readable, fd, EV_READ);
    io.data = &readable;
    ev_io_start(r->loop, &io);
    run_until(r->loop, &readable);
    ev_io_stop(r->loop, &io);
}

/* Truncated, with so many addresses. */
static void say_truncated(struct room *r, size_t n)
{
    static uint8_t out[DNS_PACKET_MAX];
    size_t len = r->asked.len;

    (void)answer(r, out);
    memset(out + 6, 0, 6);
    out[2] |= 2;
    for (unsigned i = 0; i < n; i++)
        dns_put_address(out, &len, DNS_A, i + 1);
    say_from(r, r->udp, out, len);
}

/* Read the question again, over TCP. */
static void accept_question(struct room *r)
{
    struct dns_held again = {.len = 0};
    uint8_t head[2];

    await_readable(r, r->tcp);
    r->client = accept4(r->tcp, NULL, NULL, SOCK_CLOEXEC);
    assert_true(r->client >= 0);
    limit_reads(r->client);
    await_readable(r, r->client);
    assert_int_equal(recv(r->client, head, sizeof head, MSG_WAITALL), sizeof head);
    again.len = (size_t)head[0] << 8 | head[1];
    assert_int_equal(again.len, r->asked.len);
    assert_int_equal(recv(r->client, again.query, again.len, MSG_WAITALL), again.len);
    assert_memory_equal(again.query, r->asked.query, again.len);
}

/* Answer in pieces of this size. */
static void stream(struct room *r, const uint8_t *data, size_t len, size_t piece)
{
    static uint8_t all[2 + DNS_PACKET_MAX];

    all[0] = (uint8_t)(len >> 8);
    all[1] = (uint8_t)len;
    memcpy(all + 2, data, len);
    for (size_t at = 0; at < len + 2; at += piece) {
        size_t n = len + 2 - at < piece ? len + 2 - at : piece;
        assert_int_equal(send(r->client, all + at, n, MSG_NOSIGNAL), n);
        if (at + n < len + 2) {
            turn(r);
            assert_false(r->done);
        }
    }
}

enum over_tcp {
    WHOLE,   /* the answer, in one piece */
    PIECES,  /* byte by byte */
    NO_NAME, /* other codes */
    BROKEN,
    REFUSED,
    FOREIGN,   /* of another question */
    NOTHING,   /* a message of length 0 */
    NO_LENGTH, /* closed after one byte */
    HALF,      /* closed in the middle of the answer */
    CLOSED,    /* without a byte */
};

static void play(struct room *r, enum over_tcp how)
{
    static uint8_t out[DNS_PACKET_MAX];
    size_t len = answer(r, out);
    uint8_t code = how == NO_NAME   ? DNS_NXDOMAIN
                   : how == BROKEN  ? DNS_SERVFAIL
                   : how == REFUSED ? DNS_REFUSED
                                    : 0;

    if (code) {
        len = r->asked.len;
        memset(out + 6, 0, 6);
        out[3] = (uint8_t)(0x80 | code);
    }
    out[0] ^= how == FOREIGN;
    if (how == HALF)
        assert_int_equal(send(r->client, (uint8_t[]){0, 200, 1, 2}, 4, MSG_NOSIGNAL), 4);
    else if (how == NO_LENGTH)
        assert_int_equal(send(r->client, "", 1, MSG_NOSIGNAL), 1);
    else if (how != CLOSED)
        stream(r, out, how == NOTHING ? 0 : len, how == PIECES ? 1 : DNS_PACKET_MAX);
    close_fd(&r->client);
}

static void after_a_truncated_answer_tcp_has_the_word(void **state)
{
    static const struct {
        const char *what;
        size_t truncated; /* addresses in the truncated answer */
        enum over_tcp how;
        enum dns_says says;
        size_t n;
    } cases[] = {
        {"the whole answer", 0, WHOLE, DNS_SAYS_ADDRESSES, 3},
        {"the whole instead of a part", 1, WHOLE, DNS_SAYS_ADDRESSES, 3},
        {"byte by byte", 1, PIECES, DNS_SAYS_ADDRESSES, 3},
        {"no such name", 1, NO_NAME, DNS_SAYS_NO_NAME, 0},
        {"failed: the part is used", 1, BROKEN, DNS_SAYS_ADDRESSES, 1},
        {"refused: the part is used", 2, REFUSED, DNS_SAYS_ADDRESSES, 2},
        {"refused, and there is no part", 0, REFUSED, DNS_SAYS_FAILED, 0},
        {"of another question", 1, FOREIGN, DNS_SAYS_ADDRESSES, 1},
        {"an empty message", 1, NOTHING, DNS_SAYS_ADDRESSES, 1},
        {"closed within the length", 1, NO_LENGTH, DNS_SAYS_ADDRESSES, 1},
        {"closed within the answer", 1, HALF, DNS_SAYS_ADDRESSES, 1},
        {"closed at once", 1, CLOSED, DNS_SAYS_ADDRESSES, 1},
        {"closed, and there is no part", 0, CLOSED, DNS_SAYS_FAILED, 0},
    };
    struct room *r = *state;

    assert_int_equal(listen(r->tcp, 4), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ask(r, "four.test");
        say_truncated(r, cases[i].truncated);
        accept_question(r);
        play(r, cases[i].how);
        await(r);
        assert_says(cases[i].what, r, cases[i].says, cases[i].n);
        assert_true(r->was_answered);
        assert_int_equal(count_fds(), r->fds);
    }
}

static void where_nobody_listens_the_part_is_used(void **state)
{
    struct room *r = *state;

    for (size_t n = 0; n < 2; n++) {
        ask(r, "four.test");
        say_truncated(r, n);
        await(r);
        assert_says("without TCP", r, n ? DNS_SAYS_ADDRESSES : DNS_SAYS_FAILED, n);
        assert_true(r->was_answered);
    }
}

/* Larger than the buffer, without the bit that says so. */
static void a_datagram_that_does_not_fit_is_truncated(void **state)
{
    static uint8_t out[DNS_PACKET_MAX];
    struct room *r = *state;
    size_t len;

    assert_int_equal(listen(r->tcp, 4), 0);
    ask(r, "four.test");
    (void)answer(r, out);
    memset(out + 6, 0, 6);
    len = r->asked.len;
    for (unsigned i = 0; i < 300; i++)
        dns_put_address(out, &len, DNS_A, i);
    say_from(r, r->udp, out, len);
    accept_question(r);
    play(r, WHOLE);
    await(r);
    assert_says("over TCP", r, DNS_SAYS_ADDRESSES, 3);
}

/* While TCP waits, the server's time is that of its truncated answer. */
static void tcp_is_waited_for_only_a_while_if_there_is_a_part(void **state)
{
    static const double timeouts[] = {0.04, 1000}; /* a quarter of it, at most TCP_S */
    struct room *r = *state;

    assert_int_equal(listen(r->tcp, 4), 0);
    for (size_t i = 0; i < ARRAY_LEN(timeouts); i++) {
        r->way.timeout_s = timeouts[i];
        ask(r, "four.test");
        say_truncated(r, 1);
        await(r);
        assert_says("TCP is silent", r, DNS_SAYS_ADDRESSES, 1);
        assert_true(r->was_answered);
    }
}

static void without_a_part_tcp_is_waited_for_as_long_as_the_owner_likes(void **state)
{
    struct room *r = *state;

    assert_int_equal(listen(r->tcp, 4), 0);
    r->way.timeout_s = 0.04;
    ask(r, "four.test");
    say_truncated(r, 0);
    accept_question(r);
    assert_true(dns_exchange_was_answered(r->exchange));
    double age_s = dns_exchange_age_s(r->exchange);
    assert_true(age_s >= 0 && age_s == dns_exchange_age_s(r->exchange)); /* stands still */
    ev_io_stop(r->loop, &r->exchange->io);
    assert_idle(r->loop); /* no limit runs */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOM(after_a_truncated_answer_tcp_has_the_word),
        IN_ROOM(where_nobody_listens_the_part_is_used),
        IN_ROOM(a_datagram_that_does_not_fit_is_truncated),
        IN_ROOM(tcp_is_waited_for_only_a_while_if_there_is_a_part),
        IN_ROOM(without_a_part_tcp_is_waited_for_as_long_as_the_owner_likes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
