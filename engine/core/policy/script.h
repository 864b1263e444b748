/* One policy file, loaded into its own VM. A reload makes a new script and frees the old one.
 *
 * script_load.c loads, script_state.c exports and imports, script.c calls. */
#ifndef STEERWAY_POLICY_SCRIPT_H
#define STEERWAY_POLICY_SCRIPT_H

#include "policy/policy.h"
#include "policy/vm.h"

/** The functions that can be called; the value is also the function's slot on the VM's stack. */
enum script_entry {
    SCRIPT_PICK = 1,
    SCRIPT_OPENED,
    SCRIPT_FAILED,
    SCRIPT_LOST_RACE,
    SCRIPT_CLOSED,
    SCRIPT_UPLINK_CHANGED,
    SCRIPT_TIMER,
    SCRIPT_FORGET,
    SCRIPT_EXPORT,
    SCRIPT_IMPORT,
    SCRIPT_SELFTEST,
    SCRIPT_ENTRIES /* number of entries */
};

struct script {
    struct vm *vm;
    struct frame frame;
    struct uplink_set *uplinks;
    const struct policy_env *env;
    uint64_t known;       /* held: the uplinks that the VM knows, a bit for each id */
    uint32_t changes;     /* of the set, when the VM was told */
    struct uplink *stray; /* that the next call is about, and that the VM does not know yet; or NULL */
    double budget_s;
    char name[64];
    bool has[SCRIPT_ENTRIES];
    struct policy_unheeded unheeded[POLICY_UNHEEDED_MAX];
    size_t n_unheeded;
    struct list_use lists; /* released after the VM */
};

const char *script_entry_name(enum script_entry entry);

/** A policy's export, with the policy's name. */
struct script_state {
    char *data; /* NULL for nothing */
    size_t len;
    char name[64];
};

/** Objects that outlive a script and are filled while it loads. */
struct script_room {
    struct vm_metrics *metrics;
    struct vm_files *files; /* empty; receives the files read, on failure too */
    struct lists *lists;    /* the lists that were read; receives those that are wanted (lists.h) */
    struct held_log *said;  /* receives log lines until the script is proven, on failure too */
};

/** First half of a load: sandbox, compile, check, new(ctx).
 *  @param options  must outlive the script, like what room points to
 *  @param generation  for log lines of the policy
 *  @return 0; -EAGAIN: lists must be read; or another negative errno with one line in err
 * (POLICY_ERROR_MAX) */
MUST_CHECK int script_load(struct script **ret, const struct policy_options *options,
                           const struct script_room *room, uint32_t generation, char *err);
/** Second half: import, selftest, trial picks. Then it may serve. After a failure only script_free may
 * follow.
 *  @param state    of its predecessor, imported when the name is the same; NULL for none
 *  @return 0, or negative errno with one line in err */
MUST_CHECK int script_prove(struct script *s, const struct policy_options *options,
                            const struct script_state *state, char *err);
void script_free(struct script *s);

/** @param ret  the caller frees data, which is NULL when the policy exports nothing
 *  @return 0, or negative errno with one line in err */
MUST_CHECK int script_export(struct script *s, struct script_state *ret, char *err);

/** Set the time in the frame, before each call. script_tick is cheap, exact to some milliseconds, and
 * never goes backwards; script_tick_finely is exact, for timers. */
void script_tick(struct script *s);
void script_tick_finely(struct script *s);

/** Fill the frame for a pick or hook, after script_tick; end each with script_end. Texts are borrowed until
 * then. */
void script_begin(struct script *s, const struct policy_conn *conn);
void script_end(struct script *s);

/** Set the uplink that a hook is about, between script_begin and script_run. */
void script_about(struct script *s, struct uplink *u);

/** Run a hook between script_begin and script_end. @return 0, or negative errno with one line in err */
MUST_CHECK int script_run(struct script *s, enum script_entry entry, char *err);

/** Pick an uplink, after script_tick; includes script_begin and script_end.
 *  @param ret_verdict  FRAME_USE and FRAME_REFUSE fill ret except by_default; FRAME_NO_OPINION leaves it
 * unchanged
 *  @return 0, or negative errno with one line in err */
MUST_CHECK int script_pick(struct script *s, const struct policy_conn *conn, struct uplink *const *candidates,
                           size_t n, enum frame_verdict *ret_verdict, struct policy_choice *ret, char *err);

#endif
