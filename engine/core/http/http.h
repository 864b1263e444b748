/* The HTTP front: CONNECT, and plain requests. */
#ifndef STEERWAY_HTTP_HTTP_H
#define STEERWAY_HTTP_HTTP_H

#include "inbound/front.h"

extern const struct front FRONT_HTTP;

#endif
