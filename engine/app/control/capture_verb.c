#include "control/capture_verb.h"

#include "base/buf.h"
#include "base/log.h"
#include "control/capture_place.h"
#include "control/json_text.h"
#include "inbound/proxy.h"
#include "net/egress.h"
#include "uplink/uplink.h"

#include <stdlib.h>
#include <string.h>

static json_t *capture_listeners_json(const struct proxy *p)
{
    json_t *list = json_array();

    for (size_t i = 0; i < p->n_listeners; i++)
        if (capture_place_takes(p->listeners[i]))
            (void)json_array_append_new(list, json_string(p->listeners[i]->text));
    return list;
}

/* --- the plan ------------------------------------------------------------------------------------------- */

static json_t *warnings_json(const struct capture_request *request, const struct capture_place *at)
{
    json_t *list = json_array();

    for (size_t i = 0; i < request->n_lans; i++)
        if (at->lan_uplinks[i])
            (void)json_array_append_new(
                list,
                json_sprintf("--lan %s: this is the device of the uplink %s. What the internet sends "
                             "through this machine is captured, too. Keep it only if your network is on "
                             "the same device.",
                             request->lans[i], at->lan_uplinks[i]->name));
    return list;
}

static void plan(const struct proxy *p, const struct capture_request *request, struct control_reply reply)
{
    struct capture_place at;
    struct buf table;

    buf_init(&table, CAPTURE_SCRIPT_MAX);
    int r = capture_place_find(&at, p, request);
    if (r == 0)
        r = capture_plan_table(request, &at.ground, &table);
    if (r < 0)
        control_refuse(reply, "cannot write the rules: %s", strerror(-r));
    else if (at.obstacle)
        control_refuse(reply, "%s", at.obstacle);
    else
        control_answer(reply, json_pack("{s:s%, s:b, s:o}", "table", buf_slice(&table).data, table.len,
                                        "ipv6", (int)(addr_family(&at.ground.to6) != AF_UNSPEC), "warnings",
                                        warnings_json(request, &at)));
    capture_place_done(&at);
    buf_done(&table);
}

/* --- changes -------------------------------------------------------------------------------------------- */

struct capture_caller {
    struct control_reply reply;
    bool on; /* it was asked for */
};

static void on_changed(void *arg, const char *error)
{
    struct capture_caller *c = arg;

    if (error) {
        control_refuse(c->reply, "%s", error);
    } else {
        log_plain(c->on ? EVENT_CAPTURE_ON : EVENT_CAPTURE_OFF);
        control_answer(c->reply, json_object());
    }
    free(c);
}

/* @param request  NULL: off */
static void change(struct capture_keeper *k, const struct capture_request *request,
                   struct control_reply reply)
{
    struct capture_caller *c = malloc(sizeof *c);
    char err[CAPTURE_ERROR_MAX];

    if (!c)
        return control_refuse(reply, "out of memory");
    *c = (struct capture_caller){.reply = reply, .on = request != NULL};
    int r = request ? capture_keeper_on(k, request, on_changed, c, err)
                    : capture_keeper_off(k, on_changed, c, err);
    if (r == 0)
        return;
    control_refuse(reply, "%s", err);
    free(c);
}

static void tell(const struct capture_keeper *k, struct control_reply reply)
{
    const struct capture_holder *h = &k->holder;

    control_answer(reply,
                   json_pack("{s:o, s:I, s:b, s:o, s:s?}", "listeners", capture_listeners_json(k->proxy),
                             "own_mark", (json_int_t)egress_own_mark(), "held", (int)h->owns, "request",
                             h->owns ? capture_request_json(&h->request) : json_null(), "outdated",
                             k->told[0] ? k->told : NULL));
}

void capture_verb(struct capture_keeper *keeper, const json_t *request, struct control_reply reply)
{
    struct capture_request wanted;
    char err[CAPTURE_ERROR_MAX];
    const char *state;

    if (!json_take_text(request, "state", &state))
        return control_refuse(reply, "expected a \"state\": on, off or plan");
    if (!state)
        return tell(keeper, reply);
    if (strcmp(state, "off") == 0 && !keeper->on && keeper->now.change == CAPTURE_CHANGE_NONE)
        return control_answer(reply, json_object());
    if (strcmp(state, "off") == 0)
        return change(keeper, NULL, reply);
    bool on = strcmp(state, "on") == 0;
    if (!on && strcmp(state, "plan") != 0)
        return control_refuse(reply, "expected a \"state\": on, off or plan");
    if (capture_request_parse(&wanted, json_object_get(request, "request"), err) < 0)
        return control_refuse(reply, "%s", err);
    if (on)
        change(keeper, &wanted, reply);
    else
        plan(keeper->proxy, &wanted, reply);
}
