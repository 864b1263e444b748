/* One open connection or mapping, by its account: its state, and its end at the user's wish. */
#ifndef STEERWAY_VIEW_CONNECTION_H
#define STEERWAY_VIEW_CONNECTION_H

#include <stdbool.h>

struct outbound;

/** The outcome of connections that connection_close has ended. */
#define CLOSED_BY_USER "closed-by-user"

/** "connecting", "awaiting" (a peer, SOCKS BIND), "open", "kept" (HTTP, between two requests), "ending". */
const char *connection_state(const struct outbound *o);

/** End it. Client and destination see a reset where bytes are missing. The account ends within the call, or
 * when a worker has obeyed. @return false: it is ending already */
bool connection_close(struct outbound *o);

#endif
