/* One listener of the proxy, which sessions keep in memory. */
#ifndef STEERWAY_INBOUND_PROXY_LISTENER_H
#define STEERWAY_INBOUND_PROXY_LISTENER_H

#include "inbound/proxy.h"

/** Not open yet. @return NULL without memory */
struct proxy_listener *proxy_listener_new(struct proxy *p, const struct listen_place *place,
                                          const struct proxy_use *use);
void proxy_listener_free(struct proxy_listener *l);

/** Serve clients that come from now on by another setting or another use of the same front.
 *  @return 0 or -ENOMEM; then nothing has changed */
MUST_CHECK int proxy_listener_change(struct proxy_listener *l, const struct proxy_use *use);

/** A session that came by it has ended: a removed one is freed after the last. */
void proxy_listener_leave(struct proxy_listener *l);

#endif
