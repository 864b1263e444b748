/* The table of commands. */
#ifndef STEERWAY_MAIN_VERBS_H
#define STEERWAY_MAIN_VERBS_H

#include "cli/verb.h"

/** In the order of the overview. */
extern const struct verb_table VERBS;

#endif
