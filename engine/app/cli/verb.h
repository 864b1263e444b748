/* What a command is, for the command line and its help. */
#ifndef STEERWAY_CLI_VERB_H
#define STEERWAY_CLI_VERB_H

#include <stddef.h>

struct cli;

struct verb {
    const char *name;
    const char *words; /* the words after the options, as the usage shows them: "[UPLINK...]"; "" for none */
    size_t words_min, words_max; /* number of words */
    const char *summary;         /* one line for the overview, without a full stop */
    const char *about;           /* paragraphs of its help, wrapped at 79 columns */
    unsigned scope;              /* its options: a bit of enum option_scope */
    /** Run the command. @return exit code */
    int (*run)(const struct cli *cli);
};

struct verb_table {
    const struct verb *items;
    size_t n;
};

#endif
