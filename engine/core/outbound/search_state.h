/* The inside of a search, shared by its three files: search.c begins and ends it and sends attempts out,
 * search_choice.c says who is next, search_outcome.c what an attempt's end means. Nobody else includes this.
 */
#ifndef STEERWAY_OUTBOUND_SEARCH_STATE_H
#define STEERWAY_OUTBOUND_SEARCH_STATE_H

#include "outbound/attempt.h"
#include "outbound/search.h"

struct racer {
    struct attempt attempt;
    struct search *search;
    int number; /* of its pick, from 1; 0 for direct */
    bool raced; /* sent beside another that was slow */
    bool race;  /* and the policy was told that this is a race */
    char reason[POLICY_REASON_MAX + 1];
};

_Static_assert((int)UPLINK_MAX <= 64, "an uplink has its bit in tried");

struct search {
    struct outbound *outbound;
    struct racer one, *another;  /* NULL until two are tried at once, which few connections come to */
    uint64_t tried;              /* bit id - 1 */
    struct policy_choice choice; /* the order of preference being worked through */
    size_t next_choice;
    uint32_t generation;    /* of the policy that made it */
    enum fault last;        /* the latest failure */
    enum fault worst;       /* the most telling of the attempts' faults */
    bool hopeless;          /* what failed would fail by any uplink */
    bool racing;            /* the latest start was that of a second one */
    bool doubtful;          /* the first has little hope: who is sent beside it comes in its place */
    double heard;           /* of the first one's uplink when it was sent */
    double patience_left_s; /* once a check is asked */
    ev_timer patience;      /* until it must have been heard */
    ev_timer hedge;         /* until a second one is raced */
    ev_timer deferred;      /* the beginning, out of the caller's stack */
};

/* search.c */
/** Tell the owner. The search is gone afterwards, and so may be its outbound connection. */
void search_end(struct search *s, enum fault fault, int fd);
/** Nobody is under way: send the next one, or end. */
void search_try_next(struct search *s);
/** Race another one against r, which is under way. It goes on alone if there is nobody to race it, or no
 * memory, or the policy refuses. */
void search_try_beside(struct search *s, const struct racer *r);

/* search_choice.c */
enum search_found { SEARCH_FOUND, SEARCH_FOUND_NOBODY, SEARCH_FOUND_REFUSAL };
/** The next uplink of the policy's list, or what it answers to a new question. A refusal leaves the list at
 * its end, with the reason in s->choice.
 * @param against  whom it is to race; NULL: it is no race */
enum search_found search_choose(struct search *s, const struct uplink *against, struct uplink **ret);
/** Seconds that the client waits yet, at most: --dial-timeout bounds all attempts together. */
double search_left_s(const struct search *s);
/** Who is left to be tried after u. */
enum search_others {
    SEARCH_OTHERS_NONE,
    SEARCH_OTHERS_DEAR,  /* those alone that the choice of u was meant to spare (candidates.h) */
    SEARCH_OTHERS_ALIKE, /* some that are not */
};
enum search_others search_others(const struct search *s, const struct uplink *u);
/** Of the choice's next attempt. */
double search_dial_timeout(const struct search *s, enum search_others others);
/** Where all that are left are dear: after how many seconds the next attempt is given up, if nothing was
 * heard by its uplink since it began. One that receives works, and may take all the time. 0: never. */
double search_patience(const struct search *s, enum search_others others);

/* search_outcome.c */
/** What a racer's attempt calls. */
extern const struct attempt_events SEARCH_EVENTS;

#endif
