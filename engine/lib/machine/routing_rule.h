/* The machine's routing rules (ip rule) that keep packets from leaving. */
#ifndef STEERWAY_MACHINE_ROUTING_RULE_H
#define STEERWAY_MACHINE_ROUTING_RULE_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

/** The first rule of a family that turns packets away (prohibit, blackhole, unreachable), whatever packets it
 * matches. @return whether it exists; false also if the kernel does not answer */
bool routing_rule_barrier(int family, uint32_t *ret_priority);

#endif
