#include "control/uplink_verbs.h"

#include "base/nearest.h"
#include "config/config_uplinks.h"
#include "control/control.h"
#include "control/uplink_json.h"
#include "follow/uplink_changes.h"
#include "uplink/uplink.h"
#include "uplink/uplink_health.h"
#include "uplink/uplink_set.h"

#include <errno.h>
#include <string.h>

static struct uplink_set *set_of(void *owner)
{
    return ((struct control *)owner)->subject.proxy->outbounds.uplinks;
}

static struct machine_follow *follow_of(void *owner)
{
    return ((struct control *)owner)->subject.follow;
}

void verb_uplinks(void *owner, const json_t *request, struct control_reply reply)
{
    struct uplink_set *set = set_of(owner);
    json_t *list = json_array();

    (void)request;
    uplink_set_collect(set);
    for (size_t i = 0; i < set->n; i++)
        (void)json_array_append_new(list, uplink_json(set->items[i]));
    control_answer(reply, json_pack("{s:o}", "uplinks", list));
}

static void refuse_unknown(const struct uplink_set *set, const char *name, struct control_reply reply)
{
    struct nearest near;

    nearest_init(&near, slice_str(name));
    for (size_t i = 0; i < set->n; i++)
        nearest_offer(&near, set->items[i]->name);
    control_refuse(reply, "unknown uplink '%.100s'%s%s%s", name, near.best ? "; did you mean " : "",
                   near.best ? near.best : "", near.best ? "?" : "");
}

/* @return NULL after a refusal */
static struct uplink *find_named(void *owner, const json_t *request, struct control_reply reply)
{
    const char *name = json_string_value(json_object_get(request, "uplink"));
    struct uplink *u = name ? uplink_set_by_name(set_of(owner), name) : NULL;

    if (!name)
        control_refuse(reply, "expected an \"uplink\", by its name");
    else if (!u)
        refuse_unknown(set_of(owner), name, reply);
    return u;
}

/* --- add and remove ------------------------------------------------------------------------------------- */

/* So that ctx.uplinks of the policy has the uplinks that there are. A refused load is logged. */
static void renew_policy(void *owner)
{
    policy_loading_ask(((struct control *)owner)->subject.loading, NULL, "control", NULL, NULL);
}

void verb_add(void *owner, const json_t *request, struct control_reply reply)
{
    const json_t *item = json_object_get(request, "uplink");
    char err[CONFIG_ERROR_MAX];
    struct uplink_spec spec;
    struct uplink *u;

    if (!item)
        return control_refuse(reply, "expected an \"uplink\": a text such as \"eth0@2\", or a table as in a "
                                     "config file");
    if (config_uplink_parse(&spec, item, err) < 0)
        return control_refuse(reply, "%s", err);
    int r = uplink_changes_add(follow_of(owner), &spec, &u);
    uplink_spec_done(&spec);
    if (r == -EEXIST)
        return control_refuse(reply, "an uplink of that name is there already");
    if (r == -ENOSPC)
        return control_refuse(reply, "there are %d uplinks, or connections still use removed ones",
                              UPLINK_MAX);
    if (r < 0)
        return control_refuse(reply, "the uplink cannot be added: %s", strerror(-r));
    control_answer(reply, json_pack("{s:o}", "uplink", uplink_json(u)));
    renew_policy(owner);
}

void verb_remove(void *owner, const json_t *request, struct control_reply reply)
{
    struct uplink *u = find_named(owner, request, reply);

    if (!u)
        return;
    control_answer(reply, json_pack("{s:s, s:f}", "uplink", u->name, "active", u->view.active));
    uplink_changes_remove(follow_of(owner), u);
    renew_policy(owner);
}

/* --- changes of one ------------------------------------------------------------------------------------- */

static void answer_changed(const struct uplink *u, struct control_reply reply)
{
    control_answer(reply, json_pack("{s:o}", "uplink", uplink_json(u)));
}

/* Set one key of an uplink's table. @return false after a refusal */
static bool take_value(struct uplink_spec *spec, const char *key, const json_t *request,
                       struct control_reply reply)
{
    const json_t *value = json_object_get(request, "value");
    char err[CONFIG_ERROR_MAX] = "expected a \"value\"";

    if (value && config_uplink_set(spec, key, value, err) == 0)
        return true;
    control_refuse(reply, "%s: %s", key, err);
    return false;
}

void verb_weight(void *owner, const json_t *request, struct control_reply reply)
{
    struct uplink *u = find_named(owner, request, reply);
    struct uplink_spec spec = {.weight = 1};

    if (!u || !take_value(&spec, "weight", request, reply))
        return;
    uplink_changes_weight(u, spec.weight);
    answer_changed(u, reply);
}

void verb_tier(void *owner, const json_t *request, struct control_reply reply)
{
    struct uplink *u = find_named(owner, request, reply);
    struct uplink_spec spec = {.tier = 1};

    if (!u || !take_value(&spec, "tier", request, reply))
        return;
    uplink_changes_tier(u, spec.tier);
    answer_changed(u, reply);
}

/* @return false after a refusal */
static bool take_plan(struct uplink_spec *spec, const json_t *request, struct control_reply reply)
{
    static const char *const keys[] = {"quota_per", "quota_day", "quota_end"};
    char err[CONFIG_ERROR_MAX];

    if (!take_value(spec, "quota", request, reply))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const json_t *value = json_object_get(request, keys[i]);
        if (value && config_uplink_set(spec, keys[i], value, err) < 0) {
            control_refuse(reply, "%s: %s", keys[i], err);
            return false;
        }
    }
    if (config_quota_check(request, &spec->quota, err) == 0)
        return true;
    control_refuse(reply, "%s", err);
    return false;
}

void verb_quota(void *owner, const json_t *request, struct control_reply reply)
{
    struct uplink *u = find_named(owner, request, reply);
    const char *word = json_string_value(json_object_get(request, "value"));
    struct uplink_spec spec = {.weight = 1};

    if (!u)
        return;
    spec.quota = u->quota.plan;
    if (word && strcmp(word, "none") == 0)
        spec.quota = (struct quota_plan){.bytes = 0};
    else if (!take_plan(&spec, request, reply))
        return;
    uplink_changes_quota(follow_of(owner), u, &spec.quota);
    answer_changed(u, reply);
}

void verb_drain(void *owner, const json_t *request, struct control_reply reply)
{
    const char *state = json_string_value(json_object_get(request, "state"));

    if (!state || (strcmp(state, "on") != 0 && strcmp(state, "off") != 0))
        return control_refuse(reply, "expected an \"uplink\", by its name, and a \"state\": on or off");
    struct uplink *u = find_named(owner, request, reply);
    if (!u)
        return;
    uplink_changes_drain(follow_of(owner), u, strcmp(state, "on") == 0);
    control_answer(reply, json_pack("{s:s, s:s, s:f}", "uplink", u->name, "state", uplink_state_name(u),
                                    "active", u->view.active));
}
