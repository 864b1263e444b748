/* The policy: a Lua script that says by which uplink each connection leaves. This is the only door between
 * the engine and Lua; the contract for authors is docs/policies.md. */
#ifndef STEERWAY_POLICY_POLICY_H
#define STEERWAY_POLICY_POLICY_H

#include "base/compiler.h"
#include "base/slice.h"
#include "uplink/uplink_view.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct uplink;
struct uplink_set;

enum { POLICY_REASON_MAX = 95, POLICY_ERROR_MAX = 1024 };

struct policy;

struct policy_param {
    char *key, *value; /* value as text; the policy's schema says its type */
};

/** Which policy, and how it is set. */
struct policy_source {
    const char *file; /* path of the policy's file */
    const struct policy_param *params;
    size_t n_params;
};

/** Copy with all its text. @return 0 or -ENOMEM */
MUST_CHECK int policy_source_copy(struct policy_source *ret, const struct policy_source *from);
/** Of a copy; harmless on zeroes. */
void policy_source_done(struct policy_source *s);

/** Where a policy has the time from, and whom it tells when it wants to be called. A function that is NULL
 * stands for the system's clock, or for nobody. */
struct policy_env {
    double (*now)(void *arg);  /* monotonic, s */
    double (*wall)(void *arg); /* since 1970, s */
    void (*wake_at)(void *arg,
                    double now); /* call policy_run_timers then; infinity: no more. The latest counts */
    void *arg;
};

struct policy_options {
    struct policy_source source;
    const char *lua_dir;        /* the folder that holds steerway/host.lua and the library */
    struct uplink_set *uplinks; /* must outlive the policy */
    double budget_s;            /* CPU time for one call into Lua; 0 for the default, 0.05 */
    double share_s;             /* CPU time for its calls at once (policy_share.h); 0 for the default, 0.25 */
    size_t memory_max;          /* octets of the Lua heap; 0 for the default, 64 MiB */
    uint32_t seed;              /* of ctx.random; 0 for one that nobody knows */
    bool no_jit;                /* LuaJIT interprets, and makes no machine code */
    struct policy_env env;
};

enum policy_proto { POLICY_SOCKS4, POLICY_SOCKS5, POLICY_CONNECT, POLICY_HTTP };
/** "socks4", "socks5", "connect", "http" */
const char *policy_proto_name(enum policy_proto p);

/** What a policy may know of a connection. Text is NUL-terminated and borrowed for the call. The policy also
 *  sees is_domain and is_ipv6, which script_begin reads off the host. */
struct policy_conn {
    uint64_t id;      /* unique in this process, below 2^53 */
    const char *host; /* name or address, as a target has it (proto/target.h) */
    uint16_t port;
    bool race; /* this attempt is raced against another, which is slow */
    enum policy_proto proto;
    const char *client;     /* address without port */
    const char *user;       /* NULL for none */
    const char *listener;   /* "address:port" the client came to */
    int attempt;            /* 1.. */
    const char *last_error; /* the contract's word, or NULL at the first attempt */
};

/** Who asks for a connection, and how. */
struct policy_origin {
    enum policy_proto proto;
    const char *client, *user, *listener; /* as in struct policy_conn */
};
/** Of a connection that nobody has asked for. Its client is of a range for documentation (RFC 5737), so a
 *  policy keeps nothing under a real client's name. */
extern const struct policy_origin POLICY_ORIGIN_MADE_UP;

/** One of a connection's attempts. */
struct policy_attempt {
    int number; /* 1.. */
    bool race;
    const char *last_error; /* as in struct policy_conn */
};
extern const struct policy_attempt POLICY_ATTEMPT_FIRST;

/** Fill what a policy sees of a connection: real ones, what `why` asks for, picks on trial and those of the
 *  simulator all come through here. Borrows all text. */
void policy_conn_init(struct policy_conn *ret, uint64_t id, const char *host, uint16_t port,
                      const struct policy_origin *from, const struct policy_attempt *at);

enum policy_verdict { POLICY_USE, POLICY_REFUSE };

struct policy_choice {
    enum policy_verdict verdict;
    struct uplink *order[UPLINK_MAX]; /* POLICY_USE: n >= 1 of the candidates, the preferred first */
    size_t n;
    char reason[POLICY_REASON_MAX + 1]; /* for logs; never empty */
    double timeout_s;                   /* 0: the engine's default */
    double hedge_s;  /* until a second uplink is raced; < 0: never, 0: the engine's default */
    bool race_any;   /* a race may go to any uplink, not to those alone that cost no more
                        (outbound/candidates.h) */
    bool by_default; /* the built-in default decided */
};

struct policy_stats {
    uint64_t tx, rx;     /* octets to and from the destination */
    double duration_s;   /* since the connection was opened */
    double first_byte_s; /* until the destination's first octet; < 0 for none */
    const char *reason;  /* how it ended: "closed", "reset", "idle", "shutdown", … */
};

/** Load a policy: compile in the sandbox, validate params, call new(ctx), its selftest, and pick on trial.
 *  @param options  copied, but for uplinks and what env.arg points to
 *  @return 0, or negative errno with one line in err (POLICY_ERROR_MAX) that names file and line;
 *          warnings go to the log */
MUST_CHECK int policy_new(struct policy **ret, const struct policy_options *options, char *err);
void policy_free(struct policy *p);

/** Load the file anew and put it in the old one's place, with what the old one exports; on failure the old
 * one goes on serving as if nothing had been. An export that fails is logged, and the new one begins without.
 *  @return 0, or negative errno with one line in err */
MUST_CHECK int policy_reload(struct policy *p, char *err);
/** The same with another file or other parameters; a policy of another name begins without what the old one
 * exports. */
MUST_CHECK int policy_change(struct policy *p, const struct policy_source *source, char *err);

/** A load in steps, for who must not wait while lists are read. policy_change_begin; then policy_change_step
 * until it returns anything but -EAGAIN, with policy_lists_read before each further step; then
 * policy_change_end. The policy serves all the while. policy_lists_read may run on another thread; meanwhile
 * nothing of this header may be called but what serves connections and tells what the policy is. */
void policy_change_begin(struct policy *p);
/** @param source  NULL for the one that there is @return as policy_change; or -EAGAIN: lists are to be read
 */
MUST_CHECK int policy_change_step(struct policy *p, const struct policy_source *source, char *err);
/** @param stop  ends it early when it is set; NULL for never */
void policy_lists_read(struct policy *p, const atomic_bool *stop);
void policy_change_end(struct policy *p);

/** Whether the file of a list is not the one any more that was read for the policy that serves. */
bool policy_lists_changed(const struct policy *p);

/** Whether the file, as it is, could follow itself: export and import, as at a reload. Nothing changes.
 *  @return 0, or negative errno with one line in err */
MUST_CHECK int policy_rehearse(struct policy *p, char *err);

const char *policy_name(const struct policy *p);
/** Counts loads, from 1. */
uint32_t policy_generation(const struct policy *p);
/** As given; valid until the next change. */
const struct policy_source *policy_source(const struct policy *p);

struct policy_info {
    const char *name, *file;
    uint32_t generation; /* counts loads, from 1 */
    uint64_t picks;      /* over all generations, as the next one */
    uint64_t errors;     /* calls into Lua that went wrong */
    uint64_t skipped;    /* picks and hooks that were not called, as its share of the loop was used up */
    size_t memory;       /* octets of the Lua heap */
    size_t lists;        /* bytes of the lists that it has read from files */
    bool quarantined;    /* failed too often in a row: the built-in default decides until the next load */
    const char *refused; /* why the latest load was refused, valid until the next one; NULL if it was not */
    double refused_at;   /* when, s since 1970 */
    const char
        *failed; /* the error of its latest call to fail, valid until the next call; NULL if none did */
    const char *failed_in; /* "pick", or the hook */
    double failed_at;      /* when, s since 1970 */
};
struct policy_info policy_info(const struct policy *p);

/** What was set for uplinks, and means nothing with this policy. */
struct policy_unheeded {
    char setting[8];   /* "tier", "tags" or "quota" */
    char uplinks[128]; /* names of those that have it, as far as there is room */
    char hint[160];    /* what becomes of them, and what heeds it */
};
enum { POLICY_UNHEEDED_MAX = 8 };
/** @return how many. Valid until the next load */
size_t policy_unheeded(const struct policy *p, const struct policy_unheeded **ret);

/** The files that the policy has read: its own, those it requires, its lists; and, where the last load was
 * refused, those that it has read: to mend them is what makes it worth another try. @param i  from 0 on
 *  @return NULL behind the last; valid until the next load */
const char *policy_file(const struct policy *p, size_t i);

/** A number that policies keep with ctx.counter and ctx.gauge; it lives as long as the struct policy. */
struct policy_metric {
    char name[64];
    bool gauge;
    double value;
};
enum { POLICY_METRICS_MAX = 256 };
size_t policy_metrics(const struct policy *p, const struct policy_metric **ret);

/** Change env; its wake_at is told at once, if there is anything to wait for. */
void policy_attach(struct policy *p, const struct policy_env *env);

/** Call those of the policy's timers that are due. */
void policy_run_timers(struct policy *p);

/** In a child after fork(), before anything else here is called: timers are not inherited, and the time
 * budget needs one. @return 0, or negative errno: then no call into Lua may be made */
MUST_CHECK int policy_after_fork(struct policy *p);

/** Decide. Never fails: whatever goes wrong within is logged (rate-limited), counted, and the built-in
 * default decides. @param candidates  n >= 1, all usable for this connection */
void policy_pick(struct policy *p, const struct policy_conn *conn, struct uplink *const *candidates, size_t n,
                 struct policy_choice *ret);

/** Tell the policy what became of it; an absent hook costs nothing. */
void policy_opened(struct policy *p, const struct policy_conn *conn, struct uplink *u, double connect_s);
void policy_failed(struct policy *p, const struct policy_conn *conn, struct uplink *u, const char *error);
/** Another uplink connected first in a race. It comes instead of failed, never beside it. */
void policy_lost_race(struct policy *p, const struct policy_conn *conn, struct uplink *u);
void policy_closed(struct policy *p, const struct policy_conn *conn, struct uplink *u,
                   const struct policy_stats *stats);
/** @param what  "up", "down", "address" or "quota" */
void policy_uplink_changed(struct policy *p, struct uplink *u, const char *what);
/** The connection is over, opened or not: drop what is kept under its id. Call once, last. */
void policy_forget(struct policy *p, uint64_t conn_id);

#endif
