/* Memory for one VM: an allocator within one mapping, which goes back as a whole.
 *
 * A call into Lua may be left at any instruction (watchdog.h), so nothing that such a call allocates may come
 * from libc, whose locks would stay taken. All state of this allocator lies in its mapping: it may be as
 * inconsistent as it likes when the mapping is thrown away.
 *
 * Up to 4 KiB a block comes from a span of four pages that holds blocks of one size; above, it is a run of
 * whole pages. Blocks have no headers: what is known of them is kept by page. */
#ifndef STEERWAY_CAGE_ARENA_H
#define STEERWAY_CAGE_ARENA_H

#include "base/compiler.h"

#include <stddef.h>

struct arena;

/** @param size  most bytes that its blocks may take together, rounded up to pages; some more is mapped for
 * what the arena keeps of each page. Pages take memory when they are first written to.
 *  @return NULL when there is no room for the mapping */
struct arena *arena_new(size_t size);
/** Give the whole mapping back, in whatever state it is. */
void arena_free(struct arena *a);
/** Forget all blocks, in whatever state it is. The same requests get the same addresses as after arena_new.
 */
void arena_reset(struct arena *a);

/** @param size  > 0 @return 16-byte aligned, or NULL */
void *arena_allocate(struct arena *a, size_t size);
/** @param old  the block's size as it was last asked for
 *  @return NULL when there is no room to grow: the block stays as it is. To shrink never fails. */
void *arena_resize(struct arena *a, void *block, size_t old, size_t size);
/** @param block  may be NULL */
void arena_release(struct arena *a, void *block);

/** Give the memory of pages without blocks back to the system. */
void arena_trim(struct arena *a);

#endif
