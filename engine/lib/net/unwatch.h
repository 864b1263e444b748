/* Remove a descriptor from a loop, before it goes to another thread. When its last watcher stops, libev
 * leaves it registered with the kernel, and removes it on the next unwanted event. By then the other thread
 * may have closed it, and its number may belong to another descriptor. */
#ifndef STEERWAY_NET_UNWATCH_H
#define STEERWAY_NET_UNWATCH_H

#include "base/compiler.h"

#include <ev.h>

/** One for each loop. */
struct unwatch {
    struct ev_loop *loop;
    struct ev_loop
        *spare; /* never run; the loop is embedded in it briefly, which reveals its epoll descriptor */
};

/** @return 0, -ENOMEM */
MUST_CHECK int unwatch_init(struct unwatch *u, struct ev_loop *loop);
/** Harmless on zeroes. */
void unwatch_done(struct unwatch *u);

/** Stop all its watchers first. */
void unwatch_fd(const struct unwatch *u, int fd);

#endif
