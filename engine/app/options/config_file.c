#include "options/config_file.h"

#include "base/nearest.h"
#include "config/config_deny.h"
#include "config/config_table.h"
#include "config/config_uplinks.h"
#include "options/options.h"
#include "policy/lua_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = CONFIG_FILE_KEY_MAX };
static const char UPLINKS[] = "uplinks";

/* The state while one key is read. */
struct reading {
    struct config *config;
    const struct option *option;
    struct slice folder; /* the config file's, with its last '/'; empty for the current folder */
};

void config_file_key(const struct option *o, char key[KEY_MAX])
{
    (void)snprintf(key, KEY_MAX, "%s", o->action == OPTION_SETS ? o->name : "");
    for (char *p = key; *p; p++) {
        if (*p == '-')
            *p = '_';
    }
}

static const struct option *option_of_key(const char *key)
{
    for (size_t i = 0; option_at(i); i++) {
        char name[KEY_MAX];
        config_file_key(option_at(i), name);
        if (*name && strcmp(name, key) == 0)
            return option_at(i);
    }
    return NULL;
}

static int unknown_key(const char *key, char *err)
{
    char names[64][KEY_MAX];
    struct nearest nearest;

    nearest_init(&nearest, slice_str(key));
    nearest_offer(&nearest, UPLINKS);
    for (size_t i = 0; option_at(i) && i < ARRAY_LEN(names); i++) {
        config_file_key(option_at(i), names[i]);
        if (*names[i])
            nearest_offer(&nearest, names[i]);
    }
    if (nearest.best)
        return config_refuse(err, "%.64s: unknown key; did you mean %s?", key, nearest.best);
    return config_refuse(
        err, "%.64s: unknown key (those known are the long options, with '_' for '-', and uplinks)", key);
}

/* --- values --------------------------------------------------------------------------------------------- */

static int set_text(const struct reading *r, const char *text, char *err)
{
    return r->option->set(r->config, text, err);
}

/* A relative path is relative to the config file. */
static int set_path(const struct reading *r, const char *text, char *err)
{
    char *path = NULL;

    if (*text == '/' || !*text)
        return set_text(r, text, err);
    if (asprintf(&path, "%.*s%s", (int)r->folder.len, r->folder.data, text) < 0)
        return config_refuse(err, "out of memory");
    int rc = set_text(r, path, err);
    free(path);
    return rc;
}

static int set_policy(const struct reading *r, const char *text, char *err)
{
    if (!config_policy_is_file(text))
        return set_text(r, text, err);
    /* Make it a path, so that "mine.lua" in the current folder stays a file. */
    return set_path(r, text, err);
}

static int set_one(const struct reading *r, const json_t *value, char *err)
{
    const char *text = config_text(value);

    if (r->option->kind == OPTION_RULES && json_is_object(value) && json_object_size(value) > 0)
        return config_deny_add(r->config, value, err);
    if (!text)
        return config_refuse(err, "expected a text%s",
                             r->option->kind == OPTION_RULES ? ", or a list of texts and tables"
                             : r->option->kind == OPTION_LIST || r->option->kind == OPTION_PATHS
                                 ? " or a list of texts"
                                 : "");
    if (r->option->kind == OPTION_PATH || r->option->kind == OPTION_PATHS)
        return set_path(r, text, err);
    if (r->option->kind == OPTION_PLACE && strcmp(text, "none") != 0)
        return set_path(r, text, err);
    if (r->option->kind == OPTION_SINK && strchr(text, '/'))
        return set_path(r, text, err);
    return r->option->kind == OPTION_POLICY ? set_policy(r, text, err) : set_text(r, text, err);
}

static int set_list(const struct reading *r, const json_t *value, char *err)
{
    const json_t *item;
    size_t i;

    if (!json_is_array(value))
        return set_one(r, value, err);
    json_array_foreach(value, i, item)
    {
        int rc = set_one(r, item, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* A number or boolean as text; a text as it is. @return NULL for any other type */
static const char *as_text(const json_t *value, char out[KEY_MAX])
{
    if (json_is_integer(value))
        (void)snprintf(out, KEY_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        (void)snprintf(out, KEY_MAX, "%.15g", json_real_value(value));
    else if (json_is_boolean(value))
        (void)snprintf(out, KEY_MAX, "%s", json_is_true(value) ? "true" : "false");
    else
        return config_text(value);
    return out;
}

static int set_number(const struct reading *r, const json_t *value, char *err)
{
    char text[KEY_MAX];

    if (!json_is_number(value)) {
        int rc = config_refuse(err, "expected a number");
        config_hint_quotes(value, err);
        return rc;
    }
    return set_text(r, as_text(value, text), err);
}

static int set_flag(const struct reading *r, const json_t *value, char *err)
{
    if (!json_is_boolean(value))
        return config_refuse(err, "expected true or false");
    return json_is_true(value) ? set_text(r, "", err) : 0;
}

static int set_map(const struct reading *r, const json_t *table, char *err)
{
    const char *key;
    json_t *value;

    if (!json_is_object(table))
        return config_refuse(err, "expected a table { key = value }");
    json_object_foreach((json_t *)(uintptr_t)table, key, value)
    {
        char number[KEY_MAX], *pair = NULL;
        const char *text = as_text(value, number);
        if (!text)
            return config_refuse(err, "%.64s: expected a text, number, true or false", key);
        if (asprintf(&pair, "%s=%s", key, text) < 0)
            return config_refuse(err, "out of memory");
        int rc = set_text(r, pair, err);
        free(pair);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int set_value(const struct reading *r, const json_t *value, char *err)
{
    switch (r->option->kind) {
    case OPTION_FLAG:
        return set_flag(r, value, err);
    case OPTION_NUMBER:
        return set_number(r, value, err);
    case OPTION_LIST:
    case OPTION_PATHS:
    case OPTION_RULES:
        return set_list(r, value, err);
    case OPTION_MAP:
        return set_map(r, value, err);
    case OPTION_TEXT:
    case OPTION_PATH:
    case OPTION_PLACE:
    case OPTION_POLICY:
    case OPTION_SINK:
        break;
    }
    return set_one(r, value, err);
}

/* --- the file ------------------------------------------------------------------------------------------- */

static int check_keys(const json_t *root, char *err)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)root, key, value)
    {
        if (strcmp(key, UPLINKS) != 0 && !option_of_key(key))
            return unknown_key(key, err);
    }
    return 0;
}

/* In the order of the option table. Lua tables have no fixed order, and the same file must always give the
 * same error. */
static int read_keys(struct config *c, struct slice folder, const json_t *root, char *err)
{
    char reason[CONFIG_ERROR_MAX];
    int rc = check_keys(root, err);

    for (size_t i = 0; rc == 0 && option_at(i); i++) {
        char key[KEY_MAX];
        config_file_key(option_at(i), key);
        const json_t *value = *key ? json_object_get(root, key) : NULL;
        const struct reading r = {.config = c, .option = option_at(i), .folder = folder};
        rc = value ? set_value(&r, value, reason) : 0;
        if (rc < 0)
            (void)snprintf(err, CONFIG_ERROR_MAX, "%s: %.900s", key, reason);
    }
    const json_t *uplinks = json_object_get(root, UPLINKS);
    return rc == 0 && uplinks ? config_uplinks_add(c, uplinks, err) : rc;
}

int config_file_load(struct config *c, const char *path, const char *lua_dir, char *err)
{
    char reason[CONFIG_ERROR_MAX];
    const char *slash = strrchr(path, '/');
    json_t *root = NULL;

    int rc = lua_config_load(path, lua_dir, &root, err);
    if (rc < 0)
        return rc;
    if (json_is_object(root))
        rc = read_keys(c, slice_of(path, slash ? (size_t)(slash - path) + 1 : 0), root, reason);
    else
        rc = config_refuse(reason, "expected a table with names as keys, such as { port = 1080 }");
    if (rc == 0 && c->policy) {
        c->policy_from = strdup(path);
        rc = c->policy_from ? 0 : config_refuse(reason, "out of memory");
    }
    if (rc < 0)
        (void)snprintf(err, CONFIG_ERROR_MAX, "%.500s: %.500s", path, reason);
    if (rc == 0)
        c->said = json_incref(root);
    json_decref(root);
    return rc;
}
