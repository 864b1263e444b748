/* The command line: which command, with which options and uplinks. */
#ifndef STEERWAY_MAIN_CLI_H
#define STEERWAY_MAIN_CLI_H

#include "config/options.h"
#include "main/verbs.h"

#include <stdio.h>

struct cli {
    const struct verb *verb; /* NULL for none */
    bool show_help, show_version, as_json;
    const char *config_file;
    struct option_value *values; /* what the options say, in order */
    size_t n_values;
    char **secrets; /* the copies of those values whose originals in argv were overwritten */
    size_t n_secrets;
    const char **words; /* what follows: uplinks, as a rule */
    size_t n_words;
};

/** Take the command line apart. Passwords in argv are overwritten, so that ps does not show them.
 *  The rest of argv must outlive the result. @return 0, or negative errno with one line in err
 *  (CONFIG_ERROR_MAX); call cli_done either way */
MUST_CHECK int cli_parse(struct cli *ret, int argc, char **argv, char *err);
void cli_done(struct cli *cli);

/** What was given for an option of that long name, the last time; NULL when it was not. For those of
 * OPTION_KEPT. */
const char *cli_value(const struct cli *cli, const char *name);

/** The config that file and command line make together; the command line counts more. An uplink, where one is
 *  given, replaces all of the file's.
 *  @param ret_code  exit code for a failure: COMMAND_MISUSED when the command line is at fault,
 *                   COMMAND_FAILED for a file, the config's or one that the command line names
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX); call config_done either way */
MUST_CHECK int cli_configure(const struct cli *cli, struct config *ret, int *ret_code, char *err);

/** The verb of that name. @return 0, or -EINVAL with the nearest name, or all names, in err
 * (CONFIG_ERROR_MAX) */
MUST_CHECK int cli_find_verb(const char *word, const struct verb **ret, char *err);

/** The help of a verb, or the overview for NULL. */
void cli_print_help(FILE *out, const struct verb *verb);

#endif
