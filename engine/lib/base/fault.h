/* Why a connection could not be made: one vocabulary from the socket up to the
 * SOCKS reply, the HTTP status, the log line and the policy's failed() hook. */
#ifndef STEERWAY_BASE_FAULT_H
#define STEERWAY_BASE_FAULT_H

#include <stdbool.h>

enum fault {
    FAULT_NONE = 0,
    FAULT_TIMEOUT,     /* no answer before the deadline */
    FAULT_REFUSED,     /* the destination answered with a reset */
    FAULT_UNREACHABLE, /* no route, network unreachable, no address of a usable family */
    FAULT_HOST,        /* its network answers that the host cannot be reached */
    FAULT_RESET,       /* connected, then reset before anything was agreed */
    FAULT_NAME,        /* the name does not exist: an authoritative answer */
    FAULT_DNS,         /* the resolver failed or did not answer */
    FAULT_BIND,        /* the uplink's device or address could not be bound */
    FAULT_DENIED,      /* policy or access rules said no */
    FAULT_NO_UPLINK,   /* no uplink is up that could serve this */
    FAULT_PARENT,      /* the uplink's own proxy is not there, or does not let us in */
    FAULT_REJECTED,    /* the uplink's own proxy says that its rules forbid this destination */
    FAULT_EXPIRED,     /* ... that the destination did not answer in time */
    FAULT_FAILED,      /* ... that it could not connect, and not why */
    FAULT_RESOURCES,   /* out of descriptors, memory or ports on this machine */
};

/** For logs: "timeout", "refused", "unreachable", "host-unreachable", "reset", "no-such-name", "dns", "bind",
 *  "denied", "no-uplink", "upstream", "upstream-rejected", "upstream-timeout", "upstream-failed",
 * "resources"; "ok" for FAULT_NONE. */
const char *fault_name(enum fault f);

/** The word the policy contract knows: one of "timeout", "refused", "unreachable", "reset", "dns", "bind".
 *  NULL for faults a policy is not told about. */
const char *fault_policy_name(enum fault f);

/** Maps an errno of socket(), bind(), connect() or SO_ERROR. Unknown ones are FAULT_UNREACHABLE. */
enum fault fault_from_errno(int err);

/** Whether another uplink may fare better: false for answers that would be the same everywhere
 *  (name does not exist, denied) and for this machine's own shortages. */
bool fault_worth_retry(enum fault f);

#endif
