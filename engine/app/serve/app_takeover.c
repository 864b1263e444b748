/* The side of the process that another one takes over from. Until that one serves, nothing here ends. */
#include "serve/app_takeover.h"

#include "serve/app.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- what is handed over -------------------------------------------------------------------------------- */

static int add_listeners(const struct proxy *p, struct handed_set *s)
{
    char text[LISTEN_TEXT_MAX];
    const struct udp_port *port;
    int r = 0;

    for (size_t i = 0; r == 0 && i < p->n_listeners; i++) {
        const struct proxy_listener *l = p->listeners[i];
        if (l->listener.open)
            r = handed_add(s, HANDED_LISTENER, listen_place_text(&l->asked, text), l->use.name,
                           l->listener.io.fd);
    }
    for (size_t i = 0; r == 0 && i < p->n_udp_listeners; i++) {
        const struct proxy_listener *l = p->udp_listeners[i];
        r = handed_add(s, HANDED_DATAGRAMS, listen_place_text(&l->asked, text), l->use.name,
                       udp_port_socket(l->port));
    }
    for (size_t i = 0; r == 0 && (port = udp_fixed(&p->udp, i)); i++)
        r = handed_add(s, HANDED_UDP_PORT, addr_format(udp_fixed_port(&p->udp, i), text), NULL,
                       udp_port_socket(port));
    return r;
}

static int add_rest(const struct app *a, struct handed_set *s)
{
    const struct control_place *place = &a->control.server.place;
    const struct capture_holder *h = &a->capture.holder;
    const struct recorder *rec = &a->proxy.outbounds.recorder;
    int r = handed_add(s, HANDED_CONTROL, place->path, NULL, place->fd);

    if (r == 0)
        r = handed_add(s, HANDED_CONTROL_LOCK, place->path, NULL, place->lock_fd);
    if (r == 0 && a->ledger.file.loop)
        r = handed_add(s, HANDED_STATE_LOCK, a->ledger.file.path, NULL, a->ledger.file.lock_fd);
    if (r == 0 && recorder_is_on(rec) && fflush(rec->file) == 0)
        r = handed_add(s, HANDED_RECORD, rec->path, NULL, fileno(rec->file));
    if (r == 0 && h->state == CAPTURE_HELD && h->owns)
        r = handed_add(s, HANDED_NFT_IN, NULL, NULL, h->in_fd);
    if (r == 0 && h->state == CAPTURE_HELD && h->owns)
        r = handed_add(s, HANDED_NFT_OUT, NULL, NULL, h->said_fd);
    return r;
}

/* @param state  taken */
static json_t *describe(const struct app *a, const struct handed_set *s, json_t *state)
{
    const struct capture_keeper *k = &a->capture;
    const struct recorder *rec = &a->proxy.outbounds.recorder;
    json_t *sockets = handed_json(s);
    json_t *answer = sockets && state ? json_pack("{s:o, s:o}", "sockets", sockets, "state", state) : NULL;

    if (answer && k->on && k->holder.owns)
        (void)json_object_set_new(answer, "capture",
                                  json_pack("{s:o, s:b, s:i}", "request", capture_request_json(&k->request),
                                            "six", (int)k->shape.six, "pid", (int)k->holder.pid));
    if (answer && recorder_is_on(rec)) {
        (void)json_object_set_new(answer, "record", json_string(rec->path));
        (void)json_object_set_new(answer, "record_began", json_real(rec->began_s));
    }
    return answer;
}

static void take_back(struct app *a)
{
    a->takeover.taker = 0;
    a->capture.lent = false;
    ledger_take_back(&a->ledger);
}

static void give(struct app *a, struct control_reply reply)
{
    struct handed_set s = {.items = NULL};
    int r = add_listeners(&a->proxy, &s);

    if (r == 0)
        r = add_rest(a, &s);
    json_t *answer = r == 0 ? describe(a, &s, ledger_lend(&a->ledger)) : NULL;
    int *fds = calloc(s.n + 1, sizeof *fds);
    if (!answer || !fds) {
        json_decref(answer);
        take_back(a);
        control_refuse(reply, "out of memory");
    } else {
        for (size_t i = 0; i < s.n; i++)
            fds[i] = s.items[i].fd;
        a->takeover.taker = reply.client;
        a->takeover.is_own = a->takeover.successor.pid > 0;
        a->capture.lent = true;
        control_answer_with(reply, answer, fds, s.n);
    }
    free(fds);
    handed_done(&s);
}

static const char *obstacle(const struct app *a)
{
    return a->proxy.draining                     ? "the proxy is stopping"
           : a->takeover.taker                   ? "another process is taking over already"
           : a->reload                           ? "the config is being read; try again"
           : capture_keeper_is_busy(&a->capture) ? "the capture is being changed; try again"
                                                 : NULL;
}

/* --- the other one serves ------------------------------------------------------------------------------- */

static void log_taken_over(const struct app *a, int pid)
{
    struct log_line l;

    log_begin(&l, EVENT_TAKEN_OVER);
    log_u64(&l, "pid", (uint64_t)pid);
    log_u64(&l, "connections", a->proxy.n_sessions);
    log_end(&l);
}

static void answer_asker(struct app *a, int pid)
{
    if (a->takeover.asked)
        control_answer(a->takeover.asker, json_pack("{s:i}", "pid", pid));
    a->takeover.asked = false;
}

static void go(struct app *a, int pid)
{
    struct app_takeover *t = &a->takeover;

    t->over = true;
    service_say("MAINPID=%d", pid); /* first: the answer below lets the new process say that it is ready */
    service_done(&t->service);
    t->taker = 0;
    successor_serves(&t->successor);
    log_taken_over(a, pid);
    answer_asker(a, pid);
    late_bytes_start(&t->late, a->loop, &a->ledger, a->control.server.place.path);
    control_yield(&a->control);
    capture_keeper_close(&a->capture);
    policy_watch_stop(&a->watch);
    recorder_stop(&a->proxy.outbounds.recorder);
    proxy_yield(&a->proxy);
    if (a->config->drain_timeout_set)
        app_limit_drain(a);
}

void app_verb_takeover(void *arg, const json_t *request, struct control_reply reply)
{
    struct app *a = arg;
    const char *step = json_string_value(json_object_get(request, "step")), *why = obstacle(a);

    if (step && strcmp(step, "serving") == 0 && a->takeover.taker == reply.client && reply.client) {
        control_answer(reply, json_pack("{s:i}", "pid", (int)getpid())); /* sent after this turn */
        return go(a, (int)json_integer_value(json_object_get(request, "pid")));
    }
    if (step)
        control_refuse(reply, "expected a \"step\": serving, from the process that has the sockets");
    else if (why)
        control_refuse(reply, "%s", why);
    else
        give(a, reply);
}

void app_control_left(void *arg, uint64_t client)
{
    struct app *a = arg;

    if (a->takeover.taker == 0 || a->takeover.taker != client)
        return;
    take_back(a);
    if (!a->takeover.is_own) /* else its end is told */
        log_plain(EVENT_TAKEOVER_FAILED);
}

/* --- a successor of one's own --------------------------------------------------------------------------- */

static void on_failed(struct successor *s, const char *why)
{
    struct app *a = container_of(s, struct app, takeover.successor);
    struct log_line l;

    log_begin(&l, EVENT_TAKEOVER_FAILED);
    log_str(&l, "error", why);
    log_end(&l);
    if (a->takeover.asked)
        control_refuse(a->takeover.asker, "the new process does not start, and this one goes on: %s", why);
    a->takeover.asked = false;
}

void app_verb_restart(void *arg, struct control_reply reply)
{
    struct app *a = arg;
    struct successor *s = &a->takeover.successor;
    const char *why = obstacle(a);

    if (why || s->pid > 0)
        return control_refuse(reply, "%s", why ? why : "a new process is starting already");
    if (!a->origin.program || !a->origin.line)
        return control_refuse(reply, "the proxy does not know its own program; start it with --takeover");
    s->loop = a->loop;
    s->failed = on_failed;
    int r = successor_start(s, a->origin.program, a->origin.line);
    if (r < 0)
        return control_refuse(reply, "cannot run %s: %s", a->origin.program, strerror(-r));
    a->takeover.asked = true;
    a->takeover.asker = reply;
}

/* --- bytes that it still moves -------------------------------------------------------------------------- */

void app_verb_count(void *arg, const json_t *request, struct control_reply reply)
{
    struct app *a = arg;
    const json_t *bytes = json_object_get(request, "bytes");
    json_t *spent = json_array();

    if (!json_is_object(bytes)) {
        json_decref(spent);
        return control_refuse(reply, "expected \"bytes\": a number for each uplink");
    }
    for (size_t i = 0; i < a->uplinks->n; i++) {
        struct uplink *u = a->uplinks->items[i];
        double n = json_number_value(json_object_get(bytes, u->name));
        if (n > 0)
            ledger_count(u, n);
    }
    ledger_look(&a->ledger);
    for (size_t i = 0; i < a->uplinks->n; i++) {
        const struct uplink *u = a->uplinks->items[i];
        if (u->view.quota_left <= 0 && u->quota.plan.hard)
            (void)json_array_append_new(spent, json_string(u->name));
    }
    control_answer(reply, json_pack("{s:o}", "spent", spent));
}

void app_takeover_done(struct app *a)
{
    service_done(&a->takeover.service);
    late_bytes_finish(&a->takeover.late);
    if (a->takeover.successor.loop)
        successor_done(&a->takeover.successor);
    predecessor_done(&a->takeover.before);
}
