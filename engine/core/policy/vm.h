/* A Lua VM with a memory cap, a time budget for each call, and the engine's Lua side
 * (lua/steerway/host.lua).
 *
 * A call is left where it is (escape.h) when it does not return, overruns the C stack, is refused memory,
 * or panics. The VM is then *abandoned*: it is thrown away at once and as a whole, and each further call
 * fails. */
#ifndef STEERWAY_POLICY_VM_H
#define STEERWAY_POLICY_VM_H

#include "base/log.h"
#include "cage/arena.h"
#include "cage/watchdog.h"
#include "policy/frame.h"
#include "policy/held_log.h"
#include "policy/policy.h"
#include "sets/lists.h"

#include <lua.h>

enum { VM_ERROR_MAX = 1024 };

/** The numbers of ctx.counter and ctx.gauge. A number does not move while a VM that asked for it lives. At
 * most two VMs live at a time, the serving one and the one that is being loaded, so there is room for
 * both. When room is needed, a name that neither of them uses is replaced. */
enum { VM_METRICS_ROOM = 2 * POLICY_METRICS_MAX };
struct vm_metrics {
    struct policy_metric items[VM_METRICS_ROOM];
    uint32_t generation[VM_METRICS_ROOM]; /* of the latest VM that asked for the number */
    size_t n;
};

/** The paths that were read, or could not be read, each once. */
struct vm_files {
    char **items;
    size_t n;
};
void vm_files_done(struct vm_files *f);

struct vm_options {
    const char *lua_dir;        /* the folder that holds steerway/host.lua */
    size_t memory_max;          /* bytes; 0 for the default, 64 MiB */
    struct frame *frame;        /* must outlive the VM */
    const char *file;           /* named in errors that have no place; borrowed, NULL for none */
    bool config;                /* file is a config file, not a policy */
    uint32_t generation;        /* for log lines of the policy */
    uint32_t seed;              /* of random numbers; 0 for a random seed */
    bool no_jit;                /* LuaJIT only interprets */
    struct vm_metrics *metrics; /* must outlive the VM; NULL for none */
    struct vm_files *files;     /* must outlive the VM; NULL for none */
    struct lists *lists;        /* used during the load; NULL for none */
    struct list_use *list_use;  /* the lists that this VM uses until it is freed; NULL for none */
    struct held_log *said;      /* holds the policy's log lines; NULL: they are logged at once */
};

/** Number of slots at the bottom of L's stack that belong to the VM. */
enum { VM_BASE = 1 };

/** The place of the latest error whose value is not a text, since such a value has no place. */
struct vm_place {
    char file[LUA_IDSIZE];
    int line; /* 0 or less for none */
};

struct vm {
    lua_State *L; /* NULL: abandoned */
    struct arena *arena;
    struct watchdog dog;
    bool has_base;         /* the VM's own stack slots are filled */
    struct vm_place place; /* of the latest such error */
    size_t used, cap;      /* bytes of the Lua heap */
    unsigned cycles_due;   /* cycles of the current collection that are left; 0 for none */
    size_t collected;      /* `used` after the last full collection */
    bool no_tidying;       /* skip the collection after calls that make no garbage and must be short */
    bool overran;          /* the last call exceeded its budget, even if it returned in order */
    struct log_limit says; /* rate limit of the policy's own log lines */
    const char *file;      /* from the options */
    bool config;
    uint32_t generation;
    struct vm_metrics *metrics;
    struct vm_files *files;
    struct lists *lists; /* NULL after the load */
    struct list_use *list_use;
    struct held_log *said; /* NULL after the load */
};

/** Make a VM and load host.lua into it.
 *  @return 0, or negative errno with one line in err (VM_ERROR_MAX bytes) */
MUST_CHECK int vm_new(struct vm **ret, const struct vm_options *options, char *err);
void vm_free(struct vm *vm);

/** Call the function below nargs arguments on the stack, like lua_pcall, within the budget.
 *  @return 0 with nresults on the stack; or -EINVAL for an error in Lua, -ETIME for a stopped call,
 * -ENOMEM, with the stack as below the function; or -ENOTRECOVERABLE: the VM is abandoned, and vm->L is
 * NULL. On failure, err has one line */
MUST_CHECK int vm_call(struct vm *vm, int nargs, int nresults, double budget_s, char *err);

/** Run a C function that may raise, like lua_cpcall, within the budget. Its one argument is data. */
MUST_CHECK int vm_protected(struct vm *vm, lua_CFunction function, void *data, double budget_s, char *err);

/** Add a path to the files, whether it was read or not. */
void vm_note_file(struct vm *vm, const char *path);

/** Push host.lua's function of that name. Only under vm_protected. */
void vm_push_host(lua_State *L, const char *name);

#endif
