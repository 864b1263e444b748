#include "confine/confine_rights.h"
#include "confine/confine_user.h"
#include "doctor/judge.h"
#include "uplink/uplink.h"

#include <stdio.h>
#include <string.h>

enum { FILES_MIN = 4096, FILES_ADVISED = 65536 };

static void judge_port(struct diagnosis *d, const struct sight_self *self, const struct listen_place *p)
{
    char text[LISTEN_TEXT_MAX];

    if (addr_port(&p->addr) == 0 || addr_port(&p->addr) >= self->first_port || self->may_bind)
        return;
    struct finding *f = diagnosis_find(d, SEVERITY_ERROR, "port-privileged", "", "it may not listen on %s",
                                       listen_place_text(p, text));
    diagnosis_why(f, "Ports below ip_unprivileged_port_start are for root. Or use another port (--port).");
    diagnosis_repair(f, "sysctl -w net.ipv4.ip_unprivileged_port_start=%u", (unsigned)addr_port(&p->addr));
    diagnosis_undo(f, "sysctl -w net.ipv4.ip_unprivileged_port_start=%ld", self->first_port);
}

/* An error only with --listen-strict or for the only address: other listeners serve. */
static void tell_absent_listener(struct diagnosis *d, const struct config *c, const struct listen_place *p,
                                 bool only)
{
    char text[LISTEN_TEXT_MAX];

    diagnosis_why(
        diagnosis_find(
            d, only || c->listen_strict ? SEVERITY_ERROR : SEVERITY_WARNING, "listen-address-missing", "",
            "it cannot listen on %s: this machine does not have the address", listen_place_text(p, text)),
        c->listen_strict
            ? "The start is refused (--listen-strict). steerway list shows this machine's addresses."
            : "No client can connect there until the machine has it. steerway list shows this machine's "
              "addresses.");
}

static void judge_listeners(struct diagnosis *d, const struct config *c, const struct sight_self *self,
                            const struct machine *m)
{
    const struct listen_place *places[CONFIG_PLACES_MAX];
    size_t n = config_places(c, places), len = 0;
    char all[FINDING_TEXT_MAX] = "", text[LISTEN_TEXT_MAX];

    for (size_t i = 0; i < n; i++) {
        judge_port(d, self, places[i]);
        if (listen_place_is_there(places[i], m) && len < sizeof all)
            len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", len > 0 ? ", " : "",
                                    listen_place_text(places[i], text));
    }
    for (size_t i = 0; i < n; i++)
        if (!listen_place_is_there(places[i], m))
            tell_absent_listener(d, c, places[i], len == 0);
    if (len > 0)
        diagnosis_fact(d, "", "listens on", "%s", all);
}

static void repair_rights(struct finding *f, const struct sight_self *self)
{
    if (!self->program[0])
        return;
    diagnosis_repair(f, "setcap cap_net_admin+ep %s", self->program);
    diagnosis_undo(f, "setcap -r %s", self->program);
}

static void judge_tproxy(struct diagnosis *d, const struct config *c, const struct sight_self *self)
{
    bool wanted = false;

    for (size_t i = 0; i < c->n_transparents; i++)
        wanted = wanted || c->transparents[i].tproxy;
    if (!wanted || self->may_administer)
        return;
    struct finding *f = diagnosis_find(d, SEVERITY_ERROR, "tproxy-not-permitted", "",
                                       "it may not take connections by tproxy");
    diagnosis_why(f, "--transparent tproxy needs root or CAP_NET_ADMIN; redirect needs neither.");
    repair_rights(f, self);
}

/* A limit in the notation of prlimit. */
static const char *limit_text(rlim_t limit, char out[24])
{
    if (limit == RLIM_INFINITY)
        return "unlimited";
    (void)snprintf(out, 24, "%llu", (unsigned long long)limit);
    return out;
}

static void judge_files(struct diagnosis *d, const struct sight_self *self)
{
    char soft[24], hard[24];

    if (self->files.rlim_max >= FILES_MIN)
        return;
    struct finding *f =
        diagnosis_find(d, SEVERITY_WARNING, "files-few", "", "it may have %llu files open at most",
                       (unsigned long long)self->files.rlim_max);
    diagnosis_why(
        f, "A connection takes two, and a torrent opens many. Run the command as root for the shell that "
           "starts the program; LimitNOFILE= does the same for a unit of systemd.");
    diagnosis_repair(f, "prlimit --pid $$ --nofile=%d:%d", FILES_ADVISED, FILES_ADVISED);
    diagnosis_undo(f, "prlimit --pid $$ --nofile=%s:%s", limit_text(self->files.rlim_cur, soft),
                   limit_text(self->files.rlim_max, hard));
}

void judge_mark(struct diagnosis *d, const struct sight_self *self, const struct uplink *u)
{
    if (u->way.mark == 0 || self->may_administer)
        return;
    struct finding *f =
        diagnosis_find(d, SEVERITY_ERROR, "mark-not-permitted", u->name, "its packets may not be marked");
    diagnosis_why(f, "gateway and mark need root or CAP_NET_ADMIN. The program's file can have it, or a unit "
                     "of systemd (AmbientCapabilities=).");
    repair_rights(f, self);
}

void judge_policy(struct diagnosis *d, const char *why)
{
    diagnosis_why(
        diagnosis_find(d, SEVERITY_ERROR, "policy-refused", "", "the policy is refused: %.280s", why),
        "steerway start refuses this policy. Test it with steerway check.");
}

static void judge_user(struct diagnosis *d, const struct config *c)
{
    char why[CONFIG_ERROR_MAX], rights[CONFINE_RIGHTS_TEXT_MAX];
    struct confine_user user;

    if (!c->run_as)
        return;
    if (confine_user_find(&user, c->run_as, why) == 0)
        return diagnosis_fact(d, "", "runs as", "%s, rights kept: %s", c->run_as,
                              confine_rights_text(confine_rights_needed(c), rights));
    diagnosis_why(
        diagnosis_find(d, SEVERITY_ERROR, "user-unknown", "", "it cannot run as this user: %.280s", why),
        "--run-as names a user of this machine. steerway start refuses another one.");
}

void judge_machine(struct diagnosis *d, const struct sight_self *self, const struct config *c,
                   const struct machine *m)
{
    judge_listeners(d, c, self, m);
    judge_user(d, c);
    judge_tproxy(d, c, self);
    judge_files(d, self);
    diagnosis_fact(d, "", "rights", "%s",
                   self->root             ? "root"
                   : self->may_administer ? "CAP_NET_ADMIN"
                                          : "a user's, which are enough");
}
