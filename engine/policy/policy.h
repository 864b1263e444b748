/* The policy: a Lua script that says by which uplink each connection leaves. This is the only door between
 * the engine and Lua; the contract for authors is docs/policies.md. */
#ifndef STEERWAY_POLICY_POLICY_H
#define STEERWAY_POLICY_POLICY_H

#include "base/compiler.h"
#include "base/slice.h"
#include "uplink/uplink.h"

#include <stdbool.h>
#include <stdint.h>

enum { POLICY_REASON_MAX = 95, POLICY_ERROR_MAX = 1024 };

struct policy;

struct policy_param {
    char *key, *value; /* value as text; the policy's schema says its type */
};

struct policy_options {
    const char *file;    /* path of the policy's file */
    const char *lua_dir; /* the folder that holds steerway/host.lua and the library */
    const struct policy_param *params;
    size_t n_params;
    struct uplink_set *uplinks; /* must outlive the policy */
    double budget_s;            /* for one call into Lua; 0 for the default, 0.05 */
    size_t memory_max;          /* octets of the Lua heap; 0 for the default, 64 MiB */
};

enum policy_proto { POLICY_SOCKS4, POLICY_SOCKS5, POLICY_CONNECT, POLICY_HTTP };
/** "socks4", "socks5", "connect", "http" */
const char *policy_proto_name(enum policy_proto p);

/** What a policy may know of a connection. Text is NUL-terminated and borrowed for the call. */
struct policy_conn {
    uint64_t id;      /* unique in this process, below 2^53 */
    const char *host; /* name or address */
    uint16_t port;
    bool is_domain, is_ipv6;
    enum policy_proto proto;
    const char *client;     /* address without port */
    const char *user;       /* NULL for none */
    const char *listener;   /* "address:port" the client came to */
    int attempt;            /* 1.. */
    const char *last_error; /* the contract's word, or NULL at the first attempt */
};

enum policy_verdict { POLICY_USE, POLICY_REFUSE };

struct policy_choice {
    enum policy_verdict verdict;
    struct uplink *order[UPLINK_MAX]; /* POLICY_USE: n >= 1 of the candidates, the preferred first */
    size_t n;
    char reason[POLICY_REASON_MAX + 1]; /* for logs; never empty */
    double timeout_s;                   /* 0: the engine's default */
    bool by_default;                    /* the built-in default decided */
};

struct policy_stats {
    uint64_t tx, rx;     /* octets to and from the destination */
    double duration_s;   /* since the connection was opened */
    double first_byte_s; /* until the destination's first octet; < 0 for none */
    const char *reason;  /* how it ended: "closed", "reset", "idle", "shutdown", … */
};

/** Load a policy: compile in the sandbox, validate params, call new(ctx), try a synthetic pick.
 *  @return 0, or negative errno with one line in err (POLICY_ERROR_MAX) that names file and line;
 *          warnings go to the log */
MUST_CHECK int policy_new(struct policy **ret, const struct policy_options *options, char *err);
void policy_free(struct policy *p);

/** Load the file anew and put it in the old one's place; on failure the old one goes on serving.
 *  @return 0, or negative errno with one line in err */
MUST_CHECK int policy_reload(struct policy *p, char *err);

const char *policy_name(const struct policy *p);
/** Counts loads, from 1. */
uint32_t policy_generation(const struct policy *p);
/** Calls into Lua that went wrong, over all generations. */
uint64_t policy_errors(const struct policy *p);
/** It failed too often in a row; the built-in default decides until the next reload. */
bool policy_quarantined(const struct policy *p);

/** Decide. Never fails: whatever goes wrong within is logged (rate-limited), counted, and the built-in
 * default decides. @param candidates  n >= 1, all usable for this connection */
void policy_pick(struct policy *p, const struct policy_conn *conn, struct uplink *const *candidates, size_t n,
                 struct policy_choice *ret);

/** Tell the policy what became of it; an absent hook costs nothing. */
void policy_opened(struct policy *p, const struct policy_conn *conn, struct uplink *u, double connect_s);
void policy_failed(struct policy *p, const struct policy_conn *conn, struct uplink *u, const char *error);
void policy_closed(struct policy *p, const struct policy_conn *conn, struct uplink *u,
                   const struct policy_stats *stats);
/** The connection is over, opened or not: drop what is kept under its id. Call once, last. */
void policy_forget(struct policy *p, uint64_t conn_id);

#endif
