/* Calls that Lua cannot end: C functions in place of a policy's pick. */
#ifndef STEERWAY_TEST_POLICY_ASTRAY_H
#define STEERWAY_TEST_POLICY_ASTRAY_H

#include "policy/policy_internal.h"

#include <lauxlib.h>
#include <luajit.h>
#include <string.h>

static volatile long astray_sink;

static inline int astray_spin(lua_State *L)
{
    (void)L;
    for (;;)
        astray_sink++;
    return 0;
}

static inline int astray_spin_in_libc(lua_State *L)
{
    static char text[1 << 16];
    (void)L;
    for (;;)
        astray_sink += memchr(text, 1, sizeof text) != NULL;
    return 0;
}

/* Allocates all the time, so that it is left inside the allocator. */
static inline int astray_spin_in_the_allocator(lua_State *L)
{
    for (size_t i = 0;; i++) {
        lua_newtable(L);
        lua_createtable(L, (int)(i * 7919 % 2000), 3);
        lua_settop(L, 0);
    }
    return 0;
}

/* Raises errors all the time, so that it meets the unwinder when it is left. */
static inline int astray_raise_nothing(lua_State *L)
{
    return lua_error(L);
}

static inline int astray_spin_in_the_unwinder(lua_State *L)
{
    for (;;) {
        lua_sethook(L, NULL, 0, 0);
        lua_pushcfunction(L, astray_raise_nothing);
        (void)lua_pcall(L, 0, 0, 0);
        lua_settop(L, 0);
    }
    return 0;
}

/* Compiles all the time, so that it is left inside LuaJIT's requests for pages. */
static inline int astray_spin_in_the_compiler(lua_State *L)
{
    for (;;) {
        lua_sethook(L, NULL, 0, 0);
        (void)luaL_loadstring(L, "local n = 0 for i = 1, 200 do n = n + i end return n");
        (void)lua_pcall(L, 0, 1, 0);
        (void)luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
        lua_settop(L, 0);
    }
    return 0;
}

/* Each level has its own Lua stack, so that C's stack ends first. */
static inline int astray_nest(lua_State *L)
{
    volatile char room[300];
    lua_State *other = lua_newthread(L);
    room[0] = 1;
    lua_pushcfunction(other, astray_nest);
    lua_call(other, 0, 0);
    return room[0] - 1;
}

/* The same, with an error raised and caught at each level: the unwinder needs the last of the stack. */
static inline int astray_nest_and_raise(lua_State *L)
{
    lua_State *other = lua_newthread(L);
    lua_pushcfunction(other, astray_raise_nothing);
    (void)lua_pcall(other, 0, 0, 0);
    lua_settop(other, 0);
    lua_pushcfunction(other, astray_nest_and_raise);
    lua_call(other, 0, 0);
    return 0;
}

static inline int astray_nest_and_hold(lua_State *L)
{
    lua_State *other = lua_newthread(L);
    escape_hold();
    astray_sink++;
    escape_release();
    lua_pushcfunction(other, astray_nest_and_hold);
    lua_call(other, 0, 0);
    return 0;
}

static inline int astray_panic_once(lua_State *L)
{
    lua_CFunction handler = lua_atpanic(L, NULL);
    (void)lua_atpanic(L, handler);
    return handler(L);
}

static const struct {
    const char *name;
    lua_CFunction way;
    const char *told;
} astray_ways[] = {
    {"spin", astray_spin, "a builtin did not come back within 400 ms"},
    {"libc", astray_spin_in_libc, "did not come back"},
    {"allocator", astray_spin_in_the_allocator, "did not come back"},
    {"unwinder", astray_spin_in_the_unwinder, "did not come back"},
    {"compiler", astray_spin_in_the_compiler, "did not come back"},
    {"panic", astray_panic_once, "nothing catches it"},
    {"nest", astray_nest, "C stack overflowed"},
    {"nest and raise", astray_nest_and_raise, "C stack overflowed"},
    {"nest and hold", astray_nest_and_hold, "C stack overflowed"},
};

/** Make the serving policy run this function at its next pick. */
static inline void astray_go(struct policy *p, lua_CFunction way)
{
    lua_State *L = p->script->vm->L;
    lua_pushcfunction(L, way);
    lua_replace(L, VM_BASE + SCRIPT_PICK);
}

#endif
