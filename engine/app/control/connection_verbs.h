/* The verbs of the control socket about connections: connections, recent, close. */
#ifndef STEERWAY_CONTROL_CONNECTION_VERBS_H
#define STEERWAY_CONTROL_CONNECTION_VERBS_H

#include "control/control_server.h"

/* The owner is the struct control. */
void verb_connections(void *owner, const json_t *request, struct control_reply reply);
void verb_recent(void *owner, const json_t *request, struct control_reply reply);
void verb_close(void *owner, const json_t *request, struct control_reply reply);

#endif
