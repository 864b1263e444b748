/* Links that the user has removed, and that are not to be found again. */
#ifndef STEERWAY_UPLINK_DISCOVER_IGNORED_H
#define STEERWAY_UPLINK_DISCOVER_IGNORED_H

#include "machine/machine.h"
#include "uplink/uplink_view.h"

/** Zero-initialised is empty. */
struct discover_ignored {
    char names[UPLINK_MAX][MACHINE_NAME_SIZE];
    size_t n;
};

/** The oldest of too many is forgotten. A name that no link can have is not kept. */
void discover_ignore(struct discover_ignored *ignored, const char *name);
/** The opposite. */
void discover_heed(struct discover_ignored *ignored, const char *name);

bool discover_is_ignored(const struct discover_ignored *ignored, const char *name);

#endif
