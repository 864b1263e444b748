/* What connections tell of the uplinks that they went by, or were to: noted in their health, and logged where
 * it changes. */
#ifndef STEERWAY_HEALTH_HEALTH_NOTE_H
#define STEERWAY_HEALTH_HEALTH_NOTE_H

#include "base/log.h"
#include "dns/resolver.h"
#include "net/dialer.h"
#include "proto/target.h"

struct uplink;

/** Of a destination: AF_INET, AF_INET6, or AF_UNSPEC for a name. */
int health_family(const struct target *t);

/** Three times what the uplink usually takes to connect, at least 0.25 s: to take longer is strange. NULL:
 * one of which nothing is known. */
double health_usual_s(const struct uplink *u);

/** Of a dial that is over, or cancelled. @param u  NULL: nobody's; nothing happens
 *  @param enough_s  who was waited for that long in vain is silent
 *  @return whether one family was */
bool health_note_dial(struct uplink *u, const struct dial *d, double enough_s);

/** A connection by it broke before an octet came, though some were sent. */
void health_note_reset(struct uplink *u, int family);

/** An open connection by it went silent: what was sent is not acknowledged. */
void health_note_silence(struct uplink *u, int family);

/** Of an attempt by an parent proxy: what it answered, or that it did not. Nothing happens for other
 * uplinks. */
void health_note_parent(struct uplink *u, enum fault fault);

/** Of the uplink's name servers. */
void health_note_names(struct uplink *u, enum resolver_news news);

/** @param family  AF_UNSPEC: of none */
void health_log(enum log_level level, const char *event, const struct uplink *u, int family);

#endif
