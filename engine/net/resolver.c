#include "net/resolver.h"

#include <ares.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* RFC 1035 2.3.4 */
enum { NAME_MAX_OCTETS = 253, LABEL_MAX_OCTETS = 63 };
/* How long c-ares waits for a server before it asks the next one; it doubles with each round. */
enum { TRIES = 3, TRY_MIN_MS = 100, TRY_MAX_MS = 2000 };
/* c-ares counts in milliseconds, so an earlier look finds nothing due and would spin. */
static const double SHORTEST_NAP_S = 0.001;
enum { DNS_PORT = 53 };

struct resolver {
    struct ev_loop *loop;
    ares_channel channel;
    double timeout_s;
    struct list sockets; /* of c-ares, as watched */
    struct list queries; /* running */
    ev_timer tick;       /* when c-ares wants to look at its own timeouts */
};

struct resolver_socket {
    struct list node;
    struct resolver *resolver;
    ev_io io;
};

/* One question to c-ares. c-ares cannot be told to forget a single one, so a job whose query was cancelled
 * stays behind, without a query, until c-ares has called back. */
struct resolver_job {
    struct resolver_query *query; /* NULL: nobody waits any more */
    uint16_t port;
    bool any4, any6;
    struct addr addrs[DIAL_ADDRS_MAX];
    size_t n;
};

static void resolver_rearm(struct resolver *r)
{
    struct timeval tv;

    ev_timer_stop(r->loop, &r->tick);
    if (!ares_timeout(r->channel, NULL, &tv))
        return;
    double nap_s = (double)tv.tv_sec + (double)tv.tv_usec * 1e-6;
    ev_timer_set(&r->tick, nap_s > SHORTEST_NAP_S ? nap_s : SHORTEST_NAP_S, 0);
    ev_timer_start(r->loop, &r->tick);
}

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct resolver *r = container_of(timer, struct resolver, tick);

    (void)loop;
    (void)events;
    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    resolver_rearm(r);
}

static void on_socket(struct ev_loop *loop, ev_io *io, int events)
{
    struct resolver_socket *s = container_of(io, struct resolver_socket, io);
    struct resolver *r = s->resolver;
    int fd = io->fd;

    (void)loop;
    ares_process_fd(r->channel, events & EV_READ ? fd : ARES_SOCKET_BAD,
                    events & EV_WRITE ? fd : ARES_SOCKET_BAD); /* s may be gone */
    resolver_rearm(r);
}

static void socket_forget(struct resolver_socket *s)
{
    ev_io_stop(s->resolver->loop, &s->io);
    list_remove(&s->node);
    free(s);
}

/* c-ares says what it waits for on a socket; nothing: it is about to close it. */
static void on_socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = data;
    struct resolver_socket *s = NULL;

    LIST_EACH(&r->sockets, it, tmp) {
        struct resolver_socket *known = container_of(it, struct resolver_socket, node);
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
            return; /* the answer goes unheard, and the query's deadline ends it */
        s->resolver = r;
        list_push_back(&r->sockets, &s->node);
        ev_io_init(&s->io, on_socket, fd, 0);
    }
    ev_io_stop(r->loop, &s->io);
    ev_io_set(&s->io, fd, (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    ev_io_start(r->loop, &s->io);
}

/* Parse "ip[:port][,…]". Servers are kept in items; entries link to each other. @return how many, or -EINVAL
 */
static int parse_servers(const char *text, struct ares_addr_port_node *items, size_t max)
{
    size_t n = 0;

    for (const char *at = text; at; n++) {
        const char *comma = strchr(at, ',');
        struct slice one = slice_of(at, comma ? (size_t)(comma - at) : strlen(at));
        struct addr a;
        if (n == max || (addr_parse(&a, one) < 0 && addr_parse_ip(&a, one, DNS_PORT) < 0))
            return -EINVAL;
        size_t len;
        const uint8_t *ip = addr_ip(&a, &len);
        items[n] = (struct ares_addr_port_node){
            .family = addr_family(&a), .udp_port = addr_port(&a), .tcp_port = addr_port(&a)};
        memcpy(&items[n].addr, ip, len);
        if (n > 0)
            items[n - 1].next = &items[n];
        at = comma ? comma + 1 : NULL;
    }
    return (int)n;
}

static int status_errno(int status)
{
    return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
}

/* The seam for resolving through an uplink: one channel for each egress, made here with that uplink's
 * servers, and its sockets opened by egress_socket() through ares_set_socket_functions(). */
static int channel_open(struct resolver *r, const struct resolver_options *options)
{
    enum { SERVERS_MAX = 16 };
    struct ares_addr_port_node servers[SERVERS_MAX];
    double try_ms = options->timeout_s * 1000 / (TRIES + 1);
    struct ares_options o = {
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = r,
        .timeout = (int)(try_ms < TRY_MIN_MS   ? TRY_MIN_MS
                         : try_ms > TRY_MAX_MS ? TRY_MAX_MS
                                               : try_ms),
        .tries = TRIES,
        .lookups = (char[]){"fb"}, /* the hosts file, then DNS, whatever nsswitch.conf says */
    };

    if (options->servers && parse_servers(options->servers, servers, SERVERS_MAX) < 0)
        return -EINVAL;
    int status = ares_init_options(
        &r->channel, &o, ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS);
    if (status != ARES_SUCCESS)
        return status_errno(status);
    status = options->servers ? ares_set_servers_ports(r->channel, servers) : ARES_SUCCESS;
    if (status == ARES_SUCCESS)
        return 0;
    ares_destroy(r->channel);
    return status_errno(status);
}

int resolver_new(struct resolver **ret, struct ev_loop *loop, const struct resolver_options *options)
{
    struct resolver *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    r->loop = loop;
    r->timeout_s = options->timeout_s;
    list_init(&r->sockets);
    list_init(&r->queries);
    ev_timer_init(&r->tick, on_tick, 0, 0);
    int err = -ENOMEM;
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
        goto fail_init;
    err = channel_open(r, options);
    if (err < 0)
        goto fail_open;
    *ret = r;
    return 0;

fail_open:
    ares_library_cleanup();
fail_init:
    free(r);
    return err;
}

/* Part query and resolver. @return the query's job, if it had one */
static struct resolver_job *query_detach(struct resolver_query *q)
{
    struct resolver_job *job = q->job;

    ev_timer_stop(q->resolver->loop, &q->timer);
    list_remove(&q->node);
    q->resolver = NULL;
    q->job = NULL;
    if (job)
        job->query = NULL;
    return job;
}

/* A query's job is its own, and not c-ares' any more, once its answer is there. */
static bool query_answered(const struct resolver_query *q)
{
    return q->job && q->job->query != q;
}

void resolver_cancel(struct resolver_query *q)
{
    if (!q->resolver)
        return;
    bool answered = query_answered(q);
    struct resolver_job *job = query_detach(q);
    if (answered)
        free(job);
}

void resolver_free(struct resolver *r)
{
    if (!r)
        return;
    LIST_EACH(&r->queries, it, tmp) {
        resolver_cancel(container_of(it, struct resolver_query, node));
    }
    ares_destroy(r->channel); /* calls back for every job that it holds, which frees them */
    LIST_EACH(&r->sockets, it, tmp) {
        socket_forget(container_of(it, struct resolver_socket, node));
    }
    ev_timer_stop(r->loop, &r->tick);
    ares_library_cleanup();
    free(r);
}

/* The one place where queries end. */
static void on_query_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct resolver_query *q = container_of(timer, struct resolver_query, timer);
    bool answered = query_answered(q);
    struct resolver_job *job = query_detach(q);

    (void)loop;
    (void)events;
    if (!answered) { /* c-ares keeps the job, if there is one */
        q->done(q, q->fault, NULL, 0);
        return;
    }
    q->done(q, q->fault, job->n ? job->addrs : NULL, job->n); /* q may be gone */
    free(job);
}

static void query_timer_set(struct resolver_query *q, double after_s)
{
    ev_timer_stop(q->resolver->loop, &q->timer);
    ev_timer_set(&q->timer, after_s, 0);
    ev_timer_start(q->resolver->loop, &q->timer);
}

/* Have the fault, or the job's addresses, delivered from the loop. Never at once: this may be within
 * resolver_start, or within c-ares, which must not be destroyed there. */
static void query_settle(struct resolver_query *q, enum fault fault)
{
    q->fault = fault;
    query_timer_set(q, 0);
}

/* Families take turns, IPv6 first (RFC 8305 4); what has no partner follows. */
static void job_interleave(struct resolver_job *job, const struct addr *six, size_t n6,
                           const struct addr *four, size_t n4)
{
    for (size_t i = 0; i < DIAL_ADDRS_MAX && (i < n6 || i < n4); i++) {
        if (i < n6 && job->n < DIAL_ADDRS_MAX)
            job->addrs[job->n++] = six[i];
        if (i < n4 && job->n < DIAL_ADDRS_MAX)
            job->addrs[job->n++] = four[i];
    }
}

static void job_collect(struct resolver_job *job, const struct ares_addrinfo *result)
{
    struct addr six[DIAL_ADDRS_MAX], four[DIAL_ADDRS_MAX];
    size_t n6 = 0, n4 = 0;

    for (const struct ares_addrinfo_node *it = result->nodes; it; it = it->ai_next) {
        struct addr a;
        if (addr_from_sockaddr(&a, it->ai_addr, it->ai_addrlen) < 0)
            continue;
        addr_set_port(&a, job->port);
        if (addr_family(&a) == AF_INET6 && job->any6 && n6 < DIAL_ADDRS_MAX)
            six[n6++] = a;
        else if (addr_family(&a) == AF_INET && job->any4 && n4 < DIAL_ADDRS_MAX)
            four[n4++] = a;
    }
    job_interleave(job, six, n6, four, n4);
}

/* What c-ares' status means for a job that has found no address. */
static enum fault job_fault(const struct resolver_job *job, int status)
{
    switch (status) {
    case ARES_SUCCESS: /* addresses, but none of use */
    case ARES_ENODATA: /* the name exists, without an address of the families asked for */
        return job->any4 && job->any6 ? FAULT_NAME : FAULT_UNREACHABLE;
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
    struct resolver_job *job = data;
    struct resolver_query *q = job->query;

    (void)timeouts;
    if (q && status == ARES_SUCCESS && result)
        job_collect(job, result);
    if (result)
        ares_freeaddrinfo(result);
    if (!q) {
        free(job);
        return;
    }
    job->query = NULL; /* from now on it is the query's */
    query_settle(q, job->n ? FAULT_NONE : job_fault(job, status));
}

/* Length of the name without a final dot, or 0 for what cannot be a name in the DNS: labels of 1 to 63
 * octets, 253 in all. Blanks, control octets and backslashes are refused too: c-ares would take the latter
 * for an escape. */
static size_t name_length(const char *name)
{
    size_t len = strlen(name), label = 0;

    if (len > 1 && name[len - 1] == '.')
        len--;
    if (len == 0 || len > NAME_MAX_OCTETS)
        return 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c <= ' ' || c == 0x7f || c == '\\')
            return 0;
        if (c == '.' && label == 0)
            return 0;
        label = c == '.' ? 0 : label + 1;
        if (label > LABEL_MAX_OCTETS)
            return 0;
    }
    return label > 0 ? len : 0;
}

static bool is_localhost(struct slice name)
{
    static const char localhost[] = ".localhost";
    size_t n = sizeof localhost - 1;

    if (slice_ieq(name, slice_str(localhost + 1)))
        return true;
    return name.len > n && slice_ieq(slice_of(name.data + name.len - n, n), slice_str(localhost));
}

/* Names that nobody need be asked about. @return whether name was one; its addresses are then in job */
static bool job_answer_here(struct resolver_job *job, struct slice name)
{
    struct addr six = {.in6 = {.sin6_family = AF_INET6, .sin6_port = htons(job->port)}};
    struct addr four = {.in4 = {.sin_family = AF_INET, .sin_port = htons(job->port)}};

    if (is_localhost(name)) {
        six.in6.sin6_addr = in6addr_loopback;
        four.in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        job_interleave(job, &six, job->any6, &four, job->any4);
        return true;
    }
    struct addr literal;
    if (addr_parse_ip(&literal, name, job->port) < 0)
        return false;
    if (addr_family(&literal) == AF_INET6 ? job->any6 : job->any4)
        job->addrs[job->n++] = literal;
    return true;
}

static void job_ask(struct resolver *r, struct resolver_job *job, const char *name)
{
    struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NOSORT | ARES_AI_ENVHOSTS,
        .ai_family = job->any4 && job->any6 ? AF_UNSPEC
                     : job->any4            ? AF_INET
                                            : AF_INET6,
    };

    ares_getaddrinfo(r->channel, name, NULL, &hints, on_answer, job);
    resolver_rearm(r);
}

void resolver_start(struct resolver *r, struct resolver_query *q, const char *name, uint16_t port,
                    const struct egress *egress, resolver_done_fn *done)
{
    *q = (struct resolver_query){.resolver = r, .done = done, .fault = FAULT_DNS};
    list_push_back(&r->queries, &q->node);
    ev_timer_init(&q->timer, on_query_timer, 0, 0);
    ev_now_update(r->loop); /* the deadline counts from now, not from when the loop last woke up */

    size_t len = name_length(name);
    if (len == 0) {
        query_settle(q, FAULT_NAME);
        return;
    }
    struct resolver_job *job = egress->any4 || egress->any6 ? calloc(1, sizeof *job) : NULL;
    if (!job) {
        query_settle(q, egress->any4 || egress->any6 ? FAULT_RESOURCES : FAULT_UNREACHABLE);
        return;
    }
    *job = (struct resolver_job){.port = port, .any4 = egress->any4, .any6 = egress->any6};
    q->job = job;
    if (job_answer_here(job, slice_of(name, len))) {
        query_settle(q, job->n ? FAULT_NONE : FAULT_UNREACHABLE);
        return;
    }
    job->query = q;
    query_timer_set(q, r->timeout_s);
    job_ask(r, job, name);
}
