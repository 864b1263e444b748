/* The functions of the commands, except for those that ask a running proxy (ask/ask_commands.h). */
#ifndef STEERWAY_MAIN_COMMANDS_H
#define STEERWAY_MAIN_COMMANDS_H

#include "base/compiler.h"
#include "cli/command_error.h"
#include "config/config.h"
#include "config/paths.h"
#include "policy/policy.h"

struct machine;
struct uplink;
struct uplink_set;

struct cli;

/** Print the links of this machine, and why each would not serve as an uplink. */
int cmd_list(const struct cli *cli);

/** Read config and policy, and try the policy, as a start does. Mistakes that would show on any machine
 * are failures. A missing uplink or listening address is a warning: the config may be meant for another
 * machine, or for another time. It does not listen, so it does not notice a port that is taken. */
int cmd_check(const struct cli *cli);

/** Examine the uplinks and the machine: faults, reasons and repairs. @return COMMAND_FAILED when a start
 * would not serve */
int cmd_doctor(const struct cli *cli);

/** Serve until a signal ends it. */
int cmd_start(const struct cli *cli);

/** Send this machine's traffic through the running proxy, end that, or show how it is done. */
int cmd_capture(const struct cli *cli);

/** Play a trace of connections against simulated uplinks, with one or several policies. */
int cmd_simulate(const struct cli *cli);

/** Write a new policy and its spec into the current folder. */
int cmd_new_policy(const struct cli *cli);

/** Ask a few questions, and write a config of the answers. */
int cmd_init(const struct cli *cli);

/** Print the completion script of a shell; or one name a line, for such scripts. */
int cmd_completion(const struct cli *cli);

/** Print the help of the named command, or the overview. */
int cmd_help(const struct cli *cli);

/** A command with the config from command line and file, the paths of the Lua files, and this machine's
 * links.
 * @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX) */
typedef int command_fn(const struct cli *cli, struct config *config, const struct paths *paths,
                       const struct machine *m, char *err);

/** Run such a command, and print its error. @return the exit code, or that of an earlier failure */
int command_configured(const struct cli *cli, command_fn *run);

/** Find and load the config's policy. @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX) */
MUST_CHECK int command_load_policy(const struct config *config, const struct paths *paths,
                                   struct uplink_set *uplinks, struct policy **ret, char *err);

/** Whether the uplink needs a mark or a gateway that this process may not set. */
bool command_lacks_rights(const struct uplink *u);
#define COMMAND_NO_RIGHTS                                                                                    \
    "mark and gateway need root, or CAP_NET_ADMIN (setcap cap_net_admin+ep on the program, or "              \
    "AmbientCapabilities in its unit)"

enum { COMMAND_ABSENCE_MAX = 320 };
/** Why an uplink that is down cannot be used. For an unknown interface, it adds the most similar name.
 * @param out  buffer of the result */
const char *command_absence(const struct uplink *u, const struct machine *m, char out[COMMAND_ABSENCE_MAX]);

#endif
