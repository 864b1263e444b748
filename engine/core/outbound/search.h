/* The search of an outbound connection for a way: it asks the policy, tries one uplink after another, and
 * races a second one against a first that is slow. */
#ifndef STEERWAY_OUTBOUND_SEARCH_H
#define STEERWAY_OUTBOUND_SEARCH_H

#include "outbound/outbound.h"

/** Begin. It fills o's account as it goes, and ends with o->done, out of the loop; it is gone then, and
 *  o->search is NULL. @return 0, -ENOMEM */
MUST_CHECK int search_start(struct outbound *o);

/** Seconds until a second uplink is raced against this first choice; 0 for never. */
double search_hedge_after(const struct outbound_settings *settings, const struct policy_choice *choice,
                          const struct uplink *u);

/** An uplink has lost its link or its addresses: an attempt by it fails at once. The search may be gone
 * afterwards, and its outbound connection too. @return whether there was one */
bool search_lose_uplink(struct search *s, const struct uplink *u);

/** Stop without a word: whatever is under way is cancelled, and its leases are given back. NULL is let
 *  through. */
void search_free(struct search *s);

#endif
