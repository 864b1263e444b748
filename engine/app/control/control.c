#include "control/control.h"

#include "base/clock.h"
#include "config/config.h"
#include "control/capture_verb.h"
#include "control/connection_verbs.h"
#include "control/json_text.h"
#include "control/uplink_verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *text_of(const json_t *request, const char *key)
{
    return json_string_value(json_object_get(request, key));
}

/* --- status --------------------------------------------------------------------------------------------- */

static json_t *policy_json(const struct policy *p)
{
    struct policy_info info = policy_info(p);
    json_t *set = json_object();

    for (size_t i = 0; i < policy_source(p)->n_params; i++)
        (void)json_object_set_new(set, policy_source(p)->params[i].key,
                                  json_text(policy_source(p)->params[i].value));
    json_t *refused = info.refused
                          ? json_pack("{s:o, s:f}", "error", json_text(info.refused), "time", info.refused_at)
                          : json_null();
    json_t *failed = info.failed ? json_pack("{s:o, s:s, s:f}", "error", json_text(info.failed), "in",
                                             info.failed_in, "time", info.failed_at)
                                 : json_null();
    return json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:o, s:o}", "name", info.name,
                     "file", json_text(info.file), "set", set, "generation", (json_int_t)info.generation,
                     "picks", (json_int_t)info.picks, "errors", (json_int_t)info.errors, "skipped",
                     (json_int_t)info.skipped, "memory", (json_int_t)info.memory, "lists",
                     (json_int_t)info.lists, "quarantined", (int)info.quarantined, "refused", refused,
                     "failed", failed);
}

static json_t *metrics_json(const struct policy *p)
{
    const struct policy_metric *m;
    size_t n = policy_metrics(p, &m);
    json_t *metrics = json_object();

    for (size_t i = 0; i < n; i++)
        (void)json_object_set_new(metrics, m[i].name, json_real(m[i].value));
    return metrics;
}

static json_t *listeners_json(const struct proxy *p)
{
    json_t *list = json_array();

    for (size_t i = 0; i < p->n_listeners; i++)
        (void)json_array_append_new(list, json_string(p->listeners[i]->text));
    return list;
}

static json_t *recording_json(const struct recorder *r)
{
    if (!recorder_is_on(r))
        return json_null();
    return json_pack("{s:o, s:I}", "file", json_text(r->path), "connections", (json_int_t)r->lines);
}

/* Those of forwards and captured datagrams, and the fixed port of associations once it is open. */
static json_t *udp_listeners_json(const struct proxy *p)
{
    json_t *list = json_array();
    const struct addr *at;
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < p->n_udp_listeners; i++)
        (void)json_array_append_new(list, json_string(p->udp_listeners[i]->text));
    for (size_t i = 0; (at = udp_fixed_port(&p->udp, i)); i++)
        (void)json_array_append_new(list, json_string(addr_format(at, text)));
    return list;
}

/* "4000", "4000-4100", or null for any free port. */
static json_t *udp_ports_json(const struct udp_settings *s)
{
    char text[16];

    if (s->port_low == 0)
        return json_null();
    int n = snprintf(text, sizeof text, "%u", (unsigned)s->port_low);
    if (s->port_high > s->port_low)
        (void)snprintf(text + n, sizeof text - (size_t)n, "-%u", (unsigned)s->port_high);
    return json_string(text);
}

static json_t *udp_json(const struct proxy *p)
{
    const struct udp_counts c = udp_counts(&p->udp);
    json_t *dropped = json_object();

    for (int i = 0; i < N_DATAGRAM_DROPS; i++)
        (void)json_object_set_new(dropped, datagram_drop_name((enum datagram_drop)i),
                                  json_integer((json_int_t)c.drops[i]));
    return json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:o}", "listening", udp_listeners_json(p), "ports",
                     udp_ports_json(&p->udp.settings), "associations", (json_int_t)c.associations, "mappings",
                     (json_int_t)c.mappings, "datagrams", (json_int_t)c.moved, "in_fragments",
                     (json_int_t)c.in_fragments, "dropped", dropped);
}

/* Those that are set, and those that have refused somebody before they were removed. */
static json_t *limits_json(const struct proxy *p)
{
    json_t *all = json_object();

    for (int i = LIMIT_NONE + 1; i < N_LIMITS; i++) {
        size_t most = limits_most(&p->limits, (enum limit)i);
        if (most > 0 || p->limits.refused[i] > 0)
            (void)json_object_set_new(all, limits_name((enum limit)i),
                                      json_pack("{s:I, s:I}", "most", (json_int_t)most, "refused",
                                                (json_int_t)p->limits.refused[i]));
    }
    return all;
}

static void verb_status(void *owner, const json_t *request, struct control_reply reply)
{
    const struct control *c = owner;
    const struct proxy *p = c->subject.proxy;

    (void)request;
    control_answer(reply, json_pack("{s:s, s:i, s:f, s:o, s:o, s:o, s:I, s:I, s:b, s:o, s:I, s:b, s:o, s:o}",
                                    "version", c->subject.version, "pid", (int)getpid(), "uptime",
                                    clock_now_s() - c->started_s, "listening", listeners_json(p), "policy",
                                    policy_json(p->outbounds.policy), "metrics",
                                    metrics_json(p->outbounds.policy), "clients", (json_int_t)p->n_sessions,
                                    "clients_max", (json_int_t)p->settings.sessions_max, "full", (int)p->full,
                                    "limits", limits_json(p), "connections", (json_int_t)p->outbounds.last_id,
                                    "draining", (int)p->draining, "recording",
                                    recording_json(&p->outbounds.recorder), "udp", udp_json(p)));
}

/* --- loading -------------------------------------------------------------------------------------------- */

/* The request that waits for the result of a load. */
struct load {
    struct policy *policy;
    struct control_reply reply;
};

void control_answer_loaded(struct control_reply reply, const struct policy *p, double seconds,
                           json_t *changes)
{
    json_t *answer =
        json_pack("{s:s, s:o, s:I, s:f}", "policy", policy_name(p), "file", json_text(policy_source(p)->file),
                  "generation", (json_int_t)policy_generation(p), "seconds", seconds);

    if (changes)
        (void)json_object_set_new(answer, "changes", changes);
    control_answer(reply, answer);
}

static void on_loaded(void *arg, const struct loading_verdict *verdict)
{
    struct load *l = arg;
    struct policy *p = l->policy;

    if (verdict->loaded)
        control_answer_loaded(l->reply, p, verdict->took_s, NULL);
    else
        control_refuse(l->reply, "%s", verdict->err);
    free(l);
}

static void begin_load(struct control *c, const struct policy_source *source, struct control_reply reply)
{
    struct load *l = malloc(sizeof *l);

    if (!l)
        return control_refuse(reply, "out of memory");
    *l = (struct load){.policy = c->subject.proxy->outbounds.policy, .reply = reply};
    policy_loading_ask(c->subject.loading, source, "control", on_loaded, l);
}

static void verb_reload(void *owner, const json_t *request, struct control_reply reply)
{
    const struct control_subject *s = &((struct control *)owner)->subject;

    (void)request;
    s->reload(s->reload_arg, reply);
}

static void verb_diff(void *owner, const json_t *request, struct control_reply reply)
{
    const struct control_subject *s = &((struct control *)owner)->subject;
    const json_t *other = json_object_get(request, "config");

    if (other && !json_is_object(other))
        return control_refuse(reply, "expected a \"config\": a config file's table, or nothing");
    control_answer(reply, json_pack("{s:o}", "changes", s->diff(s->reload_arg, other)));
}

static void verb_policy(void *owner, const json_t *request, struct control_reply reply)
{
    struct control *c = owner;
    const char *name = text_of(request, "policy");
    char err[CONFIG_ERROR_MAX], *file;

    if (!name || !*name)
        return control_refuse(reply, "expected a \"policy\": the name of one that ships, or a file");
    if (config_policy_is_file(name) && name[0] != '/')
        return control_refuse(reply, "policy: expected a file's whole path, got '%.200s'", name);
    if (c->subject.find_policy(c->subject.find_arg, name, &file, err) < 0)
        return control_refuse(reply, "%s", err);
    begin_load(c, &(struct policy_source){.file = file}, reply);
    free(file);
}

/* Load the policy with its present parameters and this one. */
static void verb_set(void *owner, const json_t *request, struct control_reply reply)
{
    struct control *c = owner;
    const struct policy_source *now = policy_source(c->subject.proxy->outbounds.policy);
    const char *key = text_of(request, "key"), *value = text_of(request, "value");
    struct policy_param *params = calloc(now->n_params + 1, sizeof *params);
    size_t n = 0;

    if (!key || !*key || !value || !params) {
        control_refuse(reply, params ? "expected a \"key\" and a \"value\", both texts" : "out of memory");
        free(params);
        return;
    }
    if (policy_loading_busy(c->subject.loading)) { /* the load may change the parameters */
        control_refuse(reply, "the policy is being loaded; try again");
        free(params);
        return;
    }
    for (size_t i = 0; i < now->n_params; i++)
        if (strcmp(now->params[i].key, key) != 0)
            params[n++] = now->params[i];
    params[n++] = (struct policy_param){.key = (char *)(uintptr_t)key, .value = (char *)(uintptr_t)value};
    begin_load(c, &(struct policy_source){.file = now->file, .params = params, .n_params = n}, reply);
    free(params);
}

/* --- the rest ------------------------------------------------------------------------------------------- */

static void verb_why(void *owner, const json_t *request, struct control_reply reply)
{
    struct control *c = owner;
    struct proxy *p = c->subject.proxy;

    why_ask(&c->why, &p->outbounds, p->n_listeners > 0 ? p->listeners[0]->text : "", request, reply);
}

static void verb_record(void *owner, const json_t *request, struct control_reply reply)
{
    struct outbounds *o = &((struct control *)owner)->subject.proxy->outbounds;
    const char *state, *file;
    int r = 0;

    if (!json_take_text(request, "state", &state) || !json_take_text(request, "file", &file))
        return control_refuse(reply, "expected a \"state\" and a \"file\", both texts");
    if (state && strcmp(state, "on") == 0 && (!file || file[0] != '/'))
        return control_refuse(reply, "expected a \"file\", with its whole path");
    if (state && strcmp(state, "on") == 0)
        r = recorder_start(&o->recorder, o->loop, file);
    else if (state && strcmp(state, "off") == 0)
        recorder_stop(&o->recorder);
    else if (state || file)
        return control_refuse(reply, "expected a \"state\": on or off");
    if (r == -EEXIST)
        return control_refuse(reply, "%s: the file exists already; name a new one", file);
    if (r < 0)
        return control_refuse(reply, "%s: %s", file, strerror(-r));
    control_answer(reply, json_pack("{s:o}", "recording", recording_json(&o->recorder)));
}

static void verb_capture(void *owner, const json_t *request, struct control_reply reply)
{
    struct control *c = owner;

    capture_verb(c->subject.capture, request, reply);
}

static void verb_events(void *owner, const json_t *request, struct control_reply reply)
{
    event_desk_ask(&((struct control *)owner)->events, request, reply);
}

static void verb_log(void *owner, const json_t *request, struct control_reply reply)
{
    const json_t *asked = json_object_get(request, "level");
    enum log_level level = log_level();

    (void)owner;
    if (asked && !event_level_read(asked, &level))
        return control_refuse(reply, "expected a \"level\": debug, info, warn or error");
    const char *before = event_level_name(log_level());
    log_set_level(level);
    control_answer(reply, json_pack("{s:s, s:s}", "level", event_level_name(level), "before", before));
}

/* --- another process ------------------------------------------------------------------------------------ */

static void verb_takeover(void *owner, const json_t *request, struct control_reply reply)
{
    const struct control_subject *s = &((struct control *)owner)->subject;

    s->takeover(s->takeover_arg, request, reply);
}

static void verb_restart(void *owner, const json_t *request, struct control_reply reply)
{
    const struct control_subject *s = &((struct control *)owner)->subject;

    (void)request;
    s->restart(s->takeover_arg, reply);
}

static void verb_count(void *owner, const json_t *request, struct control_reply reply)
{
    const struct control_subject *s = &((struct control *)owner)->subject;

    s->count(s->takeover_arg, request, reply);
}

static void on_left(void *owner, uint64_t client)
{
    const struct control_subject *s = &((struct control *)owner)->subject;

    s->left(s->takeover_arg, client);
}

/* --- all of them ---------------------------------------------------------------------------------------- */

static const struct control_verb verbs[] = {
    {"status", verb_status},   {"uplinks", verb_uplinks}, {"policy", verb_policy},
    {"set", verb_set},         {"reload", verb_reload},   {"why", verb_why},
    {"record", verb_record},   {"drain", verb_drain},     {"add", verb_add},
    {"remove", verb_remove},   {"weight", verb_weight},   {"tier", verb_tier},
    {"quota", verb_quota},     {"capture", verb_capture}, {"diff", verb_diff},
    {"events", verb_events},   {"log", verb_log},         {"connections", verb_connections},
    {"recent", verb_recent},   {"close", verb_close},     {"takeover", verb_takeover},
    {"restart", verb_restart}, {"count", verb_count},
};

int control_open(struct control *c, struct ev_loop *loop, const char *path,
                 const struct control_subject *subject)
{
    *c = (struct control){.subject = *subject, .started_s = clock_now_s()};
    int r = 0;
    if (subject->place)
        control_server_open_at(&c->server, loop, subject->place, verbs, ARRAY_LEN(verbs), c);
    else
        r = control_server_open(&c->server, loop, path, verbs, ARRAY_LEN(verbs), c);
    if (r == 0)
        c->server.left = on_left;
    return r;
}

void control_yield(struct control *c)
{
    struct control_server *s = &c->server;

    if (!s->open)
        return;
    ev_io_stop(s->loop, &s->io);
    ev_timer_stop(s->loop, &s->pause);
    control_place_yield(&s->place);
}

void control_close(struct control *c)
{
    why_close(&c->why);
    control_server_close(&c->server);
}
