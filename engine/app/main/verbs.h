/* The commands: one table that the command line, its help and main() read. */
#ifndef STEERWAY_MAIN_VERBS_H
#define STEERWAY_MAIN_VERBS_H

#include <stddef.h>

struct cli;

struct verb {
    const char *name;
    const char *words; /* what follows the options, as the usage shows it: "[UPLINK...]"; "" for nothing */
    size_t words_min, words_max; /* how many of them */
    const char *summary;         /* a line of the overview; no period */
    const char *about;           /* paragraphs of its help, wrapped at 79 columns */
    unsigned scope;              /* its options, of enum option_scope */
    /** Do it. @return exit code */
    int (*run)(const struct cli *cli);
};

extern const struct verb verb_table[];
extern const size_t verb_count;

/** @return NULL for a name that is none */
const struct verb *verb_by_name(const char *name);

#endif
