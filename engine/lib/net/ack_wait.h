/* Whether the peer of a TCP connection still acknowledges data, by the kernel's TCP_INFO. The caller looks
 * from time to time; a connection needs no timer of its own.
 *
 * The peer is dead if sent data stayed unacknowledged for the whole timeout, its window has room, and at
 * least three retransmissions failed. A peer without room (a reader that pauses) is alive while it answers
 * window probes. It is dead if nothing arrived from it during the timeout and three probes in a row failed.
 * TCP_USER_TIMEOUT does not distinguish the two, and ends readers that pause. */
#ifndef STEERWAY_NET_ACK_WAIT_H
#define STEERWAY_NET_ACK_WAIT_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

/** State of the latest look. Zero-initialised: no data waits. */
struct ack_wait {
    uint32_t since_ms; /* when acknowledgements stopped, on a clock that wraps; 0: no data waits */
    uint32_t acked;    /* bytes acknowledged so far; wraps */
};

/** One reading of TCP_INFO. */
struct ack_sample {
    uint32_t now_ms;    /* wraps */
    uint32_t acked;     /* bytes acknowledged so far; wraps */
    uint32_t silent_ms; /* since the latest acknowledgement of any kind */
    uint8_t repeats;    /* failed retransmissions of the oldest unacknowledged data */
    uint8_t probes;     /* unanswered probes of a closed window */
    bool waits;         /* data is queued in the kernel, sent or not */
    bool under_way;     /* some data was sent and is not acknowledged */
    bool has_room;      /* the window holds a whole segment; false if the kernel does not report it */
};

/** Compare a sample with the state. @param timeout_s  0: never dead @return whether the peer is dead */
bool ack_wait_judge(struct ack_wait *w, const struct ack_sample *s, double timeout_s);

/** Looks for each timeout, so that a death is found late by a quarter of the timeout at most. */
#define ACK_WAIT_LOOKS 4

/** Take a sample of the socket and judge it. */
bool ack_wait_look(struct ack_wait *w, int fd, double timeout_s);

/** Whether data waited for an acknowledgement at the latest look. */
static inline bool ack_wait_is_on(const struct ack_wait *w)
{
    return w->since_ms != 0;
}

/** Whether data on a connection that had been idle is lost: it is unacknowledged, and three retransmissions
 * failed. Faster than ack_wait_look and less certain, so only for requests that can be repeated. */
bool ack_wait_in_vain(int fd);

#endif
