#include "load.h"

#include <poll.h>

enum {
    BATCH = 64,
    HEAD = 12,
    SOCKS_HEAD = 10,
    SPACE = 2048,
    SIZE_LEAST = 64,
    SIZE_MOST = 1400,
    WINDOW_MOST = 1024
};
/* A datagram that has not come back by then is lost. Reported, and forgiven up to a hundredth. */
static const double LOST_AFTER_S = 0.5, FORGIVEN = 0.01, PATIENCE_S = 120;

/* One association: datagrams base … next are on their way, except those that have come back already. */
struct association {
    int control, fd; /* control is -1 without a proxy */
    uint32_t number;
    uint64_t base, next;
    bool back[WINDOW_MOST];
    double heard;
};

static struct {
    struct association *all;
    size_t n, window, size;
    unsigned char socks_head[SOCKS_HEAD];
    size_t n_socks_head;
    uint64_t wanted, sent, done, lost;
} run;

static void fail(const struct association *a, const char *what)
{
    (void)fprintf(stderr, "load: association %u: %s (%llu sent, %llu back, %llu lost): %s\n", a->number, what,
                  (unsigned long long)run.sent, (unsigned long long)run.done, (unsigned long long)run.lost,
                  strerror(errno));
    exit(1);
}

/* --- datagrams ------------------------------------------------------------------------------------------ */

static size_t size_of(uint64_t sequence)
{
    if (run.size)
        return run.size;
    return SIZE_LEAST + (size_t)(sequence * 2654435761u % (SIZE_MOST - SIZE_LEAST + 1));
}

/* A datagram begins with its association and its sequence. Bytes of the pattern follow: they depend on the
 * sequence, so that each byte is verified. */
static void head_of(const struct association *a, uint64_t sequence, unsigned char out[HEAD])
{
    memcpy(out, &a->number, sizeof a->number);
    wire_put_length(out + sizeof a->number, sequence);
}

/* Send up to BATCH datagrams, as many as the window has room for. */
static void send_more(struct association *a)
{
    static unsigned char heads[BATCH][HEAD];
    static struct iovec parts[BATCH][3];
    static struct mmsghdr messages[BATCH];
    unsigned n = 0;

    for (; n < BATCH && run.sent + n < run.wanted && a->next + n - a->base < run.window; n++) {
        uint64_t sequence = a->next + n;
        head_of(a, sequence, heads[n]);
        parts[n][0] = (struct iovec){run.socks_head, run.n_socks_head};
        parts[n][1] = (struct iovec){heads[n], HEAD};
        parts[n][2] = (struct iovec){(void *)wire_at(sequence), size_of(sequence) - HEAD};
        messages[n] = (struct mmsghdr){.msg_hdr = {.msg_iov = parts[n], .msg_iovlen = 3}};
    }
    if (n == 0)
        return;
    int sent = sendmmsg(a->fd, messages, n, 0);
    if (sent < 0 && !wire_later(sent))
        fail(a, "cannot send");
    for (int i = 0; i < sent; i++)
        a->back[a->next++ % WINDOW_MOST] = false;
    run.sent += sent > 0 ? (uint64_t)sent : 0;
}

static void take_one(struct association *a, const unsigned char *data, size_t n)
{
    unsigned char head[HEAD];
    size_t skip = run.n_socks_head;

    if (n < skip + HEAD || memcmp(data, run.socks_head, skip) != 0)
        fail(a, "another head came back");
    data += skip;
    uint64_t sequence = wire_length(data + sizeof a->number);
    head_of(a, sequence, head);
    if (sequence >= a->next || memcmp(data, head, HEAD) != 0 || n - skip != size_of(sequence) ||
        memcmp(data + HEAD, wire_at(sequence), n - skip - HEAD) != 0)
        fail(a, "another datagram came back");
    if (sequence < a->base) {
        return; /* taken for lost */
    }
    if (a->back[sequence % WINDOW_MOST])
        fail(a, "a datagram came back twice");
    a->back[sequence % WINDOW_MOST] = true;
    while (a->base < a->next && a->back[a->base % WINDOW_MOST])
        a->base++;
    run.done++;
    load.bytes += n - skip;
}

static void take(struct association *a)
{
    static unsigned char space[BATCH][SPACE];
    static struct iovec parts[BATCH];
    static struct mmsghdr messages[BATCH];

    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){space[i], SPACE};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
    }
    int n = recvmmsg(a->fd, messages, BATCH, 0, NULL);
    if (n < 0 && !wire_later(n))
        fail(a, "cannot receive");
    for (int i = 0; i < n; i++)
        take_one(a, space[i], messages[i].msg_len);
    if (n > 0)
        a->heard = wire_now();
    send_more(a);
}

/* What is on its way for too long is lost; others go in its place. */
static void give_up(struct association *a, double now)
{
    if (now - a->heard < LOST_AFTER_S)
        return;
    a->heard = now;
    for (; a->base < a->next; a->base++) {
        if (a->back[a->base % WINDOW_MOST])
            continue;
        run.lost++;
        run.sent--;
    }
    if ((double)run.lost > FORGIVEN * (double)run.wanted + (double)run.window)
        fail(a, "too many datagrams were lost");
    send_more(a);
}

/* --- associations --------------------------------------------------------------------------------------- */

static void exactly(const struct association *a, unsigned char *out, size_t n)
{
    if (recv(a->control, out, n, MSG_WAITALL) != (ssize_t)n)
        fail(a, "the proxy ends the connection");
}

/* @return where the association takes datagrams (RFC 1928 section 7) */
static struct sockaddr_in associate(struct association *a)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    unsigned char reply[SOCKS_HEAD];

    a->control = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (a->control < 0 || connect(a->control, (struct sockaddr *)&load.proxy, sizeof load.proxy) < 0)
        fail(a, "cannot connect");
    if (send(a->control, "\5\1\0", 3, MSG_NOSIGNAL) != 3)
        fail(a, "cannot send");
    exactly(a, reply, 2);
    if (memcmp(reply, "\5\0", 2) != 0)
        fail(a, "the proxy does not greet");
    if (send(a->control, "\5\3\0\1\0\0\0\0\0\0", SOCKS_HEAD, MSG_NOSIGNAL) != SOCKS_HEAD)
        fail(a, "cannot send");
    exactly(a, reply, sizeof reply);
    if (reply[1] != 0 || reply[3] != 1)
        fail(a, "the proxy makes no association");
    memcpy(&at.sin_addr, reply + 4, 4);
    memcpy(&at.sin_port, reply + 8, 2);
    if (at.sin_addr.s_addr == INADDR_ANY)
        at.sin_addr = load.proxy.sin_addr;
    return at;
}

static void open_one(struct association *a, bool by_proxy)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = a};

    a->control = -1;
    struct sockaddr_in to = by_proxy ? associate(a) : load.proxy;
    a->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (a->fd < 0 || connect(a->fd, (struct sockaddr *)&to, sizeof to) < 0)
        fail(a, "cannot open a socket");
    (void)setsockopt(a->fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){WIRE_BUFFER}, sizeof(int));
    if (epoll_ctl(load.poller, EPOLL_CTL_ADD, a->fd, &e) < 0)
        fail(a, "epoll_ctl");
}

static void run_until_done(uint64_t wanted)
{
    struct epoll_event events[BATCH];
    double deadline = wire_now() + PATIENCE_S, now;

    run.wanted = wanted;
    run.sent = run.done = run.lost = 0;
    for (size_t i = 0; i < run.n; i++) {
        run.all[i].heard = wire_now();
        send_more(&run.all[i]);
    }
    while (run.done < run.wanted) {
        int n = epoll_wait(load.poller, events, BATCH, 100);
        for (int i = 0; i < n; i++)
            take(events[i].data.ptr);
        if (n == BATCH)
            continue;
        now = wire_now();
        for (size_t i = 0; i < run.n; i++)
            give_up(&run.all[i], now);
        if (now > deadline)
            fail(&run.all[0], "it takes too long");
    }
}

void udp_measure(bool by_proxy, size_t associations, uint64_t n, size_t window, size_t size)
{
    static const unsigned char head[SOCKS_HEAD] = {0, 0, 0, 1};

    if (associations == 0 || window == 0 || window > WINDOW_MOST ||
        (size && (size < HEAD || size > SIZE_MOST)))
        exit(2);
    run.n = associations;
    run.window = window;
    run.size = size;
    memcpy(run.socks_head, head, sizeof head);
    memcpy(run.socks_head + 4, &load.origin.sin_addr, 4);
    memcpy(run.socks_head + 8, &load.origin.sin_port, 2);
    run.n_socks_head = by_proxy ? SOCKS_HEAD : 0;
    run.all = calloc(associations, sizeof *run.all);
    if (!run.all)
        die("calloc");
    for (size_t i = 0; i < associations; i++) {
        run.all[i].number = (uint32_t)i;
        open_one(&run.all[i], by_proxy);
    }
    run_until_done(associations * 4); /* each mapping is made */
    (void)printf("ready\n");
    (void)fflush(stdout);
    load.bytes = 0;
    double began = wire_now();
    run_until_done(n);
    (void)printf("{\"units\": %llu, \"bytes\": %llu, \"seconds\": %.6f, \"lost\": %llu}\n",
                 (unsigned long long)run.done, (unsigned long long)load.bytes, wire_now() - began,
                 (unsigned long long)run.lost);
    (void)fflush(stdout);
}
