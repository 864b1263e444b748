#include "net/dns_channel.h"

#include "base/list.h"
#include "net/dialer.h"

#include <ares.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* How long c-ares waits for a server before it asks the next one; it doubles with each round. */
enum { TRIES = 3, TRY_MIN_MS = 100, TRY_MAX_MS = 1000 };
/* c-ares counts in milliseconds, so an earlier look finds nothing due and would spin. */
static const double SHORTEST_NAP_S = 0.001;
/* An hour at most, whatever a zone asks for: a machine that moved should be found again. What does not exist
 * is remembered for less than the shortest time in use by zones (RFC 2308 5), which c-ares does not tell. */
static const double TTL_MAX_S = 3600, TTL_NEGATIVE_S = 10;

struct dns_channel {
    struct ev_loop *loop;
    ares_channel ares;
    struct egress egress;
    bool deaf;           /* without servers: the hosts file is all there is */
    struct list sockets; /* of c-ares, as watched */
    ev_timer tick;       /* when c-ares wants to look at its own timeouts */
};

struct channel_socket {
    struct list node;
    struct dns_channel *channel;
    ev_io io;
};

struct question {
    struct dns_channel *channel;
    dns_channel_done_fn *done;
    void *arg;
};

/* --- on the loop ---------------------------------------------------------------------------------------- */

static void rearm(struct dns_channel *c)
{
    struct timeval tv;

    ev_timer_stop(c->loop, &c->tick);
    if (!ares_timeout(c->ares, NULL, &tv))
        return;
    double nap_s = (double)tv.tv_sec + (double)tv.tv_usec * 1e-6;
    ev_timer_set(&c->tick, nap_s > SHORTEST_NAP_S ? nap_s : SHORTEST_NAP_S, 0);
    ev_timer_start(c->loop, &c->tick);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct dns_channel *c = container_of(timer, struct dns_channel, tick);

    (void)loop;
    (void)events;
    ares_process_fd(c->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    rearm(c);
}

static void on_socket(struct ev_loop *loop, ev_io *io, int events)
{
    struct channel_socket *s = container_of(io, struct channel_socket, io);
    struct dns_channel *c = s->channel;
    int fd = io->fd;

    (void)loop;
    ares_process_fd(c->ares, events & EV_READ ? fd : ARES_SOCKET_BAD,
                    events & EV_WRITE ? fd : ARES_SOCKET_BAD); /* s may be gone */
    rearm(c);
}

static void socket_forget(struct channel_socket *s)
{
    ev_io_stop(s->channel->loop, &s->io);
    list_remove(&s->node);
    free(s);
}

/* c-ares says what it waits for on a socket; nothing: it is about to close it. */
static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct dns_channel *c = data;
    struct channel_socket *s = NULL;

    LIST_EACH(&c->sockets, it, tmp) {
        struct channel_socket *known = container_of(it, struct channel_socket, node);
        if (known->io.fd == fd)
            s = known;
    }
    if (!readable && !writable) {
        if (s)
            socket_forget(s);
        return;
    }
    if (!s) {
        s = calloc(1, sizeof *s);
        if (!s)
            return; /* the answer goes unheard, and the question's deadline ends it */
        s->channel = c;
        list_push_back(&c->sockets, &s->node);
        ev_io_init(&s->io, on_socket, fd, 0);
    }
    ev_io_stop(c->loop, &s->io);
    ev_io_set(&s->io, fd, (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    ev_io_start(c->loop, &s->io);
}

/* --- its sockets ---------------------------------------------------------------------------------------- */

static ares_socket_t open_socket(int family, int type, int protocol, void *arg)
{
    (void)arg;
    return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
}

/* Here the destination is known, and nothing has been sent. */
static int connect_socket(ares_socket_t fd, const struct sockaddr *sa, ares_socklen_t len, void *arg)
{
    const struct dns_channel *c = arg;
    struct addr to;
    int type;
    socklen_t type_len = sizeof type;

    int r = addr_from_sockaddr(&to, sa, len);
    if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) < 0)
        r = -errno;
    if (r == 0 && !addr_is_loopback(&to))
        r = egress_bind(&c->egress, fd, &to, type);
    if (r < 0) {
        errno = -r;
        return -1;
    }
    /* c-ares has no place for the link of such an address. */
    if (addr_family(&to) == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&to.in6.sin6_addr))
        to.in6.sin6_scope_id = if_nametoindex(c->egress.device);
    return connect(fd, &to.sa, addr_len(&to));
}

static int close_socket(ares_socket_t fd, void *arg)
{
    (void)arg;
    return close(fd);
}

static ares_ssize_t receive(ares_socket_t fd, void *data, size_t len, int flags, struct sockaddr *from,
                            ares_socklen_t *from_len, void *arg)
{
    (void)arg;
    return recvfrom(fd, data, len, flags, from, from_len);
}

static ares_ssize_t send_pieces(ares_socket_t fd, const struct iovec *pieces, int n, void *arg)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = (size_t)n};

    (void)arg;
    return sendmsg(fd, &message, MSG_NOSIGNAL);
}

static const struct ares_socket_functions socket_functions = {.asocket = open_socket,
                                                              .aclose = close_socket,
                                                              .aconnect = connect_socket,
                                                              .arecvfrom = receive,
                                                              .asendv = send_pieces};

/* --- answers -------------------------------------------------------------------------------------------- */

static bool takes(const struct egress *e, const struct ares_addrinfo_node *it, struct addr *ret)
{
    return addr_from_sockaddr(ret, it->ai_addr, it->ai_addrlen) == 0 && egress_allows(e, addr_family(ret));
}

/* Families take turns, IPv6 first (RFC 8305 4); what has no partner follows. */
static size_t interleave(struct addr ret[DIAL_ADDRS_MAX], const struct addr *six, size_t n6,
                         const struct addr *four, size_t n4)
{
    size_t n = 0;

    for (size_t i = 0; i < DIAL_ADDRS_MAX && (i < n6 || i < n4); i++) {
        if (i < n6 && n < DIAL_ADDRS_MAX)
            ret[n++] = six[i];
        if (i < n4 && n < DIAL_ADDRS_MAX)
            ret[n++] = four[i];
    }
    return n;
}

/* The least of all that led there. */
static double ttl_of(const struct ares_addrinfo *result)
{
    double ttl_s = TTL_MAX_S;

    for (const struct ares_addrinfo_node *it = result->nodes; it; it = it->ai_next)
        ttl_s = fmin(ttl_s, it->ai_ttl);
    for (const struct ares_addrinfo_cname *it = result->cnames; it; it = it->next)
        ttl_s = fmin(ttl_s, it->ttl);
    return ttl_s;
}

static struct dns_answer *answer_of(const struct dns_channel *c, const struct ares_addrinfo *result)
{
    struct addr six[DIAL_ADDRS_MAX], four[DIAL_ADDRS_MAX], all[DIAL_ADDRS_MAX], a;
    size_t n6 = 0, n4 = 0;

    for (const struct ares_addrinfo_node *it = result->nodes; it; it = it->ai_next) {
        if (!takes(&c->egress, it, &a))
            continue;
        addr_set_port(&a, 0);
        if (addr_family(&a) == AF_INET6 && n6 < DIAL_ADDRS_MAX)
            six[n6++] = a;
        else if (addr_family(&a) == AF_INET && n4 < DIAL_ADDRS_MAX)
            four[n4++] = a;
    }
    size_t n = interleave(all, six, n6, four, n4);
    struct dns_answer *answer = dns_answer_new(n);
    if (!answer)
        return NULL;
    memcpy(answer->addrs, all, n * sizeof all[0]);
    answer->ttl_s = ttl_of(result);
    return answer;
}

/* What c-ares' status means where no address was found. */
static enum fault fault_of(const struct dns_channel *c, int status)
{
    switch (status) {
    case ARES_SUCCESS: /* addresses, but none of use */
    case ARES_ENODATA: /* the name exists, without an address of the families asked for */
        return c->egress.any4 && c->egress.any6 ? FAULT_NAME : FAULT_UNREACHABLE;
    case ARES_ENOTFOUND:
    case ARES_EBADNAME:
        return FAULT_NAME;
    case ARES_ENOMEM:
        return FAULT_RESOURCES;
    default:
        return FAULT_DNS;
    }
}

static void on_answer(void *data, int status, int timeouts, struct ares_addrinfo *result)
{
    struct question q = *(struct question *)data;
    struct dns_answer *answer =
        status == ARES_SUCCESS && result ? answer_of(q.channel, result) : dns_answer_new(0);

    (void)timeouts;
    free(data);
    if (result)
        ares_freeaddrinfo(result);
    if (answer && answer->n == 0) {
        answer->fault = q.channel->deaf ? FAULT_DNS : fault_of(q.channel, status);
        bool known = answer->fault == FAULT_NAME || answer->fault == FAULT_UNREACHABLE;
        answer->ttl_s = known ? TTL_NEGATIVE_S : 0;
        answer->silent = q.channel->deaf || status == ARES_ETIMEOUT || status == ARES_ECONNREFUSED;
    }
    q.done(q.arg, answer);
}

void dns_channel_ask(struct dns_channel *c, const char *name, dns_channel_done_fn *done, void *arg)
{
    const struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NOSORT | ARES_AI_ENVHOSTS,
        .ai_family = c->egress.any4 && c->egress.any6 ? AF_UNSPEC
                     : c->egress.any4                 ? AF_INET
                                                      : AF_INET6,
    };
    struct question *q = malloc(sizeof *q);

    if (!q)
        return done(arg, NULL);
    *q = (struct question){.channel = c, .done = done, .arg = arg};
    ares_getaddrinfo(c->ares, name, NULL, &hints, on_answer, q);
    rearm(c);
}

/* --- from open to close --------------------------------------------------------------------------------- */

static int errno_of(int status)
{
    return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
}

static int set_servers(struct dns_channel *c, const struct dns_servers *servers)
{
    struct ares_addr_port_node nodes[DNS_SERVERS_MAX];

    for (size_t i = 0; i < servers->n; i++) {
        const struct addr *a = &servers->items[i];
        size_t len;
        const uint8_t *ip = addr_ip(a, &len);
        nodes[i] = (struct ares_addr_port_node){.next = i + 1 < servers->n ? &nodes[i + 1] : NULL,
                                                .family = addr_family(a),
                                                .udp_port = addr_port(a),
                                                .tcp_port = addr_port(a)};
        memcpy(&nodes[i].addr, ip, len);
    }
    int status = ares_set_servers_ports(c->ares, nodes);
    return status == ARES_SUCCESS ? 0 : errno_of(status);
}

static int init(struct dns_channel *c, const struct dns_channel_options *options)
{
    double try_ms = options->timeout_s * 1000 / (TRIES + 1);
    struct ares_options o = {
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = c,
        .timeout = (int)fmin(fmax(try_ms, TRY_MIN_MS), TRY_MAX_MS),
        .tries = TRIES,
        /* The hosts file, then DNS, whatever nsswitch.conf says. */
        .lookups = c->deaf ? (char[]){"f"} : (char[]){"fb"},
        .ndomains = 0, /* with ARES_OPT_DOMAINS: none, whatever the system says */
    };

    int mask = ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS;
    int status = ares_init_options(&c->ares, &o, options->search ? mask : mask | ARES_OPT_DOMAINS);
    if (status != ARES_SUCCESS)
        return errno_of(status);
    int r = c->deaf ? 0 : set_servers(c, options->servers);
    if (r < 0) {
        ares_destroy(c->ares);
        return r;
    }
    ares_set_socket_functions(c->ares, &socket_functions, c);
    return 0;
}

int dns_channel_open(struct dns_channel **ret, struct ev_loop *loop,
                     const struct dns_channel_options *options)
{
    struct dns_channel *c = calloc(1, sizeof *c);
    int r = -ENOMEM;

    if (!c)
        return r;
    c->loop = loop;
    c->egress = *options->egress;
    c->deaf = options->servers->n == 0;
    list_init(&c->sockets);
    ev_timer_init(&c->tick, on_tick, 0, 0);
    if (ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS)
        r = init(c, options);
    if (r < 0) {
        free(c);
        return r;
    }
    *ret = c;
    return 0;
}

void dns_channel_close(struct dns_channel *c)
{
    if (!c)
        return;
    ares_destroy(c->ares); /* calls back for every question */
    LIST_EACH(&c->sockets, it, tmp) {
        socket_forget(container_of(it, struct channel_socket, node));
    }
    ev_timer_stop(c->loop, &c->tick);
    ares_library_cleanup();
    free(c);
}
