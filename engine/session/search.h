/* The search of an outbound connection for a way: it asks the policy, tries one uplink after another, and
 * where the policy says `hedge` races a second one against a first that is slow. */
#ifndef STEERWAY_SESSION_SEARCH_H
#define STEERWAY_SESSION_SEARCH_H

#include "session/outbound.h"

/** Begin. It fills o's account as it goes, and ends with o->done, out of the loop; it is gone then, and
 *  o->search is NULL. @return 0, -ENOMEM */
MUST_CHECK int search_start(struct outbound *o);

/** Stop without a word: whatever is under way is cancelled, and its leases are given back. NULL is let
 *  through. */
void search_free(struct search *s);

#endif
