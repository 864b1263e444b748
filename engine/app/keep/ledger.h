/* Keeps in a file what each uplink's quota has used and which capacity was learned. Also starts the
 * quotas' periods. Changes are saved within seconds. */
#ifndef STEERWAY_KEEP_LEDGER_H
#define STEERWAY_KEEP_LEDGER_H

#include "keep/state_file.h"
#include "policy/policy.h"
#include "uplink/uplink_view.h"

#include <jansson.h>

struct uplink;
struct uplink_set;

/** End the open connections of an uplink whose hard quota is used up. @return their number */
typedef size_t ledger_cut_fn(void *owner, struct uplink *u);

/** What a ledger works with. Its pointers are borrowed. */
struct ledger_ties {
    struct uplink_set *uplinks;
    struct policy *policy; /* hears of quotas */
    ledger_cut_fn *cut;
    void *owner; /* for cut */
};

/** What another process hands over (ledger_lend). */
struct ledger_handed {
    const json_t *state; /* what it has kept; NULL: read the file */
    int lock_fd;         /* of the file, taken; -1: lock it */
};

/** Embedded by its owner, who must not move it; zero-initialised is "not open". */
struct ledger {
    struct ev_loop *loop;
    struct ledger_ties ties;
    struct state_file file;
    json_t *kept;             /* the file's entries, also of uplinks that this run does not have */
    bool used_up[UPLINK_MAX]; /* by id - 1: the state that was logged last */
    bool lent;                /* another process is about to keep it, or does: nothing is saved here */
    double told[UPLINK_MAX];  /* by id - 1, while lent: the bytes of a quota that it knows of */
    ev_timer save;
    ev_periodic renewal; /* ends the next period */
};

/** Load the file, and save to it from now on. Without a path, only periods are kept. A file that cannot be
 * parsed is renamed to .bad, with a warning.
 *  @param path  NULL for none
 *  @return 0 or a negative errno of state_file_open; periods work in either case */
MUST_CHECK int ledger_open(struct ledger *l, struct ev_loop *loop, const char *path,
                           const struct ledger_ties *ties);
/** The same, from another process that goes on with the file's lock. */
MUST_CHECK int ledger_take_over(struct ledger *l, struct ev_loop *loop, const char *path,
                                const struct ledger_ties *ties, const struct ledger_handed *handed);
/** Let another process keep it, and save nothing from now on. Saves what there is.
 *  @return what that process has to know, a new reference; NULL without memory: nothing has changed */
json_t *ledger_lend(struct ledger *l);
/** That process has failed: keep it again. */
void ledger_take_back(struct ledger *l);
/** While lent: the bytes that have been counted for a quota, and that the other process does not know of. */
double ledger_untold(const struct ledger *l, const struct uplink *u);
/** It knows of so many more. */
void ledger_tell(struct ledger *l, const struct uplink *u, double bytes);
/** Count bytes that the process before has moved. Call ledger_look next. */
void ledger_count(struct uplink *u, double bytes);
/** Apply the kept state to an uplink that was added later. */
void ledger_add(struct ledger *l, struct uplink *u);
/** Keep the state of an uplink that is about to be removed, for one that gets its name. */
void ledger_remove(struct ledger *l, const struct uplink *u);
/** The plan of some uplink's quota has changed. */
void ledger_plan_changed(struct ledger *l);
/** Check the quotas: a hard quota that is used up ends the uplink's connections. Call it after each meter
 * tick. */
void ledger_look(struct ledger *l);
/** Save and close. Harmless when it is not open. */
void ledger_close(struct ledger *l);

#endif
