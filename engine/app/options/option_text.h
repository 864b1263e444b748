/* What the setters of options share: refusals, comma lists, texts and address ranges. err takes
 * CONFIG_ERROR_MAX bytes. */
#ifndef STEERWAY_OPTIONS_OPTION_TEXT_H
#define STEERWAY_OPTIONS_OPTION_TEXT_H

#include "config/config.h"

/* The most of a refused value that a message quotes. */
enum { OPTION_SHOWN_MAX = 60 };

/** @return -ENOMEM */
int option_no_memory(char *err);

/** "VALUE is not WHAT", with the value in quotes unless it consists of digits. @return -EINVAL */
int option_not_a(char *err, struct slice value, const char *what);

/** Replace a text that the heap owns. @return 0, or negative errno for an empty value or no memory */
MUST_CHECK int option_replace_text(char **text, const char *value, char *err);

typedef int option_part_fn(struct config *c, struct slice text, char *err);
/** Call back for each part of a comma list, also for empty parts, which the callback refuses. It ends with
 * the first refusal. */
MUST_CHECK int option_each_part(struct config *c, const char *list, char *err, option_part_fn *part);

/** Add the address range in a text. @return 0, or negative errno */
MUST_CHECK int option_add_range(struct cidr_set *set, struct slice text, char *err);

#endif
