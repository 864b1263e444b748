/* Descriptors that travel with bytes over a Unix socket (SCM_RIGHTS). */
#ifndef STEERWAY_CONTROL_DESCRIPTORS_H
#define STEERWAY_CONTROL_DESCRIPTORS_H

#include "base/compiler.h"
#include "base/slice.h"

#include <sys/types.h>

/** Zero-initialised: none. It owns them. */
struct descriptors {
    int *fds;
    size_t n;
};

/** Add copies. @return 0, or negative errno; then nothing has changed */
MUST_CHECK int descriptors_copy(struct descriptors *d, const int *fds, size_t n);
/** Close the first n. */
void descriptors_drop(struct descriptors *d, size_t n);

/** Send bytes, at least one, with the descriptors; those that were sent are closed here.
 *  @return as of send */
ssize_t descriptors_send(struct descriptors *d, int socket, struct slice bytes);
/** Receive bytes, and add the descriptors that came with them. @return as of recv; -1 with ENOMEM */
ssize_t descriptors_receive(struct descriptors *d, int socket, char *bytes, size_t max);

#endif
