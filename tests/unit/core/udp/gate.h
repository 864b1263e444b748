/* Datagrams of SOCKS clients on the loop of the test, with no worker or with some: a policy, uplinks that
 * lead straight to loopback, names from a file, and the client and two destinations, which the test plays. */
#ifndef STEERWAY_TEST_UDP_GATE_H
#define STEERWAY_TEST_UDP_GATE_H

#include "outbound/scene.h"
#include "policy/fixture.h"

#include "base/clock.h"
#include "base/counters.h"
#include "proto/socks_udp.h"
#include "udp/udp_state.h"

enum { GATE_TEXT_MAX = 2048 };

struct gate {
    struct fixture *f; /* a policy, and the log, which is printed on failure */
    struct ev_loop *loop;
    struct outbounds shared;
    struct scene scene;
    char hosts[192]; /* a file: names */
    struct workers workers;
    struct udp udp;
    size_t n_idle;                   /* calls of udp.ended */
    int client, server, other, mute; /* mute: a name server that does not answer */
    struct addr client_at, server_at, other_at;
};

static struct gate gate;
static size_t gate_threads; /* of the tests that run now */
static char gate_text[GATE_TEXT_MAX];

static inline void gate_on_tunnel(struct tunnel *t)
{
    (void)t;
}

static inline void gate_on_tunnel_end(struct tunnel *t, enum relay_end end)
{
    (void)t, (void)end;
}

static inline void gate_on_idle(struct udp *u)
{
    (void)u;
    gate.n_idle++;
}

/* Names of this file, and a name server that stays silent. */
static inline void gate_name(void)
{
    static const char names[] = "127.0.0.1 here.example\n127.0.0.7 denied.example\n::1 six.example\n";
    struct dns_servers dns;
    struct addr mute_at;
    char text[32];

    fixture_write(gate.f, "hosts", names, sizeof names - 1);
    (void)snprintf(gate.hosts, sizeof gate.hosts, "%s/hosts", gate.f->dir);
    resolver_free(gate.shared.resolver);
    resolver_commons_done(&gate.scene.commons);
    resolver_commons_init(&gate.scene.commons, gate.hosts);
    gate.shared.resolver = scene_resolver(&gate.scene, gate.loop);
    gate.mute = socket_at_loopback(AF_INET, SOCK_DGRAM, &mute_at);
    (void)snprintf(text, sizeof text, "127.0.0.1:%u", (unsigned)addr_port(&mute_at));
    assert_int_equal(dns_servers_parse(&dns, text), 0);
    resolver_aim(gate.shared.resolver, &EGRESS_DIRECT, &dns);
}

static inline void gate_open(const struct udp_settings *settings)
{
    assert_int_equal(udp_init(&gate.udp, &gate.shared, &gate.workers, settings), 0);
    gate.udp.ended = gate_on_idle;
    assert_int_equal(workers_start(&gate.workers, gate_threads), 0);
}

#define GATE_SETTINGS .filter = UDP_FILTER_ADDRESS, .idle_s = 1000

/* Without udp: the test opens it. */
static inline int gate_setup_closed(void **state)
{
    static const struct tunnel_events events = {.ended = gate_on_tunnel_end, .woke = gate_on_tunnel};
    void *fixture;

    (void)state;
    memset(&gate, 0, sizeof gate);
    assert_int_equal(fixture_setup(&fixture), 0);
    gate.f = fixture;
    scene_init(&gate.scene, &gate.shared, 4 * PATIENCE_S);
    gate.loop = gate.shared.loop;
    gate_name();
    FIXTURE_LOAD(gate.f, PICK("", "return uplinks[1]"));
    gate.shared.uplinks = &gate.f->set;
    gate.shared.policy = gate.f->policy;
    for (size_t i = 0; i < gate.f->set.n; i++) {
        gate.f->set.items[i]->egress = EGRESS_DIRECT;
        gate.f->set.items[i]->names.resolver = gate.shared.resolver;
        gate.f->set.items[i]->view.ipv6 = true;
        list_init(&gate.f->set.items[i]->meters.busy);
    }
    workers_init(&gate.workers, gate.loop, 1000, &events);
    gate.client = socket_at_loopback(AF_INET, SOCK_DGRAM, &gate.client_at);
    gate.server = socket_at_loopback(AF_INET, SOCK_DGRAM, &gate.server_at);
    gate.other = socket_at_loopback(AF_INET, SOCK_DGRAM, &gate.other_at);
    return 0;
}

static inline int gate_setup(void **state)
{
    (void)gate_setup_closed(state);
    gate_open(&(struct udp_settings){GATE_SETTINGS});
    return 0;
}

static inline void gate_policy(const char *text)
{
    FIXTURE_LOAD(gate.f, text);
    gate.shared.policy = gate.f->policy;
}

static inline int gate_teardown(void **state)
{
    void *fixture = gate.f;

    (void)state;
    udp_stop(&gate.udp);
    workers_stop(&gate.workers);
    udp_done(&gate.udp);
    workers_done(&gate.workers);
    assert_int_equal(gate.udp.n_ways, 0);
    for (size_t i = 0; i < gate.f->set.n; i++)
        assert_true(gate.f->set.items[i]->view.active == 0); /* each lease was released once */
    (void)close(gate.client);
    (void)close(gate.server);
    (void)close(gate.other);
    (void)close(gate.mute);
    deny_done(&gate.scene.deny);
    scene_done(&gate.scene, &gate.shared);
    assert_int_equal(fixture_teardown(&fixture), 0);
    return 0;
}

/* --- the loop turns ------------------------------------------------------------------------------------- */

static inline void gate_on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
}

/* Turn the loop until the expression is true. */
#define GATE_UNTIL(expression)                                                                               \
    do {                                                                                                     \
        double gate_patience = clock_now_s() + PATIENCE_S;                                                   \
        ev_timer gate_tick;                                                                                  \
        ev_timer_init(&gate_tick, gate_on_tick, 0.005, 0.005);                                               \
        ev_timer_start(gate.loop, &gate_tick);                                                               \
        while (!(expression) && clock_now_s() < gate_patience)                                               \
            ev_run(gate.loop, EVRUN_ONCE);                                                                   \
        ev_timer_stop(gate.loop, &gate_tick);                                                                \
        if (!(expression))                                                                                   \
            FIXTURE_FAIL(gate.f, "waited in vain: %s", #expression);                                         \
    } while (0)

static inline uint64_t gate_drops(enum datagram_drop why)
{
    return udp_counts(&gate.udp).drops[why];
}

static inline size_t gate_mappings(void)
{
    return udp_counts(&gate.udp).mappings;
}

/* --- clients and destinations --------------------------------------------------------------------------- */

/* @param ip  of the control connection's end */
static inline int gate_try(const char *ip, uint16_t hint, struct udp_association **ret, struct addr *ret_at)
{
    struct udp_request r = {
        .client = gate.client_at, .hint = hint, .user = "ann", .listener = "127.0.0.1:1080"};

    assert_int_equal(addr_parse_ip(&r.at, slice_str(ip), 1080), 0);
    return udp_associate(&gate.udp, &r, ret, ret_at);
}

static inline struct udp_association *gate_associate(struct addr *ret_at)
{
    struct udp_association *a;

    assert_int_equal(gate_try("127.0.0.1", 0, &a, ret_at), 0);
    return a;
}

static inline void gate_send(int fd, const struct addr *to, const char *bytes, size_t n)
{
    assert_int_equal(sendto(fd, bytes, n, 0, &to->sa, addr_len(to)), n);
}

static inline void gate_say_from(int client, const struct addr *port, const struct addr *to, const char *text)
{
    size_t ip_len;
    const uint8_t *ip = addr_ip(to, &ip_len);
    size_t n = socks_udp_write(gate_text, ip, ip_len, addr_port(to));

    memcpy(gate_text + n, text, strlen(text));
    gate_send(client, port, gate_text, n + strlen(text));
}

static inline void gate_say(const struct addr *port, const struct addr *to, const char *text)
{
    gate_say_from(gate.client, port, to, text);
}

static inline void gate_say_name(const struct addr *port, const char *name, uint16_t to_port,
                                 const char *text)
{
    size_t n = socks_udp_write_name(gate_text, slice_str(name), to_port);

    memcpy(gate_text + n, text, strlen(text));
    gate_send(gate.client, port, gate_text, n + strlen(text));
}

static inline size_t gate_receive(int fd, struct addr *ret_source)
{
    struct sockaddr_storage source;
    socklen_t len = sizeof source;

    GATE_UNTIL(recv(fd, gate_text, sizeof gate_text, MSG_DONTWAIT | MSG_PEEK) >= 0);
    ssize_t n = recvfrom(fd, gate_text, sizeof gate_text, MSG_DONTWAIT, (struct sockaddr *)&source, &len);
    assert_true(n >= 0);
    assert_int_equal(addr_from_sockaddr(ret_source, (struct sockaddr *)&source, len), 0);
    return (size_t)n;
}

/* Exactly this comes to a destination. @return where from */
static inline struct addr gate_arrives(int fd, const char *text)
{
    struct addr source;

    assert_int_equal(gate_receive(fd, &source), strlen(text));
    assert_memory_equal(gate_text, text, strlen(text));
    return source;
}

/* Exactly this reply comes to a client from an address. */
static inline void gate_hears(int client, const struct addr *from, const struct addr *source,
                              const char *text)
{
    char header[SOCKS_UDP_HEADER_MAX];
    size_t ip_len;
    const uint8_t *ip = addr_ip(source, &ip_len);
    size_t head = socks_udp_write(header, ip, ip_len, addr_port(source));
    struct addr came;

    assert_int_equal(gate_receive(client, &came), head + strlen(text));
    assert_true(addr_same_ip(&came, from));
    assert_int_equal(addr_port(&came), addr_port(from));
    assert_memory_equal(gate_text, header, head);
    assert_memory_equal(gate_text + head, text, strlen(text));
}

/* A question and its answer. @return the mapping's address */
static inline struct addr gate_talk(const struct addr *port, int fd, const struct addr *at)
{
    gate_say(port, at, "question");
    struct addr mapped = gate_arrives(fd, "question");
    gate_send(fd, &mapped, "answer", strlen("answer"));
    gate_hears(gate.client, port, at, "answer");
    return mapped;
}

#endif
