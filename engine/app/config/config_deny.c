#include "config/config_deny.h"

#include "config/config_table.h"

#include <errno.h>
#include <string.h>

typedef int item_fn(struct deny_rule *r, const char *text, char *err);

static int out_of_memory(char *err)
{
    (void)config_refuse(err, "out of memory");
    return -ENOMEM;
}

static int add_place(struct deny_rule *r, const char *text, char *err)
{
    int e = deny_rule_add_place(r, slice_str(text));

    if (e == -EINVAL)
        return config_refuse(err, "to: '%.60s' is not %s", text, DENY_EXPECTED);
    return e < 0 ? out_of_memory(err) : 0;
}

static int add_client(struct deny_rule *r, const char *text, char *err)
{
    struct cidr range;

    if (cidr_parse(&range, slice_str(text)) < 0)
        return config_refuse(
            err,
            "clients: '%.60s' is not an address range (such as 192.168.1.0/24, fd00::/8 or a "
            "lone address)",
            text);
    return cidr_set_add(&r->clients, &range) < 0 ? out_of_memory(err) : 0;
}

static int add_user(struct deny_rule *r, const char *text, char *err)
{
    return deny_rule_add_user(r, slice_str(text)) < 0 ? out_of_memory(err) : 0;
}

static const struct {
    const char *key;
    item_fn *add;
} fields[] = {{"to", add_place}, {"clients", add_client}, {"users", add_user}};

/* A text, or a list of texts. An empty list is refused: it could mean every client or none. */
static int read_field(struct deny_rule *r, size_t field, const json_t *value, char *err)
{
    const json_t *item;
    size_t i;

    if (config_text(value))
        return fields[field].add(r, config_text(value), err);
    if (json_array_size(value) == 0)
        return config_refuse(err, "%s: expected a text or a list of texts", fields[field].key);
    json_array_foreach(value, i, item)
    {
        const char *text = config_text(item);
        int e = text ? fields[field].add(r, text, err)
                     : config_refuse(err, "%s: expected a text or a list of texts", fields[field].key);
        if (e < 0)
            return e;
    }
    return 0;
}

static int read_rule(struct deny_rule *r, const json_t *table, char *err)
{
    char why[CONFIG_ERROR_MAX];
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)table, key, value)
    {
        int i = CONFIG_KEY_FIND(fields, key, why);
        int e = i < 0 ? config_refuse(err, "%.64s: %.900s", key, why) : read_field(r, (size_t)i, value, err);
        if (e < 0)
            return e;
    }
    if (r->n_places == 0)
        return config_refuse(err,
                             "a rule needs `to`, such as { to = \"*:25\", clients = \"192.168.2.0/24\" }");
    return 0;
}

int config_deny_add(struct config *c, const json_t *table, char *err)
{
    struct deny_rule rule = {.n_places = 0};
    int r = read_rule(&rule, table, err);

    if (r < 0) {
        deny_rule_done(&rule);
        return r;
    }
    return deny_add(&c->deny, &rule) < 0 ? out_of_memory(err) : 0;
}
