/* Which ends clash: the rule agrees with the kernel. */
#include "config/config_ends.h"

#include "net/listener.h"
#include "udp/udp_state.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static void accepted(struct listener *l, int fd, const struct addr *peer)
{
    (void)l;
    (void)fd;
    (void)peer;
}

static void starved(struct listener *l, int err)
{
    (void)l;
    (void)err;
}

struct open_end {
    struct listener listener;
    int fd; /* of UDP; -1 */
};

/* Bind as the program does. @return 0 or negative errno */
static int open_end(struct open_end *e, bool udp, const struct addr *at, struct addr *ret_bound)
{
    const struct listener_kind kind = {.absent = LISTENER_REFUSES};

    *e = (struct open_end){.fd = -1};
    if (udp) {
        e->fd = udp_listen_at(at, 0, 0, false, ret_bound);
        return e->fd < 0 ? e->fd : 0;
    }
    int r = listener_open(&e->listener, EV_DEFAULT, at, &kind, accepted, starved);
    *ret_bound = e->listener.addr;
    return r;
}

static void close_end(struct open_end *e)
{
    listener_close(&e->listener);
    if (e->fd >= 0)
        (void)close(e->fd);
}

static struct listen_place place(const char *host, uint16_t port)
{
    struct listen_place p;

    assert_int_equal(listen_place_parse(&p, slice_str(host)), 0);
    addr_set_port(&p.addr, port);
    return p;
}

enum { ADDRESSES = 5, ENDS = 2 * ADDRESSES };

static struct listen_place end_place(size_t i, uint16_t port)
{
    static const char *const hosts[ADDRESSES] = {"127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", "::"};

    return place(hosts[i / 2], port);
}

/* Bind one end, and another one on the same port. @return whether the kernel refuses the second; -1 where
 * this machine cannot bind the first, as without IPv6 */
static int ask_kernel(size_t first, size_t second)
{
    struct listen_place at = end_place(first, 0);
    struct addr bound;
    struct open_end one, other;

    int r = open_end(&one, first % 2, &at.addr, &bound);
    if (r < 0)
        return -1;
    at = end_place(second, addr_port(&bound));
    r = open_end(&other, second % 2, &at.addr, &bound);
    close_end(&one);
    close_end(&other);
    return r == 0 ? 0 : r == -EADDRINUSE ? 1 : -1;
}

/* Ask again where another program may have the port at the second address. */
static int kernel_clash(size_t first, size_t second)
{
    int r = 1;

    for (int tries = 0; tries < 5 && r == 1; tries++)
        r = ask_kernel(first, second);
    return r;
}

static void the_kernel_agrees(void **state)
{
    size_t asked = 0;

    (void)state;
    for (size_t i = 0; i < ENDS; i++)
        for (size_t j = 0; j < ENDS; j++) {
            const struct listen_place one = end_place(i, 7), other = end_place(j, 7);
            const struct config_end a = {.at = 1, .udp = i % 2, .place = &one, .low = 7, .high = 7},
                                    b = {.at = 2, .udp = j % 2, .place = &other, .low = 7, .high = 7};
            char x[LISTEN_TEXT_MAX], y[LISTEN_TEXT_MAX];
            int kernel = kernel_clash(i, j);
            asked += kernel >= 0;
            if (kernel >= 0 && kernel != (config_ends_shared(&a, &b) == 7))
                fail_msg("%s %s beside %s %s: the kernel says %d", i % 2 ? "UDP" : "TCP",
                         listen_place_text(&one, x), j % 2 ? "UDP" : "TCP", listen_place_text(&other, y),
                         kernel);
        }
    assert_true(asked >= 36); /* those of IPv4 */
}

static void a_port_that_the_kernel_chooses_is_free(void **state)
{
    struct listen_place p = place("0.0.0.0", 0);
    struct config_end a = {.at = 1, .place = &p}, b = {.at = 2, .place = &p};

    (void)state;
    assert_int_equal(config_ends_shared(&a, &b), 0);
}

/* The same link-local address on another link is another address. */
static void links_are_told_apart(void **state)
{
    struct listen_place one = place("fe80::1%eth7", 7), other = place("fe80::1%eth8", 7),
                        any = place("::", 7);
    struct config_end a = {.at = 1, .place = &one, .low = 7, .high = 7},
                      b = {.at = 2, .place = &other, .low = 7, .high = 7},
                      c = {.at = 3, .place = &any, .low = 7, .high = 7},
                      d = {.at = 4, .place = &one, .low = 7, .high = 7};

    (void)state;
    assert_int_equal(config_ends_shared(&a, &b), 0);
    assert_int_equal(config_ends_shared(&a, &c), 7);
    assert_int_equal(config_ends_shared(&a, &d), 7);
}

static void all_ends_have_room(void **state)
{
    static struct config c;
    struct config_end ends[CONFIG_ENDS_MAX];

    (void)state;
    config_init(&c);
    for (uint16_t i = 0; i < CONFIG_LISTEN_MAX; i++) {
        const struct config_ports two = {.places = {place("127.0.0.1", 0), place("::1", 0)}, .n_places = 2};
        c.listen[c.n_listen++] = place("127.0.0.1", 0);
        c.forwards[c.n_forwards++] = (struct config_forward){.udp = true, .ports = two};
        c.transparents[c.n_transparents++] = (struct config_transparent){.tproxy = true, .ports = two};
    }
    assert_int_equal(config_ends(&c, ends), CONFIG_ENDS_MAX);
    config_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_agrees),
        cmocka_unit_test(a_port_that_the_kernel_chooses_is_free),
        cmocka_unit_test(links_are_told_apart),
        cmocka_unit_test(all_ends_have_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
