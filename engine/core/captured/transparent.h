/* The front of a transparent listener. The kernel sends connections there that are meant for others. Each
 * goes on to the address that its client has asked for. The name in the client's first bytes, if one comes
 * soon, is what policies see of the destination. The bytes are passed on unchanged. */
#ifndef STEERWAY_CAPTURED_TRANSPARENT_H
#define STEERWAY_CAPTURED_TRANSPARENT_H

#include "inbound/front.h"

/** What its listeners have as their setting. */
struct transparent {
    bool tproxy;   /* the connections come by TPROXY, else by REDIRECT */
    bool resolve;  /* go to the name, as the uplink resolves it, instead of to the address */
    double peek_s; /* silence of the client after which no name is awaited any more; 0: do not look for one */
};

extern const struct front FRONT_TRANSPARENT;

#endif
