/* The table of options: the command line, the config file, --help and the lint of the docs read it. */
#ifndef STEERWAY_OPTIONS_OPTIONS_H
#define STEERWAY_OPTIONS_OPTIONS_H

#include "config/config.h"

enum option_kind {
    OPTION_FLAG,   /* takes no argument; true or false in the file */
    OPTION_NUMBER, /* a number in the file */
    OPTION_TEXT,
    OPTION_PATH,   /* in the file, relative to the file's folder */
    OPTION_PLACE,  /* a path as above, or "none" */
    OPTION_POLICY, /* a policy's name, or a path as above */
    OPTION_SINK,   /* a word, or a path with a '/', as above */
    OPTION_LIST,   /* repeatable; a text or a list of texts in the file */
    OPTION_PATHS,  /* a list of paths */
    OPTION_RULES,  /* a list whose items may also be tables in the file */
    OPTION_MAP,    /* KEY=VALUE, repeatable; a table in the file */
};

/** The commands that accept an option, or-ed. */
enum option_scope {
    OPTION_OF_START = 1 << 0,
    OPTION_OF_CHECK = 1 << 1,
    OPTION_OF_LIST = 1 << 2,
    OPTION_OF_CONTROL = 1 << 3, /* commands that ask a running proxy */
    OPTION_OF_WHY = 1 << 4,
    OPTION_OF_NEW_POLICY = 1 << 5,
    OPTION_OF_SIMULATE = 1 << 6,
    OPTION_OF_DOCTOR = 1 << 7,
    OPTION_OF_CAPTURE = 1 << 8,
    OPTION_OF_CONNECTIONS = 1 << 9,
    OPTION_OF_CLOSE = 1 << 10,
    OPTION_OF_COMPLETION = 1 << 11,
    OPTION_OF_INIT = 1 << 12,
    OPTION_OF_EVENTS = 1 << 13,
    OPTION_OF_WATCH = 1 << 14, /* those of OPTION_OF_CONTROL that repeat */
};

/** How the command line treats an option. */
enum option_action {
    OPTION_SETS,
    OPTION_KEPT, /* the command reads its value with cli_value */
    OPTION_READS_FILE,
    OPTION_AS_JSON,
    OPTION_SHOWS_VERSION,
    OPTION_SHOWS_HELP
};

/** Set the value, "" for a flag. @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX) that
 * says what was expected, without the option's name and without passwords */
typedef int option_set_fn(struct config *c, const char *value, char *err);

struct option {
    const char *group; /* heading in the help */
    const char *name;  /* the key in a config file has '_' for '-' */
    char letter;       /* 0 for no short form */
    enum option_kind kind;
    const char *argument; /* the argument's name in the help; NULL for a flag */
    const char *optional; /* of a flag: the name of a value that may follow it after '='; NULL for none */
    const char *about;    /* the help text, without a full stop */
    option_set_fn *set;   /* NULL unless OPTION_SETS */
    unsigned clears;      /* of enum config_part: on the command line it replaces these from the file */
    unsigned scope;
    enum option_action action;
    bool secret;  /* the value must not appear in messages */
    bool restart; /* a changed config file does not change it while the proxy runs */
};

/** The i-th option, from 0 on, in the order in which help prints them. @return NULL after the last */
const struct option *option_at(size_t i);

/** @return NULL for an unknown name */
const struct option *option_by_name(struct slice name);
const struct option *option_by_letter(char letter);

/** An option as given on the command line. */
struct option_value {
    const struct option *option;
    const char *text;
};

/** Apply the command line over the config file. A value given here, also a list, replaces the file's
 * value. The order of options does not matter.
 *  @param ret_file  set on failure: whether a file named by an option is wrong, and not the value itself
 *  @return 0, or negative errno with "--name: …" in err (CONFIG_ERROR_MAX) */
MUST_CHECK int options_apply(struct config *c, const struct option_value *values, size_t n, bool *ret_file,
                             char *err);

#endif
