/* Take a descriptor out of a loop for good, for one that goes to another thread. libev itself leaves it with
 * the kernel when its last watcher stops, and takes it out once an event comes that nobody wants; but by then
 * the other thread may have closed it, and its number may be another's. */
#ifndef STEERWAY_NET_UNWATCH_H
#define STEERWAY_NET_UNWATCH_H

#include "base/compiler.h"

#include <ev.h>

/** For one loop. */
struct unwatch {
    struct ev_loop *loop;
    struct ev_loop
        *spare; /* never run: the loop is embedded in it for a moment, to learn its epoll descriptor */
};

/** @return 0, -ENOMEM */
MUST_CHECK int unwatch_init(struct unwatch *u, struct ev_loop *loop);
/** Harmless on zeroes. */
void unwatch_done(struct unwatch *u);

/** All its watchers have been stopped. */
void unwatch_fd(const struct unwatch *u, int fd);

#endif
