#include "doctor/try.h"

#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The trial of one uplink. */
struct trial {
    struct diagnosis *report;
    const struct uplink *uplink;
    const struct try_options *options;
    struct ev_loop *loop;
    size_t target;
    struct checks_targets targets; /* the uplink's own targets, or the common ones */
    struct probe internet, large, address;
    bool large_lost;
    char seen[64];     /* the public address; "" for unknown */
    bool reached;      /* the internet answers */
    bool named, asked; /* its name servers have answered; they were asked at all */
};

/* --- name servers --------------------------------------------------------------------------------------- */

static void note_names(struct trial *t, const struct probe *p, const struct probe_result *result)
{
    const struct parent_spec *parent = t->uplink->parent;
    struct addr literal;

    /* A parent proxy resolves the names behind it. */
    if (parent ? addr_parse_ip(&literal, slice_str(parent->host), 0) == 0 : p->target.to.kind != TARGET_NAME)
        return;
    t->asked = true;
    t->named = t->named || (result->named && result->fault != FAULT_DNS);
}

static void tell_names(struct trial *t)
{
    char servers[DNS_SERVERS_TEXT_MAX];

    (void)dns_servers_format(resolver_servers(t->uplink->names.resolver), servers);
    if (t->named || !t->asked)
        return diagnosis_fact(t->report, t->uplink->name, "name servers", "%s%s", servers,
                              t->named ? "" : " (not asked)");
    diagnosis_why(diagnosis_find(t->report, SEVERITY_ERROR, "names-dead", t->uplink->name,
                                 "its name servers do not answer: %s", servers),
                  "Names cannot be resolved by it. Name others: --dns SERVER, or dns = \"SERVER\" in its "
                  "table of the config file.");
}

/* --- the internet --------------------------------------------------------------------------------------- */

static void tell_unreached(struct trial *t, const struct probe_result *result)
{
    char text[PARENT_TEXT_MAX];

    if (result->fault == FAULT_NAME && !t->uplink->parent) {
        diagnosis_why(
            diagnosis_find(t->report, SEVERITY_NOTE, "targets-foreign", t->uplink->name,
                           "no target of the checks has an address that it can reach"),
            "It is not known whether the internet answers. The line needs a target of its own family: "
            "--check, or check = ... in its table of the config file.");
        return;
    }
    if (result->fault == FAULT_DNS)
        return; /* tell_names reports it */
    if (result->fault == FAULT_PARENT || (t->uplink->parent && result->fault == FAULT_NAME)) {
        diagnosis_why(
            diagnosis_find(t->report, SEVERITY_ERROR, "upstream-dead", t->uplink->name,
                           "its parent proxy %s does not forward connections",
                           parent_spec_format(t->uplink->parent, text)),
            "No program listens there, or it ends the connection, wants another user or password, or "
            "speaks another protocol.");
        return;
    }
    diagnosis_why(diagnosis_find(t->report, SEVERITY_ERROR, "internet-unreached", t->uplink->name,
                                 "nothing on the internet answers (%s)", fault_name(result->fault)),
                  "The link is up, but packets get lost behind it. Look at the line, the modem and the "
                  "provider.");
}

static void tell_captive(struct trial *t, const struct probe_result *result)
{
    char page[128];

    if (result->location.len == 0)
        (void)snprintf(page, sizeof page, "status %d", result->status);
    else
        (void)snprintf(page, sizeof page, "status %d, to %.*s", result->status,
                       (int)(result->location.len < 96 ? result->location.len : 96), result->location.data);
    diagnosis_why(
        diagnosis_find(t->report, SEVERITY_ERROR, "captive-portal", t->uplink->name,
                       "a captive portal answers in place of the internet (%s)", page),
        "Open any page by this link in a browser and log in; until then it carries nothing but the portal.");
}

static void next_target(struct trial *t, const struct probe_result *result);

static void trial_ask(struct trial *t, struct probe *p, bool large, probe_done_fn *done)
{
    probe_start(p, t->loop,
                &(struct probe_request){.target = &t->targets.items[t->target],
                                        .egress = &t->uplink->egress,
                                        .resolver = t->uplink->names.resolver,
                                        .parent = t->uplink->parent,
                                        .timeout_s = t->options->timeout_s / (double)t->targets.n,
                                        .large = large},
                done);
}

/* Only sent after a small request was answered. */
static void on_large(struct probe *p, const struct probe_result *result)
{
    struct trial *t = container_of(p, struct trial, large);

    t->large_lost = result->fault == FAULT_TIMEOUT;
}

static void on_internet(struct probe *p, const struct probe_result *result)
{
    struct trial *t = container_of(p, struct trial, internet);
    bool http = p->target.path[0] != '\0';

    note_names(t, p, result);
    if (result->fault == FAULT_NONE && http && result->status != 204 && result->status != 0)
        return tell_captive(t, result);
    if ((result->fault == FAULT_NONE && (!http || result->status == 204)) || result->fault == FAULT_REFUSED) {
        t->reached = true;
        diagnosis_fact(t->report, t->uplink->name, "internet", "answers in %.0f ms", result->connect_s * 1e3);
        if (http && result->fault == FAULT_NONE)
            trial_ask(t, &t->large, true, on_large);
        return;
    }
    next_target(t, result);
}

static void trial_begin(struct trial *t)
{
    trial_ask(t, &t->internet, false, on_internet);
}

static void next_target(struct trial *t, const struct probe_result *result)
{
    if (++t->target < t->targets.n)
        return trial_begin(t);
    tell_unreached(t, result);
}

/* --- the public address --------------------------------------------------------------------------------- */

/* Accept a body that is one address with blanks around it, and nothing else. */
static void take_address(struct trial *t, struct slice body)
{
    struct addr a;
    char text[ADDR_TEXT_MAX];

    while (body.len > 0 && strchr(" \r\n\t", body.data[body.len - 1]))
        body.len--;
    if (body.len == 0 || body.len >= sizeof t->seen || addr_parse_ip(&a, body, 0) < 0)
        return;
    (void)snprintf(t->seen, sizeof t->seen, "%s", addr_format_ip(&a, text));
    diagnosis_fact(t->report, t->uplink->name, "public address", "%s", t->seen);
}

static void on_address(struct probe *p, const struct probe_result *result)
{
    struct trial *t = container_of(p, struct trial, address);

    note_names(t, p, result);
    if (result->fault == FAULT_NONE && result->status == 200)
        take_address(t, result->body);
}

/* Reported only when all else is well. The service itself may be down, which is not the line's fault. */
static void tell_unseen(struct trial *t)
{
    char url[PROBE_TARGET_TEXT_MAX];

    if (!t->address.loop || t->seen[0] || !diagnosis_is_well(t->report, t->uplink->name))
        return;
    diagnosis_why(diagnosis_find(t->report, SEVERITY_NOTE, "public-address-unknown", t->uplink->name,
                                 "%s did not answer with an address",
                                 probe_target_format(t->options->public_address, url)),
                  "It cannot show whether two uplinks are one line. Name another service: "
                  "--public-address URL.");
}

/* --- all of them ---------------------------------------------------------------------------------------- */

/* The public address is not asked for either where the user has switched the checks off. */
static void start(struct trial *t)
{
    bool spared = t->targets.n == 0 && t->options->targets->n > 0;

    if (spared)
        diagnosis_fact(t->report, t->uplink->name, "internet", "not asked: metered, or check = \"none\"");
    if (t->targets.n > 0)
        trial_begin(t);
    if (t->options->public_address && !spared)
        probe_start(&t->address, t->loop,
                    &(struct probe_request){.target = t->options->public_address,
                                            .egress = &t->uplink->egress,
                                            .resolver = t->uplink->names.resolver,
                                            .parent = t->uplink->parent,
                                            .timeout_s = t->options->timeout_s},
                    on_address);
}

static void compare_addresses(struct diagnosis *r, const struct trial *trials, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (trials[i].seen[0] && strcmp(trials[i].seen, trials[k].seen) == 0)
                diagnosis_why(
                    diagnosis_find(r, SEVERITY_NOTE, "same-public-address", trials[i].uplink->name,
                                   "the internet sees it as %s, and so it sees %s", trials[i].seen,
                                   trials[k].uplink->name),
                    "Both may be one line. Two lines of a provider that shares addresses among customers "
                    "look the same.");
}

static bool is_to_be_tried(const struct diagnosis *d, const struct uplink *u)
{
    return u->view.up && diagnosis_is_well(d, u->name);
}

int try_uplinks(struct diagnosis *r, const struct uplink_set *set, struct ev_loop *loop,
                const struct try_options *options, struct try_outcome ret[UPLINK_MAX])
{
    struct trial *trials = calloc(set->n + 1, sizeof *trials);
    size_t n = 0;
    int err = trials ? 0 : -ENOMEM;

    for (size_t i = 0; err == 0 && i < set->n; i++) {
        struct trial *t = &trials[n];
        if (!is_to_be_tried(r, set->items[i]))
            continue;
        *t = (struct trial){.report = r, .uplink = set->items[i], .options = options, .loop = loop};
        err = checks_targets_for(&t->targets, t->uplink, options->targets);
        n++;
    }
    for (size_t i = 0; err == 0 && i < n; i++)
        start(&trials[i]);
    if (err == 0)
        ev_run(loop, 0); /* until the last probe has ended; each has a timeout */
    for (size_t i = 0; err == 0 && i < n; i++) {
        struct trial *t = &trials[i];
        tell_names(t);
        tell_unseen(t);
        struct try_outcome *o = &ret[t->uplink->view.id - 1];
        *o = (struct try_outcome){.unreached = t->targets.n > 0 && !t->reached, .large_lost = t->large_lost};
        (void)snprintf(o->seen, sizeof o->seen, "%s", t->seen);
    }
    if (err == 0)
        compare_addresses(r, trials, n);
    free(trials);
    return err;
}
