/* Outcomes of connections, noted in the numbers that policies see. */
#ifndef STEERWAY_UPLINK_UPLINK_NOTE_H
#define STEERWAY_UPLINK_UPLINK_NOTE_H

struct uplink;

/** @param connect_s  duration of TCP's handshake; 0: not known */
void uplink_note_connected(struct uplink *u, double connect_s);
/** @param rtt_s  a connection's smoothed round trip, > 0 */
void uplink_note_rtt(struct uplink *u, double rtt_s);
void uplink_note_failed(struct uplink *u);
/** Its parent proxy carries no datagrams. It is asked again some minutes later: it may have other settings by
 * then. */
void uplink_note_no_datagrams(struct uplink *u);
/** Another uplink connected first in a race against this one. */
void uplink_note_race_lost(struct uplink *u);

#endif
