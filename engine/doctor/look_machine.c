#include "doctor/look.h"

#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { FILES_MIN = 4096, CAP_BIND = 10, CAP_ADMIN = 12 }; /* linux/capability.h */

static long read_number(const char *path, long otherwise)
{
    FILE *f = fopen(path, "re");
    long n = otherwise;

    if (f && fscanf(f, "%ld", &n) != 1)
        n = otherwise;
    if (f)
        (void)fclose(f);
    return n;
}

/* Of this process, which the proxy would have as well. */
static bool has_capability(int number)
{
    char line[128];
    unsigned long long effective = 0;
    FILE *f = fopen("/proc/self/status", "re");

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "CapEff: %llx", &effective) == 1)
            break;
    if (f)
        (void)fclose(f);
    return effective >> number & 1;
}

static void look_at_port(struct diagnosis *r, const struct addr *a)
{
    static const char path[] = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    long first = read_number(path, 1024);
    char text[ADDR_TEXT_MAX];

    if (addr_port(a) == 0 || addr_port(a) >= first || has_capability(CAP_BIND))
        return;
    struct finding *f = diagnosis_find(r, SEVERITY_ERROR, "port-privileged", "", "it may not listen on %s",
                                       addr_format(a, text));
    diagnosis_why(
        f, "Ports below ip_unprivileged_port_start are for root. Another port (--port) needs no repair.");
    diagnosis_repair(f, "sysctl -w net.ipv4.ip_unprivileged_port_start=%u", (unsigned)addr_port(a));
    diagnosis_undo(f, "sysctl -w net.ipv4.ip_unprivileged_port_start=%ld", first);
}

static void look_at_listeners(struct diagnosis *r, const struct config *c, const struct machine *m)
{
    for (size_t i = 0; i < c->n_listen; i++) {
        const struct machine_link *link = machine_link_of_addr(m, &c->listen[i]);
        char text[ADDR_TEXT_MAX];
        look_at_port(r, &c->listen[i]);
        if (addr_is_loopback(&c->listen[i]) || (link && link->up))
            diagnosis_fact(r, "", "listens on", "%s", addr_format(&c->listen[i], text));
        else
            diagnosis_why(diagnosis_find(r, SEVERITY_ERROR, "listen-address-missing", "",
                                         "it cannot listen on %s: this machine does not have the address",
                                         addr_format(&c->listen[i], text)),
                          "The start would fail. steerway list shows the addresses there are.");
    }
}

static void look_at_files(struct diagnosis *r)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max >= FILES_MIN)
        return;
    diagnosis_why(diagnosis_find(r, SEVERITY_WARNING, "files-few", "", "it may have %llu files open at most",
                                 (unsigned long long)limit.rlim_max),
                  "A connection takes two: a torrent's are many. Raise it where the program is started "
                  "(LimitNOFILE= of systemd, ulimit -n).");
}

static void look_at_marks(struct diagnosis *r, const struct uplink_set *set)
{
    for (size_t i = 0; i < set->n; i++) {
        const struct uplink *u = set->items[i];
        if (u->mark == 0 || has_capability(CAP_ADMIN))
            continue;
        diagnosis_why(
            diagnosis_find(r, SEVERITY_ERROR, "mark-not-permitted", u->name, "its packets may not be marked"),
            "gateway and mark need root, or CAP_NET_ADMIN (AmbientCapabilities= of systemd).");
    }
}

void look_at_machine(struct diagnosis *r, const struct config *c, const struct uplink_set *set,
                     const struct machine *m)
{
    look_at_listeners(r, c, m);
    look_at_files(r);
    look_at_marks(r, set);
    diagnosis_fact(r, "", "rights", "%s",
                   geteuid() == 0              ? "root"
                   : has_capability(CAP_ADMIN) ? "CAP_NET_ADMIN"
                                               : "a user's, which are enough");
}
