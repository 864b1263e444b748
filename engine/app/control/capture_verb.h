/* The verb `capture`: what the running proxy does for `steerway capture`. */
#ifndef STEERWAY_CONTROL_CAPTURE_VERB_H
#define STEERWAY_CONTROL_CAPTURE_VERB_H

#include "control/capture_keeper.h"
#include "control/control_server.h"

/** Tell of the listeners for captured traffic, show a table, install it, or let go of it. */
void capture_verb(struct capture_keeper *keeper, const json_t *request, struct control_reply reply);

#endif
