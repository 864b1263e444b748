/* Data in the SYN, on a loopback whose servers offer TCP Fast Open. */
#include "net/dial_desk.h"

#include "support/netns.h"

#include <netinet/tcp.h>

enum { TFO_CLIENT = 1, TFO_SERVER = 2 };
static const char WORDS[] = "what the client has said already";

static void allow(int bits)
{
    char text[8];
    (void)snprintf(text, sizeof text, "%d", bits);
    netns_write("/proc/sys/net/ipv4/tcp_fastopen", text);
}

static int desk_open(void **state)
{
    struct desk *k = desk_new(state);
    buf_init(&k->early, 256 * 1024);
    return 0;
}

/* Not in desk_open, since it may skip the test. */
static void offer(struct desk *k)
{
    netns_enter();
    netns_ip("link set lo up\n");
    allow(TFO_CLIENT | TFO_SERVER);
    k->good_fd = socket_at_loopback(AF_INET, SOCK_STREAM, &k->good);
    assert_int_equal(setsockopt(k->good_fd, IPPROTO_TCP, TCP_FASTOPEN, &(int){16}, sizeof(int)), 0);
    assert_int_equal(listen(k->good_fd, 16), 0);
    desk_refuse(k);
    silent_at_loopback(&k->silent);
}

/* @return the server's end */
static int dial_with(struct desk *k, const struct addr *addrs, size_t n, size_t len)
{
    k->done = false;
    dial_start(&k->dial, k->loop, addrs, n, &EGRESS_DIRECT, 5, on_done);
    dial_early(&k->dial, &k->early, len);
    run_until(k->loop, &k->done);
    assert_int_equal(k->fault, FAULT_NONE);
    int fd = accept4(k->good_fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void say(struct desk *k, size_t times)
{
    for (size_t i = 0; i < times; i++)
        assert_int_equal(buf_append(&k->early, WORDS, strlen(WORDS)), 0);
}

/* Each desk begins without a cookie; it belongs to the address, whatever the port. */
static void get_cookie(struct desk *k)
{
    int server;

    say(k, 1);
    server = dial_with(k, &k->good, 1, k->early.len);
    assert_int_equal(k->dial.early_sent, 0);
    (void)close(server);
    (void)close(k->fd);
}

static void assert_hears(int fd, const char *data, size_t n)
{
    char *heard = malloc(n + 1);
    assert_non_null(heard);
    assert_int_equal(recv(fd, heard, n, MSG_WAITALL), n);
    assert_memory_equal(heard, data, n);
    free(heard);
}

static void assert_hears_no_more(int fd)
{
    char byte;
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

static void test_the_first_asks_for_a_cookie_and_the_second_has_it(void **state)
{
    struct desk *k = *state;
    offer(k);
    say(k, 1);
    int server = dial_with(k, &k->good, 1, k->early.len);
    assert_int_equal(k->dial.early_sent, 0);
    assert_hears_no_more(server);

    (void)close(k->fd);
    server = dial_with(k, &k->good, 1, k->early.len);
    assert_int_equal(k->dial.early_sent, strlen(WORDS));
    assert_hears(server, WORDS, strlen(WORDS));
    assert_hears_no_more(server);
    assert_int_equal(k->early.len, strlen(WORDS)); /* the owner consumes it */
}

static void test_what_the_kernel_did_not_take_is_told(void **state)
{
    struct desk *k = *state;
    offer(k);
    get_cookie(k);
    say(k, 5000);
    size_t all = k->early.len;
    int server = dial_with(k, &k->good, 1, all);
    size_t sent = k->dial.early_sent;
    assert_true(sent > 0 && sent < all);
    assert_hears(server, buf_slice(&k->early).data, sent);
    assert_hears_no_more(server);
}

static void test_only_so_many_are_sent(void **state)
{
    struct desk *k = *state;
    offer(k);
    get_cookie(k);
    int server = dial_with(k, &k->good, 1, 4);
    assert_int_equal(k->dial.early_sent, 4);
    assert_hears(server, WORDS, 4);
    assert_hears_no_more(server);
}

static void test_the_next_address_gets_what_one_that_failed_had(void **state)
{
    struct desk *k = *state;
    offer(k);
    get_cookie(k);
    int server = dial_with(k, (struct addr[]){k->refusing, k->refusing, k->good}, 3, k->early.len);
    assert_int_equal(k->dial.early_sent, strlen(WORDS));
    assert_hears(server, WORDS, strlen(WORDS));
    assert_hears_no_more(server);
}

static void test_one_that_may_yet_arrive_bears_them_alone(void **state)
{
    struct desk *k = *state;
    offer(k);
    get_cookie(k);
    int server = dial_with(k, (struct addr[]){k->silent, k->good}, 2, k->early.len);
    assert_int_equal(k->dial.early_sent, 0);
    assert_hears_no_more(server);
}

static void test_where_clients_may_not(void **state)
{
    struct desk *k = *state;
    offer(k);
    get_cookie(k);
    assert_true(dial_early_is_allowed());
    allow(TFO_SERVER);
    assert_false(dial_early_is_allowed());
    int server = dial_with(k, &k->good, 1, k->early.len);
    assert_int_equal(k->dial.early_sent, 0);
    assert_hears_no_more(server);
}

static void test_nobody_there(void **state)
{
    struct desk *k = *state;
    offer(k);
    get_cookie(k);
    k->done = false;
    dial_start(&k->dial, k->loop, &k->refusing, 1, &EGRESS_DIRECT, 5, on_done);
    dial_early(&k->dial, &k->early, k->early.len);
    run_until(k->loop, &k->done);
    assert_int_equal(k->fault, FAULT_REFUSED); /* though the kernel has taken them */
    assert_int_equal(k->fd, -1);
}

int main(void)
{
#define AT_DESK(test) cmocka_unit_test_setup_teardown(test, desk_open, desk_close)
    const struct CMUnitTest tests[] = {
        AT_DESK(test_the_first_asks_for_a_cookie_and_the_second_has_it),
        AT_DESK(test_what_the_kernel_did_not_take_is_told),
        AT_DESK(test_only_so_many_are_sent),
        AT_DESK(test_the_next_address_gets_what_one_that_failed_had),
        AT_DESK(test_one_that_may_yet_arrive_bears_them_alone),
        AT_DESK(test_where_clients_may_not),
        AT_DESK(test_nobody_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
