/* The completion scripts of shells, made from the tables of commands and options. */
#ifndef STEERWAY_COMPLETE_COMPLETE_H
#define STEERWAY_COMPLETE_COMPLETE_H

#include "base/compiler.h"
#include "cli/verb.h"

#include <stdio.h>

/** Print the script of a shell: bash, zsh or fish. @return 0, or -EINVAL for another shell */
MUST_CHECK int complete_print(FILE *out, const struct verb_table *verbs, const char *shell);

void complete_print_bash(FILE *out, const struct verb_table *verbs);
void complete_print_zsh(FILE *out, const struct verb_table *verbs);
void complete_print_fish(FILE *out, const struct verb_table *verbs);

#endif
