/* The proxy that runs already, as a new process asks it for its sockets. It is asked before the loop runs, so
 * these calls wait. */
#ifndef STEERWAY_TAKEOVER_PREDECESSOR_H
#define STEERWAY_TAKEOVER_PREDECESSOR_H

#include "takeover/handed.h"

/** Zero-initialised with fd -1: there is none. */
struct predecessor {
    int fd;         /* the connection to it; it goes on by itself when this closes too early */
    json_t *answer; /* to `takeover` */
    struct handed_set handed;
};

/** Ask for everything. @param path  its control socket
 *  @return 0, also where no proxy runs (p->fd is -1); or negative errno with one line in err
 * (CONFIG_ERROR_MAX) */
MUST_CHECK int predecessor_ask(struct predecessor *p, const char *path, char *err);
/** This process serves: wait until the other one knows it, for some seconds at most. */
void predecessor_relieve(struct predecessor *p);
/** Harmless without one. */
void predecessor_done(struct predecessor *p);

#endif
