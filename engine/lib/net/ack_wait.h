/* Whether the peer of a TCP connection still takes what is sent to it, as the kernel tells (TCP_INFO): looked
 * at now and then, without any timer of the connection's own.
 *
 * It is dead when data has been under way for the whole time given, none of it was acknowledged though the
 * peer has room for it, and at least three repeats were in vain. A peer that has no room (a reader that
 * pauses) is alive as long as it answers the kernel's questions about that; it is dead when nothing at all
 * was heard of it for that time, and three such questions in a row were in vain. TCP_USER_TIMEOUT makes no
 * such difference: it ends a reader that pauses. */
#ifndef STEERWAY_NET_ACK_WAIT_H
#define STEERWAY_NET_ACK_WAIT_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

/** What was seen at the last look. Zero-initialised: nothing waits. */
struct ack_wait {
    uint32_t since_ms; /* that nothing was acknowledged, of a clock that wraps; 0: nothing waits */
    uint32_t acked;    /* octets so far, likewise */
};

/** What the kernel tells of a connection at one moment. */
struct ack_sample {
    uint32_t now_ms;    /* of a clock that wraps */
    uint32_t acked;     /* octets so far, likewise */
    uint32_t silent_ms; /* since the peer's last acknowledgement, of whatever */
    uint8_t repeats;    /* of the oldest data that is under way, in vain so far */
    uint8_t probes;     /* of a closed window, unanswered so far */
    bool waits;         /* data is queued, sent or not */
    bool under_way;     /* some of it was sent and is not acknowledged */
    bool has_room;      /* the peer takes a whole segment; false where the kernel does not tell */
};

/** Judge one sample by those before. @param timeout_s  0: never dead @return whether the peer is dead */
bool ack_wait_judge(struct ack_wait *w, const struct ack_sample *s, double timeout_s);

/** How often to look, so that it is found out late by a quarter of the time at most. */
#define ACK_WAIT_LOOKS 4

/** Take a sample and judge it. */
bool ack_wait_look(struct ack_wait *w, int fd, double timeout_s);

/** Whether something waits to be acknowledged, as of the last look. */
static inline bool ack_wait_is_on(const struct ack_wait *w)
{
    return w->since_ms != 0;
}

/** Whether the first data of a connection that had rested gets lost: it is under way, nothing was heard
 * since, and three repeats were in vain. Sooner told than ack_wait_look, and less certain: for what may be
 * done again. */
bool ack_wait_in_vain(int fd);

#endif
