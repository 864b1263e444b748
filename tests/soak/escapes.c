/* A policy whose VM is abandoned repeatedly, in every way, and loaded again each time. soak_escapes
 * [ABANDONMENTS] Each time the next VM must pick well, compile, and have an endless loop stopped. The
 * process, its mappings, its pages of machine code and its descriptors must not grow. */
#include "soak/soak.h"

#include "base/clock.h"
#include "cage/luajit_edge.h"
#include "policy/astray.h"

#include <dirent.h>
#include <math.h>

enum { GROWTH_MAX_KIB = 2048, GOOD_BETWEEN = 100, LOOP_EVERY = 16, TOOK_MAX_MS = 250 };
/* Short, so that ten thousand take minutes: each call is left after eight times this. */
static const double BUDGET_S = 0.004;

static const char POLICY[] =
    "local n, t = 0, {}\n"
    "return { name = 'astray', new = function(ctx) return { pick = function(conn, uplinks)\n"
    "if conn.port == 666 then while true do n = n + 1 t[n % 8] = n end end\n"
    "for i = 1, 10 do n = n + i end return uplinks[#uplinks], 'well' end } end }\n";

struct soak {
    struct soak_uplinks room;
    struct policy *policy;
    size_t round;
};

struct use {
    long resident_kib;
    unsigned areas, maps, descriptors;
};

static void die(const struct soak *s, const char *what, const char *more)
{
    (void)printf("soak_escapes: abandonment %zu (%s): %s: %s\n", s->round,
                 astray_ways[s->round % ARRAY_LEN(astray_ways)].name, what, more);
    exit(1);
}

static unsigned count_lines(const char *path)
{
    FILE *f = fopen(path, "r");
    unsigned n = 0;

    if (!f)
        abort();
    for (int c = getc(f); c != EOF; c = getc(f))
        n += c == '\n';
    (void)fclose(f);
    return n;
}

static struct use use_now(void)
{
    struct use u = {.areas = luajit_edge_areas(),
                    .maps = count_lines("/proc/self/maps"),
                    .resident_kib = soak_resident_kib()};
    DIR *d = opendir("/proc/self/fd");

    if (!d)
        abort();
    while (readdir(d))
        u.descriptors++;
    (void)closedir(d);
    return u;
}

static struct policy_choice pick(struct soak *s, uint16_t port)
{
    static uint64_t id;
    const struct policy_conn conn = soak_conn(++id, port);
    struct policy_choice choice;

    policy_pick(s->policy, &conn, s->room.set.items, s->room.set.n, &choice);
    return choice;
}

static void go_once(struct soak *s)
{
    char err[POLICY_ERROR_MAX];
    double began;

    for (int i = 0; i < GOOD_BETWEEN; i++)
        if (pick(s, 443).by_default)
            die(s, "a good pick failed", "");
    if (s->round % LOOP_EVERY == 0) {
        began = clock_read_s(CLOCK_THREAD_CPUTIME_ID);
        if (!pick(s, 666).by_default)
            die(s, "an endless loop came back", "");
        if ((clock_read_s(CLOCK_THREAD_CPUTIME_ID) - began) * 1e3 > TOOK_MAX_MS ||
            policy_info(s->policy).quarantined)
            die(s, "an endless loop was stopped late", "");
    }
    astray_go(s->policy, astray_ways[s->round % ARRAY_LEN(astray_ways)].way);
    began = clock_read_s(CLOCK_THREAD_CPUTIME_ID);
    struct policy_choice choice = pick(s, 443);
    if (!choice.by_default || !policy_info(s->policy).quarantined)
        die(s, "was not abandoned", choice.reason);
    if ((clock_read_s(CLOCK_THREAD_CPUTIME_ID) - began) * 1e3 > TOOK_MAX_MS)
        die(s, "was abandoned late", "");
    if (policy_reload(s->policy, err) < 0)
        die(s, "is not reloaded", err);
}

static void load(struct soak *s, const char *path)
{
    char err[POLICY_ERROR_MAX];
    const struct policy_options o = soak_options(&s->room, path, BUDGET_S);

    soak_write(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), POLICY, sizeof POLICY - 1);
    if (policy_new(&s->policy, &o, err) < 0)
        die(s, "the policy does not load", err);
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000, warm = rounds / 5;
    struct soak s = {.round = 0};
    struct use before = {0};
    char dir[] = "/tmp/steerway-soak-XXXXXX", path[64];

    soak_uplinks_init(&s.room);
    if (!mkdtemp(dir))
        abort();
    (void)snprintf(path, sizeof path, "%s/p.lua", dir);
    load(&s, path);
    soak_log_nothing();
    double began = clock_now_s();
    for (; s.round < rounds; s.round++) {
        if (s.round == warm)
            before = use_now();
        go_once(&s);
    }
    struct use after = use_now();
    (void)printf("%zu VMs abandoned in %.0f s; since the first fifth: %+ld KiB, mappings %u to %u, areas of "
                 "machine code "
                 "%u to %u, descriptors %u to %u\n",
                 rounds, clock_now_s() - began, after.resident_kib - before.resident_kib, before.maps,
                 after.maps, before.areas, after.areas, before.descriptors, after.descriptors);
    if (after.resident_kib - before.resident_kib > GROWTH_MAX_KIB || after.maps > before.maps + 4 ||
        after.areas > before.areas + 8 || after.descriptors != before.descriptors)
        die(&s, "something leaks", "");
    policy_free(s.policy);
    (void)unlink(path);
    (void)rmdir(dir);
    return luajit_edge_areas() == 0 ? 0 : 1;
}
