/* Why a connection failed: one vocabulary for the socket, the SOCKS reply, the HTTP status, the log line and
 * the policy's failed() hook. */
#ifndef STEERWAY_BASE_FAULT_H
#define STEERWAY_BASE_FAULT_H

#include <stdbool.h>

enum fault {
    FAULT_NONE = 0,
    FAULT_TIMEOUT,     /* no answer before the timeout */
    FAULT_REFUSED,     /* the destination answered with a reset */
    FAULT_UNREACHABLE, /* no route, network unreachable, no address of a usable family */
    FAULT_HOST,        /* the destination's network reports that the host is unreachable */
    FAULT_RESET,       /* connected, then reset before the protocol was agreed */
    FAULT_NAME,        /* an authoritative answer: the name does not exist */
    FAULT_DNS,         /* the resolver failed or did not answer */
    FAULT_BIND,        /* the uplink's device or address could not be bound */
    FAULT_DENIED,      /* policy or access rules refused */
    FAULT_NO_UPLINK,   /* no uplink that is up could serve this */
    FAULT_PARENT,      /* the parent proxy does not answer, or refuses this client */
    FAULT_REJECTED,    /* the parent proxy says: its rules forbid this destination */
    FAULT_EXPIRED,     /* the parent proxy says: the destination did not answer in time */
    FAULT_FAILED,      /* the parent proxy says: it could not connect; no reason given */
    FAULT_RESOURCES,   /* out of descriptors, memory or ports on this machine */
    FAULT_LIMIT,       /* a limit of this client is reached */
    FAULT_BUSY,        /* a limit of all clients together is reached */
};

/** For logs: "timeout", "refused", "unreachable", "host-unreachable", "reset", "no-such-name", "dns", "bind",
 * "denied", "no-uplink", "upstream", "upstream-rejected", "upstream-timeout", "upstream-failed", "resources",
 * "limit", "busy"; "ok" for FAULT_NONE. */
const char *fault_name(enum fault f);

/** The word for policies: "timeout", "refused", "unreachable", "reset", "dns" or "bind". NULL for faults that
 * policies do not see. */
const char *fault_policy_name(enum fault f);

/** The fault for an errno of socket(), bind(), connect() or SO_ERROR. Unknown ones become FAULT_UNREACHABLE.
 */
enum fault fault_from_errno(int err);

/** The fault to report to the client, of two faults of one connection. An answer of the destination precedes
 * a silence, and a silence precedes an error of this machine. Of equals it is the first. */
enum fault fault_more_telling(enum fault first, enum fault second);

/** Whether another uplink may succeed. False for answers that are the same everywhere (the name does not
 * exist, denied), and for shortages of this machine. */
bool fault_worth_retry(enum fault f);

#endif
