#include "policy/script_internal.h"
#include "uplink/uplink.h"
#include "uplink/uplink_health.h"
#include "uplink/uplink_set.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

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

/* --- the uplinks ------------------------------------------------------------------------------------------
 */

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
    lua_pushlightuserdata(L, u->interface); /* read on demand, since it may change */
    push_tags(L, u);
    lua_pushboolean(L, u->removed);
    lua_call(L, 7, 0);
}

static void tell_once(lua_State *L, struct script *s, struct uplink *u)
{
    const uint64_t bit = UINT64_C(1) << (u->view.id - 1);

    if (s->known & bit)
        return;
    tell_uplink(L, u);
    s->known |= bit;
    (void)uplink_hold(u);
}

int script_tell_new_uplinks(lua_State *L)
{
    struct script *s = lua_touserdata(L, 1);
    struct uplink *stray = s->stray;

    s->stray = NULL;
    for (size_t i = 0; i < s->uplinks->n; i++)
        tell_once(L, s, s->uplinks->items[i]);
    if (stray)
        tell_once(L, s, stray);
    s->changes = s->uplinks->changes;
    return 0;
}

/* A VM that was loaded after an uplink was removed does not know it, and may have to hear of its connections.
 */
void script_about(struct script *s, struct uplink *u)
{
    s->frame.uplink = u->view.id;
    if (!(s->known >> (u->view.id - 1) & 1))
        s->stray = u;
}

void script_let_go(struct script *s)
{
    for (int32_t id = 1; id <= UPLINK_MAX; id++)
        if (s->known >> (id - 1) & 1)
            uplink_let_go(uplink_set_by_id(s->uplinks, id));
    s->known = 0;
}

/* --- calls ---------------------------------------------------------------------------------------------- */

static void tick_wall(struct script *s)
{
    s->frame.wall = s->env->wall ? s->env->wall(s->env->arg) : clock_read_s(CLOCK_REALTIME_COARSE);
}

/* The kernel moves both coarse clocks at the same ticks, so most calls read only one of them. */
void script_tick(struct script *s)
{
    const struct policy_env *env = s->env;
    double now = env->now ? env->now(env->arg) : clock_coarse_s();
    bool later = now > s->frame.now; /* or a timer has seen a later time of the fine clock */

    if (later)
        s->frame.now = now;
    if (later || env->now || env->wall)
        tick_wall(s);
}

void script_tick_finely(struct script *s)
{
    s->frame.now = s->env->now ? s->env->now(s->env->arg) : clock_now_s();
    tick_wall(s);
}

/* The last label of a target's name is never a number, so digits and dots alone are an IPv4 address. An IPv6
 * address has a colon after its first hexadecimal digits, or begins with one. */
static void read_host_kind(struct frame_conn *ret, const char *host)
{
    while ((*host >= '0' && *host <= '9') || *host == '.')
        host++;
    if (*host == '\0')
        return;
    while ((*host >= '0' && *host <= '9') || (*host >= 'a' && *host <= 'f') || (*host >= 'A' && *host <= 'F'))
        host++;
    ret->is_ipv6 = *host == ':';
    ret->is_domain = *host != ':';
}

void script_begin(struct script *s, const struct policy_conn *conn)
{
    struct frame *f = &s->frame;
    f->conn = (struct frame_conn){
        .id = (double)conn->id,
        .now = f->now,
        .port = conn->port,
        .attempt = conn->attempt,
        .race = conn->race,
        .bind = conn->bind,
    };
    read_host_kind(&f->conn, conn->host);
    f->calls++; /* the texts change with this call */
    f->host = conn->host;
    f->address = conn->address || f->conn.is_domain ? conn->address : conn->host;
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
    f->host = f->address = f->client = f->user = f->listener = f->proto = f->last_error = f->word = NULL;
}

static int call(struct script *s, enum script_entry entry, int nresults, char *err)
{
    if (s->changes != s->uplinks->changes || s->stray) {
        int rc = vm_protected(s->vm, script_tell_new_uplinks, s, s->budget_s, err);
        if (rc < 0)
            return rc;
    }
    if (s->vm->L)
        lua_pushvalue(s->vm->L, VM_BASE + (int)entry);
    return vm_call(s->vm, 0, nresults, s->budget_s, err);
}

int script_run(struct script *s, enum script_entry entry, char *err)
{
    return call(s, entry, 0, err);
}

/* Cut long text between characters of UTF-8. */
static void copy_reason(char *to, const char *from, size_t n)
{
    if (n > POLICY_REASON_MAX)
        for (n = POLICY_REASON_MAX; n > 0 && ((unsigned char)from[n] & 0xc0) == 0x80; n--)
            ;
    memcpy(to, from, n);
    to[n] = '\0';
}

/* The host has checked the policy's result; a failure here is a bug in host or engine. */
static bool copy_order(const struct script *s, struct policy_choice *ret)
{
    const struct frame *f = &s->frame;
    const int32_t n = f->n;

    for (int32_t i = 0; i < n; i++) {
        int32_t id = f->ids[i];
        if (i == UPLINK_MAX || id < 1 || id > UPLINK_MAX || f->offers[id] != FRAME_CANDIDATE)
            return false;
        ret->order[i] = s->uplinks->by_id[id - 1];
    }
    ret->n = (size_t)n;
    return n > 0;
}

/* Pop the two results. Fills ret in place: it is large, and each pick comes here. */
static int read_verdict(struct script *s, enum frame_verdict *ret_verdict, struct policy_choice *ret,
                        char *err)
{
    lua_State *L = s->vm->L;
    const struct frame *f = &s->frame;
    enum frame_verdict verdict = (enum frame_verdict)lua_tointeger(L, -2);
    size_t len;

    if (verdict == FRAME_REFUSE)
        ret->n = 0;
    /* Do not convert a number to text: that allocates a string, which may fail. */
    if (lua_type(L, -1) != LUA_TSTRING || (verdict == FRAME_USE && !copy_order(s, ret))) {
        lua_pop(L, 2);
        (void)snprintf(err, VM_ERROR_MAX,
                       "%s: pick chose an uplink that is not a candidate, or gave no reason", s->name);
        return -EINVAL;
    }
    *ret_verdict = verdict;
    if (verdict != FRAME_NO_OPINION) {
        const char *reason = lua_tolstring(L, -1, &len); /* the host guarantees a string that is not empty */
        copy_reason(ret->reason, reason, len);
        ret->verdict = verdict == FRAME_REFUSE ? POLICY_REFUSE : POLICY_USE;
        ret->timeout_s = f->timeout_s;
        ret->hedge_s = f->hedge_s;
        ret->race_any = f->race_any;
        ret->resolve = f->resolve;
        ret->per = (enum policy_per)f->per;
        ret->by_default = false;
    }
    lua_pop(L, 2);
    return 0;
}

/* A policy may name a captive uplink, although it is not a candidate; that is not an error. */
static void offer_captive(struct script *s)
{
    struct frame *f = &s->frame;

    for (size_t i = 0; i < s->uplinks->n; i++) {
        const struct uplink *u = s->uplinks->items[i];
        if (!f->offers[u->view.id] && uplink_is_captive(u, AF_UNSPEC))
            f->offers[u->view.id] = FRAME_CAPTIVE;
    }
}

static void offer(struct script *s, struct uplink *const *candidates, size_t n)
{
    struct frame *f = &s->frame;

    memset(f->offers, FRAME_NOT_OFFERED, sizeof f->offers);
    n = n < UPLINK_MAX ? n : UPLINK_MAX;
    for (size_t i = 0; i < n; i++) {
        int32_t id = candidates[i]->view.id;
        f->ids[i] = id;
        f->offers[id] = FRAME_CANDIDATE;
    }
    f->n = (int32_t)n;
    if (n < s->uplinks->n)
        offer_captive(s);
}

int script_pick(struct script *s, const struct policy_conn *conn, struct uplink *const *candidates, size_t n,
                enum frame_verdict *ret_verdict, struct policy_choice *ret, char *err)
{
    struct frame *f = &s->frame;

    offer(s, candidates, n);
    f->timeout_s = f->hedge_s = 0;
    f->race_any = f->resolve = false;
    f->per = POLICY_PER_DEFAULT;
    script_begin(s, conn);
    int rc = call(s, SCRIPT_PICK, 2, err);
    script_end(s);
    if (rc < 0)
        return rc;
    return read_verdict(s, ret_verdict, ret, err);
}
