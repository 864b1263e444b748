/* The verbs of the command line, and how they all speak of errors. */
#ifndef STEERWAY_MAIN_COMMANDS_H
#define STEERWAY_MAIN_COMMANDS_H

#include "base/compiler.h"
#include "config/config.h"
#include "config/paths.h"
#include "policy/policy.h"
#include "uplink/uplink.h"

/** Exit codes. */
enum { COMMAND_OK = 0, COMMAND_FAILED = 1, COMMAND_MISUSED = 2 };

struct cli;

/** Print the links of this machine and what speaks against each as an uplink. */
int cmd_list(const struct cli *cli);

/** Read config and policy and try the policy, as a start does: failures are what is wrong with them anywhere.
 *  What only this machine lacks (an uplink, an address to listen on) is a warning, for the config may be
 * meant for another one, or for this one at another time. Listens nowhere, so a port that is taken is not
 * found. */
int cmd_check(const struct cli *cli);

/** Examine the uplinks and the machine: what is wrong, why it matters, and what repairs it. @return
 * COMMAND_FAILED where a start would not serve */
int cmd_doctor(const struct cli *cli);

/** Serve until told to stop. */
int cmd_start(const struct cli *cli);

/** Ask a running proxy over its control socket: how it is, what its uplinks are, to load its policy anew,
 * another one, or the same with a parameter; which uplink it would choose; to record. */
int cmd_status(const struct cli *cli);
int cmd_uplinks(const struct cli *cli);
int cmd_drain(const struct cli *cli);
int cmd_reload(const struct cli *cli);
int cmd_policy(const struct cli *cli);
int cmd_set(const struct cli *cli);
int cmd_why(const struct cli *cli);
int cmd_record(const struct cli *cli);

/** Play a trace of connections against simulated uplinks, by one policy or several. */
int cmd_simulate(const struct cli *cli);

/** Write a policy and its spec into this folder, for their author to go on from. */
int cmd_new_policy(const struct cli *cli);

/** Print the help of the command that is named, or the overview. */
int cmd_help(const struct cli *cli);

/** Run a command with the config that the command line and its file make, and with the paths that follow.
 *  @return its exit code, or that of what went wrong before */
int command_configured(const struct cli *cli, int (*run)(struct config *config, const struct paths *paths));

/** Find and load the policy of the config. @return 0, or negative errno with one line in err
 * (CONFIG_ERROR_MAX) */
MUST_CHECK int command_load_policy(const struct config *config, const struct paths *paths,
                                   struct uplink_set *uplinks, struct policy **ret, char *err);

/** Whether the uplink has a mark or a gateway, and this process may not set them. */
bool command_lacks_rights(const struct uplink *u);
#define COMMAND_NO_RIGHTS                                                                                    \
    "mark and gateway need root, or CAP_NET_ADMIN (setcap cap_net_admin+ep on the program, or "              \
    "AmbientCapabilities in its unit)"

enum { COMMAND_ABSENCE_MAX = 320 };
/** Why the uplink, which is not up, cannot be used; with the interface that was probably meant where its own
 * does not exist. @param out  the buffer of what is returned */
const char *command_absence(const struct uplink *u, const struct machine *m, char out[COMMAND_ABSENCE_MAX]);

/** Print text on standard output with '?' for what a terminal might obey, whoever chose the text.
 *  @return the octets printed */
int command_print(const char *text);

/** Print "steerway: …" on standard error, in one line whatever stands in the text. @return code */
int command_error(int code, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
