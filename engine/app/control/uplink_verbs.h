/* The verbs of the control socket that show and change uplinks: uplinks, add, remove, weight, tier, quota,
 * drain. */
#ifndef STEERWAY_CONTROL_UPLINK_VERBS_H
#define STEERWAY_CONTROL_UPLINK_VERBS_H

#include "control/control_server.h"

/* The owner is the struct control. */
void verb_uplinks(void *owner, const json_t *request, struct control_reply reply);
void verb_add(void *owner, const json_t *request, struct control_reply reply);
void verb_remove(void *owner, const json_t *request, struct control_reply reply);
void verb_weight(void *owner, const json_t *request, struct control_reply reply);
void verb_tier(void *owner, const json_t *request, struct control_reply reply);
void verb_quota(void *owner, const json_t *request, struct control_reply reply);
void verb_drain(void *owner, const json_t *request, struct control_reply reply);

#endif
