/* What a session waits for in its state, for the files of sessions. */
#ifndef STEERWAY_INBOUND_SESSION_STATE_H
#define STEERWAY_INBOUND_SESSION_STATE_H

#include "inbound/session.h"

/** Whether the client has still to read the end of an answer, and nothing else is waited for. */
bool session_is_owed(const struct session *s);
/** Such a client is looked at after so many seconds. A slow one gets the idle timeout; a vanished one is
 * noticed earlier. @return 0 or less: its time is over */
double session_owed_after(const struct session *s);
/** Whether the client is silent between two requests. */
bool session_rests(const struct session *s);
/** Whether only its first bytes are awaited, and it may go on without them. */
bool session_is_looked_at(const struct session *s);

#endif
