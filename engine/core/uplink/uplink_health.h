/* Whether an uplink answers: its health in both families, and that of its name servers, as one. A parent
 * proxy has one health for both families. */
#ifndef STEERWAY_UPLINK_UPLINK_HEALTH_H
#define STEERWAY_UPLINK_UPLINK_HEALTH_H

#include "uplink/health.h"

struct uplink;

/** @param family  AF_INET or AF_INET6 */
struct health *uplink_health(struct uplink *u, int family);
/** Bytes received by connections of a family. */
double uplink_received(const struct uplink *u, int family);
enum health_state uplink_health_state(const struct uplink *u, int family);
/** Answers that its resolver has had so far. */
double uplink_names_heard(const struct uplink *u);

/** Whether addresses of a family are offered beside those of others. @param now  monotonic seconds */
bool uplink_family_is_fit(const struct uplink *u, int family, double now);

/** Whether a family is fit that was tried before, or, where none was tried, any family. Its name servers do
 * not count. */
bool uplink_leads_on(const struct uplink *u, double now);

/** Whether it is offered beside others, for a connection.
 *  @param family  of the destination; AF_UNSPEC for a name, which needs its name servers too
 *  @param now     monotonic seconds */
bool uplink_is_fit(const struct uplink *u, int family, double now);

/** Whether it is behind a captive portal. @param family  AF_UNSPEC: in either family */
bool uplink_is_captive(const struct uplink *u, int family);
/** Whether a destination belongs to its captive portal: the host is one of the portal's, or is below it. */
bool uplink_is_portal(const struct uplink *u, const char *host);

/** A connection tries addresses of a family (AF_UNSPEC: its name servers). If that is a suspect, its next try
 * waits. @param now  monotonic seconds */
void uplink_note_tried(struct uplink *u, int family, double now);

/** Whether a new mapping may try it, though it is not offered beside others (health.h). */
bool uplink_lets_datagrams_try(const struct uplink *u, int family, bool costs_little, double now);
/** A new mapping uses it. @param family  as in uplink_is_fit */
void uplink_note_tried_by_datagrams(struct uplink *u, int family, double now);

/** "draining", "used up" or "down" by its bar (uplink.h), else its health: "up", "suspect", "down" or
 * "captive" (health.h). */
const char *uplink_state_name(const struct uplink *u);

#endif
