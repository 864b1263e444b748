#include "policy/policy.h"

#include "base/clock.h"
#include "policy/policy_internal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Loads at most. A policy may ask for a list that depends on another list, but not endlessly. */
enum { LOADS_MAX = 8 };

/* --- source --------------------------------------------------------------------------------------------- */

void policy_source_done(struct policy_source *s)
{
    struct policy_param *params = (struct policy_param *)(uintptr_t)s->params;

    free((char *)(uintptr_t)s->file);
    for (size_t i = 0; i < s->n_params; i++) {
        free(params[i].key);
        free(params[i].value);
    }
    free(params);
    *s = (struct policy_source){.file = NULL};
}

int policy_source_copy(struct policy_source *ret, const struct policy_source *from)
{
    struct policy_param *params = calloc(from->n_params + 1, sizeof *params);
    struct policy_source s = {.file = strdup(from->file), .params = params};
    bool good = params && s.file;

    for (size_t i = 0; good && i < from->n_params; i++) {
        params[i].key = strdup(from->params[i].key);
        params[i].value = strdup(from->params[i].value);
        s.n_params = i + 1;
        good = params[i].key && params[i].value;
    }
    if (!good) {
        policy_source_done(&s);
        return -ENOMEM;
    }
    *ret = s;
    return 0;
}

static int options_copy(struct policy_options *ret, const struct policy_options *from)
{
    struct policy_options o = *from;

    o.lua_dir = strdup(from->lua_dir);
    if (!o.lua_dir || policy_source_copy(&o.source, &from->source) < 0) {
        free((char *)(uintptr_t)o.lua_dir);
        return -ENOMEM;
    }
    *ret = o;
    return 0;
}

static void options_done(struct policy_options *o)
{
    policy_source_done(&o->source);
    free((char *)(uintptr_t)o->lua_dir);
}

static int no_memory(char *err)
{
    (void)snprintf(err, POLICY_ERROR_MAX, "out of memory");
    return -ENOMEM;
}

/* --- load, replace, free -------------------------------------------------------------------------------- */

/* First half of a load. @return -EAGAIN: lists must be read, then try again */
static int try_load(struct policy *p, struct script **ret, struct vm_files *files, char *err)
{
    const struct script_room room = {
        .metrics = &p->metrics, .files = files, .lists = &p->lists, .said = &p->said};

    lists_take(&p->lists);
    vm_files_done(files);
    held_log_drop(&p->said);
    int rc = script_load(ret, &p->options, &room, p->generation + 1, err);
    if (rc != -EAGAIN)
        return rc;
    held_log_drop(&p->said); /* this attempt is thrown away, and the next one logs the same */
    if (++p->loads < LOADS_MAX)
        return rc;
    (void)snprintf(err, POLICY_ERROR_MAX, "%.500s: it asks for another list each time that it is loaded",
                   p->options.source.file);
    return -ELOOP;
}

/* Second half. Frees the script on failure. */
static int prove(struct policy *p, struct script *s, const struct script_state *state, char *err)
{
    int rc = script_prove(s, &p->options, state, err);

    if (rc < 0)
        script_free(s);
    return rc;
}

static int first_load(struct policy *p, char *err)
{
    struct script *s;
    int rc;

    policy_change_begin(p);
    while ((rc = try_load(p, &s, &p->files, err)) == -EAGAIN) {
        p->metrics.n = 0;
        policy_lists_read(p, NULL);
    }
    if (rc == 0)
        rc = prove(p, s, NULL, err);
    if (rc == 0)
        p->script = s;
    held_log_flush(&p->said, 1);
    policy_change_end(p);
    return rc;
}

int policy_new(struct policy **ret, const struct policy_options *options, char *err)
{
    struct policy *p = calloc(1, sizeof *p);
    if (!p || options_copy(&p->options, options) < 0) {
        free(p);
        return no_memory(err);
    }
    p->wake_at = INFINITY;
    int rc = first_load(p, err);
    if (rc < 0) {
        policy_free(p);
        return rc;
    }
    p->generation = 1;
    policy_rewake(p);
    *ret = p;
    return 0;
}

void policy_free(struct policy *p)
{
    if (!p)
        return;
    script_free(p->script);
    vm_files_done(&p->files);
    vm_files_done(&p->tried);
    held_log_drop(&p->said);
    lists_done(&p->lists);
    options_done(&p->options);
    free(p);
}

static void log_without_state(const struct policy *p, const char *error)
{
    struct log_line l;

    log_begin(&l, EVENT_POLICY_STATE_LOST);
    log_str(&l, "policy", p->script->name);
    log_u64(&l, "generation", p->generation);
    log_str(&l, "error", error);
    log_end(&l);
}

/* A failed export must not prevent that the policy is replaced. */
static void take_state(struct policy *p, struct script_state *ret)
{
    char err[POLICY_ERROR_MAX];

    *ret = (struct script_state){.data = NULL};
    if (!p->script->vm->L)
        return;
    int rc = script_export(p->script, ret, err);
    if (rc == -ENOTRECOVERABLE) /* the old VM is lost, which matters if the new policy is refused */
        policy_settle(p, SCRIPT_EXPORT, rc, err);
    if (rc < 0)
        log_without_state(p, err);
}

static void replace_script(struct policy *p, struct script *fresh)
{
    script_free(p->script);
    p->script = fresh;
    vm_files_done(&p->files);
    p->files = p->tried;
    p->tried = (struct vm_files){.n = 0};
    p->generation++;
    p->quarantined = false;
    p->failed[0] = '\0';
    memset(p->in_a_row, 0, sizeof p->in_a_row);
    p->overruns = 0;
    p->share = (struct policy_share){.spent_s = 0};
    p->share_lines = p->complaints = (struct log_limit){0};
    policy_rewake(p);
}

/* Export the old policy's state once, and prove the new script with it.
 * @return 0 with the script that may serve, or negative errno: then there is none */
static int hand_state_over(struct policy *p, struct script **script, const struct vm_metrics *before,
                           char *err)
{
    struct script_state state;
    char without[POLICY_ERROR_MAX];

    take_state(p, &state);
    int rc = prove(p, *script, &state, err);
    if ((rc == -ETIME || rc == -ENOMEM) && state.data) {
        /* The imported state may be what is too large or slow, so try once without it. */
        p->metrics = *before;
        int again = try_load(p, script, &p->tried, without);
        if (again == 0)
            again = prove(p, *script, NULL, without);
        if (again == 0) {
            log_without_state(p, err);
            rc = 0;
        }
    }
    free(state.data);
    return rc;
}

/* One attempt. */
static int change(struct policy *p, const struct policy_source *source, char *err)
{
    struct policy_source next, before = p->options.source;
    struct script *fresh;

    if (policy_source_copy(&next, source) < 0)
        return no_memory(err);
    p->options.source = next;
    const struct vm_metrics metrics = p->metrics;
    int rc = try_load(p, &fresh, &p->tried, err);
    if (rc == 0)
        rc = hand_state_over(p, &fresh, &metrics, err);
    held_log_flush(&p->said, p->generation + 1);
    if (rc < 0) {
        p->metrics = metrics; /* the old script holds pointers into metrics; restore them in place */
        p->options.source = before;
        policy_source_done(&next);
        if (rc == -EAGAIN)
            return rc;
        (void)snprintf(p->refused, sizeof p->refused, "%s", err);
        p->refused_at = clock_read_s(CLOCK_REALTIME);
        return rc;
    }
    p->refused[0] = '\0';
    replace_script(p, fresh);
    policy_source_done(&before);
    return 0;
}

void policy_change_begin(struct policy *p)
{
    lists_begin(&p->lists);
    p->loads = 0;
}

int policy_change_step(struct policy *p, const struct policy_source *source, char *err)
{
    return change(p, source ? source : &p->options.source, err);
}

void policy_lists_read(struct policy *p, const atomic_bool *stop)
{
    lists_read(&p->lists, stop);
}

bool policy_lists_changed(const struct policy *p)
{
    return list_use_changed(&p->script->lists);
}

void policy_change_end(struct policy *p)
{
    lists_end(&p->lists);
}

int policy_change(struct policy *p, const struct policy_source *source, char *err)
{
    int rc;

    policy_change_begin(p);
    while ((rc = policy_change_step(p, source, err)) == -EAGAIN)
        policy_lists_read(p, NULL);
    policy_change_end(p);
    return rc;
}

int policy_reload(struct policy *p, char *err)
{
    return policy_change(p, NULL, err);
}

int policy_rehearse(struct policy *p, char *err)
{
    const struct vm_metrics metrics = p->metrics;
    struct script_state state = {.data = NULL};
    struct script *fresh = NULL;
    int rc = script_export(p->script, &state, err);

    policy_change_begin(p);
    if (rc == 0)
        while ((rc = try_load(p, &fresh, &p->tried, err)) == -EAGAIN)
            policy_lists_read(p, NULL);
    if (rc == 0)
        rc = prove(p, fresh, &state, err);
    if (rc == 0)
        script_free(fresh);
    held_log_flush(&p->said, p->generation + 1);
    policy_change_end(p);
    free(state.data);
    p->metrics = metrics;
    return rc;
}

/* --- information ---------------------------------------------------------------------------------------- */

const char *policy_name(const struct policy *p)
{
    return p->script->name;
}

uint32_t policy_generation(const struct policy *p)
{
    return p->generation;
}

const struct policy_source *policy_source(const struct policy *p)
{
    return &p->options.source;
}

struct policy_info policy_info(const struct policy *p)
{
    return (struct policy_info){
        .name = p->script->name,
        .file = p->options.source.file,
        .generation = p->generation,
        .picks = p->picks,
        .errors = p->errors,
        .skipped = p->skipped,
        .memory = p->script->vm->used,
        .lists = p->script->lists.bytes,
        .quarantined = p->quarantined,
        .refused = p->refused[0] ? p->refused : NULL,
        .refused_at = p->refused_at,
        .failed = p->failed[0] ? p->failed : NULL,
        .failed_in = script_entry_name(p->failed_in),
        .failed_at = p->failed_at,
    };
}

size_t policy_unheeded(const struct policy *p, const struct policy_unheeded **ret)
{
    *ret = p->script->unheeded;
    return p->script->n_unheeded;
}

const char *policy_file(const struct policy *p, size_t i)
{
    if (i < p->files.n)
        return p->files.items[i];
    i -= p->files.n;
    return i < p->tried.n ? p->tried.items[i] : NULL;
}

size_t policy_metrics(const struct policy *p, const struct policy_metric **ret)
{
    *ret = p->metrics.items;
    return p->metrics.n;
}

int policy_after_fork(struct policy *p)
{
    (void)p;
    return watchdog_after_fork();
}
