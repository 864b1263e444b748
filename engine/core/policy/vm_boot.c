#include "policy/vm_boot.h"

#include "base/clock.h"
#include "policy/vm_lists.h"
#include "policy/vm_services.h"

#include <string.h>
#include <sys/random.h>

#include <lauxlib.h>
#include <libpsl.h>
#include <lualib.h>

static const char HOST_KEY[] = "steerway.host";

static void open_library(lua_State *L, const char *name, lua_CFunction open)
{
    lua_pushcfunction(L, open);
    lua_pushstring(L, name);
    lua_call(L, 1, 0);
}

static uint32_t make_seed(void)
{
    uint32_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        seed = (uint32_t)(clock_now_s() * 1e6);
    return seed;
}

static void push_service(lua_State *L, struct vm *vm, const char *name, lua_CFunction f)
{
    lua_pushlightuserdata(L, vm);
    lua_pushcclosure(L, f, 1);
    lua_setfield(L, -2, name);
}

static void push_services(lua_State *L, struct vm *vm, const struct vm_options *o)
{
    lua_createtable(L, 0, 9);
    lua_pushlightuserdata(L, o->frame);
    lua_setfield(L, -2, "frame");
    lua_pushstring(L, o->lua_dir);
    lua_setfield(L, -2, "lua_dir");
    lua_pushnumber(L, o->seed ? o->seed : make_seed());
    lua_setfield(L, -2, "seed");
    lua_pushlightuserdata(L, (void *)(uintptr_t)psl_builtin());
    lua_setfield(L, -2, "psl");
    push_service(L, vm, "read", vm_service_read);
    push_service(L, vm, "log", vm_service_log);
    push_service(L, vm, "metric", vm_service_metric);
    vm_lists_push(L, vm);
}

/* libc reads time zones under a lock, with memory from malloc. */
static void hold_times(lua_State *L)
{
    lua_getglobal(L, LUA_OSLIBNAME);
    vm_service_hold(L, "date");
    vm_service_hold(L, "time");
    lua_pop(L, 1);
}

/* LuaJIT calls it when an error is raised that Lua code does not catch, before the stack unwinds. It must
 * not allocate or raise. Upvalue: the VM. Argument and result: the error value. */
static int note_place(lua_State *L)
{
    struct vm *vm = lua_touserdata(L, lua_upvalueindex(1));
    lua_Debug at;

    if (lua_type(L, 1) == LUA_TSTRING)
        return 1;
    watchdog_blame(&vm->dog, L, &at);
    vm->place.line = at.currentline;
    if (at.currentline > 0)
        memcpy(vm->place.file, at.short_src, sizeof vm->place.file);
    return 1;
}

static void stop_compiling(lua_State *L)
{
    lua_getglobal(L, LUA_JITLIBNAME);
    lua_getfield(L, -1, "off");
    lua_call(L, 0, 0);
    lua_pop(L, 1);
}

static void load_host(lua_State *L, const struct vm_boot *b)
{
    open_library(L, LUA_LOADLIBNAME, luaopen_package);
    open_library(L, LUA_BITLIBNAME, luaopen_bit);
    open_library(L, LUA_JITLIBNAME, luaopen_jit); /* turns the compiler on */
    if (b->options->no_jit)
        stop_compiling(L);
    open_library(L, LUA_FFILIBNAME, luaopen_ffi);

    lua_getglobal(L, "package");
    lua_pushfstring(L, "%s/?.lua", b->options->lua_dir);
    lua_setfield(L, -2, "path");
    lua_pushliteral(L, "");
    lua_setfield(L, -2, "cpath");

    lua_getglobal(L, "require");
    lua_pushliteral(L, "steerway.host");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "engine");
    push_services(L, b->vm, b->options);
    lua_call(L, 1, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, HOST_KEY);

    /* Code that escapes the sandbox to "the globals" finds an empty table. */
    lua_newtable(L);
    lua_replace(L, LUA_GLOBALSINDEX);
}

int vm_boot(lua_State *L)
{
    const struct vm_boot *b = lua_touserdata(L, 1);
    /* io and debug are left out: the host does not need them either. */
    open_library(L, "", luaopen_base);
    open_library(L, LUA_TABLIBNAME, luaopen_table);
    open_library(L, LUA_OSLIBNAME, luaopen_os);
    hold_times(L);
    open_library(L, LUA_STRLIBNAME, luaopen_string);
    open_library(L, LUA_MATHLIBNAME, luaopen_math);
    load_host(L, b);
    lua_pushlightuserdata(L, b->vm);
    lua_pushcclosure(L, note_place, 1);
    lua_rawseti(L, LUA_REGISTRYINDEX, VM_NOTE_PLACE_REF);
    return 0;
}

void vm_push_host(lua_State *L, const char *name)
{
    lua_getfield(L, LUA_REGISTRYINDEX, HOST_KEY);
    lua_getfield(L, -1, name);
    lua_remove(L, -2);
}
