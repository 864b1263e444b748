/* Adds and removes what capture has on this machine, except for the table that the proxy holds. Each change
 * is recorded first. */
#ifndef STEERWAY_CAPTURE_CAPTURE_APPLY_H
#define STEERWAY_CAPTURE_CAPTURE_APPLY_H

#include "capture/capture_nft.h"
#include "capture/capture_record.h"
#include "machine/machine.h"

enum { CAPTURE_NOTES_MAX = 16 };

/** What was left, as others have made or changed it. */
struct capture_notes {
    char text[CAPTURE_NOTES_MAX][CAPTURE_ERROR_MAX];
    size_t n;
};

/** Add routes and rules, beside those that the book knows. @return 0, or negative errno with one line in err
 * (CAPTURE_ERROR_MAX) */
MUST_CHECK int capture_add_steps(struct capture_book *b, const struct capture_steps *wanted, char *err);

/** Remove the book's routes and rules that are not to be kept. @return as capture_add_steps */
MUST_CHECK int capture_remove_steps(struct capture_book *b, const struct capture_steps *keep, char *err);

/** Whether the rules and routes of a record are there; a reboot removes them, and not the record. */
bool capture_steps_are_there(const struct capture_steps *steps);

/** Remove everything: the table, if nobody holds it, then routes and rules. Without a record, what looks like
 * capture's own is removed. @return as capture_add_steps */
MUST_CHECK int capture_remove_all(struct capture_book *b, struct capture_notes *notes, char *err);

/** What is on this machine, for whoever looks. */
struct capture_sight {
    struct capture_record record;
    size_t n_steps;   /* of the record's steps, those that are there */
    size_t n_unknown; /* rules and routes like capture's, without a record */
    bool table_seen;  /* it could be looked for; that needs rights */
    struct capture_table table;
    /* The first network that the table does not know, and the first that it leaves alone without a reason. */
    char missing[CAPTURE_RANGE_TEXT_MAX], former[CAPTURE_RANGE_TEXT_MAX];
    size_t n_listeners;           /* of the proxy, for captured traffic */
    char unheard[ADDR_TEXT_MAX];  /* where the rules lead, and that proxy does not listen; "" for none */
    char told[CAPTURE_ERROR_MAX]; /* why it has not corrected that, as it says; "": it does not say */
};
/** Read it, and change nothing. Release it with capture_sight_done. */
void capture_sight_read(struct capture_sight *ret);
/** Compare the table's sets with the machine (of machine_read): missing and former are "" if they are up to
 * date, or if there are none. */
void capture_sight_compare(struct capture_sight *s, const struct machine *m);
/** Compare where the table leads with the running proxy's answer to `capture`; NULL: unknown. */
void capture_sight_ask(struct capture_sight *s, const json_t *answer);
void capture_sight_done(struct capture_sight *s);

#endif
