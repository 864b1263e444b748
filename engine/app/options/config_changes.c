#include "options/config_changes.h"

#include "options/config_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char UPLINKS[] = "uplinks";

/* --- values as text ------------------------------------------------------------------------------------- */

/* Texts of parent proxies hold passwords before the '@'. */
static bool may_be_secret(const json_t *value)
{
    const char *text = json_string_value(value);

    return text && strstr(text, "://") && strchr(text, '@');
}

/* @return to be freed; NULL without memory */
static char *text_of(const json_t *value, bool secret)
{
    if (!value)
        return strdup("not set");
    if (secret || may_be_secret(value))
        return strdup("(not shown)");
    if (json_is_string(value))
        return strdup(json_string_value(value));
    return json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
}

static void add_text(json_t *list, const char *key, const char *change, const char *applies)
{
    (void)json_array_append_new(
        list, json_pack("{s:s, s:s, s:s}", "key", key, "change", change, "applies", applies));
}

/* @param between  stands between both */
static void add_change(json_t *list, const char *key, const char *applies, const char *one,
                       const char *between, const char *other)
{
    char text[512];

    (void)snprintf(text, sizeof text, "%.200s%s%.200s", one, between, other);
    add_text(list, key, text, applies);
}

static void add_values(json_t *list, const char *key, const char *applies, const json_t *before,
                       const json_t *now, bool secret)
{
    char *was = text_of(before, secret), *is = text_of(now, secret);

    if (was && is)
        add_change(list, key, applies, was, " → ", is);
    free(was);
    free(is);
}

/* --- lists ---------------------------------------------------------------------------------------------- */

static bool has(const json_t *array, const json_t *item)
{
    const json_t *other;
    size_t i;

    json_array_foreach(array, i, other)
    {
        if (json_equal(item, other))
            return true;
    }
    return false;
}

static void add_items(json_t *list, const char *key, const char *applies, const json_t *from,
                      const json_t *others, const char *word, bool secret)
{
    const json_t *item;
    size_t i;

    json_array_foreach(from, i, item)
    {
        char *text = has(others, item) ? NULL : text_of(item, secret);
        if (text)
            add_change(list, key, applies, word, " ", text);
        free(text);
    }
}

/* @return a list with one item, or the list itself; to be decref'd */
static json_t *as_list(const json_t *value)
{
    if (json_is_array(value))
        return json_incref((json_t *)(uintptr_t)value);
    json_t *list = json_array();
    if (value && !(json_is_object(value) && json_object_size(value) == 0))
        (void)json_array_append(list, (json_t *)(uintptr_t)value);
    return list;
}

static void add_lists(json_t *list, const char *key, const char *applies, const json_t *before,
                      const json_t *now, bool secret)
{
    json_t *was = as_list(before), *is = as_list(now);
    size_t n = json_array_size(list);

    add_items(list, key, applies, was, is, "without", secret);
    add_items(list, key, applies, is, was, "with", secret);
    if (json_array_size(list) == n && !json_equal(was, is))
        add_text(list, key, "in another order", applies);
    json_decref(was);
    json_decref(is);
}

/* --- uplinks -------------------------------------------------------------------------------------------- */

/* The item of that name; an item's name is its own, or its interface, address or URL without a weight. */
static const char *name_of(const json_t *item, char out[128])
{
    static const char *const keys[] = {"name", "interface", "address", "upstream"};
    const char *text = json_string_value(item);

    for (size_t i = 0; !text && i < ARRAY_LEN(keys); i++)
        text = json_string_value(json_object_get(item, keys[i]));
    if (!text)
        return "?";
    if (may_be_secret(item) || strstr(text, "://"))
        (void)snprintf(out, 128, "%.*s…", (int)(strstr(text, "://") - text + 3), text);
    else
        (void)snprintf(out, 128, "%.*s", (int)strcspn(text, "@/"), text);
    return out;
}

static const json_t *item_named(const json_t *array, const char *name)
{
    const json_t *item;
    char text[128];
    size_t i;

    json_array_foreach(array, i, item)
    {
        if (strcmp(name_of(item, text), name) == 0)
            return item;
    }
    return NULL;
}

static void add_fields(json_t *list, const char *name, const char *applies, const json_t *was,
                       const json_t *is)
{
    char key[160];
    const char *field;
    json_t *value;

    if (!json_is_object(was) || !json_is_object(is)) {
        (void)snprintf(key, sizeof key, "uplink %s", name);
        return add_values(list, key, applies, was, is, false);
    }
    json_object_foreach((json_t *)(uintptr_t)is, field, value)
    {
        (void)snprintf(key, sizeof key, "uplink %s: %.24s", name, field);
        if (!json_equal(json_object_get(was, field), value))
            add_values(list, key, applies, json_object_get(was, field), value, false);
    }
    json_object_foreach((json_t *)(uintptr_t)was, field, value)
    {
        (void)snprintf(key, sizeof key, "uplink %s: %.24s", name, field);
        if (!json_object_get(is, field))
            add_values(list, key, applies, value, NULL, false);
    }
}

static void add_uplinks(json_t *list, const char *applies, const json_t *before, const json_t *now)
{
    const json_t *item;
    char name[128];
    size_t i;

    json_array_foreach(before, i, item)
    {
        if (!item_named(now, name_of(item, name)))
            add_change(list, UPLINKS, applies, "without", " ", name);
    }
    json_array_foreach(now, i, item)
    {
        const json_t *was = item_named(before, name_of(item, name));
        if (!was)
            add_change(list, UPLINKS, applies, "with", " ", name);
        else if (!json_equal(was, item))
            add_fields(list, name, applies, was, item);
    }
}

/* --- all keys ------------------------------------------------------------------------------------------- */

static const char *when_it_applies(const struct option *o, const struct option_value *given, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (given[i].option == o || (given[i].option->clears & o->clears) != 0)
            return "never";
    return o->restart ? "restart" : "now";
}

static void add_option(json_t *list, const struct option *o, const char *applies, const json_t *before,
                       const json_t *now)
{
    char key[CONFIG_FILE_KEY_MAX];

    config_file_key(o, key);
    const json_t *was = json_object_get(before, key), *is = json_object_get(now, key);
    if (was == is || (was && is && json_equal(was, is)))
        return;
    switch (o->kind) {
    case OPTION_LIST:
    case OPTION_PATHS:
    case OPTION_RULES:
        return add_lists(list, key, applies, was, is, o->secret);
    case OPTION_FLAG:
    case OPTION_NUMBER:
    case OPTION_TEXT:
    case OPTION_PATH:
    case OPTION_PLACE:
    case OPTION_POLICY:
    case OPTION_SINK:
    case OPTION_MAP:
        break;
    }
    add_values(list, key, applies, was, is, o->secret);
}

json_t *config_changes(const json_t *before, const json_t *now, const struct option_value *given,
                       size_t n_given, bool uplinks_given)
{
    json_t *list = json_array();

    for (size_t i = 0; list && option_at(i); i++)
        add_option(list, option_at(i), when_it_applies(option_at(i), given, n_given), before, now);
    if (list)
        add_uplinks(list, uplinks_given ? "never" : "now", json_object_get(before, UPLINKS),
                    json_object_get(now, UPLINKS));
    return list;
}
