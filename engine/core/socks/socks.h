/* The SOCKS fronts: versions 4 (and 4a) and 5. */
#ifndef STEERWAY_SOCKS_SOCKS_H
#define STEERWAY_SOCKS_SOCKS_H

#include "inbound/front.h"

extern const struct front FRONT_SOCKS4, FRONT_SOCKS5;

#endif
