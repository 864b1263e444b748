/* An uplink as JSON. docs/control.md lists the fields. */
#ifndef STEERWAY_CONTROL_UPLINK_JSON_H
#define STEERWAY_CONTROL_UPLINK_JSON_H

#include <jansson.h>

struct uplink;

/** All fields. @return a new reference, or NULL without memory */
json_t *uplink_json(const struct uplink *u);
/** The fields that a policy can see. @return a new reference, or NULL without memory */
json_t *uplink_json_seen(const struct uplink *u);

#endif
