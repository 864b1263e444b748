#include "health/probe.h"

#include "base/host_port.h"
#include "proto/http_head.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { HTTP_PORT = 80, LARGE = 2000 /* bytes: more than an Ethernet packet holds */ };

/* --- targets -------------------------------------------------------------------------------------------- */

/* Characters that a request line may have: visible ASCII. */
static bool is_path(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] <= ' ' || (unsigned char)text.data[i] > '~')
            return false;
    return text.len <= PROBE_PATH_MAX;
}

static enum parse parse_url(struct probe_target *ret, struct slice rest)
{
    const char *slash = memchr(rest.data, '/', rest.len);
    size_t host_len = slash ? (size_t)(slash - rest.data) : rest.len;
    struct slice path = slash ? slice_of(slash, rest.len - host_len) : slice_str("/");

    if (!is_path(path) || memchr(path.data, '#', path.len))
        return PARSE_BAD;
    memcpy(ret->path, path.data, path.len);
    ret->path[path.len] = '\0';
    return target_parse(&ret->to, slice_of(rest.data, host_len), HTTP_PORT);
}

enum parse probe_target_parse(struct probe_target *ret, struct slice text)
{
    static const char scheme[] = "http://";
    size_t n = sizeof scheme - 1;

    *ret = (struct probe_target){.path = ""};
    if (text.len > n && slice_ieq(slice_of(text.data, n), slice_str(scheme)))
        return parse_url(ret, slice_of(text.data + n, text.len - n));
    return target_parse(&ret->to, text, 0);
}

const char *probe_target_format(const struct probe_target *t, char out[PROBE_TARGET_TEXT_MAX])
{
    char place[TARGET_HOST_MAX + 16];

    (void)host_port_format(place, sizeof place, slice_str(t->to.host), t->to.port);
    (void)snprintf(out, PROBE_TARGET_TEXT_MAX, "%s%s%s", t->path[0] ? "http://" : "", place, t->path);
    return out;
}

/* --- the end -------------------------------------------------------------------------------------------- */

static void stop(struct probe *p)
{
    p->running = false;
    resolver_cancel(&p->query);
    dial_cancel(&p->dial);
    parent_cancel(&p->parent);
    ev_timer_stop(p->loop, &p->deadline);
    if (p->io.fd >= 0) {
        ev_io_stop(p->loop, &p->io);
        (void)close(p->io.fd);
        p->io.fd = -1;
    }
}

static void probe_finish(struct probe *p, enum fault fault)
{
    p->result.fault = fault;
    stop(p);
    p->done(p, &p->result); /* p may be freed by now */
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct probe *p = container_of(timer, struct probe, deadline);

    (void)loop;
    (void)events;
    if (p->result.status != 0) /* the status came, only the body was incomplete */
        return probe_finish(p, FAULT_NONE);
    struct resolver_query *const names[] = {&p->query, &p->parent.query};
    bool unnamed = false;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!resolver_awaits_answer(names[i]))
            continue;
        unnamed = true;
        p->result.news = resolver_unanswered(names[i]);
    }
    probe_finish(p, unnamed ? FAULT_DNS : FAULT_TIMEOUT);
}

/* --- HTTP ----------------------------------------------------------------------------------------------- */

/* SIZE_MAX when the body ends with the connection, as the request asks for. */
static size_t body_length(const struct http_head *head)
{
    const struct http_field *f = http_find(head, "Content-Length");
    size_t n = 0;

    if (head->status == 204 || head->status == 304) /* RFC 9112 6.3 */
        return 0;
    if (!f || f->value.len == 0)
        return SIZE_MAX;
    for (size_t i = 0; i < f->value.len; i++) {
        if (f->value.data[i] < '0' || f->value.data[i] > '9' || n > PROBE_ANSWER_MAX)
            return SIZE_MAX;
        n = n * 10 + (size_t)(f->value.data[i] - '0');
    }
    return n;
}

/* Whether the answer is complete. */
static bool is_whole(struct probe *p, bool ended)
{
    struct http_head head;

    switch (http_parse_response(&head, p->answer, p->len)) {
    case PARSE_NEED_MORE:
        return ended || p->len == sizeof p->answer;
    case PARSE_BAD:
        return true;
    case PARSE_OK:
        break;
    }
    const struct http_field *location = http_find(&head, "Location");
    p->result.status = head.status;
    p->result.location = location ? location->value : slice_str("");
    p->result.body = slice_of(p->answer + head.consumed, p->len - head.consumed);
    return ended || p->len == sizeof p->answer || p->result.body.len >= body_length(&head);
}

static void on_answer(struct ev_loop *loop, ev_io *io, int events)
{
    struct probe *p = container_of(io, struct probe, io);
    ssize_t n = recv(io->fd, p->answer + p->len, sizeof p->answer - p->len, 0);

    (void)loop;
    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    p->len += n > 0 ? (size_t)n : 0;
    if (is_whole(p, n <= 0))
        probe_finish(p, n < 0 && p->result.status == 0 ? fault_from_errno(errno) : FAULT_NONE);
}

static int send_request(const struct probe *p, int fd)
{
    char text[PROBE_TARGET_TEXT_MAX + LARGE + 192];
    const struct target *t = &p->target.to;
    char host[TARGET_HOST_MAX + 16];

    if (t->port == HTTP_PORT)
        (void)host_port_put_host(host, sizeof host, slice_str(t->host));
    else
        (void)host_port_format(host, sizeof host, slice_str(t->host), t->port);
    int n = snprintf(text, sizeof text,
                     "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: steerway\r\nAccept: */*\r\n"
                     "Connection: close\r\n",
                     p->target.path, host);
    if (p->large)
        n += snprintf(text + n, sizeof text - (size_t)n, "X-Padding: %0*d\r\n", (int)LARGE, 0);
    n += snprintf(text + n, sizeof text - (size_t)n, "\r\n");
    /* It fits into the empty buffer of a new connection. */
    return send(fd, text, (size_t)n, MSG_NOSIGNAL) == n ? 0 : -EPIPE;
}

/* --- connecting ----------------------------------------------------------------------------------------- */

static void on_way(struct probe *p, int fd)
{
    struct sockaddr_storage own;

    if (getsockname(fd, (struct sockaddr *)&own, &(socklen_t){sizeof own}) == 0 &&
        addr_from_sockaddr(&p->result.own, (const struct sockaddr *)&own, sizeof own) < 0)
        p->result.own = (struct addr){.sa.sa_family = AF_UNSPEC};
    ev_io_set(&p->io, fd, EV_READ);
    if (!p->target.path[0])
        return probe_finish(p, FAULT_NONE);
    if (send_request(p, fd) < 0)
        return probe_finish(p, FAULT_RESET);
    ev_io_start(p->loop, &p->io);
}

static void on_dialed(struct dial *d, enum fault fault, int fd)
{
    struct probe *p = container_of(d, struct probe, dial);

    if (fault != FAULT_NONE)
        return probe_finish(p, fault);
    p->result.connect_s = d->connect_s;
    on_way(p, fd);
}

static void on_parent(struct parent *u, enum fault fault, int fd)
{
    struct probe *p = container_of(u, struct probe, parent);

    p->result.named = fault != FAULT_DNS;
    p->result.news = u->query.news;
    if (!u->reached &&
        (fault == FAULT_REFUSED || fault == FAULT_RESET || fault == FAULT_UNREACHABLE || fault == FAULT_HOST))
        fault = FAULT_PARENT;
    if (fault != FAULT_NONE)
        return probe_finish(p, fault);
    p->result.connect_s = u->took_s;
    on_way(p, fd);
}

static void on_resolved(struct resolver_query *q, enum fault fault, const struct addr *addrs, size_t n)
{
    struct probe *p = container_of(q, struct probe, query);

    p->result.named = fault != FAULT_DNS;
    p->result.news = q->news;
    if (fault == FAULT_UNREACHABLE) /* it has addresses, but none of the egress' families */
        fault = FAULT_NAME;
    if (fault != FAULT_NONE)
        return probe_finish(p, fault);
    if (!egress_allows_any(&p->egress, addrs, n))
        return probe_finish(p, FAULT_NAME);
    dial_start(&p->dial, p->loop, addrs, n, &p->egress, p->deadline.repeat, on_dialed);
}

void probe_start(struct probe *p, struct ev_loop *loop, const struct probe_request *request,
                 probe_done_fn *done)
{
    const struct target *t = &request->target->to;

    *p = (struct probe){.loop = loop,
                        .done = done,
                        .target = *request->target,
                        .egress = *request->egress,
                        .running = true,
                        .large = request->large,
                        .result = {.named = true}};
    ev_io_init(&p->io, on_answer, -1, EV_READ);
    ev_init(&p->deadline, on_deadline);
    p->deadline.repeat = request->timeout_s;
    ev_now_update(loop);
    ev_timer_again(loop, &p->deadline);
    if (request->parent)
        return parent_start(&p->parent, loop,
                            &(struct parent_request){.spec = request->parent,
                                                     .target = &p->target.to,
                                                     .egress = &p->egress,
                                                     .resolver = request->resolver,
                                                     .loops = request->loops,
                                                     .uplink = request->uplink,
                                                     .timeout_s = request->timeout_s},
                            on_parent);
    /* Also for literal addresses: the resolver filters by family, and answers from the loop. */
    resolver_start(request->resolver, &p->query, t->host, t->port, on_resolved);
}

void probe_cancel(struct probe *p)
{
    if (p->running)
        stop(p);
}
