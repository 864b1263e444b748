/* Arrays that double when they are full. */
#ifndef STEERWAY_SIMULATE_GROW_H
#define STEERWAY_SIMULATE_GROW_H

#include <stdlib.h>

/** Make room for one more item of that size. *cap is changed with it.
 *  @return the items, which may have moved; NULL without memory: they are where they were */
static inline void *grow(void *items, size_t n, size_t *cap, size_t first, size_t size)
{
    size_t more = *cap ? *cap * 2 : first;

    if (n < *cap)
        return items;
    items = reallocarray(items, more, size);
    if (items)
        *cap = more;
    return items;
}

#endif
