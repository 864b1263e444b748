/* Memory for one VM: an allocator within one mapping, which is unmapped as a whole.
 *
 * A call into Lua may be left at any instruction (watchdog.h). So such a call must not allocate from libc,
 * whose locks would stay taken. All state of this allocator lies in the mapping. It may be inconsistent
 * when the mapping is thrown away.
 *
 * A block of up to 4 KiB comes from a span: four pages with blocks of one size. A larger block is a run of
 * whole pages. Blocks have no headers; the arena keeps data for each page. */
#ifndef STEERWAY_CAGE_ARENA_H
#define STEERWAY_CAGE_ARENA_H

#include "base/compiler.h"

#include <stddef.h>

struct arena;

/** @param size  limit in bytes for all blocks together, rounded up to pages. More is mapped for the data
 * of pages. Pages take memory when they are first written.
 *  @return NULL when there is no room for the mapping */
struct arena *arena_new(size_t size);
/** Unmap everything, in any state. */
void arena_free(struct arena *a);
/** Free all blocks, in any state. The same requests then get the same addresses as after arena_new. */
void arena_reset(struct arena *a);

/** @param size  > 0 @return 16-byte aligned, or NULL */
void *arena_allocate(struct arena *a, size_t size);
/** @param old  the block's present size, as it was asked for
 *  @return NULL without room to grow; the block stays as it is. Shrinking never fails. */
void *arena_resize(struct arena *a, void *block, size_t old, size_t size);
/** @param block  may be NULL */
void arena_release(struct arena *a, void *block);

/** Give unused pages back to the system. */
void arena_trim(struct arena *a);

#endif
