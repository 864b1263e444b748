#include "main/verbs.h"

#include "control/options.h"
#include "main/cli.h"
#include "main/commands.h"

#include <stdint.h>

#define UPLINKS_HELP                                                                                         \
    "UPLINK is INTERFACE or ADDRESS, with @WEIGHT or /WEIGHT for its share, which is\n"                      \
    "else 1: eth0, wwan0@0.5, 192.168.1.10@7, [2001:db8::10]@3. With none: every\n"                          \
    "interface that is up, is no bridge, container or tunnel, and has a default\n"                           \
    "route of its own.\n"

/* In the order of the overview. */
const struct verb verb_table[] = {
    {.name = "list",
     .words = "",
     .summary = "show the links of this machine, and which of them would be used",
     .about = "Show the links of this machine, and which of them start would use by default.\n",
     .scope = OPTION_OF_LIST,
     .run = cmd_list},
    {.name = "start",
     .words = "[UPLINK...]",
     .words_max = SIZE_MAX,
     .summary = "run the proxy",
     .about = "Run the proxy until SIGINT or SIGTERM; SIGHUP reloads the policy.\n\n" UPLINKS_HELP,
     .scope = OPTION_OF_START,
     .run = cmd_start},
    {.name = "check",
     .words = "[POLICY] [UPLINK...]",
     .words_max = SIZE_MAX,
     .summary = "say what is wrong with config and policy, without starting",
     .about = "Read config and policy as start does, try the policy, say what is wrong with\n"
              "them, and exit. Uplinks and addresses that this machine lacks cause warnings:\n"
              "the config may be meant for another one. Whether a port is free is not tried.\n\n"
              "POLICY is a Lua file, or the name of a policy that ships; as --policy.\n\n" UPLINKS_HELP,
     .scope = OPTION_OF_CHECK,
     .run = cmd_check},
    {.name = "help",
     .words = "[COMMAND]",
     .words_max = 1,
     .summary = "show the help of a command: steerway help start",
     .about = "Show the help of a command.\n",
     .run = cmd_help},
};
const size_t verb_count = sizeof verb_table / sizeof *verb_table;

const struct verb *verb_by_name(const char *name)
{
    for (size_t i = 0; i < verb_count; i++) {
        if (slice_eq(slice_str(verb_table[i].name), slice_str(name)))
            return &verb_table[i];
    }
    return NULL;
}
