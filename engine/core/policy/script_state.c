/* What a policy passes to its successor at a reload. */
#include "policy/script_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct export
{
    struct script *script;
    struct script_state *state;
    bool no_memory;
};

/* Under vm_protected. */
static int export(lua_State *L)
{
    struct export *e = lua_touserdata(L, 1);
    size_t len;

    lua_rawgeti(L, LUA_REGISTRYINDEX, SCRIPT_EXPORT);
    lua_call(L, 0, 1);
    const char *data = lua_tolstring(L, -1, &len);
    if (!data)
        return 0;
    escape_hold();
    char *copy = malloc(len + 1);
    e->no_memory = !copy;
    if (copy) {
        memcpy(copy, data, len);
        e->state->data = copy;
        e->state->len = len;
    }
    escape_release();
    return 0;
}

int script_export(struct script *s, struct script_state *ret, char *err)
{
    struct script_state state = {.data = NULL};
    struct export e = {.script = s, .state = &state};

    memcpy(state.name, s->name, sizeof state.name);
    if (s->has[SCRIPT_EXPORT]) {
        script_tick(s);
        int rc = vm_protected(s->vm, export, &e, s->budget_s, err);
        if (rc < 0) {
            free(state.data);
            return rc;
        }
        if (e.no_memory) {
            (void)snprintf(err, POLICY_ERROR_MAX, "out of memory");
            return -ENOMEM;
        }
    }
    *ret = state;
    return 0;
}

struct import {
    const struct script_state *state;
};

/* Under vm_protected. */
static int import(lua_State *L)
{
    const struct import *i = lua_touserdata(L, 1);

    lua_rawgeti(L, LUA_REGISTRYINDEX, SCRIPT_IMPORT);
    lua_pushlstring(L, i->state->data, i->state->len);
    lua_call(L, 1, 0);
    return 0;
}

int script_import(struct script *s, const struct script_state *state, char *err)
{
    struct import i = {.state = state};
    return vm_protected(s->vm, import, &i, s->budget_s, err);
}
