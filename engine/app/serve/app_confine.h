/* Runs the proxy as another user than the one that has started it (--run-as). */
#ifndef STEERWAY_SERVE_APP_CONFINE_H
#define STEERWAY_SERVE_APP_CONFINE_H

#include "config/config.h"
#include "confine/confine_places.h"

/** Between the start as root and the change of the user. */
struct app_confine {
    bool on; /* --run-as is given */
    struct confine_user user;
    struct confine_places places;
};

/** Before anything is opened.
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX) */
MUST_CHECK int app_confine_begin(struct app_confine *f, const struct config *c, char *err);

/** After all is opened, and before there are other threads.
 *  @param config_file  that a reload will read; NULL for none
 *  @return 0, or negative errno with one line in err (CONFIG_ERROR_MAX); then the process must end */
MUST_CHECK int app_confine_end(const struct app_confine *f, const struct config *c, const char *config_file,
                               char *err);

/** Whether a config that was read later needs a right that was given up.
 *  @return 0, or -EPERM with one line in err (CONFIG_ERROR_MAX) */
MUST_CHECK int app_confine_check(const struct config *later, char *err);

#endif
