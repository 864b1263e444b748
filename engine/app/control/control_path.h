/* The control socket's path, and the lock that lets one program serve it. */
#ifndef STEERWAY_CONTROL_CONTROL_PATH_H
#define STEERWAY_CONTROL_CONTROL_PATH_H

#include "base/compiler.h"

#include <stdbool.h>
#include <sys/un.h>

enum { CONTROL_PATH_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) };

/** The default path: control.sock in $RUNTIME_DIRECTORY (set by systemd) or $XDG_RUNTIME_DIR/steerway;
 * without those, for root and for the user whose folder it is, /run/steerway/control.sock.
 *  @return 0, -ENOENT without a runtime directory, -ENAMETOOLONG */
MUST_CHECK int control_path_default(char ret[CONTROL_PATH_MAX]);
/** The path at which a command asks a running proxy when none is given: the default, or that of the packaged
 * service where nobody serves the default. @return as control_path_default */
MUST_CHECK int control_path_to_ask(char ret[CONTROL_PATH_MAX]);

/** The listening socket, and the lock of the program that serves it. */
struct control_place {
    char path[CONTROL_PATH_MAX];
    int fd, lock_fd;
};

/** Listen there, for this user only (mode 0600). Replaces the socket of an earlier run. Creates the last
 * folder of the path if it is missing.
 *  @return 0; -EADDRINUSE when another program serves it; or another negative errno */
MUST_CHECK int control_place_take(struct control_place *ret, const char *path);
/** Connect to the proxy that serves there. Sending and receiving block, for so long at most.
 *  @return the descriptor, or negative errno */
MUST_CHECK int control_path_connect(const char *path, int patience_s);
/** Whether a program accepts connections at that socket. */
bool control_place_is_served(const char *path);
/** Close it here, for another process has both descriptors. Harmless as below. */
void control_place_yield(struct control_place *p);
/** Remove the socket, and release the lock. Harmless on a place that was never taken (fds -1). */
void control_place_leave(struct control_place *p);

#endif
