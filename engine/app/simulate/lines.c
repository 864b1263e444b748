#include "simulate/lines.h"

#include "base/units.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double RATE_MIN = 1e3, RATE_MAX = 1e12; /* bits/s */
static const double SECONDS_MAX = 1e7;

typedef const char *field_fn(struct model_line *l, const json_t *value);

/* A number, or a text with the suffix K, M, G or T. */
static bool take_scaled(const json_t *value, double min, double max, double *ret)
{
    const char *text = json_string_value(value);
    double n = json_number_value(value);

    if (text ? !units_parse(text, &n) : !json_is_number(value))
        return false;
    if (!(n >= min && n <= max))
        return false;
    *ret = n;
    return true;
}

static bool take_number(const json_t *value, double min, double max, double *ret)
{
    return json_is_number(value) && take_scaled(value, min, max, ret);
}

static const char *set_name(struct model_line *l, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t len = text ? strlen(text) : 0;

    if (len == 0 || len > UPLINK_NAME_MAX || strpbrk(text, " \t\r\n"))
        return "expected a name of 1 to 63 bytes without blanks";
    memcpy(l->name, text, len + 1);
    return NULL;
}

static const char *set_rate(double *rate, const json_t *value)
{
    if (!take_scaled(value, RATE_MIN, RATE_MAX, rate))
        return "expected bits a second, such as \"100M\"";
    *rate /= 8;
    return NULL;
}

static const char *set_down(struct model_line *l, const json_t *value)
{
    return set_rate(&l->down, value);
}

static const char *set_up(struct model_line *l, const json_t *value)
{
    return set_rate(&l->up, value);
}

static const char *set_rtt(struct model_line *l, const json_t *value)
{
    return take_number(value, 0, 60, &l->rtt_s) ? NULL : "expected seconds from 0 to 60";
}

static const char *set_detect(struct model_line *l, const json_t *value)
{
    return take_number(value, 0, SECONDS_MAX, &l->detect_s) ? NULL : "expected seconds from 0";
}

static const char *set_weight(struct model_line *l, const json_t *value)
{
    return take_number(value, 1e-6, 1e6, &l->weight) ? NULL : "expected a number above 0 and at most 1e+06";
}

static const char *set_tier(struct model_line *l, const json_t *value)
{
    return take_number(value, 1, 1000, &l->tier) ? NULL : "expected a number from 1 to 1000";
}

static const char *set_quota(struct model_line *l, const json_t *value)
{
    return take_scaled(value, 0, 1e18, &l->quota) ? NULL : "expected bytes, such as \"20G\"";
}

static const char *set_tags(struct model_line *l, const json_t *value)
{
    const json_t *item;
    size_t i;

    if (!json_is_array(value) || json_array_size(value) > UPLINK_TAGS_MAX)
        return "expected a list of at most 8 words";
    json_array_foreach(value, i, item)
    {
        const char *text = json_string_value(item);
        char *copy = text ? strdup(text) : NULL;
        if (!copy)
            return "expected words";
        l->tags[l->n_tags++] = copy;
    }
    return NULL;
}

static const char *set_outages(struct model_line *l, const json_t *value)
{
    const json_t *item;
    double before = 0;
    size_t i;

    if (!json_is_array(value) || json_array_size(value) > MODEL_OUTAGES_MAX)
        return "expected a list of at most 16 pairs { from, to }, in seconds";
    json_array_foreach(value, i, item)
    {
        struct model_outage *o = &l->outages[l->n_outages];
        if (!take_number(json_array_get(item, 0), before, SECONDS_MAX, &o->from) ||
            !take_number(json_array_get(item, 1), o->from, SECONDS_MAX, &o->to) || json_array_size(item) != 2)
            return "expected pairs { from, to } in seconds, in order, without overlap";
        before = o->to;
        l->n_outages++;
    }
    return NULL;
}

static const struct {
    const char *key;
    field_fn *set;
} fields[] = {
    {"name", set_name},       {"down", set_down},     {"up", set_up},     {"rtt", set_rtt},
    {"weight", set_weight},   {"tier", set_tier},     {"tags", set_tags}, {"quota", set_quota},
    {"outages", set_outages}, {"detect", set_detect},
};

static const char *set_field(struct model_line *l, const char *key, const json_t *value)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (strcmp(fields[i].key, key) == 0)
            return fields[i].set(l, value);
    return "unknown key (known are: name, down, up, rtt, weight, tier, tags, quota, outages, "
           "detect)";
}

static int parse_line(struct model_lines *lines, json_t *item, char *err)
{
    struct model_line *l = &lines->items[lines->n++];
    const char *key, *wrong;
    json_t *value;

    *l = (struct model_line){.weight = 1, .tier = 1, .rtt_s = 0.02, .quota = INFINITY};
    (void)snprintf(l->name, sizeof l->name, "line%zu", lines->n);
    json_object_foreach(item, key, value)
    {
        wrong = set_field(l, key, value);
        if (wrong) {
            (void)snprintf(err, POLICY_ERROR_MAX, "uplinks[%zu].%.100s: %s", lines->n, key, wrong);
            return -EINVAL;
        }
    }
    if (!(l->down > 0) || !json_is_object(item)) {
        (void)snprintf(err, POLICY_ERROR_MAX,
                       "uplinks[%zu]: expected a table such as { name = \"fibre\", down = \"100M\" }",
                       lines->n);
        return -EINVAL;
    }
    for (size_t i = 0; i + 1 < lines->n; i++) {
        if (strcmp(lines->items[i].name, l->name) != 0)
            continue;
        (void)snprintf(err, POLICY_ERROR_MAX, "uplinks[%zu]: the name %s is given twice", lines->n, l->name);
        return -EINVAL;
    }
    if (!(l->up > 0))
        l->up = l->down;
    return 0;
}

int lines_parse(struct model_lines *ret, const json_t *list, char *err)
{
    const json_t *inner = json_object_get(list, "uplinks"), *from = inner ? inner : list;
    json_t *item;
    size_t i;

    ret->n = 0;
    if (!json_is_array(from) || json_array_size(from) == 0 || json_array_size(from) > UPLINK_MAX) {
        (void)snprintf(err, POLICY_ERROR_MAX,
                       "expected a list of 1 to 64 uplinks: { { name = \"fibre\", down = \"100M\" }, … }");
        return -EINVAL;
    }
    json_array_foreach(from, i, item)
    {
        int r = parse_line(ret, item, err);
        if (r < 0)
            return r;
    }
    return 0;
}

void lines_default(struct model_lines *ret)
{
    *ret = (struct model_lines){
        .n = 2,
        .items = {{.name = "fibre",
                   .weight = 1,
                   .tier = 1,
                   .down = 12.5e6,
                   .up = 5e6,
                   .rtt_s = 0.01,
                   .quota = INFINITY},
                  {.name = "lte",
                   .weight = 1,
                   .tier = 2,
                   .down = 1.25e6,
                   .up = 0.25e6,
                   .rtt_s = 0.04,
                   .quota = INFINITY}},
    };
}
