/* Asks which uplink the policy would choose now, and what it saw. A child process asks, so the policy in
 * this process keeps its state. */
#ifndef STEERWAY_CONTROL_WHY_H
#define STEERWAY_CONTROL_WHY_H

#include "control/control_server.h"
#include "outbound/outbounds.h"

/* Limit of children at once. */
enum { WHY_CHILDREN_MAX = 4 };

struct why_child;

/** The questions that wait for an answer. Embedded; zero-initialised is empty. */
struct why_desk {
    struct why_child *children[WHY_CHILDREN_MAX];
};

/** Ask for {"host": …, "port": …, "client": …, "user": …}. The answer is sent when the child has answered.
 *  @param listener  the policy's conn.listener */
void why_ask(struct why_desk *desk, struct outbounds *shared, const char *listener, const json_t *request,
             struct control_reply reply);

/** End all children. */
void why_close(struct why_desk *desk);

#endif
