/* A Lua VM with a memory cap, a time budget for each call, and the engine's Lua side (lua/steerway/host.lua)
 * in it.
 *
 * A call that does not come back, overruns the C stack, is refused memory, or panics is left where it is
 * (escape.h), and the VM is *abandoned*: it is thrown away at once and as a whole, and each further call
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

/** What ctx.counter and ctx.gauge keep. A number never moves while a VM that asked for it lives. Two VMs
 * live at a time at most, the one that serves and the one that is loaded, so there is room for both; a name
 * whose last generation is older than these is replaced when the room is needed. */
enum { VM_METRICS_ROOM = 2 * POLICY_METRICS_MAX };
struct vm_metrics {
    struct policy_metric items[VM_METRICS_ROOM];
    uint32_t generation[VM_METRICS_ROOM]; /* of the latest VM that asked for it */
    size_t n;
};

/** The paths that were read, or should have been, each once. */
struct vm_files {
    char **items;
    size_t n;
};
void vm_files_done(struct vm_files *f);

struct vm_options {
    const char *lua_dir;        /* the folder that holds steerway/host.lua */
    size_t memory_max;          /* octets; 0 for the default, 64 MiB */
    struct frame *frame;        /* must outlive the VM */
    const char *file;           /* named in errors that know no place; borrowed, NULL for none */
    bool config;                /* that is a config file's, not a policy's */
    uint32_t generation;        /* told where the policy logs */
    uint32_t seed;              /* of random numbers; 0 for one that nobody knows */
    bool no_jit;                /* LuaJIT interprets, and makes no machine code */
    struct vm_metrics *metrics; /* must outlive the VM; NULL for none */
    struct vm_files *files;     /* likewise */
    struct lists *lists;        /* used during the load; NULL for none */
    struct list_use *list_use;  /* of this VM, whose sets it reads until it is freed; NULL for none */
    struct held_log *said;      /* where what the policy logs is held back; NULL: it is logged at once */
};

/** Slots at the bottom of L's stack that are the VM's own. */
enum { VM_BASE = 1 };

/** Where the latest error was raised whose value is not a text: such a value tells no place. */
struct vm_place {
    char file[LUA_IDSIZE];
    int line; /* 0 or less for none */
};

struct vm {
    lua_State *L; /* NULL: abandoned */
    struct arena *arena;
    struct watchdog dog;
    bool has_base;         /* what stands in the stack's own slots is there */
    struct vm_place place; /* of the latest call that failed so */
    size_t used, cap;      /* octets of the Lua heap */
    unsigned cycles_due;   /* of a collection that is under way; 0 for none */
    size_t collected;      /* used after the last full collection */
    bool no_tidying;       /* set for calls that leave no garbage and must be short */
    bool overran;          /* the last call took longer than its budget, even if it came back well */
    struct log_limit says; /* for what the policy itself logs */
    const char *file;      /* as in the options */
    bool config;
    uint32_t generation;
    struct vm_metrics *metrics;
    struct vm_files *files;
    struct lists *lists; /* NULL once it is loaded */
    struct list_use *list_use;
    struct held_log *said; /* NULL once it is loaded */
};

/** Make a VM and load host.lua into it.
 *  @return 0, or negative errno with one line in err (VM_ERROR_MAX octets) */
MUST_CHECK int vm_new(struct vm **ret, const struct vm_options *options, char *err);
void vm_free(struct vm *vm);

/** Call the function below nargs arguments on the stack, like lua_pcall, within the budget.
 *  @return 0 with nresults on the stack; or -EINVAL for an error in Lua, -ETIME for a call that was stopped,
 * -ENOMEM: the stack is then as it was below the function; or -ENOTRECOVERABLE: the VM is abandoned, and
 * vm->L NULL. One line stands in err */
MUST_CHECK int vm_call(struct vm *vm, int nargs, int nresults, double budget_s, char *err);

/** Run a C function that may raise, like lua_cpcall, within the budget; it finds data as its one argument. */
MUST_CHECK int vm_protected(struct vm *vm, lua_CFunction function, void *data, double budget_s, char *err);

/** Note among the files that this one was read, or should have been. */
void vm_note_file(struct vm *vm, const char *path);

/** Push host.lua's function of that name. Only under vm_protected. */
void vm_push_host(lua_State *L, const char *name);

#endif
