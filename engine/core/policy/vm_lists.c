#include "policy/vm_lists.h"

#include "policy/vm_services.h"
#include "sets/ascii_name.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

static struct vm *vm_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* During the load any list may be wanted; later only lists that the policy has. */
static int find_file(struct vm *vm, enum list_kind kind, const char *path, const struct list_file **ret,
                     char *err)
{
    if (vm->lists) {
        vm_note_file(vm, path);
        return lists_use(vm->lists, vm->list_use, kind, path, ret, err);
    }
    *ret = vm->list_use ? list_use_find(vm->list_use, kind, path) : NULL;
    if (*ret)
        return 0;
    (void)snprintf(err, LIST_FILE_ERROR_MAX,
                   "%.300s: lists are read when the policy is loaded; call ctx.%s in new", path,
                   list_file_kind_name(kind));
    return -EINVAL;
}

/* list("domains"|"cidrs", path) → the set and its count; false if the list must be read first; or nil and
 * an error */
static int service_list(lua_State *L)
{
    struct vm *vm = vm_of(L);
    enum list_kind kind = strcmp(luaL_checkstring(L, 1), "domains") == 0 ? LIST_NAMES : LIST_RANGES;
    size_t path_len;
    const char *path = luaL_checklstring(L, 2, &path_len);
    const struct list_file *list = NULL;
    char err[LIST_FILE_ERROR_MAX];

    if (path_len >= PATH_MAX) {
        lua_pushnil(L);
        lua_pushfstring(L, "a path of %d bytes: File name too long", (int)path_len);
        return 2;
    }
    escape_hold();
    int r = find_file(vm, kind, path, &list, err);
    escape_release();
    if (r == -EAGAIN) {
        lua_pushboolean(L, 0);
        return 1;
    }
    if (r < 0) {
        lua_pushnil(L);
        lua_pushstring(L, err);
        return 2;
    }
    lua_pushlightuserdata(L, kind == LIST_NAMES ? (void *)list->names : (void *)list->ranges);
    lua_pushnumber(L, (lua_Number)list_file_count(list));
    return 2;
}

/* ascii(name) → the name in A-labels, or nil */
static int service_ascii(lua_State *L)
{
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);
    char ascii[NAME_SET_TEXT_MAX + 1];

    escape_hold(); /* libidn2 allocates */
    int n = ascii_name(slice_of(name, len), ascii);
    escape_release();

    if (n < 0)
        return 0;
    lua_pushlstring(L, ascii, (size_t)n);
    return 1;
}

static void push_service(lua_State *L, struct vm *vm, const char *name, lua_CFunction f)
{
    lua_pushlightuserdata(L, vm);
    lua_pushcclosure(L, f, 1);
    lua_setfield(L, -2, name);
}

typedef int match_fn(const void *set, const char *host, size_t len);

static int match_names(const void *set, const char *host, size_t len)
{
    return name_set_match(set, host, len);
}

static int match_ranges(const void *set, const char *host, size_t len)
{
    return range_set_match(set, host, len);
}

/* Lua calls the C function by its address. */
static void push_match(lua_State *L, const char *name, match_fn *match)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)match);
    lua_setfield(L, -2, name);
}

void vm_lists_push(lua_State *L, struct vm *vm)
{
    lua_createtable(L, 0, 3);
    push_service(L, vm, "list", service_list);
    push_match(L, list_file_kind_name(LIST_NAMES), match_names);
    push_match(L, list_file_kind_name(LIST_RANGES), match_ranges);
    lua_setfield(L, -2, "lists");
    push_service(L, vm, "ascii", service_ascii);
}
