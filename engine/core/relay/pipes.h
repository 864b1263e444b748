/* Pipes that carry bytes from socket to socket within the kernel (splice). They are few and large. A
 * direction holds one only while bytes are in it; the others wait here. */
#ifndef STEERWAY_RELAY_PIPES_H
#define STEERWAY_RELAY_PIPES_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes per pipe; pipes in use at most; idle pipes kept open. All pipes of the process together use at
 * most an eighth of its descriptors, since clients need the rest. */
enum { PIPE_SIZE = 256 * 1024, PIPES_HELD_MAX = 128, PIPES_IDLE_MAX = 8, PIPES_SHARE = 8 };

struct pipe {
    int in, out;
    size_t held; /* bytes in it */
};

/** Zero-initialised is empty. */
struct pipes {
    struct pipe *idle[PIPES_IDLE_MAX];
    size_t n_idle, n_held;
    unsigned pause; /* reads to skip before the next attempt to open a pipe */
};

/** An empty pipe, or NULL when too many are in use or the system has no descriptor or memory left. The
 * caller then copies. */
struct pipe *pipes_take(struct pipes *p);
/** Return a pipe to the pool. A pipe with bytes in it is closed. NULL is allowed. */
void pipes_give(struct pipes *p, struct pipe *pipe);
/** Close the idle pipes. */
void pipes_done(struct pipes *p);

#endif
