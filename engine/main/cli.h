/* The command line: which command, with which options and uplinks. */
#ifndef STEERWAY_MAIN_CLI_H
#define STEERWAY_MAIN_CLI_H

#include "control/options.h"

#include <stdio.h>

enum verb { VERB_NONE, VERB_LIST, VERB_START, VERB_CHECK, VERB_HELP };

struct cli {
    enum verb verb;
    enum verb topic; /* of VERB_HELP; VERB_NONE for the overview */
    bool show_help, show_version, as_json;
    const char *config_file;
    struct option_value *values; /* what the options say, in order */
    size_t n_values;
    char **secrets; /* the copies of those values whose originals in argv were overwritten */
    size_t n_secrets;
    const char **uplinks;
    size_t n_uplinks;
};

/** Take the command line apart. Passwords in argv are overwritten, so that ps does not show them.
 *  The rest of argv must outlive the result. @return 0, or negative errno with one line in err
 *  (CONFIG_ERROR_MAX); call cli_done either way */
MUST_CHECK int cli_parse(struct cli *ret, int argc, char **argv, char *err);
void cli_done(struct cli *cli);

/** The config that file and command line make together; the command line counts more. An uplink, where one is
 *  given, replaces all of the file's.
 *  @param ret_code  exit code for a failure: COMMAND_MISUSED when the command line is at fault,
 *                   COMMAND_FAILED for a file, the config's or one that the command line names
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX); call config_done either way */
MUST_CHECK int cli_configure(const struct cli *cli, struct config *ret, int *ret_code, char *err);

/** The help of a verb, or the overview for VERB_NONE. */
void cli_print_help(FILE *out, enum verb verb);

#endif
