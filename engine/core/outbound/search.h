/* The search of an outbound connection: asks the policy, tries one uplink after another, and races a
 * second one against a slow first one. */
#ifndef STEERWAY_OUTBOUND_SEARCH_H
#define STEERWAY_OUTBOUND_SEARCH_H

#include "outbound/outbound.h"

/** Start. It fills o's account, and ends by calling o->done from the loop. The search is freed then, and
 * o->search is NULL. @return 0, -ENOMEM */
MUST_CHECK int search_start(struct outbound *o);

/** Seconds until a race against this first choice; 0 for never. */
double search_hedge_after(const struct outbound_settings *settings, const struct policy_choice *choice,
                          const struct uplink *u);

/** An uplink has lost its link or addresses: its attempt fails at once. The search and its outbound may be
 * freed afterwards. @return whether there was such an attempt */
bool search_lose_uplink(struct search *s, const struct uplink *u);

/** See outbound_listens_at. */
bool search_listens_at(const struct search *s, struct addr *ret, int *ret_link);

/** Cancel the search without calling o->done, and release its leases. NULL is allowed. */
void search_free(struct search *s);

#endif
