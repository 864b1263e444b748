/* The verb `capture`: what the running proxy does for `steerway capture`. */
#ifndef STEERWAY_CONTROL_CAPTURE_VERB_H
#define STEERWAY_CONTROL_CAPTURE_VERB_H

#include "capture/capture_holder.h"
#include "control/control_server.h"

struct proxy;

/** Tell of the listeners for captured traffic, show a table, install it, or let go of it. */
void capture_verb(struct capture_holder *holder, struct proxy *proxy, const json_t *request,
                  struct control_reply reply);

#endif
