/* The cost of a pick in the engine, including the calls into Lua, and of a reload. bench_policy [PICKS]
 * [UPLINKS] [FILE...] For each shipped policy, or each FILE: the least and the median of the rounds, in ns
 * a pick, and the bytes by which a pick makes the Lua heap grow without garbage collection. Also a policy
 * that does nothing, which shows the cost of the call, and one without an opinion, which adds the built-in
 * default's. */
#include "base/clock.h"
#include "policy/policy_internal.h"
#include "uplink/uplink.h"
#include "uplink/uplink_lease.h"
#include "uplink/uplink_set.h"

#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 9, UPLINKS = 4, LIVE = 64, CLIENTS = 16, HOSTS = 97, RELOADS = 50 };

struct bench {
    struct uplink_set set;
    struct uplink_lease live[LIVE]; /* the latest picks: the oldest ends when another comes */
    size_t picks, next;
};

static void add_uplink(struct uplink_set *set)
{
    struct uplink *u = calloc(1, sizeof *u);
    if (!u)
        abort();
    u->view = (struct uplink_view){.weight = 1 + (double)set->n,
                                   .tier = 1,
                                   .id = (int32_t)set->n + 1,
                                   .up = true,
                                   .ipv4 = true,
                                   .quota_left = INFINITY};
    (void)snprintf(u->name, sizeof u->name, "eth%zu", set->n);
    (void)snprintf(u->interface, sizeof u->interface, "eth%zu", set->n);
    uplink_set_put(set, u);
}

static double round_of(struct bench *b, struct policy *p)
{
    char hosts[HOSTS][32], clients[CLIENTS][24];

    for (int i = 0; i < HOSTS; i++)
        (void)snprintf(hosts[i], sizeof hosts[i], "www%d.example%d.org", i % 7, i);
    for (int i = 0; i < CLIENTS; i++)
        (void)snprintf(clients[i], sizeof clients[i], "192.168.1.%d", 10 + i);
    double began = clock_now_s();
    for (size_t i = 0; i < b->picks; i++) {
        const struct policy_conn conn = {.id = i + 1,
                                         .host = hosts[i % HOSTS],
                                         .port = 443,
                                         .proto = POLICY_SOCKS5,
                                         .client = clients[i % CLIENTS],
                                         .listener = "127.0.0.1:1080",
                                         .attempt = 1};
        struct policy_choice choice;
        policy_pick(p, &conn, b->set.items, b->set.n, &choice);
        uplink_release(&b->live[b->next]);
        uplink_acquire(&b->live[b->next], choice.order[0]);
        b->next = (b->next + 1) % LIVE;
        policy_forget(p, conn.id);
    }
    return (clock_now_s() - began) / (double)b->picks * 1e9;
}

/* Hosts and clients repeat, so that caches are filled by now. */
static double bytes_of(struct bench *b, struct policy *p)
{
    struct vm *vm = p->script->vm;

    (void)lua_gc(vm->L, LUA_GCSTOP, 0);
    size_t before = vm->used;
    (void)round_of(b, p);
    double grown = (double)vm->used - (double)before;
    (void)lua_gc(vm->L, LUA_GCRESTART, 0);
    return grown / (double)b->picks;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double time_reloads(struct policy *p)
{
    char err[POLICY_ERROR_MAX];
    double took[RELOADS];

    for (int i = 0; i < RELOADS; i++) {
        double began = clock_now_s();
        if (policy_reload(p, err) < 0) {
            (void)fprintf(stderr, "bench_policy: %s\n", err);
            exit(1);
        }
        took[i] = clock_now_s() - began;
    }
    qsort(took, RELOADS, sizeof *took, by_value);
    return took[RELOADS / 2];
}

static void measure(struct bench *b, const char *file, const char *label)
{
    const struct policy_options o = {.source = {.file = file},
                                     .lua_dir = STEERWAY_SOURCE_DIR "/lua",
                                     .uplinks = &b->set,
                                     .share_s = INFINITY,
                                     .seed = 1};
    char err[POLICY_ERROR_MAX];
    struct policy *p;
    double ns[ROUNDS];

    if (policy_new(&p, &o, err) < 0) {
        (void)fprintf(stderr, "bench_policy: %s\n", err);
        exit(1);
    }
    for (int i = 0; i < ROUNDS; i++)
        ns[i] = round_of(b, p);
    qsort(ns, ROUNDS, sizeof *ns, by_value);
    struct policy_info info = policy_info(p);
    char name[64];
    (void)snprintf(name, sizeof name, "%s", label ? label : info.name);
    double bytes = bytes_of(b, p), reload_s = time_reloads(p);
    (void)printf("%-20s %8.0f %8.0f %8.1f %10.2f %10zu\n", name, ns[0], ns[ROUNDS / 2], bytes, reload_s * 1e3,
                 info.memory / 1024);
    if (info.errors > 0) {
        (void)fprintf(stderr, "bench_policy: %s failed %llu times\n", file, (unsigned long long)info.errors);
        exit(1);
    }
    policy_free(p);
    for (int i = 0; i < LIVE; i++)
        uplink_release(&b->live[i]);
}

static void measure_text(struct bench *b, const char *label, const char *pick)
{
    char path[] = "/tmp/steerway-bench-XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

    if (!f)
        abort();
    (void)fprintf(
        f, "return { name = 'p', new = function() return { pick = function(_, uplinks) %s end } end }\n",
        pick);
    (void)fclose(f);
    measure(b, path, label);
    (void)unlink(path);
}

int main(int argc, char **argv)
{
    struct bench b = {.picks = argc > 1 ? strtoul(argv[1], NULL, 10) : 200000};
    size_t uplinks = argc > 2 ? strtoul(argv[2], NULL, 10) : UPLINKS;

    if (b.picks == 0 || uplinks == 0 || uplinks > UPLINK_MAX) {
        (void)fprintf(stderr, "usage: bench_policy [PICKS] [UPLINKS] [FILE...]\n");
        return 2;
    }
    for (size_t i = 0; i < uplinks; i++)
        add_uplink(&b.set);
    (void)printf("%zu uplinks, %d rounds of %zu picks\n%-20s %8s %8s %8s %10s %10s\n", uplinks, ROUNDS,
                 b.picks, "policy", "least ns", "median", "bytes", "reload ms", "heap KiB");
    if (argc > 3) {
        for (int i = 3; i < argc; i++)
            measure(&b, argv[i], NULL);
    } else {
        glob_t found;
        measure_text(&b, "(does nothing)", "return uplinks[1]");
        measure_text(&b, "(no opinion)", "");
        if (glob(STEERWAY_SOURCE_DIR "/policies/*.lua", 0, NULL, &found) != 0)
            abort();
        for (size_t i = 0; i < found.gl_pathc; i++)
            measure(&b, found.gl_pathv[i], NULL);
        globfree(&found);
    }
    for (size_t i = 0; i < b.set.n; i++)
        free(b.set.items[i]);
    return 0;
}
