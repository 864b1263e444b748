/* The policy: a Lua script that chooses the uplink of each connection. This is the only interface between
 * the engine and Lua. docs/policies.md is the contract for authors. */
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
    char *key, *value; /* value as text; the policy's schema has the type */
};

/** A policy's file and its parameters. */
struct policy_source {
    const char *file; /* path of the policy's file */
    const struct policy_param *params;
    size_t n_params;
};

/** Copy with all texts. @return 0 or -ENOMEM */
MUST_CHECK int policy_source_copy(struct policy_source *ret, const struct policy_source *from);
/** Release a copy; harmless on zeroes. */
void policy_source_done(struct policy_source *s);

/** The policy's clocks, and the callback for its timers. NULL for a clock means the system's; NULL for
 * wake_at means no timers. */
struct policy_env {
    double (*now)(void *arg);  /* monotonic, s */
    double (*wall)(void *arg); /* since 1970, s */
    void (*wake_at)(
        void *arg,
        double now); /* call policy_run_timers at that time; infinity for never. Replaces an earlier time */
    void *arg;
};

struct policy_options {
    struct policy_source source;
    const char *lua_dir;        /* the folder that holds steerway/host.lua and the library */
    struct uplink_set *uplinks; /* must outlive the policy */
    double budget_s;            /* CPU time for one call into Lua, in seconds; 0 for the default, 0.05 */
    double share_s; /* CPU time for all calls at once, in seconds (policy_share.h); 0 for the default, 0.25 */
    size_t memory_max; /* bytes of the Lua heap; 0 for the default, 64 MiB */
    uint32_t seed;     /* of ctx.random; 0 for a random seed */
    bool no_jit;       /* LuaJIT only interprets */
    struct policy_env env;
};

enum policy_proto {
    POLICY_SOCKS4,
    POLICY_SOCKS5,
    POLICY_CONNECT,
    POLICY_HTTP,
    POLICY_FORWARD,     /* to a forward's fixed destination */
    POLICY_TRANSPARENT, /* captured on its way to the destination; the last one */
    POLICY_UDP,         /* datagrams, however they came */
};
/** "socks4", "socks5", "connect", "http", "forward", "transparent", "udp" */
const char *policy_proto_name(enum policy_proto p);
/** @return false for no such name */
bool policy_proto_parse(const char *name, enum policy_proto *ret);
/** Whether the client asks for nothing, and knows no proxy. */
static inline bool policy_proto_is_unasked(enum policy_proto p)
{
    return p == POLICY_FORWARD || p == POLICY_TRANSPARENT;
}

/** The connection as the policy sees it. Texts are NUL-terminated and borrowed for the call. script_begin
 * adds is_domain and is_ipv6. */
struct policy_conn {
    uint64_t id;      /* unique in this process, below 2^53 */
    const char *host; /* name or address, in the form of a target (proto/target.h) */
    /* The destination's address; NULL: unknown, or the host is the address. script_begin tells them apart. */
    const char *address;
    uint16_t port;
    bool race; /* this attempt races against a slow one */
    bool bind; /* the host is a peer that is to connect (SOCKS BIND) */
    enum policy_proto proto;
    const char *client;     /* address without a port */
    const char *user;       /* NULL for none */
    const char *listener;   /* "address:port" of the listener */
    int attempt;            /* from 1 */
    const char *last_error; /* error of the attempt before, in the contract's words; NULL for the first */
};

/** The client that asks for a connection, and how it asks. */
struct policy_origin {
    enum policy_proto proto;
    const char *client, *user, *listener; /* as in struct policy_conn */
    bool bind;
};
/** The origin of a made-up connection. Its client is a documentation address (RFC 5737), so that a policy
 *  stores nothing about a real client. */
extern const struct policy_origin POLICY_ORIGIN_MADE_UP;

/** Where the connection is to go. */
struct policy_destination {
    const char *host, *address; /* as in struct policy_conn */
    uint16_t port;
};

/** One of a connection's attempts. */
struct policy_attempt {
    int number; /* 1.. */
    bool race;
    const char *last_error; /* as in struct policy_conn */
};
extern const struct policy_attempt POLICY_ATTEMPT_FIRST;

/** Fill what a policy sees of a connection: real ones, what `why` asks for, picks on trial and those of the
 *  simulator all come through here. Borrows all text. */
void policy_conn_init(struct policy_conn *ret, uint64_t id, const struct policy_destination *to,
                      const struct policy_origin *from, const struct policy_attempt *at);

/** For datagrams: the client's port has one uplink for all its destinations, or each destination has its own.
 */
enum policy_per { POLICY_PER_DEFAULT, POLICY_PER_CLIENT, POLICY_PER_DESTINATION };

enum policy_verdict { POLICY_USE, POLICY_REFUSE };

struct policy_choice {
    enum policy_verdict verdict;
    struct uplink *order[UPLINK_MAX]; /* for POLICY_USE: n >= 1 candidates, in order of preference */
    size_t n;
    char reason[POLICY_REASON_MAX + 1]; /* for logs; never empty */
    double timeout_s;                   /* 0: the default */
    double hedge_s;                     /* seconds until a second uplink races; < 0: never, 0: the default */
    bool resolve;  /* where the host has a name and an address: go to the name, as the uplink resolves it */
    bool race_any; /* a race may use any uplink, not only those that cost no more (outbound/candidates.h) */
    enum policy_per per;
    bool by_default; /* chosen by the built-in default */
};

struct policy_stats {
    uint64_t tx, rx;     /* bytes to and from the destination */
    double duration_s;   /* since the connection opened */
    double first_byte_s; /* until the destination's first byte; < 0 for none */
    const char *reason;  /* "closed", "reset", "idle", "shutdown", … */
};

/** Load a policy: compile in the sandbox, check parameters, call new(ctx) and selftest, and make trial
 * picks.
 *  @param options  copied, except for uplinks and what env.arg points to
 *  @return 0, or negative errno with one line in err (POLICY_ERROR_MAX) that names file and line; warnings
 * are logged */
MUST_CHECK int policy_new(struct policy **ret, const struct policy_options *options, char *err);
void policy_free(struct policy *p);

/** Load the file again, import the old policy's export, and replace the old policy. On failure the old one
 * continues unchanged. When the export fails, a warning is logged and the new policy starts without it.
 *  @return 0, or negative errno with one line in err */
MUST_CHECK int policy_reload(struct policy *p, char *err);
/** Replace the policy by another file or other parameters. A policy with another name does not import the
 * old export. */
MUST_CHECK int policy_change(struct policy *p, const struct policy_source *source, char *err);

/** A load in steps, for a caller that must not wait while lists are read. Call policy_change_begin, then
 * policy_change_step until it returns anything except -EAGAIN, then policy_change_end. Call
 * policy_lists_read before each further step; it may run on another thread. The old policy serves
 * meanwhile. While policy_lists_read runs, only functions that serve connections or return information
 * may be called. */
void policy_change_begin(struct policy *p);
/** @param source  NULL for the present one @return as policy_change; or -EAGAIN: lists must be read */
MUST_CHECK int policy_change_step(struct policy *p, const struct policy_source *source, char *err);
/** @param stop  set it to end the reading early; NULL for never */
void policy_lists_read(struct policy *p, const atomic_bool *stop);
void policy_change_end(struct policy *p);

/** Whether a list file has changed since the policy read it. */
bool policy_lists_changed(const struct policy *p);

/** Test whether the policy can be reloaded: export, load again and import. Nothing changes.
 *  @return 0, or negative errno with one line in err */
MUST_CHECK int policy_rehearse(struct policy *p, char *err);

const char *policy_name(const struct policy *p);
/** Number of loads, from 1. */
uint32_t policy_generation(const struct policy *p);
/** The present source; valid until the next change. */
const struct policy_source *policy_source(const struct policy *p);

struct policy_info {
    const char *name, *file;
    uint32_t generation; /* number of loads, from 1 */
    uint64_t picks;      /* over all generations, like errors and skipped */
    uint64_t errors;     /* calls into Lua that failed */
    uint64_t skipped; /* picks and hooks that were skipped because the share of the main loop was used up */
    size_t memory;    /* bytes of the Lua heap */
    size_t lists;     /* bytes of its lists from files */
    bool quarantined; /* too many failures: the built-in default decides until the next load */
    const char *refused;   /* error of the latest load, valid until the next one; NULL if it succeeded */
    double refused_at;     /* its time, s since 1970 */
    const char *failed;    /* error of the latest failed call, valid until the next call; NULL for none */
    const char *failed_in; /* "pick", or the hook's name */
    double failed_at;      /* its time, s since 1970 */
};
struct policy_info policy_info(const struct policy *p);

/** A setting of uplinks that this policy ignores. */
struct policy_unheeded {
    char setting[8];   /* "tier", "tags" or "quota" */
    char uplinks[128]; /* names of the uplinks with this setting, as many as fit */
    char hint[160];    /* what happens instead, and which policies use the setting */
};
enum { POLICY_UNHEEDED_MAX = 8 };
/** @return the number of such settings. Valid until the next load */
size_t policy_unheeded(const struct policy *p, const struct policy_unheeded **ret);

/** The files that the policy has read: its own, those it requires, and its lists. After a refused load,
 * also the files of that load, since a change of them makes another try worthwhile. @param i  from 0 on
 *  @return NULL after the last; valid until the next load */
const char *policy_file(const struct policy *p, size_t i);

/** A number of ctx.counter or ctx.gauge; it lives as long as the struct policy. */
struct policy_metric {
    char name[64];
    bool gauge;
    double value;
};
enum { POLICY_METRICS_MAX = 256 };
size_t policy_metrics(const struct policy *p, const struct policy_metric **ret);

/** Change env; its wake_at is called at once if a timer is waiting. */
void policy_attach(struct policy *p, const struct policy_env *env);

/** Run the policy's timers that are due. */
void policy_run_timers(struct policy *p);

/** Call it in a child after fork(), before any other function: the child does not inherit the timer that
 * limits calls. @return 0, or negative errno: then Lua must not be called */
MUST_CHECK int policy_after_fork(struct policy *p);

/** Choose an uplink. Always succeeds: a failure is counted and logged (rate-limited), and the built-in
 * default decides. @param candidates  n >= 1, all usable for this connection */
void policy_pick(struct policy *p, const struct policy_conn *conn, struct uplink *const *candidates, size_t n,
                 struct policy_choice *ret);

/** Call a hook; a missing hook costs nothing. */
void policy_opened(struct policy *p, const struct policy_conn *conn, struct uplink *u, double connect_s);
void policy_failed(struct policy *p, const struct policy_conn *conn, struct uplink *u, const char *error);
/** The hook lost_race: another uplink connected first. It replaces failed. */
void policy_lost_race(struct policy *p, const struct policy_conn *conn, struct uplink *u);
void policy_closed(struct policy *p, const struct policy_conn *conn, struct uplink *u,
                   const struct policy_stats *stats);
/** @param what  "up", "down", "address" or "quota" */
void policy_uplink_changed(struct policy *p, struct uplink *u, const char *what);
/** The connection has ended, opened or not: drop the data kept under its id. Call it once, last. */
void policy_forget(struct policy *p, uint64_t conn_id);

#endif
