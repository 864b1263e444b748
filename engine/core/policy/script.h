/* One policy file, loaded into a VM of its own. A reload makes a new one and throws the old one away.
 *
 * script_load.c has the load, script_state.c what one policy hands to the next, script.c the calls. */
#ifndef STEERWAY_POLICY_SCRIPT_H
#define STEERWAY_POLICY_SCRIPT_H

#include "policy/policy.h"
#include "policy/vm.h"

/** What can be called; also where its function lies on the VM's stack. */
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
    SCRIPT_ENTRIES /* one more than the last */
};

struct script {
    struct vm *vm;
    struct frame frame;
    struct uplink_set *uplinks;
    const struct policy_env *env;
    int32_t known; /* uplinks that the VM has been told of */
    double budget_s;
    char name[64];
    bool has[SCRIPT_ENTRIES];
    struct policy_unheeded unheeded[POLICY_UNHEEDED_MAX];
    size_t n_unheeded;
    struct list_use lists; /* given back after the VM is gone */
};

const char *script_entry_name(enum script_entry entry);

/** What a policy of that name has exported. */
struct script_state {
    char *data; /* NULL for nothing */
    size_t len;
    char name[64];
};

/** What outlives a script and is filled while it is loaded. */
struct script_room {
    struct vm_metrics *metrics;
    struct vm_files *files; /* empty; filled with what was read, on failure too */
    struct lists *lists;    /* those that were read; filled with what is wanted (lists.h) */
    struct held_log *said;  /* filled with what it says until it is proven, on failure too */
};

/** The first half: sandbox, compile, check, new(ctx).
 *  @param options  must outlive the script, as what room points to must
 *  @param generation  told where the policy logs
 *  @return 0; -EAGAIN: lists are wanted; or another negative errno with one line in err (POLICY_ERROR_MAX) */
MUST_CHECK int script_load(struct script **ret, const struct policy_options *options,
                           const struct script_room *room, uint32_t generation, char *err);
/** The second half: import, selftest, picks on trial. Then it may serve. Once it has failed there is nothing
 * but script_free.
 *  @param state    of its predecessor, imported when it bears the same name; NULL for none
 *  @return 0, or negative errno with one line in err */
MUST_CHECK int script_prove(struct script *s, const struct policy_options *options,
                            const struct script_state *state, char *err);
void script_free(struct script *s);

/** @param ret  data is the caller's to free; NULL when the policy exports nothing
 *  @return 0, or negative errno with one line in err */
MUST_CHECK int script_export(struct script *s, struct script_state *ret, char *err);

/** Put the time into the frame, as each call must: cheaply, to some milliseconds, but never backwards; or,
 * for timers, as precisely as it can be had. */
void script_tick(struct script *s);
void script_tick_finely(struct script *s);

/** Put into the frame what a hook or pick may read; end each with script_end. Text is borrowed until then. */
void script_begin(struct script *s, const struct policy_conn *conn);
void script_end(struct script *s);

/** Run a hook between script_begin and script_end. @return 0, or negative errno with one line in err */
MUST_CHECK int script_run(struct script *s, enum script_entry entry, char *err);

/** Ask for an uplink; begins and ends by itself.
 *  @param ret_verdict  FRAME_USE and FRAME_REFUSE fill ret but for by_default; FRAME_NO_OPINION leaves it
 * untouched
 *  @return 0, or negative errno with one line in err */
MUST_CHECK int script_pick(struct script *s, const struct policy_conn *conn, struct uplink *const *candidates,
                           size_t n, enum frame_verdict *ret_verdict, struct policy_choice *ret, char *err);

#endif
