/* The cost of lists: reading one, its memory, a look-up, and how long a load that reads it blocks the
 * loop. bench_sets [NAMES] [LOOKUPS] Times are CPU time of this thread, the least and the median of the
 * rounds. */
#include "base/clock.h"
#include "policy/policy_internal.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 9, HOSTS = 50021 };

static const char POLICY[] = "return { name = 'sets', new = function(ctx)\n"
                             "local names = ctx.domains { file = 'names.txt' }\n"
                             "local ranges = ctx.cidrs { file = 'ranges.txt' }\n"
                             "return { pick = function(conn, uplinks)\n"
                             "if ctx.match(names, conn.host) then return uplinks[1], 'listed' end\n"
                             "return uplinks[1], 'not listed' end } end }\n";

struct bench {
    char dir[64];
    size_t names, lookups;
    struct uplink_set set;
    char hosts[HOSTS][64];
};

static double cpu_s(void)
{
    return clock_read_s(CLOCK_THREAD_CPUTIME_ID);
}

static void path_of(const struct bench *b, const char *name, char ret[static 128])
{
    (void)snprintf(ret, 128, "%s/%s", b->dir, name);
}

static FILE *create(const struct bench *b, const char *name)
{
    char path[128];
    path_of(b, name, path);
    FILE *f = fopen(path, "w");
    if (!f)
        abort();
    return f;
}

/* @param more  additional names, so that the file differs */
static void write_lists(const struct bench *b, int more)
{
    FILE *names = create(b, "names.txt"), *ranges = create(b, "ranges.txt");

    for (size_t i = 0; i < b->names; i++) {
        (void)fprintf(names, "host%zu.zone%zu.example\n", i, i % 9973);
        (void)fprintf(ranges, "%zu.%zu.%zu.%zu/31\n", 1 + i / 8388608 % 200, i / 32768 % 256, i / 128 % 256,
                      i % 128 * 2);
    }
    for (int i = 0; i < more; i++)
        (void)fprintf(names, "more%d.example\n", i);
    (void)fclose(names);
    (void)fclose(ranges);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void tell(const char *what, double rounds[static ROUNDS], const char *unit)
{
    qsort(rounds, ROUNDS, sizeof *rounds, by_value);
    (void)printf("%-44s %10.1f %10.1f %s\n", what, rounds[0], rounds[ROUNDS / 2], unit);
}

/* --- the sets themselves -------------------------------------------------------------------------------- */

static struct list_file *read_list(const struct bench *b, enum list_kind kind, const char *name)
{
    char path[128], err[LIST_FILE_ERROR_MAX];
    struct list_file *list;

    path_of(b, name, path);
    double began = cpu_s();
    if (list_file_read(&list, kind, path, NULL, err) < 0) {
        (void)fprintf(stderr, "bench_sets: %s\n", err);
        exit(1);
    }
    (void)printf("%s: %zu read in %.2f s of CPU time, %.1f bytes each\n", name, list_file_count(list),
                 cpu_s() - began, (double)list_file_bytes(list) / (double)list_file_count(list));
    return list;
}

/* Spread over the table, so that caches help no more than in use. */
static void fill_hosts(struct bench *b, const char *first)
{
    for (size_t i = 0; i < HOSTS; i++) {
        size_t n = i * (b->names / HOSTS + 1) % b->names;
        (void)snprintf(b->hosts[i], sizeof b->hosts[i], "%s%zu.zone%zu.example", first, n, n % 9973);
    }
}

static void look_up(const struct bench *b, const char *what, const struct list_file *list, bool expected)
{
    double ns[ROUNDS];

    for (size_t round = 0; round < ROUNDS; round++) {
        size_t found = 0;
        double began = cpu_s();
        for (size_t i = 0; i < b->lookups; i++) {
            const char *host = b->hosts[i % HOSTS];
            found += (size_t)(list->names ? name_set_match(list->names, host, strlen(host))
                                          : range_set_match(list->ranges, host, strlen(host)));
        }
        ns[round] = (cpu_s() - began) / (double)b->lookups * 1e9;
        if (found != (expected ? b->lookups : 0)) {
            (void)fprintf(stderr, "bench_sets: %s: %zu of %zu found\n", what, found, b->lookups);
            exit(1);
        }
    }
    tell(what, ns, "ns");
}

static void measure_sets(struct bench *b)
{
    struct list_file *names = read_list(b, LIST_NAMES, "names.txt");
    struct list_file *ranges = read_list(b, LIST_RANGES, "ranges.txt");

    fill_hosts(b, "host");
    look_up(b, "a name that is in the set", names, true);
    fill_hosts(b, "www.host");
    look_up(b, "a name below one that is in the set", names, true);
    fill_hosts(b, "www.absent");
    look_up(b, "a name that is not", names, false);
    for (size_t i = 0; i < HOSTS; i++)
        (void)snprintf(b->hosts[i], sizeof b->hosts[i], "250.0.%zu.%zu", i % 256, i / 256 % 256);
    look_up(b, "an address that is in no range", ranges, false);
    list_file_free(names);
    list_file_free(ranges);
}

/* --- in a policy ---------------------------------------------------------------------------------------- */

static void check(int r, const char *err)
{
    if (r == 0)
        return;
    (void)fprintf(stderr, "bench_sets: %s\n", err);
    exit(1);
}

static struct policy *load(struct bench *b)
{
    char file[128], err[POLICY_ERROR_MAX];
    FILE *f = create(b, "p.lua");
    struct policy *p;

    (void)fputs(POLICY, f);
    (void)fclose(f);
    path_of(b, "p.lua", file);
    const struct policy_options o = {.source = {.file = file},
                                     .lua_dir = STEERWAY_SOURCE_DIR "/lua",
                                     .uplinks = &b->set,
                                     .share_s = INFINITY,
                                     .seed = 1};
    check(policy_new(&p, &o, err), err);
    return p;
}

static void measure_picks(struct bench *b)
{
    struct policy *p = load(b);
    double ns[ROUNDS];

    for (size_t round = 0; round < ROUNDS; round++) {
        double began = cpu_s();
        for (size_t i = 0; i < b->lookups; i++) {
            const struct policy_conn conn = {.id = i + 1,
                                             .host = b->hosts[i % HOSTS],
                                             .port = 443,
                                             .client = "192.0.2.1",
                                             .listener = "127.0.0.1:1080",
                                             .attempt = 1};
            struct policy_choice choice;
            policy_pick(p, &conn, b->set.items, b->set.n, &choice);
        }
        ns[round] = (cpu_s() - began) / (double)b->lookups * 1e9;
    }
    tell("a pick that asks for the host", ns, "ns");
    policy_free(p);
}

/* The loop's own part of a load; a thread does the rest. */
static void measure_reloads(struct bench *b)
{
    struct policy *p = load(b);
    char err[POLICY_ERROR_MAX];
    double ms[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        int r;
        write_lists(b, i + 1);
        ms[i] = 0;
        policy_change_begin(p);
        do {
            double began = cpu_s();
            r = policy_change_step(p, NULL, err);
            if (r != -EAGAIN)
                policy_change_end(p);
            ms[i] = fmax(ms[i], (cpu_s() - began) * 1e3);
            if (r == -EAGAIN)
                policy_lists_read(p, NULL);
        } while (r == -EAGAIN);
        check(r, err);
    }
    tell("the loop's longest step of a load", ms, "ms");
    policy_free(p);
}

int main(int argc, char **argv)
{
    static struct bench b = {.dir = "/tmp/steerway-bench-XXXXXX"};
    static struct uplink uplink = {
        .view = {.weight = 1, .tier = 1, .id = 1, .up = true, .ipv4 = true, .quota_left = INFINITY},
        .name = "eth0",
        .interface = "eth0"};
    static const char *const files[] = {"names.txt", "ranges.txt", "p.lua"};

    b.names = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    b.lookups = argc > 2 ? strtoul(argv[2], NULL, 10) : 200000;
    if (b.names == 0 || b.lookups == 0 || argc > 3) {
        (void)fprintf(stderr, "usage: bench_sets [NAMES] [LOOKUPS]\n");
        return 2;
    }
    if (!mkdtemp(b.dir))
        abort();
    uplink_set_put(&b.set, &uplink);
    write_lists(&b, 0);
    measure_sets(&b);
    measure_picks(&b);
    measure_reloads(&b);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[128];
        path_of(&b, files[i], path);
        (void)unlink(path);
    }
    (void)rmdir(b.dir);
    return 0;
}
