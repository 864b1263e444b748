#include "policy/script_internal.h"
#include "uplink/uplink.h"
#include "uplink/uplink_set.h"

#include "policy/hints.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double BUDGET_DEFAULT_S = 0.05;

_Static_assert((int)POLICY_ERROR_MAX >= (int)VM_ERROR_MAX, "a VM's error fits into a policy's");

/* --- loading -------------------------------------------------------------------------------------------- */

struct load {
    struct script *script;
    const struct policy_options *options;
};

static void take_field(lua_State *L, const char *key, char *ret, size_t size)
{
    lua_getfield(L, -1, key);
    const char *text = lua_tostring(L, -1);
    (void)snprintf(ret, size, "%s", text ? text : "");
    lua_pop(L, 1);
}

/* Takes the list from the top of the stack. */
static void take_unheeded(lua_State *L, struct script *s)
{
    size_t n = lua_objlen(L, -1);

    for (s->n_unheeded = 0; s->n_unheeded < n && s->n_unheeded < POLICY_UNHEEDED_MAX; s->n_unheeded++) {
        struct policy_unheeded *u = &s->unheeded[s->n_unheeded];
        lua_rawgeti(L, -1, (int)s->n_unheeded + 1);
        take_field(L, "setting", u->setting, sizeof u->setting);
        take_field(L, "uplinks", u->uplinks, sizeof u->uplinks);
        take_field(L, "hint", u->hint, sizeof u->hint);
        lua_pop(L, 1);
    }
}

/* A set of the ids of uplinks whose quota is hard. */
static void push_hard(lua_State *L, const struct uplink_set *set)
{
    lua_newtable(L);
    for (size_t i = 0; i < set->n; i++) {
        lua_pushboolean(L, set->items[i]->quota.plan.hard);
        lua_rawseti(L, -2, set->items[i]->view.id);
    }
}

/* Under vm_protected, which cannot return values; the results go into the registry, by number. */
static int load(lua_State *L)
{
    const struct load *l = lua_touserdata(L, 1);
    const struct policy_source *source = &l->options->source;

    vm_push_host(L, "load");
    lua_pushstring(L, source->file);
    lua_createtable(L, 0, (int)source->n_params);
    for (size_t i = 0; i < source->n_params; i++) {
        lua_pushstring(L, source->params[i].value);
        lua_setfield(L, -2, source->params[i].key);
    }
    push_hard(L, l->script->uplinks);
    lua_call(L, 3, 3);
    take_unheeded(L, l->script);
    lua_pop(L, 1);
    const char *name = lua_tostring(L, -1);
    (void)snprintf(l->script->name, sizeof l->script->name, "%s", name ? name : "unnamed");
    lua_pop(L, 1);
    for (int i = SCRIPT_PICK; i < SCRIPT_ENTRIES; i++) {
        lua_getfield(L, -1, script_entry_name((enum script_entry)i));
        l->script->has[i] = lua_isfunction(L, -1);
        lua_rawseti(L, LUA_REGISTRYINDEX, i);
    }
    return 0;
}

/* --- trial picks ---------------------------------------------------------------------------------------- */

static int try_pick(struct script *s, struct uplink *const *candidates, size_t n, bool is_domain, char *err)
{
    struct policy_conn conn;
    enum frame_verdict verdict;
    struct policy_choice choice;
    char why[VM_ERROR_MAX];

    const struct policy_destination to = {.host = is_domain ? "www.example.com" : "192.0.2.1", .port = 443};
    policy_conn_init(&conn, 0, &to, &POLICY_ORIGIN_MADE_UP, &POLICY_ATTEMPT_FIRST);
    int rc = script_pick(s, &conn, candidates, n, &verdict, &choice, why);
    if (rc < 0)
        (void)snprintf(err, POLICY_ERROR_MAX, "%.900s (in a pick on trial, for %s)", why, conn.host);
    /* Drop the tags of the trial connection. */
    if (rc == 0 && s->frame.n_tags > 0) {
        script_begin(s, &conn);
        rc = script_run(s, SCRIPT_FORGET, err);
        script_end(s);
    }
    return rc;
}

/* Trial picks show a mistake in pick at load, while the user is looking. */
static int try_picks(struct script *s, char *err)
{
    struct uplink *candidates[UPLINK_MAX];
    size_t n = 0;
    for (size_t i = 0; i < s->uplinks->n; i++)
        if (s->uplinks->items[i]->view.up)
            candidates[n++] = s->uplinks->items[i];
    if (n == 0)
        for (; n < s->uplinks->n; n++)
            candidates[n] = s->uplinks->items[n];
    if (n == 0)
        return 0;
    script_tick(s);
    int rc = try_pick(s, candidates, n, true, err);
    return rc < 0 ? rc : try_pick(s, candidates, n, false, err);
}

/* --- both halves ---------------------------------------------------------------------------------------- */

static int fill(struct script *s, const struct policy_options *options, char *err)
{
    struct load l = {.script = s, .options = options};

    script_tick(s);
    int rc = vm_protected(s->vm, script_tell_new_uplinks, s, s->budget_s, err);
    if (rc == 0)
        rc = vm_protected(s->vm, load, &l, s->budget_s, err);
    if (rc < 0)
        return rc;
    for (int i = SCRIPT_PICK; i < SCRIPT_ENTRIES; i++)
        lua_rawgeti(s->vm->L, LUA_REGISTRYINDEX, i);
    return 0;
}

int script_load(struct script **ret, const struct policy_options *options, const struct script_room *room,
                uint32_t generation, char *err)
{
    struct script *s = calloc(1, sizeof *s);
    if (!s) {
        (void)snprintf(err, POLICY_ERROR_MAX, "out of memory");
        return -ENOMEM;
    }
    s->uplinks = options->uplinks;
    s->env = &options->env;
    s->budget_s = options->budget_s > 0 ? options->budget_s : BUDGET_DEFAULT_S;
    s->frame.next_timer = INFINITY;
    const struct vm_options vm = {.lua_dir = options->lua_dir,
                                  .memory_max = options->memory_max,
                                  .frame = &s->frame,
                                  .file = options->source.file,
                                  .generation = generation,
                                  .seed = options->seed,
                                  .no_jit = options->no_jit,
                                  .metrics = room->metrics,
                                  .files = room->files,
                                  .lists = room->lists,
                                  .list_use = &s->lists,
                                  .said = room->said};
    int rc = vm_new(&s->vm, &vm, err);
    if (rc == 0)
        rc = fill(s, options, err);
    if (room->lists->n_wanted > 0) {
        script_free(s);
        return -EAGAIN;
    }
    if (rc < 0) {
        hints_name_file(options->source.file, err, POLICY_ERROR_MAX);
        script_free(s);
        return rc;
    }
    s->vm->lists = NULL; /* lists are read only during the load */
    *ret = s;
    return 0;
}

int script_prove(struct script *s, const struct policy_options *options, const struct script_state *state,
                 char *err)
{
    int rc = 0;

    if (state && state->data && s->has[SCRIPT_IMPORT] && strcmp(state->name, s->name) == 0)
        rc = script_import(s, state, err);
    if (rc == 0 && s->has[SCRIPT_SELFTEST])
        rc = script_run(s, SCRIPT_SELFTEST, err);
    if (rc == 0)
        rc = try_picks(s, err);
    if (rc < 0)
        hints_name_file(options->source.file, err, POLICY_ERROR_MAX);
    s->vm->said = NULL; /* from now on the script logs at once */
    return rc;
}

void script_free(struct script *s)
{
    if (!s)
        return;
    script_let_go(s);
    vm_free(s->vm);
    list_use_done(&s->lists);
    free(s);
}
