/* The verbs of the command line, and how they all speak of errors. */
#ifndef STEERWAY_MAIN_COMMANDS_H
#define STEERWAY_MAIN_COMMANDS_H

#include "base/compiler.h"
#include "control/config.h"
#include "main/paths.h"
#include "policy/policy.h"
#include "uplink/uplink.h"

/** Exit codes. */
enum { COMMAND_OK = 0, COMMAND_FAILED = 1, COMMAND_MISUSED = 2 };

/** Print the links of this machine and what speaks against each as an uplink. */
int cmd_list(bool as_json);

/** Say whether a start would succeed, without listening anywhere. */
int cmd_check(struct config *config, const struct paths *paths);

/** Serve until told to stop. */
int cmd_start(struct config *config, const struct paths *paths);

/** Find and load the policy of the config. @return 0, or negative errno with one line in err
 * (CONFIG_ERROR_MAX) */
MUST_CHECK int command_load_policy(const struct config *config, const struct paths *paths,
                                   struct uplink_set *uplinks, struct policy **ret, char *err);

/** Print "steerway: …" on standard error, in one line whatever stands in the text. @return code */
int command_error(int code, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
