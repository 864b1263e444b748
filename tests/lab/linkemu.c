/* A line with latency, for kernels without netem: a TUN device in each of two network namespaces, and between
 * them the rate, delay, jitter, queue and loss of a real line.
 *
 *   linkemu DEVICE@NAMESPACE DEVICE@NAMESPACE --rate MBIT[,MBIT] [--delay MS] [--jitter MS]
 *           [--queue-ms MS | --queue-bytes BYTES] [--loss PERCENT] [--seed N]
 *
 * NAMESPACE is a file such as /run/netns/isp1 or /proc/PID/ns/net. The delay is of one way. Two values with a
 * comma between them belong to the direction from the first device to the second, and to the other one. The
 * caller sets the devices up and routes over them; they go with this process.
 *
 * Commands come as lines of the standard input, whose end ends the program: "kill" (the line drops
 * everything, also what is under way), "revive", "state". After the start and after each command it prints
 * its state as one line of JSON. */
#include "base/clock.h"
#include "base/compiler.h"
#include "base/list.h"
#include "link_model.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

enum {
    PACKET_MAX = 65536,
    READS_IN_A_ROW = 64,   /* then the other direction's packets are looked at */
    TIMER_SLACK_NS = 1000, /* the default of 50 us is half of a packet's time at 100 Mbit/s */
};

static const double QUEUE_DEFAULT_S = 0.05;

struct packet {
    struct list in; /* a direction's under_way */
    double at_s;
    size_t len;
    unsigned char bytes[];
};

struct direction {
    int from, to; /* devices */
    struct link_model model;
    struct list under_way; /* by time of arrival */
    uint64_t carried, lost, full, killed;
    uint64_t bytes;   /* carried */
    uint64_t refused; /* by the device at the other end, such as while it is down */
};

static bool dead;
static struct direction directions[2];

static void die(const char *what, const char *why)
{
    (void)fprintf(stderr, "linkemu: %s: %s\n", what, why);
    exit(1);
}

/* --- the command line --- */

struct wish {
    double rate[2], delay_ms[2], jitter_ms[2], queue_ms[2], queue_bytes[2], loss[2], seed;
};

/* "7", or "7,9" for two directions. */
static void numbers(const char *name, const char *text, double most, double ret[static 2])
{
    char *end;

    ret[0] = ret[1] = strtod(text, &end);
    if (end != text && *end == ',') {
        const char *second = end + 1;
        ret[1] = strtod(second, &end);
        if (end == second)
            die(name, "expected a number after the comma");
    }
    for (int i = 0; i < 2; i++)
        if (end == text || *end || !(ret[i] >= 0 && ret[i] <= most))
            die(name, "expected a number from 0, or two with a comma between them, of a sensible size");
}

static const struct option OPTIONS[] = {
    {"rate", required_argument, NULL, 'r'},        {"delay", required_argument, NULL, 'd'},
    {"jitter", required_argument, NULL, 'j'},      {"queue-ms", required_argument, NULL, 'q'},
    {"queue-bytes", required_argument, NULL, 'b'}, {"loss", required_argument, NULL, 'l'},
    {"seed", required_argument, NULL, 's'},        {NULL, 0, NULL, 0},
};

static void parse(int argc, char **argv, struct wish *w)
{
    const double minute_ms = 60e3;
    double seed[2] = {1, 1};

    for (int c; (c = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;)
        switch (c) {
        case 'r':
            numbers("--rate", optarg, 1e5, w->rate);
            break;
        case 'd':
            numbers("--delay", optarg, minute_ms, w->delay_ms);
            break;
        case 'j':
            numbers("--jitter", optarg, minute_ms, w->jitter_ms);
            break;
        case 'q':
            numbers("--queue-ms", optarg, minute_ms, w->queue_ms);
            break;
        case 'b':
            numbers("--queue-bytes", optarg, 1e9, w->queue_bytes);
            break;
        case 'l':
            numbers("--loss", optarg, 100, w->loss);
            break;
        case 's':
            numbers("--seed", optarg, 1e15, seed);
            break;
        default:
            exit(2);
        }
    w->seed = seed[0];
    if (argc - optind != 2)
        die("arguments", "expected two devices, as DEVICE@NAMESPACE");
    if (w->rate[0] <= 0 || w->rate[1] <= 0)
        die("--rate", "expected the line's Mbit/s, above 0");
}

static struct link_traits traits(const struct wish *w, int i)
{
    double rate = w->rate[i] * 1e6 / 8, queue = w->queue_bytes[i];

    if (queue <= 0)
        queue = (w->queue_ms[i] > 0 ? w->queue_ms[i] / 1e3 : QUEUE_DEFAULT_S) * rate;
    return (struct link_traits){
        .rate = rate,
        .delay_s = w->delay_ms[i] / 1e3,
        .jitter_s = w->jitter_ms[i] / 1e3,
        .queue_bytes = queue,
        .loss = w->loss[i] / 100,
    };
}

/* --- devices --- */

/* Make this device in that namespace, which becomes the thread's own. */
static int device(const char *place)
{
    struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    const char *at = strchr(place, '@');
    size_t len = at ? (size_t)(at - place) : 0;

    if (len == 0 || len >= sizeof r.ifr_name)
        die(place, "expected DEVICE@NAMESPACE");
    memcpy(r.ifr_name, place, len);
    int space = open(at + 1, O_RDONLY | O_CLOEXEC);
    if (space < 0 || setns(space, CLONE_NEWNET) < 0)
        die(at + 1, strerror(errno));
    (void)close(space);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        die("/dev/net/tun", strerror(errno));
    if (ioctl(fd, TUNSETIFF, &r) < 0)
        die(place, strerror(errno));
    return fd;
}

/* --- packets --- */

static struct packet *first(const struct direction *d)
{
    return list_is_empty(&d->under_way) ? NULL : container_of(d->under_way.next, struct packet, in);
}

static void forget(struct packet *p)
{
    list_remove(&p->in);
    free(p);
}

/* What the kernel says to all routers of a link when a device comes up, at times of its own: it would change
 * which packets of a test are lost. */
static bool is_small_talk(const unsigned char *bytes, size_t len)
{
    return len >= 40 && bytes[0] >> 4 == 6 && bytes[24] == 0xff; /* IPv6 multicast */
}

static void take(struct direction *d, const unsigned char *bytes, size_t len)
{
    double at_s;

    if (dead) {
        d->killed++;
        return;
    }
    switch (link_model_take(&d->model, clock_now_s(), len, &at_s)) {
    case LINK_LOST:
        d->lost++;
        return;
    case LINK_FULL:
        d->full++;
        return;
    case LINK_CARRIED:
        break;
    }
    struct packet *p = malloc(sizeof *p + len);
    if (!p)
        die("a packet", strerror(ENOMEM));
    p->at_s = at_s;
    p->len = len;
    memcpy(p->bytes, bytes, len);
    list_push_back(&d->under_way, &p->in);
}

static void read_device(struct direction *d)
{
    static unsigned char bytes[PACKET_MAX];

    for (int i = 0; i < READS_IN_A_ROW; i++) {
        ssize_t n = read(d->from, bytes, sizeof bytes);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            die("a device is gone", strerror(errno));
        if (n <= 0)
            return;
        if (!is_small_talk(bytes, (size_t)n))
            take(d, bytes, (size_t)n);
    }
}

static void deliver(struct direction *d, double now_s)
{
    for (struct packet *p; (p = first(d)) && p->at_s <= now_s;) {
        if (write(d->to, p->bytes, p->len) == (ssize_t)p->len) {
            d->carried++;
            d->bytes += p->len;
        } else {
            d->refused++;
        }
        forget(p);
    }
}

/* --- commands --- */

static void kill_line(void)
{
    dead = true;
    for (int i = 0; i < 2; i++) {
        struct direction *d = &directions[i];
        link_model_clear(&d->model);
        for (struct packet *p; (p = first(d)); d->killed++)
            forget(p);
    }
}

static void say_state(void)
{
    (void)printf("{\"dead\": %s", dead ? "true" : "false");
    for (int i = 0; i < 2; i++) {
        const struct direction *d = &directions[i];
        (void)printf(", \"%s\": {\"carried\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"full\": %" PRIu64
                     ", \"killed\": %" PRIu64 ", \"refused\": %" PRIu64 ", \"bytes\": %" PRIu64 "}",
                     i ? "back" : "there", d->carried, d->lost, d->full, d->killed, d->refused, d->bytes);
    }
    (void)printf("}\n");
    if (fflush(stdout) != 0)
        exit(0); /* nobody listens any more */
}

static void obey(const char *line)
{
    if (strcmp(line, "kill") == 0)
        kill_line();
    else if (strcmp(line, "revive") == 0)
        dead = false;
    else if (strcmp(line, "state") != 0)
        die(line, "expected kill, revive or state");
    say_state();
}

static void read_commands(void)
{
    static char text[64];
    static size_t len;
    ssize_t n = read(STDIN_FILENO, text + len, sizeof text - len);

    if (n <= 0)
        exit(0);
    len += (size_t)n;
    for (char *end; (end = memchr(text, '\n', len));) {
        *end = '\0';
        obey(text);
        len -= (size_t)(end + 1 - text);
        memmove(text, end + 1, len);
    }
    if (len == sizeof text)
        die("standard input", "the line is too long");
}

/* --- the loop --- */

/* Until the next packet arrives. @return NULL if none is under way */
static const struct timespec *pause_until_next(struct timespec *t)
{
    double at_s = INFINITY;

    for (int i = 0; i < 2; i++) {
        const struct packet *p = first(&directions[i]);
        if (p)
            at_s = fmin(at_s, p->at_s);
    }
    if (isinf(at_s))
        return NULL;
    double s = fmax(at_s - clock_now_s(), 0);
    t->tv_sec = (time_t)s;
    t->tv_nsec = (long)((s - floor(s)) * 1e9);
    return t;
}

static _Noreturn void run(void)
{
    struct pollfd watched[] = {{.fd = directions[0].from, .events = POLLIN},
                               {.fd = directions[1].from, .events = POLLIN},
                               {.fd = STDIN_FILENO, .events = POLLIN}};

    for (;;) {
        struct timespec t;
        if (ppoll(watched, ARRAY_LEN(watched), pause_until_next(&t), NULL) < 0 && errno != EINTR)
            die("ppoll", strerror(errno));
        for (int i = 0; i < 2; i++) {
            if (watched[i].revents)
                read_device(&directions[i]);
            deliver(&directions[i], clock_now_s());
        }
        if (watched[2].revents)
            read_commands();
    }
}

int main(int argc, char **argv)
{
    struct wish w = {.seed = 1};

    parse(argc, argv, &w);
    int there = device(argv[optind]), back = device(argv[optind + 1]);
    for (int i = 0; i < 2; i++) {
        struct direction *d = &directions[i];
        const struct link_traits t = traits(&w, i);
        d->from = i ? back : there;
        d->to = i ? there : back;
        link_model_init(&d->model, &t, (uint64_t)w.seed, (uint64_t)i);
        list_init(&d->under_way);
    }
    (void)prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
    say_state();
    run();
}
