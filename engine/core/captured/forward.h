/* The front of a forward: a listener whose connections all go to one destination, by the policy. Its clients
 * ask for nothing, and the server may speak first. */
#ifndef STEERWAY_CAPTURED_FORWARD_H
#define STEERWAY_CAPTURED_FORWARD_H

#include "inbound/front.h"

/** The setting of its listeners is their destination, a struct target. */
extern const struct front FRONT_FORWARD;

#endif
