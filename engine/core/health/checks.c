#include "health/checks.h"

#include "base/clock.h"
#include "health/health_note.h"
#include "uplink/uplink.h"
#include "uplink/uplink_health.h"
#include "uplink/uplink_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const double TIMEOUT_S = 5;

/* The check of one family of an uplink. A parent proxy has one check, since it serves both families. */
struct check {
    struct checks *all;
    struct uplink *uplink;
    int family;
    size_t next;     /* index of the next target */
    size_t untold;   /* results in a row that say nothing: the targets have no address of the family */
    double received; /* bytes received at the last look */
    ev_timer timer;
    struct probe probe;
};

/* The checks of one uplink. */
struct checks_of {
    struct check items[2];
    size_t n;
    struct checks_targets targets;
};

struct checks {
    struct checks_options options;
    struct checks_targets common;     /* options.targets, for uplinks without their own */
    struct checks_of *of[UPLINK_MAX]; /* by the uplink's id - 1; NULL for none */
};

/* --- targets -------------------------------------------------------------------------------------------- */

int checks_targets_parse(struct checks_targets *ret, const char *text)
{
    struct checks_targets t = {.n = 0};
    bool none = strcmp(text, "none") == 0;

    for (const char *at = none ? NULL : text; at;) {
        const char *comma = strchr(at, ',');
        if (t.n == CHECKS_TARGETS_MAX)
            return -E2BIG;
        if (probe_target_parse(&t.items[t.n++], slice_of(at, comma ? (size_t)(comma - at) : strlen(at))) !=
            PARSE_OK)
            return -EINVAL;
        at = comma ? comma + 1 : NULL;
    }
    *ret = t;
    return 0;
}

int checks_targets_for(struct checks_targets *ret, const struct uplink *u,
                       const struct checks_targets *common)
{
    if (u->check)
        return checks_targets_parse(ret, u->check);
    *ret = uplink_is_metered(u) ? (struct checks_targets){.n = 0} : *common;
    return 0;
}

/* --- one check ------------------------------------------------------------------------------------------ */

static void restart_timer(struct check *c, double s)
{
    struct ev_loop *loop = c->all->options.loop;

    ev_now_update(loop);
    ev_timer_stop(loop, &c->timer);
    ev_timer_set(&c->timer, s, 0.);
    ev_timer_start(loop, &c->timer);
}

/* With literal addresses, or where a name has one family only, the other family cannot be checked. */
static bool can_tell(const struct check *c)
{
    return c->untold < c->all->of[c->uplink->view.id - 1]->targets.n;
}

/* Check often until the uplink is known to be well. */
static void wait_for_next(struct check *c)
{
    struct health *h = uplink_health(c->uplink, c->family);
    bool well = h->silences == 0 && !h->captive;

    h->checked = can_tell(c);
    c->received = uplink_received(c->uplink, c->family);
    restart_timer(c, well ? c->all->options.interval_s : HEALTH_RETRY_S);
}

static void log_news(const struct check *c, enum log_event event)
{
    health_log(event, c->uplink, c->uplink->parent ? AF_UNSPEC : c->family);
}

static void note_passed(struct check *c, bool heard)
{
    if (health_check_passed(uplink_health(c->uplink, c->family), heard))
        log_news(c, EVENT_UPLINK_ANSWERS);
}

static void note_captive(struct check *c)
{
    if (health_check_captive(uplink_health(c->uplink, c->family)))
        log_news(c, EVENT_UPLINK_CAPTIVE);
}

static void note_failed(struct check *c)
{
    if (health_check_failed(uplink_health(c->uplink, c->family), uplink_received(c->uplink, c->family),
                            clock_now_s()))
        log_news(c, EVENT_UPLINK_SILENT);
}

/* A refused connection is an answer too. A target without an address of this family, or with an invalid
 * answer, says nothing about the uplink. */
static void note_result(struct check *c, const struct probe_result *r)
{
    bool http = c->probe.target.path[0] != '\0';

    health_note_names(c->uplink, r->news);
    if (r->fault == FAULT_NAME || r->fault == FAULT_DNS || (http && r->fault == FAULT_NONE && r->status == 0))
        return;
    if (r->fault == FAULT_NONE && http && r->status != 204)
        return note_captive(c);
    if (r->fault == FAULT_NONE || r->fault == FAULT_REFUSED)
        return note_passed(c, http && r->fault == FAULT_NONE);
    note_failed(c);
}

static void log_result(const struct check *c, const struct probe_result *r)
{
    char text[PROBE_TARGET_TEXT_MAX];
    struct log_line l;

    log_begin(&l, EVENT_CHECKED);
    log_str(&l, "uplink", c->uplink->name);
    if (!c->uplink->parent)
        log_str(&l, "family", c->family == AF_INET ? "ipv4" : "ipv6");
    log_str(&l, "target", probe_target_format(&c->probe.target, text));
    log_str(&l, "fault", fault_name(r->fault));
    if (r->status)
        log_u64(&l, "status", (uint64_t)r->status);
    log_end(&l);
}

static void on_probed(struct probe *p, const struct probe_result *result)
{
    struct check *c = container_of(p, struct check, probe);
    bool passed = result->fault == FAULT_NONE && (result->status == 204 || !p->target.path[0]);

    log_result(c, result);
    note_result(c, result);
    c->untold = result->fault == FAULT_NAME ? c->untold + 1 : 0;
    if (!passed)
        c->next++;
    wait_for_next(c);
    c->all->options.ended(c->all->options.arg);
}

static void check_begin(struct check *c, const struct checks_targets *targets)
{
    struct egress egress = c->uplink->egress;

    if (!c->uplink->parent) { /* it serves both families */
        egress.any4 = egress.any4 && c->family == AF_INET;
        egress.any6 = egress.any6 && c->family == AF_INET6;
    }
    probe_start(&c->probe, c->all->options.loop,
                &(struct probe_request){.target = &targets->items[c->next % targets->n],
                                        .egress = &egress,
                                        .resolver = c->uplink->names.resolver,
                                        .parent = c->uplink->parent,
                                        .loops = c->all->options.loops,
                                        .uplink = c->uplink->name,
                                        .timeout_s = TIMEOUT_S},
                on_probed);
}

static void on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct check *c = container_of(timer, struct check, timer);
    const struct checks_targets *targets = &c->all->of[c->uplink->view.id - 1]->targets;
    bool received = uplink_received(c->uplink, c->family) > c->received;
    bool speaks = (c->uplink->parent || egress_allows(&c->uplink->egress, c->family)) && c->uplink->view.up;
    bool well = uplink_health_state(c->uplink, c->family) == HEALTH_UP;

    (void)loop;
    (void)events;
    if (targets->n == 0 || !speaks || (well && received))
        return wait_for_next(c);
    check_begin(c, targets);
}

/* --- all of them ---------------------------------------------------------------------------------------- */

static void init(struct checks *all, struct check *c, struct uplink *u, int family)
{
    *c = (struct check){.all = all, .uplink = u, .family = family};
    uplink_health(u, family)->checked = can_tell(c);
    ev_init(&c->timer, on_due);
    restart_timer(c, 0);
}

int checks_add(struct checks *all, struct uplink *u)
{
    static const int families[] = {AF_INET, AF_INET6};
    struct checks_of *of = all ? calloc(1, sizeof *of) : NULL;

    if (!of)
        return all ? -ENOMEM : 0;
    int r = checks_targets_for(&of->targets, u, &all->common);
    if (r < 0) {
        free(of);
        return r;
    }
    all->of[u->view.id - 1] = of;
    while (of->n < (u->parent ? 1 : ARRAY_LEN(families))) {
        init(all, &of->items[of->n], u, families[of->n]);
        of->n++;
    }
    return 0;
}

int checks_new(struct checks **ret, const struct checks_options *options)
{
    const struct uplink_set *set = options->uplinks;
    struct checks *c = calloc(1, sizeof *c);

    if (!c)
        return -ENOMEM;
    *c = (struct checks){.options = *options};
    int r = checks_targets_parse(&c->common, options->targets);
    for (size_t i = 0; r == 0 && i < set->n; i++)
        r = checks_add(c, set->items[i]);
    if (r < 0) {
        checks_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

static void remove_at(struct checks *c, size_t i)
{
    struct checks_of *of = c->of[i];

    for (size_t k = 0; of && k < of->n; k++) {
        probe_cancel(&of->items[k].probe);
        ev_timer_stop(c->options.loop, &of->items[k].timer);
    }
    free(of);
    c->of[i] = NULL;
}

void checks_remove(struct checks *c, const struct uplink *u)
{
    if (c)
        remove_at(c, (size_t)u->view.id - 1);
}

void checks_free(struct checks *c)
{
    for (size_t i = 0; c && i < ARRAY_LEN(c->of); i++)
        remove_at(c, i);
    free(c);
}

static bool is_of(const struct check *c, int family)
{
    return family == AF_UNSPEC || c->uplink->parent || c->family == family;
}

void checks_hurry(struct checks *c, const struct uplink *u, int family)
{
    struct checks_of *of = c ? c->of[u->view.id - 1] : NULL;

    for (size_t i = 0; of && i < of->n; i++) {
        struct check *check = &of->items[i];
        if (is_of(check, family) && can_tell(check) && !check->probe.running &&
            ev_timer_remaining(c->options.loop, &check->timer) > HEALTH_RETRY_S)
            restart_timer(check, 0);
    }
}
