/* Fills a new VM: LuaJIT's libraries, the engine's functions, and lua/steerway/host.lua. */
#ifndef STEERWAY_POLICY_VM_BOOT_H
#define STEERWAY_POLICY_VM_BOOT_H

#include "policy/vm.h"

/** Registry index of the handler that records the place of an error; a script's entries lie below it. */
enum { VM_NOTE_PLACE_REF = 1000 };

struct vm_boot {
    struct vm *vm;
    const struct vm_options *options;
};
/** Fill the VM; for vm_protected. Its argument is a struct vm_boot. */
int vm_boot(lua_State *L);

#endif
