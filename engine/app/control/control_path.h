/* Where the control socket is, and that only one program serves it. */
#ifndef STEERWAY_CONTROL_CONTROL_PATH_H
#define STEERWAY_CONTROL_CONTROL_PATH_H

#include "base/compiler.h"

#include <sys/un.h>

enum { CONTROL_PATH_MAX = sizeof(((struct sockaddr_un *)0)->sun_path) };

/** $XDG_RUNTIME_DIR/steerway/control.sock; for root without that, /run/steerway/control.sock.
 *  @return 0, -ENOENT when there is no such place, -ENAMETOOLONG */
MUST_CHECK int control_path_default(char ret[CONTROL_PATH_MAX]);

/** A listening socket, and the lock that says who serves it. */
struct control_place {
    char path[CONTROL_PATH_MAX];
    int fd, lock_fd;
};

/** Listen there, for this user alone (mode 0600). What an earlier run left behind is replaced; the folder of
 * a default path is made when it is missing.
 *  @return 0; -EADDRINUSE when another program serves it; or another negative errno */
MUST_CHECK int control_place_take(struct control_place *ret, const char *path);
/** Remove the socket, and let go of the lock. Harmless on one that was never taken (fds -1). */
void control_place_leave(struct control_place *p);

#endif
