/* The table of commands, which the command line, its help and main() read. */
#ifndef STEERWAY_MAIN_VERBS_H
#define STEERWAY_MAIN_VERBS_H

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

extern const struct verb verb_table[];
extern const size_t verb_count;

/** @return NULL for an unknown name */
const struct verb *verb_by_name(const char *name);

#endif
