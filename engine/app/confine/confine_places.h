/* Files and folders that a start as root makes, and that the user it then runs as must be able to use. */
#ifndef STEERWAY_CONFINE_CONFINE_PLACES_H
#define STEERWAY_CONFINE_CONFINE_PLACES_H

#include "confine/confine_user.h"

#include <stdbool.h>

enum { CONFINE_PLACES_MAX = 4 };

/** A path, and what is made beside it. */
struct confine_place {
    char path[PATH_MAX];
    size_t made_from; /* the part of the path up to here was there before; its length if all was */
    bool lock_made;   /* PATH.lock was not there */
    bool folder_used; /* files come and go in its folder */
};

/** Zero-initialised is empty. */
struct confine_places {
    struct confine_place items[CONFINE_PLACES_MAX];
    size_t n;
};

/** Remember what exists of this path, before it is opened.
 *  @param folder_used  files will come and go in its folder */
void confine_places_note(struct confine_places *p, const char *path, bool folder_used);

/** Give the user what has come since. What was there before stays as it is.
 *  @return 0, or negative errno with ret_path set */
MUST_CHECK int confine_places_give(const struct confine_places *p, const struct confine_user *user,
                                   const char **ret_path);

/** Once the process runs as the user: the first folder that it uses and may not write in; NULL for none. */
const char *confine_places_closed(const struct confine_places *p, char ret[PATH_MAX]);

#endif
