/* Functions of the engine that host.lua calls for lists and names; see vm_services.h. */
#ifndef STEERWAY_POLICY_VM_LISTS_H
#define STEERWAY_POLICY_VM_LISTS_H

#include "policy/vm.h"

/** Put "lists" (list, domains, cidrs) and "ascii" into the table on top of the stack. */
void vm_lists_push(lua_State *L, struct vm *vm);

#endif
