#include "doctor/judge.h"

#include <stdio.h>

enum { OPTIONS_MAX = 200 };

static bool is_whole(const struct capture_sight *s)
{
    return s->n_steps == s->record.steps.n && (!s->table_seen || s->table.ours > 0);
}

/* What began it, to begin it again. */
static void name_command(const struct capture_sight *s, char out[COMMAND_TEXT_MAX])
{
    char options[OPTIONS_MAX];

    (void)snprintf(out, COMMAND_TEXT_MAX, "steerway capture on%s",
                   capture_request_options(&s->record.request, options, sizeof options));
}

static void judge_stale(struct diagnosis *d, const struct capture_sight *s)
{
    char again[COMMAND_TEXT_MAX];
    bool stopped = s->table.ours > 0;
    struct finding *f = diagnosis_find(
        d, SEVERITY_WARNING, "capture-stale", "",
        stopped ? "captured traffic is stopped: the proxy that it leads to is gone"
                : "rules of steerway capture are left, and the proxy that they lead to is gone");

    diagnosis_why(
        f, stopped ? "It was captured with --when-gone stop. Start the proxy again with the same listeners, "
                     "or end the capture."
                   : "Traffic flows past. Start the proxy and capture again, or remove the rules.");
    diagnosis_repair(f, "steerway capture off");
    if (!s->record.known)
        return;
    name_command(s, again);
    diagnosis_undo(f, "%s", again);
}

static void judge_incomplete(struct diagnosis *d, const struct capture_sight *s)
{
    char again[COMMAND_TEXT_MAX];
    struct finding *f = diagnosis_find(d, SEVERITY_WARNING, "capture-incomplete", "",
                                       "traffic is not captured, although steerway capture on has begun it");

    diagnosis_why(
        f, "The proxy was restarted since then, or another program has removed rules, such as nft flush "
           "ruleset.");
    name_command(s, again);
    diagnosis_repair(f, "%s", again);
    diagnosis_undo(f, "steerway capture off");
}

/* As where another program has put something into the table, or the listener's address has gone. */
static void judge_misled(struct diagnosis *d, const struct capture_sight *s)
{
    char command[COMMAND_TEXT_MAX], why[FINDING_TEXT_MAX];
    struct finding *f =
        diagnosis_find(d, SEVERITY_WARNING, "capture-misled", "",
                       "captured traffic is led to %s, where the proxy does not listen", s->unheard);

    (void)snprintf(why, sizeof why, "No captured connection gets through. %s%.200s",
                   s->told[0] ? "The proxy corrects the rules once it can. It says: "
                              : "The proxy corrects the rules within a minute.",
                   s->told);
    diagnosis_why(f, why);
    name_command(s, command);
    if (s->n_listeners == 0) {
        diagnosis_repair(f, "steerway capture off");
        return diagnosis_undo(f, "%s", command);
    }
    diagnosis_repair(f, "%s", command);
    diagnosis_undo(f, "steerway capture off");
}

static void judge_outdated(struct diagnosis *d, const struct capture_sight *s, bool proxy)
{
    char again[COMMAND_TEXT_MAX];
    struct finding *f =
        s->missing[0]
            ? diagnosis_find(d, SEVERITY_WARNING, "capture-outdated", "",
                             "the capture does not know the network %s of this machine", s->missing)
            : diagnosis_find(d, SEVERITY_WARNING, "capture-outdated", "",
                             "the capture leaves the network %s alone, which this machine has no more",
                             s->former);

    if (!proxy) {
        if (s->record.known)
            name_command(s, again);
        diagnosis_why(
            f, "The networks have changed while the proxy is gone. A new network cannot be reached, and what "
               "goes to a former one is not stopped. The proxy corrects that when it starts; without it, "
               "end the capture.");
        diagnosis_repair(f, "steerway capture off");
        if (s->record.known)
            diagnosis_undo(f, "%s", again);
        return;
    }
    diagnosis_why(
        f, "What goes to a new network is captured, and what goes to a former one flows past the proxy. The "
           "proxy's log says why it has not corrected that.");
    name_command(s, again);
    diagnosis_repair(f, "%s", again);
    diagnosis_undo(f, "steerway capture off");
}

void judge_capture(struct diagnosis *d, const struct capture_sight *s, bool proxy)
{
    bool any = s->n_steps > 0 || s->n_unknown > 0 || s->table.ours > 0;

    if (any && !proxy)
        judge_stale(d, s);
    else if (s->record.known && proxy && !is_whole(s))
        judge_incomplete(d, s);
    else if (s->record.known && proxy && s->unheard[0])
        judge_misled(d, s);
    else if (s->record.known && proxy)
        diagnosis_fact(d, "", "capture", "on");
    if (s->missing[0] || s->former[0])
        judge_outdated(d, s, proxy);
}
