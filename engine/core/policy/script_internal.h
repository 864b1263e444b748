/* What script.c, script_load.c and script_state.c share. */
#ifndef STEERWAY_POLICY_SCRIPT_INTERNAL_H
#define STEERWAY_POLICY_SCRIPT_INTERNAL_H

#include "policy/script.h"

/** Tell the VM of the uplinks that it does not know yet. Under vm_protected, with the script as its data. */
int script_tell_new_uplinks(lua_State *L);

/** Hand what the predecessor exported to the policy's import function.
 *  @return 0, or negative errno with one line in err */
MUST_CHECK int script_import(struct script *s, const struct script_state *state, char *err);

#endif
