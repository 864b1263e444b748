/* Traces of typical use. Sizes come from log-normal distributions, which fit web objects and files
 * (Downey, "The structural cause of file size distributions", 2001). Arrivals are a Poisson process. */
#include "simulate/trace.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

const char *const trace_kinds[] = {"browsing", "download", "torrent", "uploads", "mixed", NULL};

enum { CLIENTS = 12, SITES = 400, PEERS = 300, SEGMENTS = 16 };

struct maker {
    struct trace *trace;
    uint64_t random;
    size_t left;     /* connections to make */
    double t;        /* start of the next group */
    double down, up; /* bytes made so far */
    const struct trace_offer *offer;
    int error;
};

/* SplitMix64, which accepts every seed. */
static uint64_t draw(struct maker *m)
{
    uint64_t z = (m->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Uniform in (0, 1). */
static double uniform(struct maker *m)
{
    return ((double)(draw(m) >> 11) + 0.5) / 9007199254740992.0;
}

static uint32_t below(struct maker *m, uint32_t n)
{
    return (uint32_t)(draw(m) % n);
}

static double normal(struct maker *m)
{
    double radius = sqrt(-2 * log(uniform(m)));
    return radius * cos(2 * 3.14159265358979323846 * uniform(m));
}

static uint64_t lognormal(struct maker *m, double median, double sigma)
{
    return (uint64_t)(median * exp(sigma * normal(m))) + 1;
}

static void add(struct maker *m, double t, uint32_t client, const char *host, uint16_t port, uint64_t tx,
                uint64_t rx)
{
    struct trace_flow flow = {.t = t, .tx = tx, .rx = rx, .port = port};
    char text[32];

    if (m->left == 0 || m->error < 0)
        return;
    (void)snprintf(text, sizeof text, "192.168.1.%u", 10 + client);
    m->error = trace_text(m->trace, text, &flow.client);
    if (m->error == 0)
        m->error = trace_text(m->trace, host, &flow.host);
    if (m->error == 0)
        m->error = trace_add(m->trace, &flow);
    m->down += (double)rx;
    m->up += (double)tx;
    m->left--;
}

/* Plan the next group for the time when, on average, lines of the offered speed have carried this one. */
static void plan_next_group(struct maker *m, double down, double up)
{
    m->t += -log(uniform(m)) * fmax(down / m->offer->down, up / m->offer->up);
}

/* A page: its text and its objects, from hosts of the site and elsewhere, within two seconds. */
static void browsing(struct maker *m)
{
    uint32_t client = below(m, CLIENTS), site = below(m, SITES), objects = 4 + below(m, 24);
    char host[64];

    for (uint32_t i = 0; i < objects; i++) {
        uint32_t of = i % 3 == 2 ? below(m, SITES) : site;
        (void)snprintf(host, sizeof host, "%s.site%u.example", i % 2 ? "img" : "www", of);
        add(m, m->t + (i > 0 ? uniform(m) * 1.5 : 0), client, host, 443, lognormal(m, 900, 0.5),
            lognormal(m, 14e3, 1.4));
    }
}

/* A file in 16 segments of equal size, all at once from one host. */
static void download(struct maker *m)
{
    uint64_t segment = lognormal(m, 6e6, 0.7);
    uint32_t client = below(m, CLIENTS);
    char host[64];

    (void)snprintf(host, sizeof host, "mirror%u.example", below(m, 20));
    for (int i = 0; i < SEGMENTS; i++)
        add(m, m->t, client, host, 443, 600, segment);
}

static void torrent(struct maker *m)
{
    char host[64];

    (void)snprintf(host, sizeof host, "203.0.113.%u", below(m, PEERS) % 250 + 1);
    add(m, m->t, 0, host, (uint16_t)(6881 + below(m, 100)), lognormal(m, 4e5, 1.5), lognormal(m, 1.5e6, 1.5));
}

static void uploads(struct maker *m)
{
    add(m, m->t, below(m, CLIENTS), "photos.example", 443, lognormal(m, 4e6, 0.8), 2000);
}

static void mixed(struct maker *m)
{
    uint32_t what = below(m, 100);

    if (what < 80)
        browsing(m);
    else if (what < 84)
        download(m);
    else if (what < 97)
        torrent(m);
    else
        uploads(m);
}

int trace_make(struct trace *ret, const char *kind, size_t n, const struct trace_offer *offer, uint64_t seed)
{
    static void (*const makers[])(struct maker * m) = {browsing, download, torrent, uploads, mixed};
    struct maker m = {.trace = ret, .random = seed, .left = n, .offer = offer};
    size_t k = 0;

    while (trace_kinds[k] && strcmp(trace_kinds[k], kind) != 0)
        k++;
    if (!trace_kinds[k])
        return -ENOENT;
    while (m.left > 0 && m.error == 0) {
        double down = m.down, up = m.up;
        makers[k](&m);
        plan_next_group(&m, m.down - down, m.up - up);
    }
    if (m.error == 0)
        trace_sort(ret);
    return m.error;
}
