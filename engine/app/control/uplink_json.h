/* An uplink as JSON, for those who ask. docs/control.md has the fields. */
#ifndef STEERWAY_CONTROL_UPLINK_JSON_H
#define STEERWAY_CONTROL_UPLINK_JSON_H

#include "uplink/uplink.h"

#include <jansson.h>

/** All there is to tell. @return a new reference, or NULL without memory */
json_t *uplink_json(const struct uplink *u);
/** What a policy may have gone by. @return a new reference, or NULL without memory */
json_t *uplink_json_seen(const struct uplink *u);

#endif
