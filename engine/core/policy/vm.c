#include "policy/vm.h"

#include "base/clock.h"
#include "cage/luajit_edge.h"
#include "policy/hints.h"
#include "policy/vm_boot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t MEMORY_MAX_DEFAULT = 64u << 20;
/* The largest table or text of a policy. Many operations take time in proportion to one operand, and no
 * hook can stop them in between. The limit is the size of a table of 2^19 keys (nodes of 24 bytes), and to
 * grow to that takes about 20 ms. A list of 2^20 elements fits too. So does a text of 8 MiB, since
 * LuaJIT's text buffers are powers of two; to read it as a number takes 10 to 20 ms. So does LuaJIT's
 * table of all texts, up to 2^20 texts; it grows to that in 25 ms. The rest is for the overhead of
 * allocator and file. */
static const size_t BLOCK_MAX = (12u << 20) + (64u << 10);
/* CPU time for garbage collection after a call. Call and collection together stay below 0.1 s, so less is
 * allowed after a call that used its whole budget. */
static const double COLLECT_MAX_S = 0.03, COLLECT_LATE_S = 0.005;
/* Work between two readings of the clock, in LuaJIT's unit of per cent: about 0.5 ms. */
enum { COLLECT_PACE = 5000 };
/* Loading the host takes about 5 ms; the budget allows for slow storage. */
static const double BOOT_BUDGET_S = 2;
static const size_t ARENA_EXTRA = 16u << 20;
/* A call may exceed the cap by this much until it is stopped. */
static const size_t OVER_MAX = 8u << 20;

/* LuaJIT of 2022 crashes when an allocation fails in compiled code: it writes the error to a wrong place
 * on the stack. It cannot be known here whether compiled code runs, so the call is left. */
static void *refuse_block(void)
{
    escape_try(ESCAPE_MEMORY);
    return NULL;
}

/* Counts memory. From 7/8 of the cap on, a running call is stopped at its next instruction, which can name
 * the line. A block that is too large, or far above the cap, costs the policy its VM. */
static void *allocate(void *ud, void *block, size_t old, size_t size)
{
    struct vm *vm = ud;
    if (size == 0) {
        arena_release(vm->arena, block);
        vm->used -= old;
        return NULL;
    }
    if (size > old) {
        size_t after = vm->used + (size - old);
        if (vm->cap != SIZE_MAX && (after > vm->cap + OVER_MAX || size > BLOCK_MAX))
            return refuse_block();
        if (after > vm->cap - vm->cap / 8)
            watchdog_memory_low(&vm->dog);
    }
    void *grown = arena_resize(vm->arena, block, old, size);
    if (!grown)
        return refuse_block();
    vm->used = vm->used - old + size;
    return grown;
}

/* Allocates without a cap and without a VM. */
static void *allocate_plainly(void *ud, void *block, size_t old, size_t size)
{
    if (size > 0)
        return arena_resize(ud, block, old, size);
    arena_release(ud, block);
    return NULL;
}

/* In a call, a panic costs the policy its VM. Outside a call it is a bug of the engine. */
static int on_panic(lua_State *L)
{
    escape_try(ESCAPE_PANIC);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "unknown error";
    struct log_line l;
    log_begin(&l, EVENT_LUA_PANIC);
    log_str(&l, "error", text);
    log_end(&l);
    abort();
}

/* Includes room for partly filled pages, and for the host, which is loaded before the cap applies. */
static size_t arena_size(size_t cap)
{
    return cap < SIZE_MAX / 4 ? 2 * cap + ARENA_EXTRA : cap;
}

static int prepare(struct vm *vm, const struct vm_options *options, size_t cap, char *err)
{
    if (luajit_edge_init() < 0) {
        (void)snprintf(err, VM_ERROR_MAX, "LuaJIT must be linked as a shared library");
        return -ENOSYS;
    }
    vm->arena = arena_new(arena_size(cap));
    /* The cap applies to policies only. If an allocation fails, LuaJIT 2.1 of 2022 crashes in lua_newstate
     * and leaks in luaopen_ffi. */
    vm->cap = SIZE_MAX;
    vm->L = vm->arena ? lua_newstate(allocate, vm) : NULL;
    if (!vm->L) {
        (void)snprintf(err, VM_ERROR_MAX, "out of memory");
        return -ENOMEM;
    }
    lua_atpanic(vm->L, on_panic);
    int rc = watchdog_init(&vm->dog, vm->L, options->lua_dir);
    if (rc < 0)
        (void)snprintf(err, VM_ERROR_MAX, "no timer for the policy's time budget: %s", strerror(-rc));
    return rc;
}

int vm_new(struct vm **ret, const struct vm_options *options, char *err)
{
    const size_t cap = options->memory_max ? options->memory_max : MEMORY_MAX_DEFAULT;
    struct vm *vm = calloc(1, sizeof *vm);
    if (!vm) {
        (void)snprintf(err, VM_ERROR_MAX, "out of memory");
        return -ENOMEM;
    }
    vm->generation = options->generation;
    vm->file = options->file;
    vm->config = options->config;
    vm->metrics = options->metrics;
    vm->files = options->files;
    vm->lists = options->lists;
    vm->list_use = options->list_use;
    vm->said = options->said;
    int rc = prepare(vm, options, cap, err);
    if (rc < 0)
        goto fail;
    struct vm_boot b = {.vm = vm, .options = options};
    rc = vm_protected(vm, vm_boot, &b, BOOT_BUDGET_S, err);
    if (rc < 0)
        goto fail;
    lua_rawgeti(vm->L, LUA_REGISTRYINDEX, VM_NOTE_PLACE_REF);
    vm->has_base = true;
    vm->cap = cap;
    *ret = vm;
    return 0;

fail:
    vm_free(vm);
    return rc;
}

void vm_files_done(struct vm_files *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->items[i]);
    free(f->items);
    *f = (struct vm_files){.n = 0};
}

/* Throw the Lua state away, whatever its condition. It is never closed: after an escape, lua_close may
 * crash, and otherwise it takes long. Its objects have no finalizers.
 *
 * LuaJIT's profiler refers to the last VM that had it, and stops only through a state of that VM. So a new
 * state is made in the emptied arena. It is the arena's first block, as the old state was. So it has the same
 * address, and the profiler takes it for the old one. */
static void bury(struct vm *vm)
{
    luajit_edge_drop(&vm->dog.escape);
    if (watchdog_has_profiler(&vm->dog)) {
        arena_reset(vm->arena);
        lua_State *stand_in = lua_newstate(allocate_plainly, vm->arena);
        if (stand_in != vm->L)
            abort(); /* not reached: the arena has room, and allocates the same way each time */
        watchdog_done(&vm->dog);
        lua_close(stand_in);
    } else {
        watchdog_done(&vm->dog);
    }
    arena_free(vm->arena);
    vm->arena = NULL;
    vm->L = NULL;
    vm->used = 0;
}

void vm_free(struct vm *vm)
{
    if (!vm)
        return;
    bury(vm);
    free(vm);
}

/* Whether the error's place is in Steerway's own Lua files. It does not name the policy then, so the
 * policy's file is added. */
static bool is_librarys(const struct vm *vm, const char *text)
{
    static const char module[] = "steerway.";
    size_t n = vm->dog.library ? strlen(vm->dog.library) : 0;

    return strncmp(text, module, sizeof module - 1) == 0 || (n > 0 && strncmp(text, vm->dog.library, n) == 0);
}

/* Formats the error value on top of the stack as one line. It calls nothing that may raise an error. */
SELDOM static void take_error(const struct vm *vm, int status, char *err)
{
    lua_State *L = vm->L;
    const char *file = vm->file ? vm->file : "", *colon = vm->file ? ": " : "";

    if (lua_type(L, -1) != LUA_TSTRING && vm->place.line > 0)
        (void)snprintf(err, VM_ERROR_MAX, "%s:%d: raised a %s instead of a text, as in error(\"why\")",
                       vm->place.file, vm->place.line, lua_typename(L, lua_type(L, -1)));
    else if (lua_type(L, -1) != LUA_TSTRING)
        (void)snprintf(err, VM_ERROR_MAX, "%.800s%sraised a %s instead of a text, as in error(\"why\")", file,
                       colon, lua_typename(L, lua_type(L, -1)));
    else if (status == LUA_ERRMEM) /* a failed allocation, which has no line */
        (void)snprintf(err, VM_ERROR_MAX, "%.800s%s%s", file, colon, lua_tostring(L, -1));
    else if (vm->file && is_librarys(vm, lua_tostring(L, -1)))
        (void)snprintf(err, VM_ERROR_MAX, "%.800s: %s", file, lua_tostring(L, -1));
    else
        (void)snprintf(err, VM_ERROR_MAX, "%s", lua_tostring(L, -1));
    for (char *p = err; *p; p++)
        if ((unsigned char)*p < 0x20)
            *p = ' ';
    hints_add(err, VM_ERROR_MAX, vm->config);
}

/* Its argument is the VM. */
static int collect(lua_State *L)
{
    struct vm *vm = lua_touserdata(L, 1);
    bool late = vm->dog.patience <= 0;
    double stop_s = clock_read_s(CLOCK_THREAD_CPUTIME_ID) + (late ? COLLECT_LATE_S : COLLECT_MAX_S);
    do {
        if (lua_gc(L, LUA_GCSTEP, 0))
            vm->cycles_due--;
    } while (vm->cycles_due > 0 && clock_read_s(CLOCK_THREAD_CPUTIME_ID) < stop_s);
    return 0;
}

/* LuaJIT does not collect when an allocation fails, and its own pace may let garbage reach the cap. So a
 * heap near the cap is collected between calls. It must have grown since the last collection, or a large
 * live heap would be scanned each time. A million objects take 0.15 s, so the work is spread over several
 * calls. Two cycles are needed: the second finds what became garbage during the first. */
SELDOM static void tidy(struct vm *vm, bool ran_out)
{
    bool near = vm->used > vm->cap / 4 * 3 && vm->used > vm->collected + vm->cap / 16;
    if (!near && !ran_out && vm->cycles_due == 0)
        return;
    if (vm->cycles_due == 0)
        vm->cycles_due = 2;
    int pace = lua_gc(vm->L, LUA_GCSETSTEPMUL, COLLECT_PACE);
    if (lua_cpcall(vm->L, collect, vm) != 0)
        lua_pop(vm->L, 1);
    (void)lua_gc(vm->L, LUA_GCSETSTEPMUL, pace);
    if (vm->cycles_due > 0)
        return;
    arena_trim(vm->arena);
    vm->collected = vm->used;
}

static int conclude(struct vm *vm, int status, char *err)
{
    if (status != 0) {
        take_error(vm, status, err);
        lua_pop(vm->L, 1);
    }
    if ((vm->used > vm->cap / 2 || vm->cycles_due > 0) && !vm->no_tidying)
        tidy(vm, status == LUA_ERRMEM || vm->dog.finding == WATCHDOG_MEMORY);
    enum watchdog_finding finding = watchdog_leave(&vm->dog);
    vm->overran = finding == WATCHDOG_OVERRUN;
    if (status == 0)
        return 0;
    if (status == LUA_ERRMEM || finding == WATCHDOG_MEMORY)
        return -ENOMEM;
    return finding == WATCHDOG_OVERRUN ? -ETIME : -EINVAL;
}

SELDOM static int abandoned(const struct vm *vm, const char *why, char *err)
{
    (void)snprintf(err, VM_ERROR_MAX, "%.800s%sabandoned: %s", vm->file ? vm->file : "", vm->file ? ": " : "",
                   why);
    return -ENOTRECOVERABLE;
}

SELDOM static int abandon(struct vm *vm, char *err)
{
    char why[96];

    watchdog_landed(&vm->dog);
    switch ((enum escape_cause)vm->dog.escape.cause) {
    case ESCAPE_STUCK:
        (void)snprintf(why, sizeof why, "a builtin did not come back within %d ms",
                       (int)(watchdog_left_after_s(&vm->dog) * 1e3 + 0.5));
        break;
    case ESCAPE_STACK:
        (void)snprintf(why, sizeof why, "calls were nested until the C stack overflowed");
        break;
    case ESCAPE_MEMORY:
        (void)snprintf(why, sizeof why, "not enough memory: a text has at most 8 MiB, a table 12 MiB");
        break;
    case ESCAPE_PANIC:
        (void)snprintf(why, sizeof why, "an error was raised where nothing catches it");
        break;
    }
    bury(vm);
    return abandoned(vm, why, err);
}

/* Runs a C function under the handler that records the place of an error. */
struct protected
{
    lua_CFunction function;
    void *data;
    int status;
};

static int call_protected(lua_State *L)
{
    struct protected *p = lua_touserdata(L, 1);

    lua_rawgeti(L, LUA_REGISTRYINDEX, VM_NOTE_PLACE_REF);
    lua_pushcfunction(L, p->function);
    lua_pushlightuserdata(L, p->data);
    p->status = lua_pcall(L, 1, 0, 2);
    return p->status == 0 ? 0 : lua_error(L);
}

static int run_protected(struct vm *vm, lua_CFunction function, void *data)
{
    struct protected p = {.function = function, .data = data};

    if (!vm->has_base)
        return lua_cpcall(vm->L, function, data);
    int status = lua_cpcall(vm->L, call_protected, &p);
    return p.status != 0 ? p.status : status;
}

int vm_call(struct vm *vm, int nargs, int nresults, double budget_s, char *err)
{
    if (!vm->L)
        return abandoned(vm, "in an earlier call", err);
    watchdog_enter(&vm->dog, budget_s);
    if (ESCAPE_LANDED(&vm->dog.escape))
        return abandon(vm, err);
    return conclude(vm, lua_pcall(vm->L, nargs, nresults, VM_BASE), err);
}

int vm_protected(struct vm *vm, lua_CFunction function, void *data, double budget_s, char *err)
{
    if (!vm->L)
        return abandoned(vm, "in an earlier call", err);
    watchdog_enter(&vm->dog, budget_s);
    if (ESCAPE_LANDED(&vm->dog.escape))
        return abandon(vm, err);
    return conclude(vm, run_protected(vm, function, data), err);
}
