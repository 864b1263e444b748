#include "policy/lua_config.h"

#include "policy/vm.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

static const double CONFIG_BUDGET_S = 1;
enum { DEPTH_MAX = 16 };
static const double INTEGER_MAX = 9007199254740992.0; /* 2^53: above it, a double cannot hold every integer */

/* Lives outside the protected call, so that an error inside leaks nothing. */
struct conversion {
    const char *path;
    json_t *root;
    char *err;
    size_t depth;
    const void *tables[DEPTH_MAX + 1]; /* the tables around the present value */
    char where[256];                   /* path of keys, such as "uplinks[2].weight" */
};

static int convert(lua_State *L, struct conversion *c, json_t **ret);

static int conversion_refuse(struct conversion *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
static int conversion_refuse(struct conversion *c, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)snprintf(c->err, VM_ERROR_MAX, "%s: %s%s%s", c->path, c->where, *c->where ? ": " : "", text);
    return -EINVAL;
}

static size_t enter_key(struct conversion *c, const char *key, size_t index)
{
    size_t len = strlen(c->where);
    if (key)
        (void)snprintf(c->where + len, sizeof c->where - len, "%s%s", len ? "." : "", key);
    else
        (void)snprintf(c->where + len, sizeof c->where - len, "[%zu]", index);
    return len;
}

static int keep(struct conversion *c, json_t *made, json_t **ret, const char *why)
{
    if (!made)
        return conversion_refuse(c, "%s", why);
    *ret = made;
    return 0;
}

static int convert_number(lua_State *L, struct conversion *c, json_t **ret)
{
    double v = lua_tonumber(L, -1);
    if (!isfinite(v))
        return conversion_refuse(c, "expected a finite number");
    if (floor(v) == v && fabs(v) <= INTEGER_MAX)
        return keep(c, json_integer((json_int_t)v), ret, "out of memory");
    return keep(c, json_real(v), ret, "out of memory");
}

static int convert_array(lua_State *L, struct conversion *c, size_t n, json_t **ret)
{
    json_t *array = json_array();
    for (size_t i = 1; array && i <= n; i++) {
        json_t *item = NULL;
        size_t len = enter_key(c, NULL, i);
        lua_rawgeti(L, -1, (int)i);
        int rc = convert(L, c, &item);
        lua_pop(L, 1);
        if (rc == 0 && json_array_append_new(array, item) < 0)
            rc = conversion_refuse(c, "out of memory");
        c->where[len] = '\0';
        if (rc < 0) {
            json_decref(array);
            return rc;
        }
    }
    return keep(c, array, ret, "out of memory");
}

/* On the stack: the pair's value on top, its key (a string) below. */
static int add_member(lua_State *L, struct conversion *c, json_t *object)
{
    size_t key_len;
    const char *key = lua_tolstring(L, -2, &key_len);
    if (strlen(key) != key_len)
        return conversion_refuse(c, "a key holds a NUL");
    json_t *item = NULL;
    size_t len = enter_key(c, key, 0);
    int rc = convert(L, c, &item);
    if (rc == 0 && json_object_set_new(object, key, item) < 0)
        rc = conversion_refuse(c, "the key is not UTF-8");
    c->where[len] = '\0';
    return rc;
}

static int convert_object(lua_State *L, struct conversion *c, json_t **ret)
{
    json_t *object = json_object();
    int rc = object ? 0 : conversion_refuse(c, "out of memory");
    lua_pushnil(L);
    while (rc == 0 && lua_next(L, -2)) {
        rc = add_member(L, c, object);
        lua_pop(L, 1);
    }
    if (rc < 0) {
        lua_pop(L, 1); /* the key */
        json_decref(object);
        return rc;
    }
    *ret = object;
    return 0;
}

/* A table with the keys 1..n is a list, one with only string keys an object; any other is an error. */
static int check_keys(lua_State *L, struct conversion *c, size_t *ret_n)
{
    size_t n = 0, strings = 0, total = 0;
    double highest = 0;
    lua_pushnil(L);
    for (; lua_next(L, -2); lua_pop(L, 1)) {
        total++;
        int type = lua_type(L, -2);
        if (type == LUA_TSTRING)
            strings++;
        double key = type == LUA_TNUMBER ? lua_tonumber(L, -2) : 0;
        if (key >= 1 && floor(key) == key) {
            n++;
            highest = fmax(highest, key);
        }
    }
    if (strings == total) {
        *ret_n = 0;
        return 0;
    }
    if (n == total && highest == (double)n) {
        *ret_n = n;
        return 0;
    }
    return conversion_refuse(c, "expected a table whose keys are all names, or 1, 2, … without a gap");
}

static int convert_table(lua_State *L, struct conversion *c, json_t **ret)
{
    const void *self = lua_topointer(L, -1);
    for (size_t i = 0; i < c->depth; i++)
        if (c->tables[i] == self)
            return conversion_refuse(c, "a table that contains itself");
    if (c->depth >= DEPTH_MAX)
        return conversion_refuse(c, "tables nested deeper than %d", DEPTH_MAX);
    size_t n = 0;
    int rc = check_keys(L, c, &n);
    if (rc < 0)
        return rc;
    c->tables[c->depth++] = self;
    rc = n > 0 ? convert_array(L, c, n, ret) : convert_object(L, c, ret);
    c->depth--;
    return rc;
}

/* Converts the value on top of the stack, and leaves it there. Nothing here raises errors if the stack has
 * room: no metamethods, no key conversion, no new Lua values. */
static int convert(lua_State *L, struct conversion *c, json_t **ret)
{
    size_t len;
    const char *text;
    switch (lua_type(L, -1)) {
    case LUA_TBOOLEAN:
        return keep(c, json_boolean(lua_toboolean(L, -1)), ret, "out of memory");
    case LUA_TNUMBER:
        return convert_number(L, c, ret);
    case LUA_TSTRING:
        text = lua_tolstring(L, -1, &len);
        return keep(c, json_stringn(text, len), ret, "the text is not UTF-8");
    case LUA_TTABLE:
        return convert_table(L, c, ret);
    default:
        return conversion_refuse(c, "expected a text, number, boolean or table, got a %s",
                                 lua_typename(L, lua_type(L, -1)));
    }
}

/* Under vm_protected; its argument is the conversion. */
static int evaluate(lua_State *L)
{
    struct conversion *c = lua_touserdata(L, 1);
    vm_push_host(L, "load_config");
    lua_pushstring(L, c->path);
    lua_call(L, 1, 1);
    /* Each level holds a key and a value. */
    luaL_checkstack(L, 4 * DEPTH_MAX, "config");
    escape_hold(); /* Jansson uses malloc */
    if (convert(L, c, &c->root) < 0)
        c->root = NULL;
    escape_release();
    return 0;
}

int lua_config_load(const char *path, const char *lua_dir, json_t **ret, char *err)
{
    struct frame frame = {.live = false}; /* the host requires a frame */
    const struct vm_options options = {.lua_dir = lua_dir, .frame = &frame, .file = path, .config = true};
    struct vm *vm;
    int rc = vm_new(&vm, &options, err);
    if (rc < 0)
        return rc;
    struct conversion c = {.path = path, .err = err};
    rc = vm_protected(vm, evaluate, &c, CONFIG_BUDGET_S, err);
    vm_free(vm);
    if (rc < 0) {
        json_decref(c.root);
        return rc;
    }
    if (!c.root)
        return -EINVAL;
    *ret = c.root;
    return 0;
}
