/* The machine's routing rules (ip rule), as far as they keep packets from leaving. */
#ifndef STEERWAY_MACHINE_ROUTING_RULE_H
#define STEERWAY_MACHINE_ROUTING_RULE_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

/** The first rule of a family that turns packets away (prohibit, blackhole, unreachable), whichever packets
 *  it is meant for. @return whether there is one; false, too, where the kernel does not tell */
bool routing_rule_barrier(int family, uint32_t *ret_priority);

#endif
