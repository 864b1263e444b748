/* Shared by script.c, script_load.c and script_state.c. */
#ifndef STEERWAY_POLICY_SCRIPT_INTERNAL_H
#define STEERWAY_POLICY_SCRIPT_INTERNAL_H

#include "policy/script.h"

/** Add the uplinks that the VM does not know yet. Under vm_protected, with the script as its data. */
int script_tell_new_uplinks(lua_State *L);

/** The VM knows no uplink any more: it is about to be freed. */
void script_let_go(struct script *s);

/** Call the policy's import with its predecessor's export.
 *  @return 0, or negative errno with one line in err */
MUST_CHECK int script_import(struct script *s, const struct script_state *state, char *err);

#endif
