#include "policy/script.h"

#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double BUDGET_DEFAULT_S = 0.05;

_Static_assert((int)POLICY_ERROR_MAX >= (int)VM_ERROR_MAX, "a VM's error fits into a policy's");

const char *script_entry_name(enum script_entry entry)
{
    static const char *const names[SCRIPT_ENTRIES] = {
        [SCRIPT_PICK] = "pick",
        [SCRIPT_OPENED] = "opened",
        [SCRIPT_FAILED] = "failed",
        [SCRIPT_LOST_RACE] = "lost_race",
        [SCRIPT_CLOSED] = "closed",
        [SCRIPT_TIMER] = "timer",
        [SCRIPT_UPLINK_CHANGED] = "uplink_changed",
        [SCRIPT_FORGET] = "forget",
        [SCRIPT_EXPORT] = "export",
        [SCRIPT_IMPORT] = "import",
        [SCRIPT_SELFTEST] = "selftest",
    };
    return names[entry];
}

/* --- loading -------------------------------------------------------------------------------------------- */

static void push_tags(lua_State *L, const struct uplink *u)
{
    lua_createtable(L, (int)u->n_tags, 0);
    for (size_t i = 0; i < u->n_tags; i++) {
        lua_pushstring(L, u->tags[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

static void tell_uplink(lua_State *L, struct uplink *u)
{
    vm_push_host(L, "add_uplink");
    lua_pushlightuserdata(L, &u->view);
    lua_pushinteger(L, u->view.id);
    lua_pushstring(L, u->name);
    lua_pushstring(L, uplink_kind_name(u->kind));
    lua_pushlightuserdata(L, u->interface); /* read when asked for, since it may change */
    push_tags(L, u);
    lua_call(L, 6, 0);
}

/* Under vm_protected; argument: the script. */
static int tell_new_uplinks(lua_State *L)
{
    struct script *s = lua_touserdata(L, 1);
    for (; (size_t)s->known < s->uplinks->n; s->known++)
        tell_uplink(L, s->uplinks->items[s->known]);
    return 0;
}

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

/* From the list on top of the stack. */
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

/* Ids of uplinks whose quota ends by itself, as a set. */
static void push_hard(lua_State *L, const struct uplink_set *set)
{
    lua_newtable(L);
    for (size_t i = 0; i < set->n; i++) {
        lua_pushboolean(L, set->items[i]->quota.plan.hard);
        lua_rawseti(L, -2, set->items[i]->view.id);
    }
}

/* Under vm_protected. Its results cannot be returned from there, so they are left in the registry, by their
 * number. */
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

/* --- what one hands to the next ------------------------------------------------------------------------- */

struct export
{
    struct script *script;
    struct script_state *state;
    bool no_memory;
};

/* Under vm_protected. */
static int export(lua_State *L)
{
    struct export *e = lua_touserdata(L, 1);
    size_t len;

    lua_rawgeti(L, LUA_REGISTRYINDEX, SCRIPT_EXPORT);
    lua_call(L, 0, 1);
    const char *data = lua_tolstring(L, -1, &len);
    if (!data)
        return 0;
    escape_hold();
    char *copy = malloc(len + 1);
    e->no_memory = !copy;
    if (copy) {
        memcpy(copy, data, len);
        e->state->data = copy;
        e->state->len = len;
    }
    escape_release();
    return 0;
}

int script_export(struct script *s, struct script_state *ret, char *err)
{
    struct script_state state = {.data = NULL};
    struct export e = {.script = s, .state = &state};

    memcpy(state.name, s->name, sizeof state.name);
    if (s->has[SCRIPT_EXPORT]) {
        script_tick(s);
        int rc = vm_protected(s->vm, export, &e, s->budget_s, err);
        if (rc < 0) {
            free(state.data);
            return rc;
        }
        if (e.no_memory) {
            (void)snprintf(err, POLICY_ERROR_MAX, "out of memory");
            return -ENOMEM;
        }
    }
    *ret = state;
    return 0;
}

struct import {
    const struct script_state *state;
};

/* Under vm_protected. */
static int import(lua_State *L)
{
    const struct import *i = lua_touserdata(L, 1);

    lua_rawgeti(L, LUA_REGISTRYINDEX, SCRIPT_IMPORT);
    lua_pushlstring(L, i->state->data, i->state->len);
    lua_call(L, 1, 0);
    return 0;
}

static int run_import(struct script *s, const struct script_state *state, char *err)
{
    struct import i = {.state = state};
    return vm_protected(s->vm, import, &i, s->budget_s, err);
}

/* --- picks on trial ------------------------------------------------------------------------------------- */

static int try_pick(struct script *s, struct uplink *const *candidates, size_t n, bool is_domain, char *err)
{
    struct policy_conn conn = {
        .host = is_domain ? "www.example.com" : "192.0.2.1",
        .port = 443,
        .is_domain = is_domain,
        .proto = POLICY_SOCKS5,
        .client = "192.0.2.2", /* nobody's (RFC 5737), so that nothing is kept of a real one */
        .listener = "127.0.0.1:1080",
        .attempt = 1,
    };
    enum frame_verdict verdict;
    struct policy_choice choice;
    char why[VM_ERROR_MAX];
    int rc = script_pick(s, &conn, candidates, n, &verdict, &choice, why);
    if (rc < 0)
        (void)snprintf(err, POLICY_ERROR_MAX, "%.900s (in a pick on trial, for %s)", why, conn.host);
    /* Whatever it tagged was no connection. */
    if (rc == 0 && s->frame.n_tags > 0) {
        script_begin(s, &conn);
        rc = script_run(s, SCRIPT_FORGET, err);
        script_end(s);
    }
    return rc;
}

/* A mistake in pick shows at load, when someone is looking. */
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
    int rc = try_pick(s, candidates, n, true, err);
    return rc < 0 ? rc : try_pick(s, candidates, n, false, err);
}

static int fill(struct script *s, const struct policy_options *options, char *err)
{
    struct load l = {.script = s, .options = options};

    script_tick(s);
    int rc = vm_protected(s->vm, tell_new_uplinks, s, s->budget_s, err);
    if (rc == 0)
        rc = vm_protected(s->vm, load, &l, s->budget_s, err);
    if (rc < 0)
        return rc;
    for (int i = SCRIPT_PICK; i < SCRIPT_ENTRIES; i++)
        lua_rawgeti(s->vm->L, LUA_REGISTRYINDEX, i);
    return 0;
}

/* An error may have been raised without a place. */
static void name_file(const char *file, char err[static POLICY_ERROR_MAX])
{
    char text[POLICY_ERROR_MAX];

    if (strstr(err, file))
        return;
    (void)snprintf(text, sizeof text, "%s", err);
    (void)snprintf(err, POLICY_ERROR_MAX, "%.255s: %.700s", file, text);
}

int script_load(struct script **ret, const struct policy_options *options, struct vm_metrics *metrics,
                struct vm_files *files, struct lists *lists, uint32_t generation,
                const struct script_state *state, char *err)
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
                                  .metrics = metrics,
                                  .files = files,
                                  .lists = lists,
                                  .list_use = &s->lists};
    int rc = vm_new(&s->vm, &vm, err);
    if (rc == 0)
        rc = fill(s, options, err);
    if (lists->n_wanted > 0) {
        script_free(s);
        return -EAGAIN;
    }
    if (rc == 0)
        s->vm->lists = NULL; /* from now on there is nobody to read another one */
    if (rc == 0 && state && state->data && s->has[SCRIPT_IMPORT] && strcmp(state->name, s->name) == 0)
        rc = run_import(s, state, err);
    if (rc == 0 && s->has[SCRIPT_SELFTEST])
        rc = script_run(s, SCRIPT_SELFTEST, err);
    if (rc == 0)
        rc = try_picks(s, err);
    if (rc < 0) {
        name_file(options->source.file, err);
        script_free(s);
        return rc;
    }
    *ret = s;
    return 0;
}

void script_free(struct script *s)
{
    if (!s)
        return;
    vm_free(s->vm);
    list_use_done(&s->lists);
    free(s);
}

/* --- calls ---------------------------------------------------------------------------------------------- */

static void tick_wall(struct script *s)
{
    s->frame.wall = s->env->wall ? s->env->wall(s->env->arg) : clock_read_s(CLOCK_REALTIME_COARSE);
}

void script_tick(struct script *s)
{
    double now = s->env->now ? s->env->now(s->env->arg) : clock_coarse_s();

    /* A timer may have been told a later time, by the fine clock. */
    if (now > s->frame.now)
        s->frame.now = now;
    tick_wall(s);
}

void script_tick_finely(struct script *s)
{
    s->frame.now = s->env->now ? s->env->now(s->env->arg) : clock_now_s();
    tick_wall(s);
}

void script_begin(struct script *s, const struct policy_conn *conn)
{
    struct frame *f = &s->frame;
    script_tick(s);
    f->conn = (struct frame_conn){
        .id = (double)conn->id,
        .now = f->now,
        .port = conn->port,
        .attempt = conn->attempt,
        .is_domain = conn->is_domain,
        .is_ipv6 = conn->is_ipv6,
        .race = conn->race,
    };
    f->calls++; /* below are other texts than those of the last call */
    f->host = conn->host;
    f->client = conn->client;
    f->user = conn->user;
    f->listener = conn->listener;
    f->proto = policy_proto_name(conn->proto);
    f->last_error = conn->last_error;
    f->live = true;
}

void script_end(struct script *s)
{
    struct frame *f = &s->frame;
    f->live = false;
    f->host = f->client = f->user = f->listener = f->proto = f->last_error = f->word = NULL;
}

static int call(struct script *s, enum script_entry entry, int nresults, char *err)
{
    if ((size_t)s->known < s->uplinks->n) {
        int rc = vm_protected(s->vm, tell_new_uplinks, s, s->budget_s, err);
        if (rc < 0)
            return rc;
    }
    if (s->vm->L)
        lua_pushvalue(s->vm->L, (int)entry);
    return vm_call(s->vm, 0, nresults, s->budget_s, err);
}

int script_run(struct script *s, enum script_entry entry, char *err)
{
    return call(s, entry, 0, err);
}

/* Cuts long text before a character of UTF-8, not amid it. */
static void copy_reason(char *to, const char *from, size_t n)
{
    if (n > POLICY_REASON_MAX)
        for (n = POLICY_REASON_MAX; n > 0 && ((unsigned char)from[n] & 0xc0) == 0x80; n--)
            ;
    memcpy(to, from, n);
    to[n] = '\0';
}

/* The host has checked all that a policy can get wrong; what fails here is a disagreement between host and
 * engine. */
static bool are_candidates(const struct script *s, uint64_t candidates)
{
    const struct frame *f = &s->frame;

    for (int32_t i = 0; i < f->n; i++) {
        int32_t id = f->ids[i];
        if (i == UPLINK_MAX || id < 1 || (size_t)id > s->uplinks->n || !(candidates >> (id - 1) & 1))
            return false;
    }
    return f->n > 0;
}

/* Takes the two results off the stack. Fills ret in place, as it is large and this is the hottest of all
 * paths. */
static int read_verdict(struct script *s, uint64_t candidates, enum frame_verdict *ret_verdict,
                        struct policy_choice *ret, char *err)
{
    lua_State *L = s->vm->L;
    const struct frame *f = &s->frame;
    enum frame_verdict verdict = (enum frame_verdict)lua_tointeger(L, -2);
    size_t len;

    /* Nothing here may convert: a number's text is a new string, and its memory may not be had. */
    if (lua_type(L, -1) != LUA_TSTRING || (verdict == FRAME_USE && !are_candidates(s, candidates))) {
        lua_pop(L, 2);
        (void)snprintf(err, VM_ERROR_MAX, "%s: pick chose what is not a candidate, or gave no reason",
                       s->name);
        return -EINVAL;
    }
    *ret_verdict = verdict;
    if (verdict != FRAME_NO_OPINION) {
        const char *reason = lua_tolstring(L, -1, &len); /* the host's promise: a string, not empty */
        copy_reason(ret->reason, reason, len);
        ret->verdict = verdict == FRAME_REFUSE ? POLICY_REFUSE : POLICY_USE;
        ret->timeout_s = f->timeout_s;
        ret->hedge_s = f->hedge_s;
        ret->race_any = f->race_any;
        ret->by_default = false;
        ret->n = 0;
        if (verdict == FRAME_USE)
            for (; ret->n < (size_t)f->n; ret->n++)
                ret->order[ret->n] = s->uplinks->items[f->ids[ret->n] - 1];
    }
    lua_pop(L, 2);
    return 0;
}

/* A policy may name one behind a captive portal, though it is no candidate: that is no error. */
static void add_captive(struct script *s, uint64_t candidates)
{
    struct frame *f = &s->frame;

    f->n_captive = 0;
    for (size_t i = 0; i < s->uplinks->n; i++) {
        const struct uplink *u = s->uplinks->items[i];
        if (uplink_is_captive(u, AF_UNSPEC) && !(candidates >> i & 1))
            f->ids[f->n + f->n_captive++] = u->view.id;
    }
}

int script_pick(struct script *s, const struct policy_conn *conn, struct uplink *const *candidates, size_t n,
                enum frame_verdict *ret_verdict, struct policy_choice *ret, char *err)
{
    uint64_t mask = 0;
    struct frame *f = &s->frame;

    f->n = 0;
    f->timeout_s = f->hedge_s = 0;
    f->race_any = false;
    for (size_t i = 0; i < n && i < UPLINK_MAX; i++) {
        int32_t id = candidates[i]->view.id;
        mask |= UINT64_C(1) << (id - 1);
        f->ids[f->n++] = id;
    }
    add_captive(s, mask);
    script_begin(s, conn);
    int rc = call(s, SCRIPT_PICK, 2, err);
    script_end(s);
    if (rc < 0)
        return rc;
    return read_verdict(s, mask, ret_verdict, ret, err);
}
