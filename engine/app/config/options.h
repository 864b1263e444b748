/* The options: one table that the command line, the config file, --help and the test of the docs all read. */
#ifndef STEERWAY_CONFIG_OPTIONS_H
#define STEERWAY_CONFIG_OPTIONS_H

#include "config/config.h"

enum option_kind {
    OPTION_FLAG,   /* takes no argument; true or false in the file */
    OPTION_NUMBER, /* a number in the file */
    OPTION_TEXT,
    OPTION_PATH,   /* in the file, relative to the file's folder */
    OPTION_PLACE,  /* likewise, or "none" */
    OPTION_POLICY, /* a name, or a path likewise */
    OPTION_LIST,   /* may be given again; a text or a list of texts in the file */
    OPTION_PATHS,  /* both */
    OPTION_RULES,  /* a list, of which an item may be a table as well in the file */
    OPTION_MAP,    /* KEY=VALUE, may be given again; a table in the file */
};

/** The commands that take an option, or-ed. */
enum option_scope {
    OPTION_OF_START = 1 << 0,
    OPTION_OF_CHECK = 1 << 1,
    OPTION_OF_LIST = 1 << 2,
    OPTION_OF_CONTROL = 1 << 3, /* those that ask a running proxy */
    OPTION_OF_WHY = 1 << 4,
    OPTION_OF_NEW_POLICY = 1 << 5,
    OPTION_OF_SIMULATE = 1 << 6,
    OPTION_OF_DOCTOR = 1 << 7,
};

/** What the command line itself does for an option that sets nothing in the config. */
enum option_action {
    OPTION_SETS,
    OPTION_KEPT, /* the command looks at it by itself */
    OPTION_READS_FILE,
    OPTION_AS_JSON,
    OPTION_SHOWS_VERSION,
    OPTION_SHOWS_HELP
};

/** Set it. value is "" for a flag. @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX) that
 *  says what was expected, without the option's name and never with a secret */
typedef int option_set_fn(struct config *c, const char *value, char *err);

struct option {
    const char *group; /* heading in the help */
    const char *name;  /* the key in a config file has '_' for '-' */
    char letter;       /* 0 for none */
    enum option_kind kind;
    const char *argument; /* its name in the help; NULL for a flag */
    const char *about;    /* full sentence parts, no period at the end */
    option_set_fn *set;   /* NULL unless OPTION_SETS */
    unsigned clears;      /* parts of the config that it takes over from the config file */
    unsigned scope;
    enum option_action action;
    bool secret; /* its value must not be shown */
};

extern const struct option option_table[];
extern const size_t option_count;

/** @return NULL for a name that is none */
const struct option *option_by_name(struct slice name);
const struct option *option_by_letter(char letter);

/** What was given on the command line. */
struct option_value {
    const struct option *option;
    const char *text;
};

/** Set all of them over what a config file said: whatever is given here takes the file's place, whole lists
 *  too, in any order.
 *  @param ret_file  filled on failure: whether a file that is named is at fault, and not the value
 *  @return 0, or negative errno with "--name: …" in err (CONFIG_ERROR_MAX) */
MUST_CHECK int options_apply(struct config *c, const struct option_value *values, size_t n, bool *ret_file,
                             char *err);

#endif
