/* Bridges whose packets the firewall's rules see before routing (br_netfilter). */
#ifndef STEERWAY_MACHINE_BRIDGE_H
#define STEERWAY_MACHINE_BRIDGE_H

#include <stdbool.h>

/** Whether TPROXY is without effect on what comes in by this interface: it is a bridge, and br_netfilter runs
 * the rules of prerouting while the packet is still within the bridge. The kernel forgets the chosen socket
 * on the packet's way out of the bridge (ip_rcv), so nobody takes it. */
bool bridge_loses_tproxy(const char *interface);

#endif
