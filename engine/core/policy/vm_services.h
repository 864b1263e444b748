/* Functions of the engine that host.lua calls: ordinary C functions of Lua, with the struct vm as upvalue. */
#ifndef STEERWAY_POLICY_VM_SERVICES_H
#define STEERWAY_POLICY_VM_SERVICES_H

#include <lua.h>

/** read(path) → text, or nil and a reason that names the path. Reads regular files of at most 8 MiB. The
 * path is added to the files in any case. */
int vm_service_read(lua_State *L);
/** log("info"|"warn"|"error", text). Rate-limited. */
int vm_service_log(lua_State *L);
/** metric(name, gauge) → pointer to its double, created on first use; or nil and the reason. */
int vm_service_metric(lua_State *L);

/** Replace a function of the table on top of the stack by one that holds the escape while it runs
 * (escape.h). */
void vm_service_hold(lua_State *L, const char *name);

#endif
