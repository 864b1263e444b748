/* Pipes by which octets pass from socket to socket within the kernel (splice). They are few and large: one is
 * held only while octets are in it, and the rest wait here for whoever needs one next. */
#ifndef STEERWAY_RELAY_PIPES_H
#define STEERWAY_RELAY_PIPES_H

#include <stdbool.h>
#include <stddef.h>

/* Octets that one takes; how many may be held at a time, and how many are kept open in between. All of a
 * process together take an eighth of the descriptors that it may have: clients come first. */
enum { PIPE_SIZE = 256 * 1024, PIPES_HELD_MAX = 128, PIPES_IDLE_MAX = 8, PIPES_SHARE = 8 };

struct pipe {
    int in, out;
    size_t held; /* octets in it */
};

/** Zero-initialised is empty. */
struct pipes {
    struct pipe *idle[PIPES_IDLE_MAX];
    size_t n_idle, n_held;
    unsigned pause; /* so often yet, none is asked for: there was none to be had */
};

/** An empty pipe, or NULL: too many are held, or no descriptor, memory or room for one is left. Then there
 * are other ways to pass octets on. */
struct pipe *pipes_take(struct pipes *p);
/** Give it back; one that is not empty is closed. NULL is let through. */
void pipes_give(struct pipes *p, struct pipe *pipe);
/** Close those that wait. */
void pipes_done(struct pipes *p);

#endif
