/* What LuaJIT keeps outside of its allocator: pages of machine code, their entries in the unwinder's tables,
 * and the unwinder itself, which raises Lua's errors under locks of its own.
 *
 * A VM that is abandoned amid a call (watchdog.h) gives none of that back, so it must be known from outside.
 * The functions by which LuaJIT asks for it (mmap, munmap, __register_frame, __deregister_frame,
 * _Unwind_RaiseException, _Unwind_SetIP) are defined by this file: the dynamic linker hands LuaJIT these
 * instead of libc's and libgcc's. Each calls the real one. They take note only within calls into Lua
 * (escape.h); for all else they are the real ones.
 *
 * In a program that links LuaJIT as a static library the real ones are not found: luajit_edge_init says so.
 */
#ifndef STEERWAY_CAGE_LUAJIT_EDGE_H
#define STEERWAY_CAGE_LUAJIT_EDGE_H

#include "base/compiler.h"

/** Find the real functions. @return 0, or -ENOSYS */
MUST_CHECK int luajit_edge_init(void);

struct escape;

/** Unmap the machine code of the VM whose calls land there; it must not run any more. */
void luajit_edge_drop(const struct escape *owner);

/** Areas of machine code that are known, of all VMs; for tests. */
unsigned luajit_edge_areas(void);

#endif
