/* What host.lua may ask of the engine: C functions of the ordinary kind, called by Lua alone. The struct vm
 * is the upvalue of each. */
#ifndef STEERWAY_POLICY_VM_SERVICES_H
#define STEERWAY_POLICY_VM_SERVICES_H

#include <lua.h>

/** read(path) → text, or nil and a reason that names the path. Regular files of at most 8 MiB; whether it
 * can be read or not, the path is noted among the files. */
int vm_service_read(lua_State *L);
/** log("info"|"warn"|"error", text). Rate-limited. */
int vm_service_log(lua_State *L);
/** metric(name, gauge) → pointer to its double, made on first use; or nil and what speaks against it. */
int vm_service_metric(lua_State *L);

/** Replace a function of the table on top of the stack by one that calls it and is not left meanwhile
 * (escape.h).
 */
void vm_service_hold(lua_State *L, const char *name);

#endif
