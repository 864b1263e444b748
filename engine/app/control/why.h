/* Which uplink the policy would choose now, and what it saw. It is asked in a child of this process, so that
 * its memory stays as it is whatever the answer does to it. */
#ifndef STEERWAY_CONTROL_WHY_H
#define STEERWAY_CONTROL_WHY_H

#include "control/control_server.h"
#include "outbound/outbounds.h"

/* Children at once. */
enum { WHY_CHILDREN_MAX = 4 };

struct why_child;

/** Those that wait for an answer. Embedded; zero-initialised is empty. */
struct why_desk {
    struct why_child *children[WHY_CHILDREN_MAX];
};

/** Ask for {"host": …, "port": …, "client": …, "user": …}, and answer when the child has.
 *  @param listener  by which the client is taken to come: the policy's conn.listener */
void why_ask(struct why_desk *desk, struct outbounds *shared, const char *listener, const json_t *request,
             struct control_reply reply);

/** End those that are still at it. */
void why_close(struct why_desk *desk);

#endif
