/* The state of a search, for its three files only: search.c starts, ends, and sends attempts;
 * search_choice.c chooses the next uplink; search_outcome.c judges ended attempts. */
#ifndef STEERWAY_OUTBOUND_SEARCH_STATE_H
#define STEERWAY_OUTBOUND_SEARCH_STATE_H

#include "outbound/attempt.h"
#include "outbound/search.h"

struct racer {
    struct attempt attempt;
    struct search *search;
    int number; /* number of the pick, from 1; 0 for direct */
    bool raced; /* started while another attempt was slow */
    bool race;  /* and the policy was told of the race */
    char reason[POLICY_REASON_MAX + 1];
};

_Static_assert((int)UPLINK_MAX <= 64, "an uplink has its bit in tried");

struct search {
    struct outbound *outbound;
    struct racer one, *another;  /* NULL until two attempts run at once, which is rare */
    uint64_t tried;              /* bits id - 1 */
    struct policy_choice choice; /* the policy's choice, used up in order */
    size_t next_choice;
    uint32_t generation;    /* of the policy that made the choice */
    enum fault last;        /* the latest fault */
    enum fault worst;       /* the most telling fault of all attempts */
    bool hopeless;          /* the fault would be the same by any uplink */
    bool racing;            /* the latest attempt is the second of a race */
    bool doubtful;          /* the first has little hope, so the second counts as its replacement */
    double heard;           /* value for the first attempt's uplink at its start */
    double patience_left_s; /* after a check was started */
    ev_timer patience;      /* ends an attempt by a silent uplink */
    ev_timer hedge;         /* starts the race */
    ev_timer deferred;      /* starts the search from the loop */
};

/* search.c */
/** End the search and call o->done. The search is freed, and its outbound may be. */
void search_end(struct search *s, enum fault fault, int fd);
/** With no attempt running: send the next one, or end. */
void search_try_next(struct search *s);
/** Race another uplink against r, which is running. r continues alone if no other uplink fits, memory is
 * short, or the policy refuses. */
void search_try_beside(struct search *s, const struct racer *r);

/* search_choice.c */
enum search_found { SEARCH_FOUND, SEARCH_FOUND_NOBODY, SEARCH_FOUND_REFUSAL };
/** The next uplink of the policy's list, or of its answer to a new question. A refusal leaves the reason
 * in s->choice.
 *  @param against  uplink to race against; NULL: no race */
enum search_found search_choose(struct search *s, const struct uplink *against, struct uplink **ret);
/** The family that its destination must have; AF_UNSPEC: any. */
int search_family(const struct search *s);
/** Seconds that are left: --dial-timeout limits all attempts together. */
double search_left_s(const struct search *s);
/** The uplinks that the next attempt may use after u, which is among those tried. */
enum search_others {
    SEARCH_OTHERS_NONE,
    SEARCH_OTHERS_DEAR,  /* only those that the choice of u was meant to spare (candidates.h) */
    SEARCH_OTHERS_ALIKE, /* others as well */
};
enum search_others search_others(const struct search *s, const struct uplink *u);
/** Timeout of the next attempt. */
double search_dial_timeout(const struct search *s, enum search_others others);
/** When only spared uplinks are left: seconds after which the next attempt is given up if its uplink has
 * received nothing since its start. An uplink that receives may use all the time. 0: never. */
double search_patience(const struct search *s, enum search_others others);

/* search_outcome.c */
struct failure {
    int number; /* of the pick */
    bool race;  /* which the policy was told of */
    bool lost;  /* the uplink has lost its link: that says nothing about its health */
};
/** Note a fault in the search's own state. */
void search_note_fault(struct search *s, enum fault fault);
/** Count it for the uplink, tell the policy, and log it. */
void search_count_failure(struct search *s, struct uplink *u, enum fault fault, const struct failure *f);
/** Callbacks of the racers' attempts. */
extern const struct attempt_events SEARCH_EVENTS;

#endif
