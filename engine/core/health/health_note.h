/* Records what connections show about their uplinks' health, and logs changes. */
#ifndef STEERWAY_HEALTH_HEALTH_NOTE_H
#define STEERWAY_HEALTH_HEALTH_NOTE_H

#include "base/log.h"
#include "dns/resolver.h"
#include "net/dialer.h"
#include "proto/target.h"

struct uplink;

/** The family of a destination: AF_INET, AF_INET6, or AF_UNSPEC for a name. */
int health_family(const struct target *t);

/** Three times the uplink's usual connect time, at least 0.25 s; a longer wait is suspicious. NULL: an
 * unknown uplink. */
double health_usual_s(const struct uplink *u);

/** Record a dial that has ended or was cancelled. @param u  NULL: nothing happens
 *  @param enough_s  an attempt of that length without an answer is a silence
 *  @return whether a family was silent */
bool health_note_dial(struct uplink *u, const struct dial *d, double enough_s);

/** A connection by the uplink broke before a byte came, though some were sent. */
void health_note_reset(struct uplink *u, int family);

/** An open connection by the uplink went silent: sent data is not acknowledged. */
void health_note_silence(struct uplink *u, int family);

/** Bytes were received: a suspect answers again, also if no connection shows it. */
void health_note_bytes(struct uplink *u, int family);

/** Record an attempt by a parent proxy: an answer, or none. Does nothing for other uplinks. */
void health_note_parent(struct uplink *u, enum fault fault);

/** Record news of the uplink's name servers. */
void health_note_names(struct uplink *u, enum resolver_news news);

/** @param family  AF_UNSPEC: not logged */
void health_log(enum log_event event, const struct uplink *u, int family);

#endif
