#include "config/config_uplinks.h"

#include "base/units.h"
#include "config/config_table.h"
#include "health/checks.h"
#include "proto/target.h"
#include "uplink/uplink_spec.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double WEIGHT_MAX = 1e6, TIER_MAX = 1000;
static const double QUOTA_MAX = 1e15; /* bytes: a thousand terabytes */
enum { TAG_MAX = 63, WEEK_DAYS = 7, MONTH_DAYS = 31 };

typedef int field_fn(struct uplink_spec *spec, const json_t *value, char *err);

/* A word that needs no quotes in a log line or table. */
static bool is_word(const char *text, size_t max)
{
    size_t len = strlen(text);

    if (len == 0 || len > max)
        return false;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
            return false;
    }
    return true;
}

static int set_interface(struct uplink_spec *spec, const json_t *value, char *err)
{
    const char *text = config_text(value);

    /* The kernel's rules for a device's name. */
    if (!text || !is_word(text, sizeof spec->interface - 1) || strpbrk(text, "/:") ||
        strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return config_refuse(err, "expected the name of a network interface, such as \"eth0\"");
    spec->kind = UPLINK_INTERFACE;
    (void)snprintf(spec->interface, sizeof spec->interface, "%s", text);
    return 0;
}

static int set_address(struct uplink_spec *spec, const json_t *value, char *err)
{
    const char *text = config_text(value);
    struct uplink_spec parsed = {.kind = UPLINK_INTERFACE};
    char reason[CONFIG_ERROR_MAX];

    /* As on the command line, but without a weight. */
    if (!text || strpbrk(text, "@/") || uplink_spec_parse(&parsed, text, reason, sizeof reason) < 0 ||
        parsed.kind != UPLINK_ADDRESS)
        return config_refuse(err, "expected an address of this machine, such as \"192.168.1.10\"");
    spec->kind = UPLINK_ADDRESS;
    spec->address = parsed.address;
    return 0;
}

static int set_parent(struct uplink_spec *spec, const json_t *value, char *err)
{
    const char *text = config_text(value), *why = "expected a URL, such as \"socks5://127.0.0.1:1080\"";

    spec->kind = UPLINK_PARENT;
    spec->parent = malloc(sizeof *spec->parent);
    if (!spec->parent)
        return config_refuse(err, "out of memory");
    *spec->parent = (struct parent_spec){.port = 0};
    if (text && parent_spec_parse(spec->parent, slice_str(text), &why) == 0)
        return 0;
    return config_refuse(err, "%s", why);
}

/* The interface or own address from which the parent proxy is reached. */
static int set_via(struct uplink_spec *spec, const json_t *value, char *err)
{
    struct uplink_spec via = {.kind = UPLINK_INTERFACE};
    int r = set_address(&via, value, err);

    if (r < 0)
        r = set_interface(&via, value, err);
    if (r < 0)
        return config_refuse(err, "expected an interface or an address of this machine");
    memcpy(spec->interface, via.interface, sizeof spec->interface);
    spec->address = via.address;
    return 0;
}

static int set_name(struct uplink_spec *spec, const json_t *value, char *err)
{
    const char *text = config_text(value);

    if (!text || !is_word(text, UPLINK_NAME_MAX))
        return config_refuse(err, "expected a name of 1 to %d bytes without blanks", UPLINK_NAME_MAX);
    (void)snprintf(spec->name, sizeof spec->name, "%s", text);
    return 0;
}

static int set_weight(struct uplink_spec *spec, const json_t *value, char *err)
{
    double weight = json_number_value(value);

    if (!json_is_number(value) || !(weight > 0 && weight <= WEIGHT_MAX))
        return config_refuse(err, "expected a number above 0 and at most %.0f", WEIGHT_MAX);
    spec->weight = weight;
    return 0;
}

static int set_tier(struct uplink_spec *spec, const json_t *value, char *err)
{
    double tier = json_number_value(value);

    if (!json_is_number(value) || tier < 1 || tier > TIER_MAX || floor(tier) != tier)
        return config_refuse(err, "expected a whole number from 1 (used first) to %g", TIER_MAX);
    spec->tier = tier;
    return 0;
}

static int set_tags(struct uplink_spec *spec, const json_t *value, char *err)
{
    const json_t *item;
    size_t i;

    if (json_is_object(value) && json_object_size(value) == 0)
        return 0; /* an empty table: no tags */
    if (!json_is_array(value) || json_array_size(value) > UPLINK_TAGS_MAX)
        return config_refuse(err, "expected a list of at most %d words, such as { \"metered\" }",
                             UPLINK_TAGS_MAX);
    json_array_foreach(value, i, item)
    {
        const char *text = config_text(item);
        if (!text || !is_word(text, TAG_MAX))
            return config_refuse(err, "expected words of 1 to %d bytes", TAG_MAX);
        char *copy = strdup(text);
        if (!copy) {
            (void)snprintf(err, CONFIG_ERROR_MAX, "out of memory");
            return -ENOMEM;
        }
        spec->tags[spec->n_tags++] = copy;
    }
    return 0;
}

static int set_quota(struct uplink_spec *spec, const json_t *value, char *err)
{
    const char *text = config_text(value);
    double bytes = json_number_value(value);

    if ((text ? !units_parse(text, &bytes) : !json_is_number(value)) || !(bytes >= 1 && bytes <= QUOTA_MAX))
        return config_refuse(err, "expected bytes, such as \"20G\"");
    spec->quota.bytes = bytes;
    return 0;
}

static int set_rate(struct uplink_spec *spec, const json_t *value, char *err)
{
    const char *text = config_text(value);
    double rate = json_number_value(value);

    if ((text ? !units_parse(text, &rate) : !json_is_number(value)) ||
        !(rate >= CONFIG_RATE_MIN && rate <= CONFIG_RATE_MAX))
        return config_refuse(err, "expected bytes a second, such as \"2M\", from 1K to 1T");
    spec->rate = rate;
    return 0;
}

static int set_quota_per(struct uplink_spec *spec, const json_t *value, char *err)
{
    const char *text = config_text(value);

    for (int per = QUOTA_MONTH; text && per <= QUOTA_DAY; per++) {
        if (strcmp(text, quota_per_name((enum quota_per)per)) != 0)
            continue;
        spec->quota.per = (enum quota_per)per;
        return 0;
    }
    return config_refuse(err, "expected \"day\", \"week\" or \"month\"");
}

static int set_quota_day(struct uplink_spec *spec, const json_t *value, char *err)
{
    double day = json_number_value(value);

    if (!json_is_number(value) || day < 1 || day > MONTH_DAYS || floor(day) != day)
        return config_refuse(err, "expected a day of the month, 1 to %d, or of the week, 1 (Monday) to 7",
                             MONTH_DAYS);
    spec->quota.day = (int)day;
    return 0;
}

static int set_quota_end(struct uplink_spec *spec, const json_t *value, char *err)
{
    const char *text = config_text(value);

    if (!text || (strcmp(text, "soft") != 0 && strcmp(text, "hard") != 0))
        return config_refuse(err, "expected \"soft\" or \"hard\"");
    spec->quota.hard = strcmp(text, "hard") == 0;
    return 0;
}

/* Join a list of texts with commas; a text stays as it is. @return NULL for another type, or without
 * memory */
static char *join_list(const json_t *value)
{
    const json_t *item;
    char *joined = NULL;
    size_t i;

    if (config_text(value))
        return strdup(config_text(value));
    json_array_foreach(value, i, item)
    {
        const char *text = config_text(item);
        char *longer = NULL;
        if (text && asprintf(&longer, "%s%s%s", joined ? joined : "", joined ? "," : "", text) < 0)
            longer = NULL;
        free(joined);
        joined = longer;
        if (!joined)
            return NULL;
    }
    return joined;
}

static int set_dns(struct uplink_spec *spec, const json_t *value, char *err)
{
    char *text = join_list(value);
    int r = text ? dns_servers_parse(&spec->dns, text) : -EINVAL;

    free(text);
    if (r == -E2BIG)
        return config_refuse(err, "more than %d servers", DNS_SERVERS_MAX);
    if (r < 0)
        return config_refuse(err, "expected DNS servers, such as \"192.0.2.53\" or { \"192.0.2.53\", "
                                  "\"[2001:db8::53]:5353\" }");
    return 0;
}

static int set_check(struct uplink_spec *spec, const json_t *value, char *err)
{
    struct checks_targets t;
    char *text = join_list(value);
    int r = text ? checks_targets_parse(&t, text) : -EINVAL;

    if (r == 0) {
        spec->check = text;
        return 0;
    }
    free(text);
    if (r == -E2BIG)
        return config_refuse(err, "more than %d targets", CHECKS_TARGETS_MAX);
    return config_refuse(err,
                         "expected targets, such as \"192.0.2.1:443\" or { \"http://example.org/204\" }, or "
                         "\"none\"");
}

static int set_portal(struct uplink_spec *spec, const json_t *value, char *err)
{
    char *text = join_list(value), *copy = text ? strdup(text) : NULL, *rest, *hosts = NULL;
    bool good = copy;

    for (char *word = good ? strtok_r(copy, ",", &rest) : NULL; good && word;
         word = strtok_r(NULL, ",", &rest)) {
        struct target t;
        char *longer = NULL;
        good = target_set(&t, slice_str(word), 1) == PARSE_OK &&
               asprintf(&longer, "%s%s%s", hosts ? hosts : "", hosts ? "," : "", t.host) >= 0;
        if (!good)
            break;
        free(hosts);
        hosts = longer;
    }
    free(copy);
    free(text);
    spec->portal = hosts;
    if (good && hosts)
        return 0;
    return config_refuse(err,
                         "expected names or addresses of the captive portal, such as \"portal.example\" or "
                         "{ \"portal.example\", \"10.0.0.1\" }");
}

static int set_mark(struct uplink_spec *spec, const json_t *value, char *err)
{
    double mark = json_number_value(value);

    if (!json_is_number(value) || !(mark >= 1 && mark <= UINT32_MAX) || floor(mark) != mark)
        return config_refuse(err, "expected a whole number from 1 to 0xffffffff");
    spec->mark = (uint32_t)mark;
    return 0;
}

static int set_gateway(struct uplink_spec *spec, const json_t *value, char *err)
{
    char *text = join_list(value), *rest;
    int r = text ? 0 : -EINVAL;

    for (char *word = text ? strtok_r(text, ",", &rest) : NULL; r == 0 && word;
         word = strtok_r(NULL, ",", &rest)) {
        struct addr a;
        r = addr_parse_ip(&a, slice_str(word), 0);
        if (r == 0)
            *(addr_family(&a) == AF_INET ? &spec->gateway4 : &spec->gateway6) = a;
    }
    free(text);
    if (r < 0)
        return config_refuse(err, "expected a router's address, or one of each family: \"192.168.1.254\"");
    return 0;
}

static int set_ipv6_source(struct uplink_spec *spec, const json_t *value, char *err)
{
    const char *text = config_text(value);

    if (!text || !egress_ipv6_parse(text, &spec->ipv6))
        return config_refuse(err, "expected \"system\", \"temporary\" or \"stable\"");
    spec->ipv6_given = true;
    return 0;
}

static const struct {
    const char *key;
    field_fn *set;
} fields[] = {
    {"interface", set_interface},
    {"address", set_address},
    {"name", set_name},
    {"weight", set_weight},
    {"tier", set_tier},
    {"tags", set_tags},
    {"quota", set_quota},
    {"rate", set_rate},
    {"quota_per", set_quota_per},
    {"quota_day", set_quota_day},
    {"quota_end", set_quota_end},
    {"dns", set_dns},
    {"check", set_check},
    {"portal", set_portal},
    {"gateway", set_gateway},
    {"mark", set_mark},
    {"ipv6_source", set_ipv6_source},
    {"upstream", set_parent},
    {"via", set_via},
};

/* Check keys against each other. @param ret_key  the wrong one */
static int check_quota(const json_t *table, const struct quota_plan *q, const char **ret_key, char *err)
{
    static const char *const others[] = {"quota_per", "quota_day", "quota_end"};

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        *ret_key = others[i];
        if (json_object_get(table, others[i]) && q->bytes <= 0)
            return config_refuse(err, "needs a quota, such as quota = \"20G\"");
    }
    *ret_key = "quota_day";
    if (q->day > 0 && q->per == QUOTA_DAY)
        return config_refuse(err, "a quota per day begins at midnight");
    if (q->day > WEEK_DAYS && q->per == QUOTA_WEEK)
        return config_refuse(err, "expected a day of the week, 1 (Monday) to 7");
    return 0;
}

/* @param ret_key  the wrong key, "" for the whole table */
static int parse_table(struct uplink_spec *spec, const json_t *table, const char **ret_key, char *err)
{
    const char *key;
    json_t *value;

    /* jansson's iterator takes a non-const table, but does not change it */
    json_object_foreach((json_t *)(uintptr_t)table, key, value)
    {
        int i = CONFIG_KEY_FIND(fields, key, err);
        *ret_key = key;
        int r = i < 0 ? i : fields[i].set(spec, value, err);
        if (r < 0) {
            config_hint_quotes(value, err);
            return r;
        }
    }
    *ret_key = "";
    bool interface = json_object_get(table, "interface"), address = json_object_get(table, "address"),
         parent = json_object_get(table, "upstream");
    if (interface + address + parent != 1)
        return config_refuse(err, "expected either interface, address or upstream%s",
                             interface || address || parent ? ", no two of them" : "");
    *ret_key = "via";
    if (json_object_get(table, "via") && !parent)
        return config_refuse(err, "is for a parent proxy");
    *ret_key = "gateway";
    if (json_object_get(table, "gateway") && !interface)
        return config_refuse(err, "is for an interface");
    *ret_key = "ipv6_source";
    if (spec->ipv6_given && !spec->interface[0])
        return config_refuse(err, "is for an interface, or for a parent proxy that is reached via one");
    return check_quota(table, &spec->quota, ret_key, err);
}

static int parse_uplink(struct uplink_spec *spec, const json_t *item, const char **ret_key, char *err)
{
    const char *text = config_text(item);

    *ret_key = "";
    if (text)
        return uplink_spec_parse(spec, text, err, CONFIG_ERROR_MAX);
    if (!json_is_object(item))
        return config_refuse(
            err, "expected a text such as \"eth0@2\" or a table { interface = \"eth0\", weight = 2 }");
    *spec = (struct uplink_spec){.weight = 1, .tier = 1};
    int r = parse_table(spec, item, ret_key, err);
    if (r < 0)
        uplink_spec_done(spec);
    return r;
}

static int name_the_key(int r, const char *key, const char *reason, char *err)
{
    if (r < 0)
        (void)snprintf(err, CONFIG_ERROR_MAX, "%.100s%s%.800s", key, *key ? ": " : "", reason);
    return r;
}

int config_uplink_parse(struct uplink_spec *ret, const json_t *item, char *err)
{
    char reason[CONFIG_ERROR_MAX];
    const char *key = "";

    *ret = (struct uplink_spec){.weight = 1, .tier = 1};
    int r = parse_uplink(ret, item, &key, reason);
    return name_the_key(r, key, reason, err);
}

int config_uplink_set(struct uplink_spec *spec, const char *key, const json_t *value, char *err)
{
    int i = CONFIG_KEY_FIND(fields, key, err);

    return i < 0 ? i : fields[i].set(spec, value, err);
}

int config_quota_check(const json_t *table, const struct quota_plan *q, char *err)
{
    char reason[CONFIG_ERROR_MAX];
    const char *key = "";

    int r = check_quota(table, q, &key, reason);
    return name_the_key(r, key, reason, err);
}

int config_uplinks_add(struct config *c, const json_t *list, char *err)
{
    char reason[CONFIG_ERROR_MAX];
    const json_t *item;
    size_t i;

    /* { os.getenv "LINE" } is empty when the variable is not set. It must not mean "every link". */
    if (json_is_object(list) && json_object_size(list) == 0)
        return config_refuse(
            err, "uplinks: the list is empty; leave uplinks out to use every link of this machine");
    if (!json_is_array(list))
        return config_refuse(err,
                             "uplinks: expected a list such as { \"eth0@2\", { interface = \"wwan0\" } }");
    json_array_foreach(list, i, item)
    {
        struct uplink_spec spec = {.weight = 1, .tier = 1};
        const char *key = "";
        int r = parse_uplink(&spec, item, &key, reason);
        if (r == 0)
            r = config_add_uplink(c, &spec, reason);
        if (r < 0) {
            (void)snprintf(err, CONFIG_ERROR_MAX, "uplinks[%zu]%s%.100s: %.800s", i + 1, *key ? "." : "", key,
                           reason);
            return r;
        }
    }
    return 0;
}
