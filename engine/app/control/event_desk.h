/* The events of the log as a stream of lines, for clients of the control socket who listen. */
#ifndef STEERWAY_CONTROL_EVENT_DESK_H
#define STEERWAY_CONTROL_EVENT_DESK_H

#include "base/log.h"
#include "control/control_server.h"

/** Embedded by its owner; zero-initialised: nobody listens. */
struct event_desk {
    struct log_tap tap;
    struct list streams;
};

/** Answer, and then send each event, until the client leaves. @param request  perhaps `level`, `only` */
void event_desk_ask(struct event_desk *d, const json_t *request, struct control_reply reply);

/** @return false: it names no level */
MUST_CHECK bool event_level_read(const json_t *name, enum log_level *ret);
const char *event_level_name(enum log_level level);

#endif
