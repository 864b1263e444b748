/* Sockets that a service manager has opened for this process (sd_listen_fds(3)). */
#ifndef STEERWAY_TAKEOVER_ACTIVATION_H
#define STEERWAY_TAKEOVER_ACTIVATION_H

#include "takeover/handed.h"

/** Add them, each for any use at its address; one with the name "proxy" has that as its place. The variables
 * that tell of them are unset, for this process's children.
 *  @return 0, or negative errno */
MUST_CHECK int activation_take(struct handed_set *s);

#endif
