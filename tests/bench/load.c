// clang-format off
/* Load for measurements, verified byte by byte:
 *   load PROXY none|socks5|connect|forward|name|names ORIGIN MEASURE [ARGUMENTS]
 * Places are ADDRESS:PORT; with "none" PROXY leads to the origin by itself. "name" is socks5 to a name, "names" to
 * another name for each connection; names.c answers for them. Measures:
 *   down|up|get STREAMS BYTES    transfers side by side; get is down by HTTP
 *   connect N TOGETHER        connections of one 64-byte echo each
 *   echo N TOGETHER           64-byte echoes over connections that stay
 *   http N TOGETHER           GETs of 1 KiB over connections that stay
 *   idle N                    open N connections, then wait for standard input to end
 *   beside STREAMS ECHOES S   echoes beside transfers that saturate, for S seconds; 0 streams: echoes alone
 *   udp ASSOCIATIONS N WINDOW SIZE   echoes of N datagrams, WINDOW of each association on their way; size 0: mixed
 * Prints one line of JSON. A failure of any kind ends it with 1. */
// clang-format on
#include "load.h"

#include <poll.h>
#include <sys/resource.h>

enum { LATENCIES_MAX = 1 << 20 };
static const double PATIENCE_S = 120;

static struct {
    enum how how;
    uint64_t left, going, done, total;
    double *latencies;
    size_t n_latencies;
    bool stop;
    double began;
} job;

static void begin_clock(void)
{
    job.began = wire_now();
    load.bytes = 0;
}

static void note_latency(double s)
{
    if (job.n_latencies < LATENCIES_MAX)
        job.latencies[job.n_latencies++] = s;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double percentile(double p)
{
    if (job.n_latencies == 0)
        return 0;
    return job.latencies[(size_t)(p * (double)(job.n_latencies - 1))];
}

static void report(void)
{
    double took = wire_now() - job.began;

    qsort(job.latencies, job.n_latencies, sizeof *job.latencies, by_value);
    (void)printf("{\"units\": %llu, \"bytes\": %llu, \"seconds\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
                 "\"max_us\": %.1f}\n",
                 (unsigned long long)job.done, (unsigned long long)load.bytes, took, percentile(0.5) * 1e6,
                 percentile(0.99) * 1e6, percentile(1) * 1e6);
    (void)fflush(stdout);
}

/* Run until the wanted number of units is done. */
static void run_until(uint64_t wanted)
{
    double deadline = wire_now() + PATIENCE_S;

    while (job.done < wanted) {
        conn_turn(1);
        if (wire_now() > deadline) {
            (void)fprintf(stderr, "load: %llu of %llu units in %.0f s\n", (unsigned long long)job.done,
                          (unsigned long long)wanted, PATIENCE_S);
            exit(1);
        }
    }
}

static struct conn *new_conns(size_t n, enum task task, conn_done_fn *done, uint64_t length)
{
    struct conn *all = calloc(n + 1, sizeof *all);

    if (!all)
        die("calloc");
    for (size_t i = 0; i < n; i++)
        all[i] = (struct conn){.fd = -1, .how = job.how, .task = task, .done = done, .length = length};
    return all;
}

/* --- measures ------------------------------------------------------------------------------------------- */

static bool on_once(struct conn *c, double took_s)
{
    (void)took_s;
    job.done++;
    conn_close(c);
    return false;
}

static void transfers(enum task task, size_t streams, uint64_t bytes)
{
    struct conn *all = new_conns(streams, task, on_once, bytes / streams);

    begin_clock();
    for (size_t i = 0; i < streams; i++)
        conn_start(&all[i]);
    run_until(streams);
    report();
    free(all);
}

static bool on_connection(struct conn *c, double took_s)
{
    (void)took_s;
    job.done++;
    conn_close(c);
    if (job.left > 0) {
        job.left--;
        conn_start(c);
    }
    return false;
}

static void connections(uint64_t n, size_t together)
{
    struct conn *all = new_conns(together, TASK_ECHO, on_connection, 0);

    begin_clock();
    job.left = n - together;
    for (size_t i = 0; i < together; i++)
        conn_start(&all[i]);
    run_until(n);
    report();
    free(all);
}

/* The first unit of each connection opens it, and is not measured. */
static bool on_unit(struct conn *c, double took_s)
{
    bool first = job.going > 0;

    (void)c;
    if (first) {
        job.going--;
        return false;
    }
    job.done++;
    note_latency(took_s);
    if (job.left == 0)
        return false;
    job.left--;
    return true;
}

static struct conn *open_all(size_t n, enum task task)
{
    struct conn *all = new_conns(n, task, on_unit, 0);
    double deadline = wire_now() + PATIENCE_S;

    for (size_t i = 0; i < n; i++) {
        uint64_t before = job.going++;
        conn_start(&all[i]);
        while (job.going > before && job.going >= 64) /* no more than the listener's backlog at once */
            conn_turn(1);
    }
    while (job.going > 0) {
        conn_turn(1);
        if (wire_now() > deadline)
            die("not all connections were made");
    }
    return all;
}

static void units(enum task task, uint64_t n, size_t together)
{
    struct conn *all = open_all(together, task);

    (void)printf("ready\n");
    (void)fflush(stdout);
    begin_clock();
    job.left = n - together;
    for (size_t i = 0; i < together; i++)
        conn_again(&all[i]);
    run_until(n);
    report();
}

static void idle(size_t n)
{
    (void)open_all(n, TASK_ECHO);
    job.done = n;
    begin_clock();
    report();
    (void)poll(&(struct pollfd){.fd = STDIN_FILENO, .events = POLLIN}, 1, (int)(PATIENCE_S * 1000));
}

static void beside(size_t streams, size_t echoes, double s)
{
    struct conn *all = open_all(echoes, TASK_ECHO),
                *bulk = new_conns(streams, TASK_DOWN, on_once, UINT64_C(1) << 50);

    for (size_t i = 0; i < streams; i++)
        conn_start(&bulk[i]);
    for (double until = wire_now() + 0.5; wire_now() < until;)
        conn_turn(0.1);
    begin_clock();
    job.left = UINT64_MAX;
    for (size_t i = 0; i < echoes; i++)
        conn_again(&all[i]);
    for (double until = wire_now() + s; wire_now() < until;)
        conn_turn(0.1);
    report();
}

/* --- command line --------------------------------------------------------------------------------------- */

static uint64_t number(char **argv, int argc, int i)
{
    char *end;

    if (i >= argc)
        exit(2);
    uint64_t n = strtoull(argv[i], &end, 10);
    if (*end)
        exit(2);
    return n;
}

static enum how how_of(const char *text)
{
    static const char *const names[] = {"none", "socks5", "connect", "forward", "name", "names"};

    for (int i = 0; i <= BY_NAMES; i++)
        if (strcmp(text, names[i]) == 0)
            return (enum how)i;
    exit(2);
}

static void obey(const char *measure, uint64_t a, char **argv, int argc)
{
    if (strcmp(measure, "down") == 0)
        transfers(TASK_DOWN, a, number(argv, argc, 6));
    else if (strcmp(measure, "up") == 0)
        transfers(TASK_UP, a, number(argv, argc, 6));
    else if (strcmp(measure, "get") == 0)
        transfers(TASK_GET, a, number(argv, argc, 6));
    else if (strcmp(measure, "connect") == 0)
        connections(a, number(argv, argc, 6));
    else if (strcmp(measure, "echo") == 0)
        units(TASK_ECHO, a, number(argv, argc, 6));
    else if (strcmp(measure, "http") == 0)
        units(TASK_HTTP, a, number(argv, argc, 6));
    else if (strcmp(measure, "idle") == 0)
        idle(a);
    else if (strcmp(measure, "beside") == 0)
        beside(a, number(argv, argc, 6), (double)number(argv, argc, 7));
    else if (strcmp(measure, "udp") == 0)
        udp_measure(job.how != BY_NONE, a, number(argv, argc, 6), number(argv, argc, 7),
                    number(argv, argc, 8));
    else
        exit(2);
}

int main(int argc, char **argv)
{
    struct rlimit files;

    if (argc < 6)
        return 2;
    load.proxy = wire_place(argv[1]);
    job.how = how_of(argv[2]);
    load.origin = wire_place(argv[3]);
    load_begin();
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    job.latencies = malloc(LATENCIES_MAX * sizeof *job.latencies);
    if (!job.latencies)
        die("cannot start");
    obey(argv[4], number(argv, argc, 5), argv, argc);
    return 0;
}
