/* Tracks what LuaJIT takes outside its allocator: pages of machine code, and their entries in the
 * unwinder's tables. It also tracks the unwinder itself, which raises Lua's errors under locks.
 *
 * A VM that is abandoned inside a call (watchdog.h) returns none of that, so the engine must know it. This
 * file defines mmap, munmap, __register_frame, __deregister_frame, _Unwind_RaiseException and
 * _Unwind_SetIP. The dynamic linker gives LuaJIT these instead of libc's and libgcc's. Each calls the real
 * function. They keep records only within calls into Lua (escape.h).
 *
 * In a program that links LuaJIT statically the real functions are not found, and luajit_edge_init fails. */
#ifndef STEERWAY_CAGE_LUAJIT_EDGE_H
#define STEERWAY_CAGE_LUAJIT_EDGE_H

#include "base/compiler.h"

/** Find the real functions. @return 0, or -ENOSYS */
MUST_CHECK int luajit_edge_init(void);

struct escape;

/** Unmap the machine code of a VM, given by its escape. That code must not run any more. */
void luajit_edge_drop(const struct escape *owner);

/** Number of known areas of machine code, over all VMs; for tests. */
unsigned luajit_edge_areas(void);

#endif
