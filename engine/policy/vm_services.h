/* What host.lua may ask of the engine: C functions of the ordinary kind, called by Lua alone. */
#ifndef STEERWAY_POLICY_VM_SERVICES_H
#define STEERWAY_POLICY_VM_SERVICES_H

#include <lua.h>

/** read(path) → text, or nil and a reason that names the path. Regular files of at most 16 MiB. */
int vm_service_read(lua_State *L);
/** log("info"|"warn"|"error", text); the struct vm is its upvalue. Rate-limited. */
int vm_service_log(lua_State *L);

#endif
