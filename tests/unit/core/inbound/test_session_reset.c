/* A client that is to be reset first reads what came before. */
#include "http/exchange_desk.h"

#include "base/clock.h"

static bool has_sent(const struct desk *d, size_t bytes)
{
    return d->session->outbound->rx >= bytes;
}

/* A reset destroys bytes in transit, so it waits until the client has received all of them. */
static void what_came_before_a_reset_is_heard(void **state)
{
    enum { CAME = 300 * 1000 };
    struct desk *d = *state;
    int client = desk_client(d);
    const int little = 4 * 1024;
    assert_int_equal(setsockopt(d->session->fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof little), 0);
    desk_ask(d, client, GET("/"));
    int dest = desk_accept(d);
    (void)desk_hear_head(d, dest, "GET / HTTP/1.1\r\n");
    desk_say_str(dest, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    (void)desk_hear_head(d, client, "HTTP/1.1 200 OK\r\n");
    char data[1000];
    size_t got = 0, before = (size_t)d->session->outbound->rx, sent = 0;
    memset(data, 'x', sizeof data);
    while (sent < CAME && session_owed(d->session) == 0) {
        desk_say(dest, slice_of(data, sizeof data));
        sent += sizeof data;
        desk_turn_until(d, has_sent, before + sent, "the body is not read");
    }
    session_cut(d->session);
    double give_up_s = clock_now_s() + PATIENCE_S;
    for (ssize_t n = 1; n > 0 && clock_now_s() < give_up_s; got += n > 0 ? (size_t)n : 0) {
        assert_true(got == sent || d->session->state == SESSION_RESETTING);
        desk_await(d, client);
        n = recv(client, data, sizeof data, 0);
        assert_true(n != 0);
    }
    assert_int_equal(errno, ECONNRESET);
    assert_int_equal(got, sent);
    desk_await_closed(d);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, desk_setup, desk_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(what_came_before_a_reset_is_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
