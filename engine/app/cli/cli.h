/* The parsed command line: command, options and uplinks. */
#ifndef STEERWAY_CLI_CLI_H
#define STEERWAY_CLI_CLI_H

#include "cli/verb.h"
#include "options/options.h"

#include <stdio.h>

struct cli {
    const struct verb_table *verbs;
    const struct verb *verb; /* NULL for none */
    bool show_help, show_version, as_json;
    const char *config_file;
    struct option_value *values; /* the options that set something, in order */
    size_t n_values;
    char **secrets; /* copies of values that were overwritten in argv */
    size_t n_secrets;
    char **line; /* the command line as it was given; ends with NULL */
    size_t n_line;
    const char **words; /* the other arguments: uplinks for most commands */
    size_t n_words;
};

/** Parse the command line. Passwords in argv are overwritten, so that ps does not show them. The rest of
 * argv must outlive the result. @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX);
 * call cli_done either way */
MUST_CHECK int cli_parse(struct cli *ret, const struct verb_table *verbs, int argc, char **argv, char *err);
void cli_done(struct cli *cli);

/** The last value of an option, by its long name; NULL when it was not given. For options of OPTION_KEPT. */
const char *cli_value(const struct cli *cli, const char *name);

/** Make the config from the config file and the command line, which overrides it. If the command line
 * names an uplink, it replaces all of the file's.
 *  @param ret_code  exit code for a failure: COMMAND_MISUSED for an error on the command line,
 * COMMAND_FAILED for one in a file
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX); call config_done either way */
MUST_CHECK int cli_configure(const struct cli *cli, struct config *ret, int *ret_code, char *err);

/** Find a verb by name. @return 0, or -EINVAL with the nearest name, or all names, in err
 * (CONFIG_ERROR_MAX) */
MUST_CHECK int cli_find_verb(const struct verb_table *verbs, const char *word, const struct verb **ret,
                             char *err);

/** Print the help of a verb, or the overview for NULL. */
void cli_print_help(FILE *out, const struct verb_table *verbs, const struct verb *verb);

#endif
